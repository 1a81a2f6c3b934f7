//! The functions of `ctx` that a journal answers.

use std::rc::Rc;
use std::time::Duration;

use mlua::{Function, MultiValue, Table, Value};

use super::step::{Step, step};
use super::strand::{Asked, Place, Strand};
use super::waits::{self, EventOptions};
use crate::base::{Fault, limits};
use crate::lua::bind::{Args, CallContext, Datum};
use crate::lua::vm::Host;
use crate::model::{EntryKind, EntryState};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Step,
    Sleep,
    Event,
    Approval,
    Compensate,
}

/// Carries out one call. `values` are the arguments as the script gave them, for their functions.
pub async fn call(
    host: &Rc<Host>,
    operation: Operation,
    context: &CallContext,
    args: &Args,
    values: &MultiValue,
) -> Result<Datum, Fault> {
    let strand = match (host.place(), operation) {
        (Place::Strand(strand), _) => strand,
        (_, Operation::Sleep) => return plain_sleep(context, args).await,
        (Place::Free, _) => {
            let message = format!("{} needs a journal, which this run does not have", context.name);
            let hint = "add resume = true to the job's table; a job's hooks have no journal";
            return Err(Fault::new("step.not_durable", message).hint(hint));
        }
        (Place::Inside, _) => {
            let message = format!("{} cannot be called within a step, or what undoes one", context.name);
            return Err(Fault::new("step.nested", message).hint("call it before or after the step"));
        }
    };
    match operation {
        Operation::Sleep => {
            waits::sleep(&strand, args.duration("duration").unwrap_or_default()).await.map(|()| Datum::Null)
        }
        Operation::Step => step(host, &strand, wanted_step(context, args, values)?).await.map(answer),
        Operation::Event => {
            let (name, options) = named(context, args)?;
            let key = options.text("key").map(str::to_owned);
            let options = EventOptions { key, timeout: options.duration("timeout") };
            waits::event(&strand, name, options).await.map(answer)
        }
        Operation::Approval => {
            let (name, options) = named(context, args)?;
            let show = options.has("show").then(|| options.json("show"));
            if show.as_ref().is_some_and(|show| show.to_string().len() > limits::STEP_SHOWN_BYTES_MAX) {
                let message = format!("{}: option \"show\" is too large", context.name);
                let hint = format!("show at most {} bytes; ctx:artifact keeps more", limits::STEP_SHOWN_BYTES_MAX);
                return Err(Fault::new("args.size", message).hint(hint));
            }
            waits::approval(&strand, name, show, options.duration("timeout")).await.map(answer)
        }
        Operation::Compensate => {
            let (name, _) = named(context, args)?;
            compensate(&strand, name, function(values, 1)).await.map(|()| Datum::Null)
        }
    }
}

fn answer(value: serde_json::Value) -> Datum {
    if value.is_null() { Datum::Null } else { Datum::Json(value) }
}

async fn plain_sleep(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => {
            Err(Fault::new("run.cancelled", format!("{} was cancelled", context.name)))
        }
        () = context.clock.sleep(args.duration("duration").unwrap_or_default()) => Ok(Datum::Null),
    }
}

fn named<'a>(context: &CallContext, args: &'a Args) -> Result<(&'a str, Args), Fault> {
    let name = args.need("name")?;
    check_name(&context.name, "argument \"name\"", name)?;
    // A run goes on by the names in its journal.
    check_open(context, "argument \"name\"", name)?;
    Ok((name, args.record("options")))
}

/// Refuses the text of a secret as a name that something is found by: it cannot be masked where it is kept.
pub fn check_open(context: &CallContext, place: &str, name: &str) -> Result<(), Fault> {
    if context.primitives.secrets.masker().finds(name) {
        let message = format!("{}: {place} holds the text of a secret", context.name);
        return Err(Fault::new("args.secret", message).hint("call it by what it does"));
    }
    Ok(())
}

/// Names are shown in lists and typed on command lines.
pub fn check_name(function: &str, place: &str, name: &str) -> Result<(), Fault> {
    let fault = |problem: String| Err(Fault::new("args.value", format!("{function}: {place} {problem}")));
    if name.trim().is_empty() {
        return fault("is empty".to_owned());
    }
    if name.len() > limits::STEP_NAME_BYTES_MAX {
        return fault(format!("has {} bytes; at most {} are allowed", name.len(), limits::STEP_NAME_BYTES_MAX));
    }
    if name.chars().any(char::is_control) {
        return fault("has a line break or another control character".to_owned());
    }
    Ok(())
}

fn wanted_step(context: &CallContext, args: &Args, values: &MultiValue) -> Result<Step, Fault> {
    let (name, options) = named(context, args)?;
    let retries = options.integer("retries").unwrap_or(0);
    if !(0..=limits::STEP_RETRIES_MAX).contains(&retries) {
        let message = format!("{}: option \"retries\" must be from 0 to {}", context.name, limits::STEP_RETRIES_MAX);
        return Err(Fault::new("args.value", message));
    }
    let undo = values.get(2).and_then(Value::as_table).and_then(|options: &Table| options.raw_get("undo").ok());
    Ok(Step {
        name: name.to_owned(),
        body: function(values, 1).ok_or_else(|| missing(context))?,
        retries: u32::try_from(retries).unwrap_or(0),
        backoff: options.duration("backoff").unwrap_or(limits::STEP_BACKOFF_DEFAULT),
        timeout: options.duration("timeout").filter(|timeout| *timeout > Duration::ZERO),
        undo,
    })
}

fn missing(context: &CallContext) -> Fault {
    Fault::new("args.missing", format!("{}: argument \"body\" is missing", context.name))
}

fn function(values: &MultiValue, index: usize) -> Option<Function> {
    values.get(index).and_then(Value::as_function).cloned()
}

/// Records that there is something to be undone.
async fn compensate(strand: &Strand, name: &str, undo: Option<Function>) -> Result<(), Fault> {
    let course = strand.course();
    let Asked::Open(key, _) = strand.ask(EntryKind::Compensation, name, undo).await? else { return Ok(()) };
    let mut entry = course.entry(key, EntryKind::Compensation, name, EntryState::Done);
    entry.undo = true;
    entry.finished_at = Some(course.finished());
    course.commit(entry).await;
    Ok(())
}
