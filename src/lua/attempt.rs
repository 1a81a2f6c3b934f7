//! One attempt of a run, or one of its hooks, from a fresh VM to its outcome.

use std::sync::Arc;

use mlua::Value as LuaValue;
use serde_json::Value;

use super::bundle::Bundle;
use super::engine::Core;
use super::error::of_mlua;
use super::interrupt::Stop;
use super::json::{self, from_json, to_json};
use super::scope::{Outcome, RunScope};
use super::vm::library::main_chunk;
use super::vm::{Budget, Ended, Vm};
use super::{error, trace};
use crate::base::quantity::show_duration;
use crate::base::{Fault, limits};

pub async fn attempt(
    core: &Arc<Core>,
    bundle: Arc<Bundle>,
    scope: RunScope,
    entry: &str,
    argument: Option<Value>,
) -> Outcome {
    match carry_out(core, &bundle, scope, entry, argument).await {
        Ok(outcome) => outcome,
        Err(mut fault) => {
            error::locate(&mut fault, Some(&bundle));
            Outcome::Raised(fault)
        }
    }
}

async fn carry_out(
    core: &Arc<Core>,
    bundle: &Arc<Bundle>,
    scope: RunScope,
    entry: &str,
    argument: Option<Value>,
) -> Result<Outcome, Fault> {
    if !bundle.is_compiled() {
        let bundle = bundle.clone();
        let compiled = core.io.spawn_blocking(move || bundle.compile()).await;
        compiled.map_err(|problem| Fault::new("internal.panic", format!("compiling failed: {problem}")))?;
    }
    let scope = Arc::new(scope);
    let vm = Vm::new(core, scope.memory_bytes)?;
    vm.host().set_bundle(bundle.clone());
    vm.host().enter(scope.clone());
    let lua = vm.lua();
    let as_fault = |problem: mlua::Error| of_mlua(&problem);
    let chunk = main_chunk(lua, bundle)?.map_err(as_fault)?;
    let argument = match argument {
        Some(argument) => {
            let list_meta = vm.host().list_meta(lua).map_err(as_fault)?;
            from_json(lua, &argument, Some(&list_meta)).map_err(as_fault)?
        }
        None => LuaValue::Nil,
    };
    let budget = Budget { wall: scope.timeout, cpu: scope.cpu, cancel: scope.cancel.clone() };
    let ended = vm.drive(vm.entry("execute")?, (chunk, entry, argument), &budget).await?;
    Ok(outcome(ended, &scope, bundle))
}

fn outcome(ended: Ended, scope: &RunScope, bundle: &Bundle) -> Outcome {
    match ended {
        Ended::Returned(value) => match result(&value) {
            Ok(value) => Outcome::Returned(value),
            Err(fault) => Outcome::Raised(fault),
        },
        Ended::Raised(fault) => Outcome::Raised(fault),
        Ended::Stopped(Stop::Cancelled, _) => Outcome::Cancelled,
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
            let message = format!("it was not done within its timeout of {}", show_duration(scope.timeout));
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
