//! The parts of the daemon's answers that the command line shows. Programs get the whole answer with `--json`.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::Failure;
use crate::base::{Fault, Timestamp};
use crate::model::run::Progress;
use crate::model::{EntryKind, EntryState, LogLevel, OccurrenceState, RunState, Trigger};

#[derive(Debug, Deserialize)]
pub(super) struct JobList {
    pub jobs: Vec<Job>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Job {
    pub name: String,
    pub description: String,
    pub file: String,
    pub version: String,
    pub loaded_at: Timestamp,
    #[serde(default)]
    pub tags: Vec<String>,
    pub enabled: bool,
    pub enabled_override: Option<bool>,
    pub schedules: Vec<String>,
    pub next_due: Option<Upcoming>,
    pub last_run: Option<Run>,
    #[serde(default)]
    pub live: usize,
    #[serde(default)]
    pub waiting: usize,
    #[serde(default)]
    pub diagnostics: Vec<Diagnostic>,
}

#[derive(Debug, Deserialize)]
pub(super) struct JobDetail {
    #[serde(flatten)]
    pub job: Job,
    pub spec: Value,
    #[serde(default)]
    pub rights: Rights,
    pub upcoming: Vec<Upcoming>,
    pub versions: Vec<Version>,
}

/// What becomes of a job's permissions.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Rights {
    pub granted: Vec<String>,
    pub capped: Vec<CappedRight>,
    pub waiting: Option<WaitingRights>,
    pub approved: Option<ApprovedRights>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CappedRight {
    pub right: String,
    pub policy: String,
    pub allowed: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WaitingRights {
    pub hash: String,
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub kept: Vec<String>,
    pub held: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct ApprovedRights {
    pub by: String,
    pub at: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub hash: String,
    pub created_at: Timestamp,
    pub files: Vec<String>,
    pub current: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct DiagnosticList {
    pub diagnostics: Vec<Diagnostic>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Diagnostic {
    pub file: String,
    pub severity: String,
    #[serde(default)]
    pub last_good_kept: bool,
    #[serde(flatten)]
    pub fault: Fault,
}

#[derive(Debug, Deserialize)]
pub(super) struct RunPage {
    pub runs: Vec<Run>,
    pub next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Run {
    pub id: String,
    pub job: String,
    pub state: RunState,
    pub version: Option<String>,
    pub trigger: Trigger,
    pub attempt: u32,
    #[serde(default)]
    pub dry_run: bool,
    #[serde(default)]
    pub params: Value,
    pub queued_at: Timestamp,
    pub not_before: Option<Timestamp>,
    pub wake_at: Option<Timestamp>,
    pub deadline_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub result: Option<Value>,
    pub error: Option<Fault>,
    pub reason: Option<String>,
    pub parent: Option<String>,
    pub progress: Option<Progress>,
    /// Of one run, if it is durable; not in lists.
    #[serde(default)]
    pub steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Step {
    pub key: String,
    pub kind: EntryKind,
    pub name: String,
    pub state: EntryState,
    pub error: Option<Fault>,
    pub undone: Option<bool>,
    pub tries: u32,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub wake_at: Option<Timestamp>,
    pub waits_for: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ApprovalList {
    pub approvals: Vec<Approval>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Approval {
    pub run: String,
    pub job: String,
    pub name: String,
    #[serde(default)]
    pub show: Value,
    pub since: Timestamp,
    pub expires: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ArtifactList {
    pub artifacts: Vec<Artifact>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Artifact {
    pub name: String,
    pub media_type: String,
    pub bytes: u64,
    pub created_at: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(super) struct NodeList {
    pub nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub name: String,
    pub address: String,
    pub labels: Vec<String>,
    pub started_at: Timestamp,
    pub lease_until: Timestamp,
    pub alive: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Simulation {
    pub from: Timestamp,
    pub to: Timestamp,
    pub jobs: Vec<SimulatedJob>,
    pub alive_max: usize,
    pub alive_max_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SimulatedJob {
    pub job: String,
    pub overlap: String,
    pub due: usize,
    pub more: bool,
    pub median_ms: Option<u64>,
    pub runs: usize,
    pub held: usize,
    pub skipped: usize,
    pub coalesced: usize,
    pub replaced: usize,
    pub queue_max: usize,
    pub alive_max: usize,
}

#[derive(Debug, Deserialize)]
pub(super) struct Triggered {
    pub run_id: String,
    #[serde(default)]
    pub existing: bool,
    #[serde(default)]
    pub coalesced: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct LogPage {
    pub lines: Vec<LogLine>,
    pub next: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LogLine {
    pub at: Timestamp,
    pub level: LogLevel,
    pub text: String,
    #[serde(default)]
    pub fields: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct ScheduleWindow {
    pub past: Vec<Occurrence>,
    pub upcoming: Vec<Upcoming>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Occurrence {
    pub job: String,
    pub scheduled_for: Timestamp,
    pub state: OccurrenceState,
    pub reason: Option<String>,
    pub run: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Upcoming {
    pub job: String,
    pub scheduled_for: Timestamp,
    pub fire_at: Timestamp,
    #[serde(default)]
    pub dst_shifted: bool,
    pub held: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ContainerList {
    pub containers: Vec<Container>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Container {
    pub name: String,
    pub image: String,
    pub state: String,
    pub status: String,
    pub health: Option<String>,
    #[serde(default)]
    pub ports: Vec<String>,
    pub stack: Option<String>,
    pub usage: Option<Usage>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Usage {
    pub cpu_percent: Option<f64>,
    pub memory_bytes: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct TokenList {
    pub tokens: Vec<Token>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Token {
    pub name: String,
    pub role: String,
    pub jobs: Vec<String>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Readiness {
    pub dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Dependency {
    pub name: String,
    pub ok: bool,
    pub problem: Option<String>,
}

/// Reads what the daemon sent as the part that is shown.
pub(super) fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| {
        Failure::new(format!("the daemon's answer cannot be understood: {error}"))
            .hint("are the command and the daemon of the same version? compare `aegis --version` and `aegis doctor`")
    })
}

#[derive(Debug, Deserialize)]
pub(super) struct VolumeList {
    pub volumes: Vec<Volume>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Volume {
    pub name: String,
    pub expires_at: Option<Timestamp>,
    pub quota_bytes: u64,
    pub quota_inodes: u64,
    pub used_bytes: u64,
    pub used_inodes: u64,
    pub uid: u32,
    pub gid: u32,
    pub squash: String,
    pub read_only: bool,
    pub snapshots: Vec<VolumeSnapshot>,
    pub folder: String,
    pub device: String,
    pub mount_options: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct VolumeSnapshot {
    pub name: String,
    pub created_at: Timestamp,
    pub entries: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct DeletedVolumeList {
    pub volumes: Vec<DeletedVolume>,
}

#[derive(Debug, Deserialize)]
pub(super) struct DeletedVolume {
    pub id: String,
    pub name: String,
    pub deleted_at: Timestamp,
    pub purge_at: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(super) struct VolumeFileList {
    pub files: Vec<VolumeFile>,
}

#[derive(Debug, Deserialize)]
pub(super) struct VolumeFile {
    pub path: String,
    pub kind: String,
    pub bytes: u64,
    pub mode: String,
    pub modified_at: Timestamp,
}
