//! Runs scripts. One engine a daemon; its methods that execute Lua are called on a lane (a `LocalSet`).

use std::sync::Arc;

use serde_json::Value;
use tokio::runtime::Handle;

use super::bundle::Bundle;
use super::scope::{Outcome, RunScope};
use crate::base::{Clock, Fault};
use crate::primitives::Primitives;

#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The runtime on which primitives do their I/O; never a lane's.
    pub io: Handle,
    pub clock: Clock,
    pub primitives: Primitives,
}

/// Cheap to clone; `Send`, though the VMs that it makes stay on their lane.
#[derive(Debug, Clone)]
pub struct Engine {
    #[allow(dead_code)]
    options: Arc<EngineOptions>,
}

/// What a job file says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// The job table as JSON; functions appear as `{"$function": true}`, `aegis.stack.names` and its kin as
    /// `{"$function": "aegis.stack.names"}`.
    pub table: Value,
    /// Source line of each top-level key of the table literal, where it is known.
    pub lines: std::collections::BTreeMap<String, u32>,
}

/// The result of one console line.
#[derive(Debug, Clone, PartialEq)]
pub enum EvalOutcome {
    /// Each value as readable Lua, and as JSON where it can be.
    Values(Vec<(String, Value)>),
    /// The text is the beginning of something longer.
    Incomplete,
    Failed(Fault),
}

impl Engine {
    pub fn new(options: EngineOptions) -> Self {
        Self { options: Arc::new(options) }
    }

    /// Runs the file's body without capabilities and returns the table it gave to `aegis.job`. Blocking and bounded
    /// (`LOAD_CPU_MAX`, `LOAD_MEMORY_BYTES_MAX`): call it on a blocking thread. A fault's `at` has file and line.
    pub fn inspect(&self, bundle: &Bundle) -> Result<Inspected, Fault> {
        let _ = bundle;
        todo!()
    }

    /// The `require`d paths of one source, as written in it: found by reading, not by running.
    pub fn requires(source: &str) -> Vec<String> {
        let _ = source;
        todo!()
    }

    /// One attempt in a VM of its own: `run(ctx)`. Not `Send`: call it on a lane. Dropping the future drops the VM.
    pub async fn execute(&self, bundle: Arc<Bundle>, scope: RunScope) -> Outcome {
        let _ = (bundle, scope);
        todo!()
    }

    /// `on_failure(ctx, err)` or `on_success(ctx, result)` in a VM of its own.
    pub async fn execute_hook(&self, bundle: Arc<Bundle>, scope: RunScope, hook: &str, argument: Value) -> Outcome {
        let _ = (bundle, scope, hook, argument);
        todo!()
    }

    /// A console session on this lane; its locals live between lines.
    pub fn console(&self, scope: RunScope) -> Result<Console, Fault> {
        let _ = scope;
        todo!()
    }
}

/// One REPL session's VM. Not `Send`.
#[derive(Debug)]
pub struct Console {}

impl Console {
    /// Evaluates one line (or several) as `scope`'s run: an expression gives its values.
    pub async fn eval(&mut self, scope: RunScope, code: &str) -> EvalOutcome {
        let _ = (scope, code);
        todo!()
    }

    /// Names that could complete `prefix` (such as `aegis.do`), from the live VM.
    pub fn complete(&self, prefix: &str) -> Vec<String> {
        let _ = prefix;
        todo!()
    }
}
