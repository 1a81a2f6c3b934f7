//! Runs scripts. One engine a daemon; its methods that execute Lua are called on a lane (a `LocalSet`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::runtime::Handle;

use super::bundle::Bundle;
use super::compile::{Code, compile};
use super::console::Console;
use super::interrupt::Ticker;
use super::scope::{Outcome, RunScope};
use super::standard::Standard;
use super::{attempt, durable, inspect, syntax, vm};
use crate::base::{Clock, Fault};
use crate::primitives::Primitives;
use crate::primitives::secrets::Vault;

#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The runtime on which primitives do their I/O; never a lane's.
    pub io: Handle,
    pub clock: Clock,
    pub primitives: Primitives,
}

/// Cheap to clone; `Send`, though the VMs that it makes stay on their lane.
///
/// A lane is a thread with a current-thread tokio runtime that has its time driver enabled (`enable_time`) and a
/// `LocalSet`; it needs nothing else. The engine owns the ticker thread that watches executing scripts, and ends it when
/// the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Engine {
    core: Arc<Core>,
}

/// What all VMs share.
#[derive(Debug)]
pub(in crate::lua) struct Core {
    pub io: Handle,
    pub clock: Clock,
    pub primitives: Arc<Primitives>,
    pub standard: Standard,
    /// A fault when the system gave no thread for it; then no script runs.
    pub ticker: Result<Ticker, Fault>,
    pub prelude: Result<Code, Fault>,
    /// Of durable runs, besides the other one.
    pub durable_prelude: Result<Code, Fault>,
}

/// What a job file says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// The job table as JSON; functions appear as `{"$function": true}`, `aegis.stack.names` and its kin as
    /// `{"$function": "aegis.stack.names"}`.
    pub table: Value,
    /// Source line of each key of the table literal, where it is known: `schedule`, `schedule.every`, `params.stack`.
    pub lines: BTreeMap<String, u32>,
}

impl Engine {
    pub fn new(options: EngineOptions) -> Self {
        // Process-wide: without it `table.move` over a huge range of an empty table cannot be stopped.
        let table_move = mlua::Lua::set_fflag("LuauTableMoveTimeoutFix", true);
        debug_assert!(table_move.is_ok(), "this Luau has no LuauTableMoveTimeoutFix");
        let prelude = |text: &str| compile("[aegis]", &format!("{}{text}", vm::operation_names()));
        let ticker = Ticker::start().map_err(|problem| {
            Fault::new("engine.ticker", format!("the system gave no thread to watch scripts with: {problem}"))
        });
        let core = Core {
            io: options.io,
            clock: options.clock,
            primitives: Arc::new(options.primitives),
            standard: Standard::default(),
            ticker,
            prelude: prelude(vm::PRELUDE),
            durable_prelude: prelude(durable::PRELUDE),
        };
        Self { core: Arc::new(core) }
    }

    /// Runs the file's body without capabilities and returns the table it gave to `aegis.job`. Blocking and bounded
    /// (`LOAD_CPU_MAX`, `LOAD_MEMORY_BYTES_MAX`): call it on a blocking thread. A fault's `at` has file and line.
    pub fn inspect(&self, bundle: &Bundle) -> Result<Inspected, Fault> {
        inspect::inspect(&self.core, bundle)
    }

    /// The `require`d paths of one source, as written in it: found by reading, not by running.
    pub fn requires(source: &str) -> Vec<String> {
        syntax::requires(source)
    }

    /// The files that a required path may mean, relative to the scripts folder, the likeliest first; none for the
    /// shipped library (`@std/…`) and for paths that lead outside of `lib/`.
    pub fn required_files(path: &str) -> Vec<String> {
        vm::library::candidates(path)
    }

    /// One attempt in a VM of its own: `run(ctx)`. A durable run goes on where its journal ends. Not `Send`: call it on a lane. Dropping the future drops the VM.
    pub async fn execute(&self, bundle: Arc<Bundle>, scope: RunScope) -> Outcome {
        attempt::attempt(&self.core, None, bundle, scope, ("run", None)).await
    }

    /// `on_failure(ctx, err)` or `on_success(ctx, result)` in a VM of its own.
    pub async fn execute_hook(&self, bundle: Arc<Bundle>, scope: RunScope, hook: &str, argument: Value) -> Outcome {
        let scope = RunScope { durable: None, ..scope };
        attempt::attempt(&self.core, None, bundle, scope, (hook, Some(argument))).await
    }

    /// Undoes what a durable run did, after it failed or was cancelled: the script is replayed without recording
    /// anything new, so that its functions are there, and then the undo functions of the completed steps are called,
    /// the latest first, each recorded when it is done. [`Outcome::Unwound`] when all were tried.
    pub async fn unwind(&self, bundle: Arc<Bundle>, scope: RunScope) -> Outcome {
        attempt::unwind(&self.core, bundle, scope).await
    }

    /// A console session on this lane; its locals live between lines.
    pub fn console(&self, scope: RunScope) -> Result<Console, Fault> {
        Console::open(&self.core, scope)
    }

    /// Which secrets there are, and what takes them out of texts.
    pub fn secrets(&self) -> &Vault {
        &self.core.primitives.secrets
    }

    /// For a lane that executes many runs.
    pub fn seat(&self) -> Seat {
        Seat { engine: self.clone(), spares: vm::Spares::default() }
    }

    pub(in crate::lua) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

/// An engine on a lane: it keeps VMs of runs that ended well for the next runs of the same version. Not `Send`.
#[derive(Debug)]
pub struct Seat {
    engine: Engine,
    spares: vm::Spares,
}

impl Seat {
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// As [`Engine::execute`].
    pub async fn execute(&self, bundle: Arc<Bundle>, scope: RunScope) -> Outcome {
        attempt::attempt(&self.engine.core, Some(&self.spares), bundle, scope, ("run", None)).await
    }

    /// Throws away the VMs that are kept.
    pub fn clear(&self) {
        self.spares.clear();
    }

    pub fn has_spares(&self) -> bool {
        self.spares.len() > 0
    }

    #[cfg(test)]
    pub(in crate::lua) fn spares(&self) -> usize {
        self.spares.len()
    }
}
