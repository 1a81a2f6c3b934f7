//! Undoing what a run did: the latest first, each recorded when it is done.

use std::rc::Rc;

use mlua::{IntoLuaMulti, MultiValue};

use super::course::Course;
use crate::base::clock::since;
use crate::base::quantity::show_duration;
use crate::base::{Fault, limits};
use crate::lua::error::of_mlua;
use crate::lua::interrupt::Stop;
use crate::lua::json::from_json;
use crate::lua::vm::{Budget, Ended, Vm};
use crate::model::journal::to_undo;
use crate::model::{Entry, EntryKind, EntryState};

/// What ended the undoing before its end.
#[derive(Debug)]
pub enum Broken {
    Stopped(Stop, Vec<String>),
    /// The journal cannot be written.
    Lost(Fault),
}

/// Calls the functions that the replay came to. The faults of what could not be undone, which is recorded too.
pub async fn undo(vm: &Vm, course: &Rc<Course>, budget: &Budget) -> Result<Vec<Fault>, Broken> {
    let mut faults = Vec::new();
    let began = course.clock.now();
    for done in to_undo(course.journal()) {
        let left = Budget { wall: budget.wall.saturating_sub(since(course.clock.now(), began)), ..budget.clone() };
        let mut entry = course.entry(done.key.undo(), EntryKind::Undo, &done.name, EntryState::Done);
        entry.tries = 1;
        let ended = call(vm, course, done, &left).await;
        match ended {
            Ok(Ended::Returned(_)) => {}
            Ok(Ended::Raised(fault)) | Err(fault) => {
                entry.state = EntryState::Failed;
                entry.error = Some(fault.clone());
                faults.push(fault);
            }
            Ok(Ended::Stopped(stop @ (Stop::Cpu | Stop::Stuck | Stop::Timeout), _)) => {
                // One that does not end keeps none of the others from being undone, as long as there is time.
                let fault = endless(done, stop, &left);
                entry.state = EntryState::Failed;
                entry.error = Some(fault.clone());
                faults.push(fault);
            }
            Ok(Ended::Stopped(stop, trace)) => return Err(Broken::Stopped(stop, trace)),
            Ok(Ended::Halted(_)) => return Err(Broken::Stopped(Stop::Cancelled, Vec::new())),
        }
        entry.finished_at = Some(course.finished());
        course.port.record(vec![entry]).await.map_err(Broken::Lost)?;
    }
    Ok(faults)
}

fn endless(done: &Entry, stop: Stop, budget: &Budget) -> Fault {
    let what = format!("{} \"{}\"", done.kind.as_str(), done.name);
    if stop == Stop::Timeout {
        let most = show_duration(limits::RUN_UNWIND_MAX);
        return Fault::new("undo.timeout", format!("{what} was not undone: undoing a run may take {most} in all"))
            .hint("do what takes longer in a run of its own, which the undo function triggers");
    }
    let cpu = show_duration(budget.cpu);
    Fault::new("run.cpu", format!("undoing {what} computed for longer than its {cpu} of Lua time"))
        .hint("look for an endless loop; cpu = \"…\" in the job's table raises the limit")
}

async fn call(vm: &Vm, course: &Course, done: &Entry, budget: &Budget) -> Result<Ended, Fault> {
    let Some(function) = course.undo_of(&done.key) else {
        let what = format!("{} \"{}\"", done.kind.as_str(), done.name);
        return Err(Fault::new("undo.missing", format!("{what} was not undone: the script did not come to it again"))
            .hint("outside of steps a durable script has to do the same each time"));
    };
    let lua = vm.lua();
    let as_fault = |problem: mlua::Error| of_mlua(&problem);
    let mut args: MultiValue = function.into_lua_multi(lua).map_err(as_fault)?;
    if let (EntryKind::Step, Some(result)) = (done.kind, done.result.as_ref().filter(|result| !result.is_null())) {
        let list_meta = vm.host().list_meta(lua).map_err(as_fault)?;
        args.push_back(from_json(lua, result, Some(&list_meta)).map_err(as_fault)?);
    }
    vm.drive(vm.entry("call")?, args, budget).await
}
