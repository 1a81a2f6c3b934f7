//! Loading a file to learn what it declares: without capabilities, within small bounds.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::bundle::Bundle;
use super::engine::{Core, Inspected};
use super::error::{locate, of_mlua};
use super::interrupt::Stop;
use super::json::{self, to_json};
use super::syntax::key_lines;
use super::trace;
use super::vm::library::main_chunk;
use super::vm::{Budget, Ended, Vm};
use crate::base::quantity::show_duration;
use crate::base::{Fault, limits};

/// Wall time of a load, for a body that hangs without computing: it cannot, but nothing here may be unbounded.
const LOAD_WALL_FACTOR: u32 = 8;

pub fn inspect(core: &Arc<Core>, bundle: &Bundle) -> Result<Inspected, Fault> {
    let source = bundle.files.first().map(|(_, source)| source.as_str()).unwrap_or_default();
    let table = declared(core, bundle).map_err(|mut fault| {
        locate(&mut fault, Some(bundle));
        fault
    })?;
    Ok(Inspected { table, lines: key_lines(source) })
}

fn declared(core: &Arc<Core>, bundle: &Bundle) -> Result<serde_json::Value, Fault> {
    let vm = Vm::new(core, limits::LOAD_MEMORY_BYTES_MAX)?;
    vm.host().set_bundle(Arc::new(bundle.clone()));
    let chunk = main_chunk(vm.lua(), bundle)?.map_err(|problem| of_mlua(&problem))?;
    let budget = Budget {
        wall: limits::LOAD_CPU_MAX * LOAD_WALL_FACTOR,
        cpu: limits::LOAD_CPU_MAX,
        cancel: CancellationToken::new(),
    };
    match vm.drive_blocking(vm.entry("inspect")?, chunk, &budget)? {
        Ended::Returned(table) => {
            let budget = json::Budget::of_bytes(limits::RUN_RESULT_BYTES_MAX).lenient();
            to_json(&table, budget)
                .map_err(|problem| Fault::new("job.table", format!("the job table {}", problem.message)))
        }
        Ended::Raised(fault) => Err(fault),
        Ended::Halted(halt) => Err(halt.into_fault()),
        Ended::Stopped(stop, trace) => Err(too_long(stop, trace)),
    }
}

fn too_long(stop: Stop, trace: Vec<String>) -> Fault {
    let limit = show_duration(limits::LOAD_CPU_MAX);
    let message = match stop {
        Stop::Cpu | Stop::Timeout | Stop::Stuck => format!("loading the file took longer than {limit}"),
        Stop::Cancelled => "loading the file was cancelled".to_owned(),
    };
    let mut fault = Fault::new("load.timeout", message)
        .hint("the file's body only declares the job; do the work in run = function(ctx) … end");
    fault.at = trace.first().and_then(|frame| trace::position(frame)).map(|(at, _)| at);
    fault.trace = trace;
    fault
}
