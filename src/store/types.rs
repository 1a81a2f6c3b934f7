//! What is written to and read from the store.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::{Fault, JobName, RunId, Timestamp, VersionHash};
use crate::model::alerts::{Acknowledgement, Alert, Silence, Told};
use crate::model::checks::Check;
use crate::model::metrics::{Labels, Rollup, Sample, SeriesKey};
use crate::model::run::Progress;
use crate::model::{Actor, Entry, JobSpec, LogLine, NewEvent, Occurrence, OccurrenceState, Run, RunState, StepKey};

/// Where the database is and how it is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// `sqlite://path/to/file.db`, `postgres://…`, or `sqlite::memory:`, a private file that goes away with the store.
    pub url: String,
    /// Names this daemon in the rows that it owns.
    pub node: String,
}

/// Everything the store can fail with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the database {url}: {reason}")]
    Open { url: String, reason: String },
    #[error(
        "the database {url} was written by a newer Aegis (schema {found}, this one knows {known}); upgrade Aegis or restore a backup"
    )]
    TooNew { url: String, found: i64, known: i64 },
    #[error("the disk of the database is full; free space and the write can be repeated")]
    DiskFull,
    #[error("the database is locked by another process; it is tried again")]
    Locked,
    #[error("the database is not reachable: {reason}")]
    Unavailable { reason: String },
    #[error("the store's queue is full ({limit} commands wait); the disk does not keep up")]
    Overloaded { limit: usize },
    #[error("the store is shutting down")]
    Closed,
    #[error("the database refused a statement: {reason}")]
    Refused { reason: String },
    #[error("a row cannot be understood: {reason}")]
    Corrupt { reason: String },
    #[error("the key-value scope {scope:?} is full: it holds at most {keys_max} keys and {bytes_max} bytes")]
    ScopeFull { scope: String, keys_max: usize, bytes_max: usize },
    #[error("{what} would be one too many: at most {limit} are kept")]
    TooMany { what: String, limit: usize },
    #[error("{what} is {bytes} bytes long; at most {limit} are allowed")]
    TooLarge { what: String, bytes: usize, limit: usize },
}

impl StoreError {
    /// Why the database is away, without saying again that it is.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Unavailable { reason } => reason.clone(),
            other => other.to_string(),
        }
    }

    /// Whether the same may go well later. What is too large stays so, and what is corrupt; a closed store stays closed.
    pub fn may_pass(&self) -> bool {
        !matches!(
            self,
            Self::Closed | Self::TooLarge { .. } | Self::TooMany { .. } | Self::ScopeFull { .. } | Self::Corrupt { .. }
        )
    }
}

/// A run to be accepted.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// State is `Queued`, or `Running` when a lane is free and no second commit is needed before it starts.
    pub run: Run,
    /// The schedule's due time that it settles, written in the same transaction. Refused when it was settled before.
    pub occurrence: Option<Occurrence>,
    pub events: Vec<NewEvent>,
    /// Refused while another run of the job is alive, on any daemon, or parked.
    pub alone: bool,
}

/// How an accepted run came out of the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Written.
    New,
    /// The idempotency key named this earlier run of the same job; nothing was written.
    Existing(RunId),
    /// The occurrence had been settled before; nothing was written.
    OccurrenceSettled,
    /// Another run of the job is alive, beside which it may not be; nothing was written.
    Crowded,
}

/// A change of one run, applied only if it is in `from`, on attempt `attempt` and still at `fence`.
#[derive(Debug, Clone)]
pub struct Transition {
    pub run: RunId,
    pub from: RunState,
    pub to: RunState,
    /// The attempt in which the run must be now.
    pub attempt: u32,
    /// [`Run::fence`] as the caller knows it.
    pub fence: i64,
    pub at: Timestamp,
    pub reason: Option<String>,
    pub result: Option<Value>,
    pub error: Option<Fault>,
    pub not_before: Option<Timestamp>,
    /// Of a run that is parked.
    pub wake_at: Option<Timestamp>,
    /// The attempt is over and the next one has all of its time again.
    pub clear_deadline: bool,
    /// Entries of the journal that go with it, and entries that the next attempt makes anew.
    pub journal: Vec<Entry>,
    pub forget: Vec<StepKey>,
    /// Written before the change, in the same transaction.
    pub logs: Vec<LogLine>,
    pub events: Vec<NewEvent>,
}

impl Transition {
    /// A bare change of a run as the caller knows it.
    pub fn new(run: &Run, from: RunState, to: RunState, at: Timestamp) -> Self {
        Self {
            run: run.id,
            from,
            to,
            attempt: run.attempt,
            fence: run.fence,
            at,
            reason: None,
            result: None,
            error: None,
            not_before: None,
            wake_at: None,
            clear_deadline: false,
            journal: Vec::new(),
            forget: Vec::new(),
            logs: Vec::new(),
            events: Vec::new(),
        }
    }
}

