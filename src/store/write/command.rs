//! What callers ask of the writer, and what it answers.

use tokio::sync::oneshot;

use super::{NodeCommand, Removal};
use crate::base::{JobName, RunId, Timestamp};
use crate::model::{Decision, Entry, LogLine, NewEvent, Occurrence, Run, Signal};
use crate::store::types::*;

pub type Reply = oneshot::Sender<Result<Answer, StoreError>>;

/// A command and where its answer goes.
#[derive(Debug)]
pub struct Request {
    pub command: Command,
    pub reply: Reply,
}

#[derive(Debug)]
pub enum Command {
    Accept(Box<NewRun>),
    Transition(Box<Transition>),
    Start(StartRun),
    Journal(JournalWrite),
    Signal(Signal),
    Decide(Decision),
    WakeDue(Timestamp, usize),
    PutArtifact(RunId, Artifact, bytes::Bytes),
    Node(NodeCommand),
    Progress(ProgressUpdate),
    Logs(Vec<LogLine>),
    Events(Vec<NewEvent>),
    Settle(Occurrence, Vec<NewEvent>),
    ScheduledUntil(Vec<JobName>, Timestamp),
    PutVersion(Box<ScriptVersion>, Vec<NewEvent>),
    SetEnabled(JobName, Option<bool>, Vec<NewEvent>),
    Kv(KvWrite),
    PutToken(TokenRow),
    RevokeToken(String, Timestamp),
    PutSession(SessionRow),
    TakeSession(String),
    Watch(Box<WatchWrite>),
    Remove(Removal),
    /// Writes a row of no meaning: proof that the database can be written.
    Ping,
    /// Not part of a transaction: the writer does it between two batches.
    Checkpoint,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Done,
    Accepted(Accepted),
    Guarded(Guarded),
    Started(Started),
    Woken(Woken),
    Decided(Decided),
    Flag(bool),
    Kv(KvOutcome),
    Session(Option<SessionRow>),
    Count(u64),
    Epoch(i64),
    Runs(Vec<Run>),
}

impl Command {
    /// About how many bytes it brings to the transaction.
    pub fn weight(&self) -> usize {
        const ROW: usize = 256;
        let json = |value: &Option<serde_json::Value>| value.as_ref().map_or(0, |value| value.to_string().len());
        let entries =
            |list: &[Entry]| list.iter().map(|entry| ROW + json(&entry.result) + json(&entry.show)).sum::<usize>();
        let lines = |lines: &[LogLine]| lines.iter().map(|line| ROW + line.text.len()).sum::<usize>();
        match self {
            Self::Logs(list) => lines(list),
            Self::Transition(change) => {
                ROW + lines(&change.logs) + entries(&change.journal) + change.events.len() * ROW
            }
            Self::Journal(write) => ROW + entries(&write.entries),
            Self::PutArtifact(_, _, content) => ROW + content.len() / 3 * 4,
            Self::Accept(new) => 2 * ROW + new.events.len() * ROW,
            Self::Events(events) => events.len() * ROW,
            Self::Watch(write) => ROW + ROW * (write.samples.len() + 4 * write.alerts.len()),
            Self::PutVersion(version, _) => ROW + version.files.iter().map(|(_, text)| text.len()).sum::<usize>(),
            Self::ScheduledUntil(jobs, _) => jobs.len() * ROW,
            _ => ROW,
        }
    }
}

/// Turns the writer's answer back into what the caller asked for. The pairs are fixed by [`super::apply`].
macro_rules! answers {
    ($($variant:ident => $type:ty),* $(,)?) => {$(
        impl TryFrom<Answer> for $type {
            type Error = StoreError;

            fn try_from(answer: Answer) -> Result<Self, StoreError> {
                match answer {
                    Answer::$variant(value) => Ok(value),
                    other => Err(StoreError::Refused { reason: format!("the writer answered {other:?}") }),
                }
            }
        }
    )*};
}

answers! {
    Accepted => Accepted,
    Guarded => Guarded,
    Started => Started,
    Woken => Woken,
    Decided => Decided,
    Flag => bool,
    Kv => KvOutcome,
    Session => Option<SessionRow>,
    Count => u64,
    Epoch => i64,
    Runs => Vec<Run>,
}

impl TryFrom<Answer> for () {
    type Error = StoreError;

    fn try_from(_: Answer) -> Result<(), StoreError> {
        Ok(())
    }
}
