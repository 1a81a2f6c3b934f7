//! What one run may see and use, and how it talks to the rest of the daemon.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::base::{Fault, JobName, RunId};
use crate::model::run::Progress;
use crate::model::{Grants, LogLevel, Run, Trigger};
use crate::store::{KvEntry, KvOutcome, KvWrite};

/// Everything that an attempt of a run is given.
#[derive(Debug, Clone)]
pub struct RunScope {
    pub run: RunId,
    pub job: JobName,
    pub attempt: u32,
    pub params: Value,
    pub trigger: Trigger,
    pub grants: Arc<Grants>,
    pub dry_run: bool,
    /// Wall time of this attempt.
    pub timeout: Duration,
    pub cpu: Duration,
    pub memory_bytes: usize,
    /// Cancelling it ends the run at its next step into Lua, pcall or not.
    pub cancel: CancellationToken,
    pub log: Arc<dyn LogSink>,
    pub jobs: Arc<dyn JobsPort>,
    pub kv: Arc<dyn KvPort>,
}

/// Where a run's lines and progress go. Bounded: a flood is cut with a note, never buffered without end.
pub trait LogSink: Debug + Send + Sync {
    fn line(&self, level: LogLevel, text: String, fields: Value);
    fn progress(&self, progress: Progress);
}

/// What scripts may ask of the job system. The runner implements it.
pub trait JobsPort: Debug + Send + Sync {
    /// Names, schedules, states: what `aegis.jobs.list` shows.
    fn list(&self) -> BoxFuture<'_, Result<Value, Fault>>;
    fn trigger(&self, job: String, params: Value, by: Trigger, dry_run: bool) -> BoxFuture<'_, Result<RunId, Fault>>;
    fn wait(&self, run: RunId) -> BoxFuture<'_, Result<Run, Fault>>;
}

/// The key-value store, as scripts reach it.
pub trait KvPort: Debug + Send + Sync {
    fn get(&self, scope: String, key: String) -> BoxFuture<'_, Result<Option<KvEntry>, Fault>>;
    fn list(&self, scope: String, prefix: String, limit: usize)
    -> BoxFuture<'_, Result<Vec<(String, KvEntry)>, Fault>>;
    fn write(&self, write: KvWrite) -> BoxFuture<'_, Result<KvOutcome, Fault>>;
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// `run(ctx)` returned; its value as JSON, bounded.
    Returned(Value),
    /// An error reached the top. Out of memory is one of these (`run.memory`).
    Raised(Fault),
    /// Wall (`run.timeout`) or CPU (`run.cpu`) limit.
    TimedOut(Fault),
    Cancelled,
}
