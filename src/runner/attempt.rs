//! One attempt of a run, on a lane: the script, what is to be undone when it fails, and after the last attempt its
//! hook.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};

use super::core::{Execution, Finished};
use super::journal::RunJournal;
use super::ports::{Keeper, Ports};
use super::settle;
use super::stop::Stopped;
use crate::base::clock::{later, since};
use crate::base::{Clock, Fault, Timestamp, limits};
use crate::lua::{Durable, Engine, JournalPort, LogSink, Outcome, RunScope, Seat};
use crate::model::{Actor, Entry, EntryKind, EntryState, LogLevel, StepKey};

/// `on_failure` and `on_success` get this much wall time, however long the job itself may take.
const HOOK_TIMEOUT: Duration = Duration::from_secs(60);
/// The fault of a journal that takes nothing more from this daemon.
const LOST: &str = "run.lost";
/// The fault under which a cancelled run is undone.
const CANCELLED: &str = "run.cancelled";

/// Everything an attempt needs, to be sent to a lane.
#[derive(Debug)]
pub struct Attempt {
    pub execution: Execution,
    pub ports: Arc<Ports>,
    pub clock: Clock,
    /// Of a durable run.
    pub journal: Option<Arc<RunJournal>>,
}

impl Attempt {
    /// Runs the script to its end. A panic of ours becomes the run's error, never the lane's end.
    pub async fn execute(self, seat: &Seat) -> Finished {
        let engine = seat.engine();
        let finished: Finished = match self.journal.clone() {
            None => guarded(seat.execute(self.execution.job.bundle.clone(), self.scope(None))).await.into(),
            Some(journal) => match journal.unwinds() {
                Some(why) => self.unwind(engine, &journal, why).await,
                None => self.durably(seat, &journal).await,
            },
        };
        // Another daemon that has the run now has its last word too.
        let is_lost = [finished.stopped.clone(), self.execution.stop.why()].contains(&Some(Stopped::Lost));
        if !is_lost {
            self.hooks(engine, &finished.outcome).await;
        }
        finished
    }

    async fn durably(&self, seat: &Seat, journal: &Arc<RunJournal>) -> Finished {
        let deadline = self.execution.run.deadline_at.unwrap_or(Timestamp::MAX);
        let scope = self.scope(Some(self.durable(journal, deadline)));
        let outcome = guarded(seat.execute(self.execution.job.bundle.clone(), scope)).await;
        let stopped = self.execution.stop.why();
        if self.execution.stop.abort.is_cancelled() && !is_over(&outcome) && !journal.is_settled() {
            // The daemon lets go before it is known what is on disk: whoever takes the run up reads it.
            return let_go(stopped);
        }
        let why = match &outcome {
            Outcome::Raised(fault) if fault.code == LOST => {
                return Finished { stopped: Some(Stopped::Lost), ..outcome.into() };
            }
            Outcome::Raised(fault) | Outcome::TimedOut(fault)
                if !self.is_last(fault) && !matches!(stopped, Some(Stopped::By { .. })) =>
            {
                return Finished { forget: journal.failed_with(fault), ..outcome.into() };
            }
            Outcome::Raised(fault) | Outcome::TimedOut(fault) => fault.clone(),
            Outcome::Cancelled => match &stopped {
                Some(Stopped::By { reason, .. }) => Fault::new(CANCELLED, reason.clone()),
                _ => return outcome.into(),
            },
            Outcome::Parked { .. } => return Finished { asks: journal.asks(), ..outcome.into() },
            Outcome::Returned(_) | Outcome::Unwound(_) => return outcome.into(),
        };
        if !journal.has_something_to_undo() {
            return outcome.into();
        }
        let entry = unwind_entry(why.clone(), self.execution.run.attempt, self.clock.now());
        match journal.record(vec![entry]).await {
            Ok(()) => self.unwind(seat.engine(), journal, why).await,
            Err(_) => Finished { stopped: Some(Stopped::Lost), ..outcome.into() },
        }
    }

    /// Undoes what the run did, and ends it as it would have ended.
    async fn unwind(&self, engine: &Engine, journal: &Arc<RunJournal>, why: Fault) -> Finished {
        let deadline = later(self.clock.now(), limits::RUN_UNWIND_MAX);
        let cancel = self.execution.stop.abort.clone();
        let scope = RunScope { cancel, ..self.scope(Some(self.durable(journal, deadline))) };
        let left = match guarded(engine.unwind(self.execution.job.bundle.clone(), scope)).await {
            Outcome::Unwound(faults) => faults,
            Outcome::Cancelled => {
                return let_go(self.execution.stop.why());
            }
            Outcome::Raised(fault) if fault.code == LOST => {
                return Finished { stopped: Some(Stopped::Lost), ..Outcome::Cancelled.into() };
            }
            Outcome::Raised(fault) | Outcome::TimedOut(fault) => vec![fault],
            Outcome::Returned(_) | Outcome::Parked { .. } => Vec::new(),
        };
        self.concluded(why, &left, journal)
    }

