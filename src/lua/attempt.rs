//! One attempt of a run, or one of its hooks, from a fresh VM to its outcome.

use std::sync::Arc;

use mlua::{Function as LuaFunction, Value as LuaValue};
use serde_json::Value;

use super::bundle::Bundle;
use super::durable::{Broken, Course, Halt, Mode, Place, undo};
use super::engine::Core;
use super::error::of_mlua;
use super::interrupt::Stop;
use super::json::{self, from_json, to_json};
use super::scope::{Outcome, RunScope};
use super::vm::library::main_chunk;
use super::vm::{Budget, Ended, Kind, Spares, Vm};
use super::{error, trace};
use crate::base::clock::since;
use crate::base::quantity::show_duration;
use crate::base::{Fault, limits};

pub async fn attempt(
    core: &Arc<Core>,
    spares: Option<&Spares>,
    bundle: Arc<Bundle>,
    scope: RunScope,
    call: (&str, Option<Value>),
) -> Outcome {
    match carry_out(core, spares, &bundle, scope, call).await {
        Ok(outcome) => outcome,
        Err(mut fault) => {
            error::locate(&mut fault, Some(&bundle));
            Outcome::Raised(fault)
        }
    }
}

/// The script of a durable run once more, to learn what its steps are undone by, and then that.
pub async fn unwind(core: &Arc<Core>, bundle: Arc<Bundle>, scope: RunScope) -> Outcome {
    match carry_out_undo(core, &bundle, scope).await {
        Ok(outcome) => outcome,
        Err(mut fault) => {
            error::locate(&mut fault, Some(&bundle));
            Outcome::Raised(fault)
        }
    }
}

async fn carry_out_undo(core: &Arc<Core>, bundle: &Arc<Bundle>, scope: RunScope) -> Result<Outcome, Fault> {
    let clock = core.clock.clone();
    let began = clock.now();
    let (prepared, scope) = prepare(core, None, bundle, scope, Mode::Unwind).await?;
    let Some(course) = prepared.vm.host().course() else { return Ok(Outcome::Unwound(Vec::new())) };
    let vm = &prepared.vm;
    let mut budget = budget(&scope);
    match vm.drive(vm.entry("execute")?, (prepared.chunk, "run"), &budget).await? {
        Ended::Stopped(Stop::Cancelled, _) => return Ok(Outcome::Cancelled),
        Ended::Stopped(stop @ Stop::Timeout, trace) => {
            return Ok(Outcome::TimedOut(stopped(stop, trace, &scope, Some(bundle))));
        }
        Ended::Halted(Halt::Lost(fault)) => return Ok(Outcome::Raised(fault)),
        // However the script ends, what it came to until then can be undone.
        _ => {}
    }
    vm.host().leave_course();
    budget.wall = budget.wall.saturating_sub(since(clock.now(), began));
    Ok(match undo(vm, &course, &budget).await {
        Ok(faults) => Outcome::Unwound(faults),
        Err(Broken::Lost(fault)) => Outcome::Raised(fault),
        Err(Broken::Stopped(Stop::Cancelled, _)) => Outcome::Cancelled,
        Err(Broken::Stopped(stop, trace)) => Outcome::TimedOut(stopped(stop, trace, &scope, Some(bundle))),
    })
}

/// A VM in which a run can begin.
struct Prepared {
    vm: Vm,
    kind: Kind,
    chunk: LuaFunction,
    root: Place,
}

async fn prepare(
    core: &Arc<Core>,
    spares: Option<&Spares>,
    bundle: &Arc<Bundle>,
    scope: RunScope,
    mode: Mode,
) -> Result<(Prepared, Arc<RunScope>), Fault> {
    if !bundle.is_compiled() {
        let bundle = bundle.clone();
        let compiled = core.io.spawn_blocking(move || bundle.compile()).await;
        compiled.map_err(|problem| Fault::new("internal.panic", format!("compiling failed: {problem}")))?;
    }
    let scope = Arc::new(scope);
    let kind = Kind::of(bundle.hash, &scope);
    let vm = match spares.and_then(|spares| spares.take(&kind)) {
        Some(vm) => vm,
        None => new_vm(core, &scope)?,
    };
    vm.host().set_bundle(bundle.clone());
    vm.host().enter(scope.clone());
    let mut root = Place::Free;
    if let (Some(durable), Some(switch)) = (&scope.durable, vm.host().switch()) {
        let (course, place) = Course::new(&scope, durable, core.clock.clone(), switch, mode);
        vm.host().follow(course, place.clone());
        root = place;
    }
    let chunk = main_chunk(vm.lua(), bundle)?.map_err(|problem| of_mlua(&problem))?;
    Ok((Prepared { vm, kind, chunk, root }, scope))
}

fn new_vm(core: &Arc<Core>, scope: &RunScope) -> Result<Vm, Fault> {
    let vm = Vm::new(core, scope.memory_bytes)?;
    if scope.durable.is_some() {
        vm.make_durable()?;
    }
    Ok(vm)
}

