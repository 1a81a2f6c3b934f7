//! What one run may see and use, and how it talks to the rest of the daemon.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::base::{Fault, JobName, RunId, Timestamp};
use crate::model::alerts::{Acknowledgement, Alert, Silence};
use crate::model::checks::Check;
use crate::model::metrics::Sample;
use crate::model::run::Progress;
use crate::model::{Entry, Grants, LogLevel, NewAudit, Run, Signal, StepKey, Trigger};
use crate::primitives::permit::{EventPermit, JobPermit, KvPermit, RunsPermit, StackPermit};
use crate::store::{KvEntry, KvOutcome, KvWrite, MetricQuery, Report, RunFilter, SeriesPoints, SeriesRow};

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
    pub watch: Arc<dyn WatchPort>,
    pub artifacts: Arc<dyn ArtifactPort>,
    pub audit: Arc<dyn AuditPort>,
    /// None for jobs that do not say `resume = true`, for hooks and for consoles.
    pub durable: Option<Durable>,
}

/// What a durable run has done before, and how it records what it does.
#[derive(Debug, Clone)]
pub struct Durable {
    /// In the order in which the entries were recorded.
    pub journal: Arc<Vec<Arc<Entry>>>,
    pub port: Arc<dyn JournalPort>,
    /// Of the attempt, waits and restarts included. `RunScope::timeout` is what is left of it.
    pub deadline: Timestamp,
    /// What the attempt was given in all.
    pub timeout: Duration,
    /// Waits that are longer than this give the VM back.
    pub hold: Duration,
    /// Cancelling it ends the VM though what was done is not on disk yet.
    pub abort: CancellationToken,
}

/// Where a durable run's entries are kept. The runner implements it.
pub trait JournalPort: Debug + Send + Sync {
    /// Resolves when the entries are on disk. An entry of the same key is replaced, unless that was answered and this
    /// gives it up: `answered` tells which of the two stands. `run.lost` when another daemon has
    /// taken the run over.
    fn record(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<(), Fault>>;
    /// Resolves when the waiting entry at `key`, which was recorded before, is answered by an event or a decision, or
    /// is found to be answered already; never by time.
    fn answered(&self, key: StepKey) -> BoxFuture<'_, Result<Entry, Fault>>;
}

/// Where `ctx:artifact` puts things.
pub trait ArtifactPort: Debug + Send + Sync {
    /// Replaces an artifact of the same name.
    fn keep(
        &self,
        run: RunId,
        name: String,
        media_type: String,
        content: bytes::Bytes,
    ) -> BoxFuture<'_, Result<(), Fault>>;
}

/// Where privileged calls are recorded.
pub trait AuditPort: Debug + Send + Sync {
    /// Whether a record of what is about to be done will find room; without one nothing privileged is done.
    fn has_room(&self) -> Result<(), Fault>;
    /// Does not wait. What a run records is on disk no later than its end.
    fn record(&self, record: NewAudit);
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
    /// The newest first. The permit is for what is wanted.
    fn runs(&self, permit: RunsPermit, wanted: RunFilter) -> BoxFuture<'_, Result<Vec<Run>, Fault>>;
    /// The same job with the same `once` is the run that was started the first time.
    fn trigger(
        &self,
        job: JobPermit,
        params: Value,
        by: Trigger,
        once: Option<String>,
        dry_run: bool,
    ) -> BoxFuture<'_, Result<RunId, Fault>>;
    fn wait(&self, run: RunId) -> BoxFuture<'_, Result<Run, Fault>>;
    /// The run besides `except` that deploys a stack at the moment, on whichever daemon.
    fn rollout(&self, stack: StackPermit, except: RunId) -> BoxFuture<'_, Result<Option<RunId>, Fault>>;
    /// Sends an event to the runs that wait for its name, which gives way to the permit's.
    fn signal(&self, name: EventPermit, signal: Signal) -> BoxFuture<'_, Result<(), Fault>>;
}

/// The key-value store, as scripts reach it.
pub trait KvPort: Debug + Send + Sync {
    fn get(&self, scope: KvPermit, key: String) -> BoxFuture<'_, Result<Option<KvEntry>, Fault>>;
    fn list(
        &self,
        scope: KvPermit,
        prefix: String,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(String, KvEntry)>, Fault>>;
    /// `write.scope` gives way to the permit's.
    fn write(&self, scope: KvPermit, write: KvWrite) -> BoxFuture<'_, Result<KvOutcome, Fault>>;
}

/// Metrics, alerts and checks, as scripts reach them.
pub trait WatchPort: Debug + Send + Sync {
    fn record(&self, samples: Vec<Sample>) -> BoxFuture<'_, Result<(), Fault>>;
    fn query(&self, asked: MetricQuery) -> BoxFuture<'_, Result<Vec<SeriesPoints>, Fault>>;
    /// Of one metric, or all.
    fn series(&self, name: Option<String>) -> BoxFuture<'_, Result<Vec<SeriesRow>, Fault>>;
    /// Those that live, and those that were over since a moment.
    fn alerts(&self, over_since: Option<Timestamp>) -> BoxFuture<'_, Result<Vec<Alert>, Fault>>;
    /// Whether that changed something.
    fn report(&self, report: Report) -> BoxFuture<'_, Result<bool, Fault>>;
    /// False when no alert of that id lives.
    fn acknowledge(&self, id: String, seen: Acknowledgement) -> BoxFuture<'_, Result<bool, Fault>>;
    fn silence(&self, silence: Silence) -> BoxFuture<'_, Result<(), Fault>>;
    fn checks(&self) -> BoxFuture<'_, Result<Vec<Check>, Fault>>;
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
    /// All that is left of the run waits, for longer than it is held: the VM is gone, the journal says for what.
    Parked {
        /// The earliest moment at which one of its waits is over by itself.
        wake_at: Option<Timestamp>,
        /// For people: `sleep until …`, `event "paid"`, `approval "switch"`.
        waits_for: String,
    },
    /// What was to be undone was undone, as far as it could be; the faults of what could not.
    Unwound(Vec<Fault>),
}
