//! A durable run without a daemon: its journal lasts as long as the command.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::clock::{later, since};
use crate::base::{Clock, Timestamp};
use crate::cli::show;
use crate::jobs::Job;
use crate::lua::{Durable, Engine, JournalPort, MemoryJournal, Outcome, RunScope};
use crate::model::journal::to_undo;
use crate::model::{Entry, EntryKind, EntryState, StepKey};

/// Waits that are longer than this end the VM, as they would in the daemon; the script is replayed afterwards.
const HOLD: Duration = Duration::from_secs(10);

/// One attempt, the waits between its parts, and the undoing of what it did if it failed.
pub(super) async fn execute(engine: &Engine, job: &Job, scope: &RunScope, clock: &Clock) -> Outcome {
    if !job.spec.resume {
        return engine.execute(job.bundle.clone(), scope.clone()).await;
    }
    let journal = Arc::new(MemoryJournal::default());
    let deadline = later(clock.now(), scope.timeout);
    let outcome = loop {
        let scope = part(scope, &journal, deadline, clock);
        match engine.execute(job.bundle.clone(), scope.clone()).await {
            Outcome::Parked { wake_at: Some(wake_at), waits_for } => {
                show::note(format_args!("waits for {waits_for}"));
                tokio::select! {
                    () = clock.sleep_until(wake_at.min(deadline)) => {}
                    () = scope.cancel.cancelled() => break Outcome::Cancelled,
                }
            }
            outcome => break outcome,
        }
    };
    let failed = match &outcome {
        Outcome::Raised(fault) | Outcome::TimedOut(fault) => Some(Some(fault.clone())),
        Outcome::Cancelled => Some(None),
        _ => None,
    };
    if let Some(error) = failed.filter(|_| !to_undo(&journal.entries()).is_empty()) {
        undo(engine, job, scope, &journal, clock, error).await;
    }
    outcome
}

/// What is left of the attempt, with what is recorded so far.
fn part(scope: &RunScope, journal: &Arc<MemoryJournal>, deadline: Timestamp, clock: &Clock) -> RunScope {
    let abort = CancellationToken::new();
    let durable = Durable {
        journal: journal.shared(),
        port: journal.clone(),
        deadline,
        timeout: scope.timeout,
        hold: HOLD,
        abort,
    };
    RunScope { timeout: since(deadline, clock.now()), durable: Some(durable), ..scope.clone() }
}

async fn undo(
    engine: &Engine,
    job: &Job,
    scope: &RunScope,
    journal: &Arc<MemoryJournal>,
    clock: &Clock,
    error: Option<crate::base::Fault>,
) {
    let now = clock.now();
    let unwind = Entry {
        key: StepKey::unwind(),
        kind: EntryKind::Unwind,
        name: "undo".to_owned(),
        state: EntryState::Done,
        result: None,
        error,
        show: None,
        match_key: None,
        actor: None,
        undo: false,
        tries: 0,
        attempt: scope.attempt,
        started_at: now,
        finished_at: Some(now),
        wake_at: None,
        answered: false,
    };
    let recorded = journal.record(vec![unwind]).await;
    let deadline = later(now, scope.timeout);
    // Its own has been used up, or was cancelled.
    let scope = RunScope { cancel: CancellationToken::new(), ..part(scope, journal, deadline, clock) };
    let faults = match (recorded, engine.unwind(job.bundle.clone(), scope).await) {
        (Err(fault), _) => vec![fault],
        (_, Outcome::Unwound(faults)) => faults,
        (_, Outcome::Raised(fault) | Outcome::TimedOut(fault)) => vec![fault],
        _ => Vec::new(),
    };
    for fault in faults {
        show::note(format_args!("not undone: {}", show::fault(&fault)));
    }
}