fn budget(scope: &RunScope) -> Budget {
    Budget { wall: scope.timeout, cpu: scope.cpu, cancel: scope.cancel.clone() }
}

async fn carry_out(
    core: &Arc<Core>,
    spares: Option<&Spares>,
    bundle: &Arc<Bundle>,
    scope: RunScope,
    (entry, argument): (&str, Option<Value>),
) -> Result<Outcome, Fault> {
    let (Prepared { vm, kind, chunk, root }, scope) = prepare(core, spares, bundle, scope, Mode::Forward).await?;
    let as_fault = |problem: mlua::Error| of_mlua(&problem);
    let argument = match argument {
        Some(argument) => {
            let list_meta = vm.host().list_meta(vm.lua()).map_err(as_fault)?;
            from_json(vm.lua(), &argument, Some(&list_meta)).map_err(as_fault)?
        }
        None => LuaValue::Nil,
    };
    let ended = vm.drive(vm.entry("execute")?, (chunk, entry, argument), &budget(&scope)).await;
    let ended = match (ended, &root) {
        (Ok(Ended::Returned(value)), Place::Strand(strand)) => strand.finish().map(|()| Ended::Returned(value)),
        (ended, _) => ended,
    };
    let outcome = ended.map(|ended| outcome(ended, &scope, bundle));
    match (&outcome, spares) {
        // A VM in which something went wrong, or in which somebody waits, is not used again.
        (Ok(Outcome::Returned(_)), Some(spares)) => {
            drop(root);
            spares.keep(kind, vm);
        }
        (Ok(Outcome::Returned(_) | Outcome::Parked { .. }), _) => {}
        _ => {
            if let Err(lost) = settle(&vm, &scope).await {
                return Ok(Outcome::Raised(lost));
            }
        }
    }
    outcome
}

/// What a run did that is not to go on is on disk before anybody decides what of it is to be undone.
async fn settle(vm: &Vm, scope: &RunScope) -> Result<(), Fault> {
    let (Some(course), Some(durable)) = (vm.host().course(), &scope.durable) else { return Ok(()) };
    tokio::select! {
        biased;
        settled = course.settle() => settled,
        () = durable.abort.cancelled() => Ok(()),
    }
}

fn outcome(ended: Ended, scope: &RunScope, bundle: &Bundle) -> Outcome {
    match ended {
        Ended::Returned(value) => match result(&value) {
            Ok(value) => Outcome::Returned(value),
            Err(fault) => Outcome::Raised(fault),
        },
        Ended::Raised(fault) => Outcome::Raised(fault),
        Ended::Stopped(Stop::Cancelled, _) => Outcome::Cancelled,
        Ended::Halted(Halt::Parked { wake_at, waits_for }) => Outcome::Parked { wake_at, waits_for },
        Ended::Halted(Halt::Diverged(fault) | Halt::Lost(fault)) => Outcome::Raised(fault),
        Ended::Halted(Halt::Replayed) => Outcome::Unwound(Vec::new()),
        Ended::Stopped(stop, trace) => Outcome::TimedOut(stopped(stop, trace, scope, Some(bundle))),
    }
}

/// A result as JSON, if it is one of bounded size.
pub fn result(value: &LuaValue) -> Result<Value, Fault> {
    to_json(value, json::Budget::of_bytes(limits::RUN_RESULT_BYTES_MAX)).map_err(|problem| {
        Fault::new("run.result", format!("the returned value {}", problem.message))
            .hint(format!("return plain values of at most {} bytes as JSON", limits::RUN_RESULT_BYTES_MAX))
    })
}

/// The fault of a run that used up its time, with the place where it was.
pub fn stopped(stop: Stop, trace: Vec<String>, scope: &RunScope, bundle: Option<&Bundle>) -> Fault {
    let mut fault = match stop {
        Stop::Timeout => {
            let whole = scope.durable.as_ref().map_or(scope.timeout, |durable| durable.timeout);
            let message = format!("it was not done within its timeout of {}", show_duration(whole));
            Fault::new("run.timeout", message).hint("raise timeout = \"…\" in the job's table, or do less in one run")
        }
        Stop::Cpu => {
            let message = format!("it computed for longer than its {} of Lua time", show_duration(scope.cpu));
            Fault::new("run.cpu", message)
                .hint("look for an endless loop; cpu = \"…\" in the job's table raises the limit")
        }
        Stop::Stuck => {
            let limit = show_duration(limits::RUN_UNSLICED_MAX);
            let message = format!("it computed for {limit} in a place where it cannot take turns with other runs");
            Fault::new("run.stuck", message)
                .hint("move the work out of the sort's comparison, gsub's callback or metamethod")
        }
        Stop::Cancelled => Fault::new("run.cancelled", "it was cancelled"),
    };
    fault.at = trace.first().and_then(|frame| trace::position(frame)).map(|(at, _)| at);
    fault.trace = trace;
    error::locate(&mut fault, bundle);
    fault
}
