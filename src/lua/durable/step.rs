//! `ctx:step`: a function whose result is kept.

use std::rc::Rc;
use std::time::Duration;

use mlua::{Function, Value as LuaValue};
use serde_json::Value;

use super::strand::{Asked, Place, Strand};
use super::turns::Standing;
use crate::base::quantity::show_duration;
use crate::base::{Fault, Masker, limits};
use crate::lua::error::{fault_of, of_mlua};
use crate::lua::json::{Budget, to_json};
use crate::lua::vm::{Around, Host, Within};
use crate::model::{EntryKind, EntryState};

/// A step as it is asked for.
#[derive(Debug)]
pub struct Step {
    pub name: String,
    pub body: Function,
    pub retries: u32,
    /// Before the second try; doubled before each further one.
    pub backoff: Duration,
    /// Of each try.
    pub timeout: Option<Duration>,
    pub undo: Option<Function>,
}

/// How a try ended.
enum Tried {
    Done(Value),
    Failed(Fault),
    /// It would fail again.
    Hopeless(Fault),
}

pub async fn step(host: &Rc<Host>, strand: &Strand, step: Step) -> Result<Value, Fault> {
    let course = strand.course();
    let undo = step.undo.clone();
    let key = match strand.ask(EntryKind::Step, &step.name, undo).await? {
        Asked::Recorded(entry) => {
            return match &entry.error {
                Some(fault) if entry.state == EntryState::Failed => Err(fault.clone()),
                _ => Ok(entry.result.clone().unwrap_or_default()),
            };
        }
        Asked::Open(key, _) => key,
    };
    let mut entry = course.entry(key, EntryKind::Step, &step.name, EntryState::Done);
    entry.undo = step.undo.is_some();
    let outcome = {
        let _away = course.stand(Standing::Away);
        loop {
            entry.tries += 1;
            match attempt(host, &step).await {
                Tried::Done(value) => break Ok(value),
                Tried::Hopeless(fault) => break Err(fault),
                // What fails because the run, or the group around it, ends has not failed.
                Tried::Failed(fault) if host.overdue().is_some() => return Err(fault),
                Tried::Failed(fault) if entry.tries > step.retries => break Err(fault),
                Tried::Failed(_) => course.clock.sleep(pause(step.backoff, entry.tries)).await,
            }
        }
    };
    entry.finished_at = Some(course.finished());
    match &outcome {
        Ok(value) => entry.result = Some(value.clone()),
        Err(fault) => {
            entry.state = EntryState::Failed;
            entry.error = Some(fault.clone());
        }
    }
    course.commit(entry).await;
    outcome
}

/// After so many tries.
fn pause(backoff: Duration, tries: u32) -> Duration {
    let doubled = backoff.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1)));
    doubled.min(limits::STEP_BACKOFF_MAX.max(backoff))
}

async fn attempt(host: &Rc<Host>, step: &Step) -> Tried {
    let Some(task) = host.task() else {
        return Tried::Hopeless(Fault::new("phase.load", "ctx:step cannot be called while the file is loaded"));
    };
    // Calls of its function that still wait are cancelled however this ends.
    let cancel = host.cancellation().child_token();
    let _cancelled_at_end = cancel.clone().drop_guard();
    let around = Around { cancel, place: Place::Inside };
    let called = Within::new(host.clone(), around, task.call_async::<(bool, LuaValue)>(step.body.clone()));
    let time = async {
        match step.timeout {
            Some(timeout) => host.clock().sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        called = called => match called {
            Ok((true, value)) => result(&value, host.masker()),
            Ok((false, problem)) => Tried::Failed(fault_of(&problem, host)),
            Err(problem) => Tried::Failed(of_mlua(&problem)),
        },
        () = time => {
            let limit = show_duration(step.timeout.unwrap_or_default());
            let message = format!("the step \"{}\" was not done within its timeout of {limit}", step.name);
            Tried::Failed(Fault::new("step.timeout", message).retryable())
        }
    }
}

/// What the script gets: what it would get from the journal, too, where no secret is kept.
fn result(value: &LuaValue, masker: &Masker) -> Tried {
    let refused = |problem: String| {
        let hint =
            format!("return plain values of at most {} bytes as JSON from a step", limits::STEP_RESULT_BYTES_MAX);
        Tried::Hopeless(Fault::new("step.result", format!("what the step's function returned {problem}")).hint(hint))
    };
    let value = match to_json(value, Budget::of_bytes(limits::STEP_RESULT_BYTES_MAX)) {
        Ok(value) => value,
        Err(problem) => return refused(problem.message),
    };
    let text = value.to_string();
    if text.len() > limits::STEP_RESULT_BYTES_MAX {
        return refused("is too large".to_owned());
    }
    match serde_json::from_str(&text) {
        Ok(mut value) => {
            masker.json(&mut value);
            Tried::Done(value)
        }
        Err(problem) => refused(format!("cannot be stored: {problem}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let second = Duration::from_secs(1);
        assert_eq!((pause(second, 1), pause(second, 3)), (second, second * 4));
        assert_eq!(pause(second, 60), limits::STEP_BACKOFF_MAX);
        assert_eq!(pause(Duration::from_secs(3_600), 2), Duration::from_secs(3_600));
    }
}