/// Whether a guarded change took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    Applied,
    /// The run was not in the expected state, attempt or fence; nothing was written.
    Refused,
}

/// Which runs to list. Newest first.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub job: Option<JobName>,
    pub states: Vec<RunState>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Only runs older than this one: the cursor of the page before.
    pub before: Option<RunId>,
    /// Console lines are left out unless asked for.
    pub include_console: bool,
    /// Capped at `STORE_PAGE_ROWS_MAX`; 0 means the default.
    pub limit: usize,
}

/// Which settled due times to list. Newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OccurrenceFilter {
    pub job: Option<JobName>,
    /// Empty for all.
    pub states: Vec<OccurrenceState>,
    /// Due at this moment or later.
    pub from: Option<Timestamp>,
    /// Due before this moment.
    pub to: Option<Timestamp>,
    /// Only those older than this one: the last of the page before.
    pub before: Option<(Timestamp, JobName)>,
    /// Capped at `STORE_PAGE_ROWS_MAX`; 0 means the default.
    pub limit: usize,
}

/// A job's version: what was compiled, kept so that a run can finish on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScriptVersion {
    pub hash: VersionHash,
    pub job: JobName,
    pub spec: JobSpec,
    /// `(path, source)`, the job's own file first.
    pub files: Vec<(String, String)>,
    pub created_at: Timestamp,
}

/// A job as the store remembers it between restarts.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    pub name: JobName,
    pub version: VersionHash,
    /// Set by `enable` and `disable`; None leaves it to the script.
    pub enabled: Option<bool>,
    pub first_seen: Timestamp,
    /// When its version was first kept.
    pub version_at: Timestamp,
    /// The last moment up to which all due times are settled.
    pub scheduled_until: Option<Timestamp>,
}

/// A job's last runs in numbers, for lists.
#[derive(Debug, Clone, PartialEq)]
pub struct JobStats {
    pub job: JobName,
    pub last: Option<Run>,
    pub last_success: Option<Timestamp>,
    /// Of the last 20 that ended: oldest first.
    pub recent: Vec<RunState>,
}

/// Counts by hour or day, for status bars.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bucket {
    pub start: Timestamp,
    pub succeeded: u64,
    pub failed: u64,
    pub other: u64,
}

/// One value of the key-value store.
#[derive(Debug, Clone, PartialEq)]
pub struct KvEntry {
    pub value: Value,
    /// Grows with each write; the handle for compare-and-set.
    pub revision: i64,
    pub expires_at: Option<Timestamp>,
}

/// A write to the key-value store.
#[derive(Debug, Clone)]
pub struct KvWrite {
    /// `job:<name>` or `shared:<name>`.
    pub scope: String,
    pub key: String,
    /// None deletes.
    pub value: Option<Value>,
    pub expires_at: Option<Timestamp>,
    /// Only if the entry has this revision; 0 stands for "is absent".
    pub expect_revision: Option<i64>,
}

/// The outcome of a [`KvWrite`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvOutcome {
    Written { revision: i64 },
    Conflict { revision: i64 },
}

/// An API token; the token itself is never stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRow {
    pub name: String,
    /// BLAKE3 of the token, hex.
    pub hash: String,
    pub role: String,
    pub jobs: Vec<String>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

/// A browser session or a one-time login link, by the hash of its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRow {
    pub hash: String,
    /// `session` or `login`.
    pub kind: String,
    pub actor: String,
    pub role: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// How long history is kept.
#[derive(Debug, Clone)]
pub struct Retention {
    pub runs: Duration,
    pub logs: Duration,
    pub events: Duration,
    /// The newest this many runs of each job are kept whatever their age.
    pub runs_per_job_min: usize,
}

/// What a retention pass removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    pub runs: u64,
    pub logs: u64,
    pub events: u64,
    pub occurrences: u64,
    pub kv: u64,
    pub sessions: u64,
    pub versions: u64,
    /// Entries of journals.
    pub steps: u64,
    pub artifacts: u64,
    /// Events that were sent to waiting runs.
    pub signals: u64,
    /// Counts by hour.
    pub hours: u64,
}

/// What the last commits contained; readers that wait are woken by its change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommitMark {
    /// Highest event sequence number that is committed.
    pub event_seq: i64,
    /// Counts the commits that held log lines.
    pub log_commits: u64,
}

/// `ctx:progress`, kept on the run and not guarded by a commit of its own.
#[derive(Debug, Clone)]
pub struct ProgressUpdate {
    pub run: RunId,
    /// Of the holder whose script says so; None where nobody else can have the run.
    pub fence: Option<i64>,
    pub progress: Progress,
}