    /// `left` is what could not be undone this time; the journal knows what could not be before a restart.
    fn concluded(&self, why: Fault, left: &[Fault], journal: &RunJournal) -> Finished {
        for fault in left {
            self.execution.log.line(
                LogLevel::Error,
                format!("a step could not be undone: {fault}"),
                json!({ "code": fault.code }),
            );
        }
        if why.code == CANCELLED {
            let stopped = Stopped::By { actor: Actor::new("cancel"), reason: why.message };
            return Finished { stopped: Some(stopped), ..Outcome::Cancelled.into() };
        }
        let mut recorded = journal.not_undone();
        recorded.extend(left.iter().filter(|fault| !recorded.contains(fault)).cloned().collect::<Vec<_>>());
        let why = if recorded.is_empty() { why } else { why.hint(not_undone(&recorded)) };
        let outcome = match &*why.code {
            "run.timeout" | "run.cpu" => Outcome::TimedOut(why),
            _ => Outcome::Raised(why),
        };
        outcome.into()
    }

    async fn hooks(&self, engine: &Engine, outcome: &Outcome) {
        let spec = &self.execution.job.spec;
        match outcome {
            Outcome::Returned(result) if spec.has_on_success => {
                self.hook(engine, "on_success", result.clone()).await;
            }
            Outcome::Raised(fault) | Outcome::TimedOut(fault) if spec.has_on_failure && self.is_last(fault) => {
                self.hook(engine, "on_failure", serde_json::to_value(fault).unwrap_or_default()).await;
            }
            _ => {}
        }
    }

    fn is_last(&self, fault: &Fault) -> bool {
        settle::delay_after(&self.execution.job.spec, self.execution.run.attempt, fault).is_none()
    }

    async fn hook(&self, engine: &Engine, name: &str, argument: Value) {
        let scope = RunScope { timeout: HOOK_TIMEOUT, ..self.scope(None) };
        let outcome = guarded(engine.execute_hook(self.execution.job.bundle.clone(), scope, name, argument)).await;
        if let Outcome::Raised(fault) | Outcome::TimedOut(fault) = outcome {
            self.execution.log.line(LogLevel::Error, format!("{name} failed: {fault}"), json!({ "code": fault.code }));
        }
    }

    fn durable(&self, journal: &Arc<RunJournal>, deadline: Timestamp) -> Durable {
        let (port, abort) = (journal.clone(), self.execution.stop.abort.clone());
        let timeout = self.execution.job.spec.limits.timeout;
        Durable { journal: Arc::new(journal.entries()), port, deadline, timeout, hold: limits::RUN_HOLD, abort }
    }

    fn scope(&self, durable: Option<Durable>) -> RunScope {
        let Execution { run, job, stop, log } = &self.execution;
        let limits = &job.spec.limits;
        let timeout = match &durable {
            Some(durable) => since(durable.deadline, self.clock.now()),
            None => limits.timeout,
        };
        RunScope {
            run: run.id,
            job: run.job.clone(),
            attempt: run.attempt,
            params: run.params.clone(),
            trigger: run.trigger.clone(),
            grants: Arc::new(self.ports.grants(run, job)),
            dry_run: run.dry_run,
            timeout,
            cpu: limits.cpu,
            memory_bytes: limits.memory_bytes,
            cancel: stop.cancel.clone(),
            log: log.clone(),
            jobs: self.ports.clone(),
            kv: self.ports.clone(),
            watch: self.ports.clone(),
            audit: self.ports.clone(),
            artifacts: Arc::new(Keeper { ports: self.ports.clone(), fence: run.fence }),
            durable,
        }
    }
}

/// Whether nothing is to be undone, whatever is on disk.
fn is_over(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Returned(_) | Outcome::Parked { .. })
}

/// The end of an attempt whose run goes on elsewhere, or later.
fn let_go(stopped: Option<Stopped>) -> Finished {
    let stopped = stopped.filter(|why| !matches!(why, Stopped::By { .. }));
    Finished { stopped: stopped.or(Some(Stopped::Shutdown)), ..Outcome::Cancelled.into() }
}

/// The entry by which a run is undone, also after a restart.
pub fn unwind_entry(why: Fault, attempt: u32, at: Timestamp) -> Entry {
    Entry {
        key: StepKey::unwind(),
        kind: EntryKind::Unwind,
        name: "undo".to_owned(),
        state: EntryState::Done,
        result: None,
        error: Some(why),
        show: None,
        match_key: None,
        actor: None,
        undo: false,
        tries: 0,
        attempt,
        started_at: at,
        finished_at: Some(at),
        wake_at: None,
        answered: false,
    }
}

/// The fault of a run that is cancelled while it is parked.
pub fn cancelled(reason: &str) -> Fault {
    Fault::new(CANCELLED, reason.to_owned())
}

fn not_undone(left: &[Fault]) -> String {
    let list: Vec<String> = left.iter().map(|fault| fault.message.clone()).collect();
    format!("not everything could be undone: {}", list.join("; "))
}

async fn guarded(script: impl Future<Output = Outcome>) -> Outcome {
    AssertUnwindSafe(script).catch_unwind().await.unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        Outcome::Raised(
            Fault::new("run.panic", format!("Aegis itself failed while it ran the script: {text}"))
                .hint("this is a bug in Aegis; please report it with the script"),
        )
    })
}
