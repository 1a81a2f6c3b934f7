//! A run, its states and the transitions between them that exist.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::{Fault, JobName, RunId, Timestamp, VersionHash};

/// `queued -> running -> succeeded | failed | timed_out | cancelled | interrupted`, `running -> parked -> queued`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Accepted and on disk; waits for a lane, for a limit, or for its next attempt.
    Queued,
    /// A lane executes it.
    Running,
    /// Waits without a VM.
    Parked,
    Succeeded,
    Failed,
    /// Stopped at its wall or CPU limit.
    TimedOut,
    Cancelled,
    /// The daemon went away under it and it was not to be repeated.
    Interrupted,
}

impl RunState {
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::Parked,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Interrupted,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Parked => "parked",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::Parked)
    }

    /// Whether a run in this state may come to be in `next`. The store's guarded updates refuse all else.
    pub fn may_become(self, next: Self) -> bool {
        use RunState::{Cancelled, Interrupted, Parked, Queued, Running};
        match self {
            // Parked: taken out of the queue to be cancelled, by whichever daemon.
            Queued => matches!(next, Running | Parked | Cancelled | Interrupted),
            // Back to queued: another attempt, or handed back at shutdown.
            Running => next != Running,
            Parked => matches!(next, Queued | Cancelled | Interrupted),
            _ => false,
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What set a run off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    Schedule,
    Button,
    Api,
    Cli,
    Repl,
    Webhook,
    Docker,
    /// What PostgreSQL was told.
    Sql,
    File,
    /// Another job's run.
    Job,
    Alert,
    Mcp,
}

impl TriggerKind {
    pub const ALL: [Self; 12] = [
        Self::Schedule,
        Self::Button,
        Self::Api,
        Self::Cli,
        Self::Repl,
        Self::Webhook,
        Self::Docker,
        Self::Sql,
        Self::File,
        Self::Job,
        Self::Alert,
        Self::Mcp,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Button => "button",
            Self::Api => "api",
            Self::Cli => "cli",
            Self::Repl => "repl",
            Self::Webhook => "webhook",
            Self::Docker => "docker",
            Self::Sql => "sql",
            Self::File => "file",
            Self::Job => "job",
            Self::Alert => "alert",
            Self::Mcp => "mcp",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Who acted: `schedule`, `uid:1000(alice)`, `token:ci`, `session:admin`, `job:deploy/01jd…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(pub String);

impl Actor {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    pub kind: TriggerKind,
    pub actor: Actor,
    /// The due time, for runs of a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_for: Option<Timestamp>,
    /// What the source sent along; `null` when nothing.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub payload: Value,
}

impl Trigger {
    pub fn new(kind: TriggerKind, actor: impl Into<String>) -> Self {
        Self { kind, actor: Actor::new(actor), scheduled_for: None, payload: Value::Null }
    }
}

/// One run as it stands in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: RunId,
    pub job: JobName,
    /// The version it executes, from the first attempt to the last. None for lines typed into a console.
    pub version: Option<VersionHash>,
    pub state: RunState,
    pub params: Value,
    pub trigger: Trigger,
    /// Higher goes first; 0 unless the job says otherwise.
    pub priority: i32,
    /// Counted from 1; 0 before the first begins.
    pub attempt: u32,
    /// Grows whenever a daemon takes the run up. Only the holder of the latest one may change the run.
    pub fence: i64,
    pub dry_run: bool,
    pub queued_at: Timestamp,
    /// No earlier than this, for an attempt that waits out its backoff.
    pub not_before: Option<Timestamp>,
    /// When a parked run goes on unless something wakes it before.
    pub wake_at: Option<Timestamp>,
    /// Of a durable run: when its attempt is out of time, waits and restarts included.
    pub deadline_at: Option<Timestamp>,
    /// What limits it together with other runs, from `concurrency.key`.
    pub concurrency_key: Option<String>,
    /// Of the latest attempt.
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub result: Option<Value>,
    pub error: Option<Fault>,
    /// Why it is in this state, where the state alone does not say it.
    pub reason: Option<String>,
    pub parent: Option<RunId>,
    pub idempotency_key: Option<String>,
    /// The last value of `ctx:progress`.
    pub progress: Option<Progress>,
}

impl Run {
    /// A run that waits for its first attempt, with nothing said about it that does not need saying.
    pub fn new(id: RunId, job: JobName, trigger: Trigger, queued_at: Timestamp) -> Self {
        Self {
            id,
            job,
            version: None,
            state: RunState::Queued,
            params: Value::Null,
            trigger,
            priority: 0,
            attempt: 0,
            fence: 0,
            dry_run: false,
            queued_at,
            not_before: None,
            wake_at: None,
            deadline_at: None,
            concurrency_key: None,
            started_at: None,
            finished_at: None,
            result: None,
            error: None,
            reason: None,
            parent: None,
            idempotency_key: None,
            progress: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub done: f64,
    pub total: Option<f64>,
    pub text: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_states_are_final() {
        for from in RunState::ALL {
            let leads_somewhere = RunState::ALL.into_iter().any(|to| from.may_become(to));
            assert_eq!(leads_somewhere, !from.is_final(), "{from}");
            assert!(!from.may_become(from), "{from} to itself");
        }
    }

    #[test]
    fn names_round_trip() {
        for state in RunState::ALL {
            assert_eq!(RunState::parse(state.as_str()), Some(state));
        }
        for kind in TriggerKind::ALL {
            assert_eq!(TriggerKind::parse(kind.as_str()), Some(kind));
        }
    }
}
