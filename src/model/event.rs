//! What happened, in the order in which it was committed. Readers follow this log; nothing is told any other way.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::{JobName, RunId, Timestamp};

/// `seq` grows with every event of the store and is never reused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub seq: i64,
    #[serde(flatten)]
    pub body: NewEvent,
}

/// An event before it is committed. `kind` is dotted: `run.queued`, `job.rejected`, `daemon.started`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewEvent {
    pub at: Timestamp,
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

impl NewEvent {
    pub fn new(at: Timestamp, kind: impl Into<String>) -> Self {
        Self { at, kind: kind.into(), job: None, run: None, data: Value::Null }
    }

    #[must_use]
    pub fn job(mut self, job: &JobName) -> Self {
        self.job = Some(job.clone());
        self
    }

    #[must_use]
    pub fn run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}
