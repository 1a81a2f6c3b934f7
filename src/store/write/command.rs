//! What callers ask of the writer, and what it answers.

use tokio::sync::oneshot;

use super::{NodeCommand, Removal};
use crate::base::{JobName, RunId, Timestamp};
use crate::model::journal::json_bytes;
use crate::model::{Absence, Decision, Entry, LogLine, NewEvent, Occurrence, Run, Signal};
use crate::store::outbox::OutboxWrite;
use crate::store::trust::TrustWrite;
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
    PutArtifact(RunId, Option<i64>, Artifact, bytes::Bytes),
    Node(NodeCommand),
    Progress(ProgressUpdate),
    /// Lines of one run, and the fence at which it is held.
    Logs(Option<i64>, Vec<LogLine>),
    Events(Vec<NewEvent>),
    Settle(Occurrence, Vec<NewEvent>),
    Miss(Absence),
    ScheduledUntil(Vec<JobName>, Timestamp),
    PutVersion(Box<ScriptVersion>, Vec<NewEvent>),
    SetEnabled(JobName, Option<bool>, Vec<NewEvent>),
    Kv(KvWrite),
    PutToken(TokenRow),
    RevokeToken(String, Timestamp),
    PutSession(SessionRow),
    TakeSession(String),
    Watch(Box<WatchWrite>),
    Trust(Box<TrustWrite>),
    Outbox(Box<OutboxWrite>),
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
    pub fn changes_tokens(&self) -> bool {
        matches!(self, Self::PutToken(_) | Self::RevokeToken(..))
    }

    /// About how many bytes it brings to the transaction.
    pub fn weight(&self) -> usize {
        const ROW: usize = 256;
        let json = |value: &Option<serde_json::Value>| value.as_ref().map_or(0, json_bytes);
        let entries = |list: &[Entry]| list.iter().map(Entry::bytes).sum::<usize>();
        let told = |events: &[NewEvent]| events.iter().map(|event| ROW + json_bytes(&event.data)).sum::<usize>();
        let run = |run: &Run| 2 * ROW + json_bytes(&run.params) + json_bytes(&run.trigger.payload) + json(&run.result);
        let lines = |lines: &[LogLine]| {
            lines.iter().map(|line| ROW + line.text.len() + json_bytes(&line.fields)).sum::<usize>()
        };
        match self {
            Self::Logs(_, list) => lines(list),
            Self::Transition(change) => {
                ROW + json(&change.result) + lines(&change.logs) + entries(&change.journal) + told(&change.events)
            }
            Self::Journal(write) => ROW + entries(&write.entries),
            Self::PutArtifact(_, _, _, content) => ROW + content.len() / 3 * 4,
            Self::Accept(new) => run(&new.run) + told(&new.events),
            Self::Start(start) => ROW + told(&start.events),
            Self::Events(events) => told(events),
            Self::Signal(signal) => ROW + json_bytes(&signal.payload),
            Self::Kv(write) => ROW + json(&write.value),
            Self::Trust(write) => match &**write {
                TrustWrite::Audit(records) => {
                    records.iter().map(|record| 3 * ROW + json_bytes(&record.data)).sum::<usize>()
                }
                TrustWrite::Approve(given) => ROW + ROW * given.0.rights.len(),
                TrustWrite::Prune { .. } => ROW,
            },
            Self::Watch(write) => ROW + ROW * (write.samples.len() + 4 * write.alerts.len()) + told(&write.events),
            Self::Outbox(write) => {
                let added: usize = write.add.iter().map(|parcel| 2 * ROW + json_bytes(&parcel.body)).sum();
                added + ROW * write.changes.len() + told(&write.events)
            }
            Self::PutVersion(version, _) => ROW + version.files.iter().map(|(_, text)| text.len()).sum::<usize>(),
            Self::Miss(absence) => absence.missed.len() * ROW,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::RunState;
    use crate::store::tests::support::{at, change, new_run, running, signal, step};

    #[test]
    fn everything_long_that_a_command_brings_has_its_weight() {
        const LONG: usize = 100_000;
        let long = || json!({ "of": "x".repeat(LONG) });
        let run = running("a", 1);
        let ends = Transition { result: Some(long()), ..change(&run, RunState::Running, RunState::Succeeded) };
        let params = Run { params: long(), ..run.clone() };
        let mut payload = run.clone();
        payload.trigger.payload = long();
        let write =
            JournalWrite { run: run.id, fence: 1, entries: vec![Entry { result: Some(long()), ..step("1", "s") }] };
        let event = NewEvent::new(at(1), "x").data(long());
        let heavy = [
            Command::Transition(Box::new(ends)),
            Command::Accept(Box::new(new_run(&params))),
            Command::Accept(Box::new(new_run(&payload))),
            Command::Journal(write),
            Command::Signal(Signal { payload: long(), ..signal("x", 1) }),
            Command::Events(vec![event]),
        ];
        for command in &heavy {
            let weight = command.weight();
            assert!((LONG..2 * LONG).contains(&weight), "{weight}: {command:?}");
        }
        assert!(Command::Accept(Box::new(new_run(&run))).weight() < 2_000);
    }
}