/// queued -> running, by the daemon that asks.
#[derive(Debug, Clone)]
pub struct StartRun {
    pub run: RunId,
    /// The fence that the caller knows; the run has the next one afterwards.
    pub fence: i64,
    /// The attempt that begins, or goes on after it was parked or its daemon died.
    pub attempt: u32,
    pub at: Timestamp,
    /// When the attempt began: earlier than `at` when it goes on.
    pub began: Timestamp,
    /// Set unless the attempt has one from before.
    pub deadline_at: Option<Timestamp>,
    /// Refused while another run of the job is running on any daemon.
    pub alone: bool,
    /// Refused while so many runs with this concurrency key are running on any daemon.
    pub key: Option<(String, u32)>,
    pub events: Vec<NewEvent>,
}

/// Which queued runs of others a daemon leaves where they are.
#[derive(Debug, Clone, Default)]
pub struct ClaimRules {
    /// Jobs that it may not execute.
    pub never: Vec<JobName>,
    /// Jobs of which one run goes on at a time: their runs while another is in the way.
    pub alone: Vec<JobName>,
    /// Jobs whose concurrency keys so many runs hold at once: their runs while that many hold theirs.
    pub keyed: Vec<(JobName, u32)>,
}

/// A wish that a running run be cancelled, for the daemon that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopRequest {
    pub run: RunId,
    pub actor: Actor,
    pub reason: String,
    pub at: Timestamp,
}

/// What became of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    Applied,
    /// Another daemon, or an administrator, changed the run meanwhile.
    Lost,
    /// The run may not begin beside what runs on another daemon.
    Busy,
}

/// Entries of one run, written only while it is running at this fence.
#[derive(Debug, Clone)]
pub struct JournalWrite {
    pub run: RunId,
    pub fence: i64,
    pub entries: Vec<Entry>,
}

/// Runs that were parked and are queued now, because of what was committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Woken {
    pub parked: Vec<RunId>,
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq)]
pub enum Decided {
    Applied {
        name: String,
        woken: Woken,
    },
    /// Nothing of that name waits in that run; these do.
    NotWaiting {
        others: Vec<String>,
    },
    /// Somebody was faster, or it had expired.
    Already {
        name: String,
        actor: Option<Actor>,
        result: Option<Value>,
    },
}

/// An approval that waits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PendingApproval {
    pub run: RunId,
    pub job: JobName,
    pub entry: Entry,
}

/// What a run keeps for people, without its content.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Artifact {
    pub name: String,
    pub media_type: String,
    pub bytes: u64,
    pub created_at: Timestamp,
}

/// A daemon that shares the database.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeRow {
    pub name: String,
    pub epoch: i64,
    pub address: String,
    pub labels: Vec<String>,
    pub started_at: Timestamp,
    pub lease_until: Timestamp,
}

/// What is to be written of metrics, alerts, checks and silences. What is empty is left as it is.
#[derive(Debug, Clone, Default)]
pub struct WatchWrite {
    /// Their series are made as needed.
    pub samples: Vec<Sample>,
    /// What the rules found. What routes were told and who acknowledged them is kept. One that was pending and is over
    /// is forgotten.
    pub alerts: Vec<Alert>,
    pub reports: Vec<Report>,
    /// By the alert's id.
    pub acknowledged: Vec<(String, Acknowledgement)>,
    /// By the alert's id and the route.
    pub told: Vec<(String, String, Told)>,
    pub checks: Vec<Check>,
    /// Checks of other names are forgotten.
    pub checks_only: Option<Vec<String>>,
    pub silences: Vec<Silence>,
    /// All samples up to this number have been looked at.
    pub seen: Option<i64>,
    pub events: Vec<NewEvent>,
}

/// What a script says of one thing.
#[derive(Debug, Clone)]
pub struct Report {
    /// As it is if nothing is known of it yet. Of one that is alive the text, the severity and the moments are renewed.
    pub alert: Alert,
    /// It is fine (again).
    pub ok: bool,
}

/// A series with its last sample.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesRow {
    pub series: SeriesKey,
    pub last_at: Timestamp,
    pub last_value: f64,
}

/// Which samples to read.
#[derive(Debug, Clone)]
pub struct MetricQuery {
    pub name: String,
    /// Labels that a series must have; values may be patterns with `*`.
    pub matching: Labels,
    pub from: Timestamp,
    /// Not included.
    pub to: Timestamp,
    /// Samples of each such span become one point.
    pub step: Duration,
}

/// A series and its points, oldest first; each stands at the beginning of its span.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesPoints {
    pub series: SeriesKey,
    pub points: Vec<(Timestamp, Rollup)>,
}

/// How long what was measured is kept.
#[derive(Debug, Clone)]
pub struct WatchRetention {
    /// Samples as they came.
    pub samples: Duration,
    /// Rollups of a minute, and of an hour.
    pub minutes: Duration,
    pub hours: Duration,
    /// Alerts that are over, and silences.
    pub alerts: Duration,
}
