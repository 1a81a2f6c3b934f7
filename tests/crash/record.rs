//! What was seen from outside, against which the books are checked.

use std::collections::{BTreeMap, BTreeSet};

/// A step's body reached the outside world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    pub run: String,
    pub step: String,
    /// Of the daemon, counted from 1. Where there are several, it grows with whatever happens to one of them.
    pub life: u32,
    /// When it came, in microseconds.
    pub at: i64,
}

/// A run that the daemon promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    pub run: String,
    pub job: &'static str,
    pub key: Option<String>,
}

/// A row of `runs`. Times are microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRun {
    pub id: String,
    pub job: String,
    pub state: String,
    pub reason: Option<String>,
    pub error: Option<String>,
    pub result: Option<String>,
    pub key: Option<String>,
    pub scheduled_for: Option<i64>,
}

/// A row of `occurrences`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOccurrence {
    pub job: String,
    pub scheduled_for: i64,
    pub state: String,
    pub run: Option<String>,
    pub decided_at: i64,
}

/// A run and the name of its step; `undo-` stands before the name where the step was undone.
pub type StepOf = (String, String);

#[derive(Debug, Clone, Default)]
pub struct Record {
    pub acknowledged: Vec<Acknowledged>,
    pub effects: Vec<Effect>,
    /// Steps that were committed when each life ended: the life, and what its successor found.
    pub journals: BTreeMap<u32, BTreeSet<StepOf>>,
    /// When a daemon was killed, started or held up, and which of them it was, in microseconds.
    pub moments: Vec<(i64, &'static str)>,
    /// Several daemons are at work, and one may go on with another's runs.
    pub is_shared: bool,
    /// When a daemon that had stood still past its lease went on, in microseconds.
    pub thaws: Vec<i64>,
    /// At the end.
    pub runs: Vec<StoredRun>,
    pub occurrences: Vec<StoredOccurrence>,
    /// At the end, as the API tells it.
    pub told: BTreeMap<String, String>,
    /// Jobs that are due every second, and the time in which none of them may be missing, in microseconds.
    pub ticking: Vec<&'static str>,
    pub watched: (i64, i64),
}

/// The states of a run that is over.
pub const FINAL: [&str; 5] = ["succeeded", "failed", "timed_out", "cancelled", "interrupted"];
