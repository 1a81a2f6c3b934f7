//! The handle through which every other part reads and writes.

use super::types::*;
use crate::base::{Clock, JobName, RunId, Timestamp, VersionHash};
use crate::model::{Event, LogLine, NewEvent, Occurrence, Run, RunState};

type Result<T> = std::result::Result<T, StoreError>;

/// Reads and writes Aegis's own state. Cheap to clone. Every write resolves after its commit is on disk.
#[derive(Debug, Clone)]
pub struct Store {}

/// The writer's task: run it under the supervisor; it drains its queue before it returns.
#[derive(Debug)]
pub struct Writer {}

impl Writer {
    pub async fn run(self, stop: tokio_util::sync::CancellationToken) -> Result<()> {
        todo!()
    }
}

impl Store {
    /// Opens (and creates or migrates) the database.
    pub async fn open(options: Options, clock: Clock) -> Result<(Self, Writer)> {
        todo!()
    }
    /// Changes with every commit that holds events or logs.
    pub fn commits(&self) -> tokio::sync::watch::Receiver<CommitMark> {
        todo!()
    }
    /// Answers when the database can be written: for readiness.
    pub async fn ping(&self) -> Result<()> {
        todo!()
    }

    // Runs
    pub async fn accept_run(&self, new: NewRun) -> Result<Accepted> {
        todo!()
    }
    pub async fn transition(&self, change: Transition) -> Result<Guarded> {
        todo!()
    }
    /// queued -> running for attempt `attempt` (the attempt that begins; guarded on the attempt before it).
    pub async fn start_run(&self, run: RunId, attempt: u32, at: Timestamp, events: Vec<NewEvent>) -> Result<Guarded> {
        todo!()
    }
    pub async fn set_progress(&self, update: ProgressUpdate) -> Result<()> {
        todo!()
    }
    pub async fn run(&self, id: RunId) -> Result<Option<Run>> {
        todo!()
    }
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>> {
        todo!()
    }
    /// Ids of runs whose text begins with `prefix` (at most 2): for people who type the start of an id.
    pub async fn runs_by_prefix(&self, prefix: &str) -> Result<Vec<RunId>> {
        todo!()
    }
    /// All runs in the given state, oldest first, with no page limit: for recovery at start.
    pub async fn runs_in(&self, state: RunState) -> Result<Vec<Run>> {
        todo!()
    }
    pub async fn run_counts(&self) -> Result<Vec<(RunState, u64)>> {
        todo!()
    }
    pub async fn job_stats(&self) -> Result<Vec<JobStats>> {
        todo!()
    }
    /// Status counts of one job (or all) since `since`, in buckets of `bucket_seconds`.
    pub async fn run_buckets(
        &self,
        job: Option<&JobName>,
        since: Timestamp,
        bucket_seconds: i64,
    ) -> Result<Vec<Bucket>> {
        todo!()
    }

    // Logs and events
    pub async fn append_logs(&self, lines: Vec<LogLine>) -> Result<()> {
        todo!()
    }
    /// Lines of a run with `seq > after`, at most `limit`.
    pub async fn logs(&self, run: RunId, after: u64, limit: usize) -> Result<Vec<LogLine>> {
        todo!()
    }
    /// The last `limit` lines, in order.
    pub async fn logs_tail(&self, run: RunId, limit: usize) -> Result<Vec<LogLine>> {
        todo!()
    }
    pub async fn append_events(&self, events: Vec<NewEvent>) -> Result<()> {
        todo!()
    }
    /// Events with `seq > after`, at most `limit`, oldest first.
    pub async fn events(&self, after: i64, limit: usize) -> Result<Vec<Event>> {
        todo!()
    }
    /// The newest `limit` events, newest first; `kinds` are prefixes such as `job.`, empty for all.
    pub async fn events_latest(&self, kinds: &[&str], limit: usize) -> Result<Vec<Event>> {
        todo!()
    }

    // Occurrences
    /// Records an occurrence that led to no run. False when it was settled before.
    pub async fn settle_occurrence(&self, occurrence: Occurrence, events: Vec<NewEvent>) -> Result<bool> {
        todo!()
    }
    /// Newest first; `[from, to)` by due time.
    pub async fn occurrences(
        &self,
        job: Option<&JobName>,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<Occurrence>> {
        todo!()
    }
    /// The latest settled due time of each job.
    pub async fn last_occurrences(&self) -> Result<Vec<(JobName, Timestamp)>> {
        todo!()
    }
    /// Remembers that all due times of the jobs up to `until` are settled.
    pub async fn set_scheduled_until(&self, jobs: Vec<JobName>, until: Timestamp) -> Result<()> {
        todo!()
    }

    // Jobs and versions
    /// Keeps the version (idempotent) and makes it the job's current one.
    pub async fn put_version(&self, version: ScriptVersion, events: Vec<NewEvent>) -> Result<()> {
        todo!()
    }
    pub async fn version(&self, hash: VersionHash) -> Result<Option<ScriptVersion>> {
        todo!()
    }
    /// Newest first.
    pub async fn versions(&self, job: &JobName, limit: usize) -> Result<Vec<ScriptVersion>> {
        todo!()
    }
    pub async fn jobs(&self) -> Result<Vec<JobRow>> {
        todo!()
    }
    pub async fn set_enabled(&self, job: &JobName, enabled: Option<bool>, events: Vec<NewEvent>) -> Result<()> {
        todo!()
    }

    // Key-value
    pub async fn kv_get(&self, scope: &str, key: &str) -> Result<Option<KvEntry>> {
        todo!()
    }
    pub async fn kv_list(&self, scope: &str, prefix: &str, limit: usize) -> Result<Vec<(String, KvEntry)>> {
        todo!()
    }
    pub async fn kv_write(&self, write: KvWrite) -> Result<KvOutcome> {
        todo!()
    }

    // Tokens and sessions
    pub async fn put_token(&self, token: TokenRow) -> Result<()> {
        todo!()
    }
    pub async fn tokens(&self) -> Result<Vec<TokenRow>> {
        todo!()
    }
    pub async fn token_by_hash(&self, hash: &str) -> Result<Option<TokenRow>> {
        todo!()
    }
    /// False when there is no live token of that name.
    pub async fn revoke_token(&self, name: &str, at: Timestamp) -> Result<bool> {
        todo!()
    }
    pub async fn put_session(&self, session: SessionRow) -> Result<()> {
        todo!()
    }
    pub async fn session(&self, hash: &str) -> Result<Option<SessionRow>> {
        todo!()
    }
    /// Removes and returns it, so that of two callers one gets it: for login links.
    pub async fn take_session(&self, hash: &str) -> Result<Option<SessionRow>> {
        todo!()
    }

    // Upkeep
    pub async fn prune(&self, keep: &Retention, now: Timestamp) -> Result<Pruned> {
        todo!()
    }
    /// SQLite: checkpoints the log and lets it shrink. PostgreSQL: nothing.
    pub async fn checkpoint(&self) -> Result<()> {
        todo!()
    }
}
