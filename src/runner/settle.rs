//! How an attempt's outcome changes its run, and the commit that must not fail for good.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tracing::{error, warn};

use super::metrics::Metrics;
use super::stop::Stopped;
use crate::base::clock::later;
use crate::base::{Clock, Fault, RunId, Timestamp};
use crate::lua::Outcome;
use crate::model::job::Overlap;
use crate::model::{Entry, JobSpec, NewEvent, Run, RunState};
use crate::store::{Guarded, StartRun, Started, Store, StoreError, Transition};

/// Before parked runs are looked for again, when the store could not be asked.
pub const WAKE_RETRY: Duration = Duration::from_secs(1);
/// Pause between tries while the store cannot be written: doubled each time, up to the second.
pub(super) const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

const UNREADABLE: &str = "run.unreadable";

/// The change that `outcome` makes to `run`. Pure.
pub fn conclude(run: &Run, spec: &JobSpec, outcome: Outcome, stopped: Option<Stopped>, at: Timestamp) -> Transition {
    let mut change = Transition::new(run, RunState::Running, RunState::Succeeded, at);
    match outcome {
        Outcome::Returned(result) => change.result = Some(result),
        Outcome::Raised(fault) => fail(&mut change, spec, (RunState::Failed, fault), stopped),
        Outcome::TimedOut(fault) => fail(&mut change, spec, (RunState::TimedOut, fault), stopped),
        Outcome::Parked { wake_at, waits_for } => {
            change.to = RunState::Parked;
            change.wake_at = wake_at;
            change.reason = Some(format!("waits for {waits_for}"));
        }
        // The attempt has put the outcome that led to it in its place.
        Outcome::Unwound(_) => {}
        Outcome::Cancelled => match stopped {
            Some(Stopped::By { reason, .. }) => {
                change.to = RunState::Cancelled;
                change.reason = Some(reason);
            }
            _ if spec.resume => {
                change.to = RunState::Queued;
                change.reason = Some("the daemon stopped; it goes on where it was".into());
            }
            _ if run.attempt < spec.retry.attempts => {
                change.to = RunState::Queued;
                change.clear_deadline = true;
                change.reason = Some("the daemon stopped during this attempt; the next one follows".into());
            }
            _ => {
                change.to = RunState::Interrupted;
                change.reason = Some("the daemon stopped before the run ended".into());
            }
        },
    }
    change.events.push(event_of(run, &change));
    change
}

fn fail(change: &mut Transition, spec: &JobSpec, (state, fault): (RunState, Fault), stopped: Option<Stopped>) {
    if let Some(delay) = delay_after(spec, change.attempt, &fault) {
        if let Some(Stopped::By { reason, .. }) = stopped {
            // It failed by itself while it was being cancelled: nobody wants another attempt.
            (change.to, change.reason, change.error) = (RunState::Cancelled, Some(reason), Some(fault));
            return;
        }
        let left = spec.retry.attempts - change.attempt;
        change.to = RunState::Queued;
        change.clear_deadline = true;
        change.not_before = Some(later(change.at, delay));
        change.reason = Some(format!("attempt {} failed ({}); {left} left", change.attempt, fault.code));
    } else {
        change.to = state;
    }
    change.error = Some(fault);
}

/// How long to wait before the next attempt after one that failed so; None when it was the last.
pub fn delay_after(spec: &JobSpec, attempt: u32, fault: &Fault) -> Option<Duration> {
    // The script and its journal have parted: another attempt would find the same.
    let repeatable = !matches!(&*fault.code, "run.diverged" | UNREADABLE);
    spec.retry.delay_after(attempt, &fault.code).filter(|_| repeatable)
}

/// When an attempt of a durable job that begins now is out of time. Others are bounded by the lane alone.
pub fn deadline(spec: &JobSpec, now: Timestamp) -> Option<Timestamp> {
    spec.resume.then(|| later(now, spec.limits.timeout))
}

/// Whether no other run of the job may run beside it.
pub fn runs_alone(spec: &JobSpec) -> bool {
    spec.overlap != Overlap::Parallel
}

/// The event that tells of a change of state.
pub fn event_of(run: &Run, change: &Transition) -> NewEvent {
    let kind = match change.to {
        RunState::Queued if change.clear_deadline => "run.retrying",
        RunState::Queued => "run.handed_back",
        state => kind_of(state),
    };
    let error = change.error.as_ref().map(|fault| json!({ "code": fault.code, "message": fault.message }));
    NewEvent::new(change.at, kind).job(&run.job).run(run.id).data(json!({
        "attempt": change.attempt,
        "reason": change.reason,
        "error": error,
        "trigger": run.trigger.kind,
        "actor": run.trigger.actor,
    }))
}

/// The event that an attempt begins.
pub fn started_event(run: &Run, at: Timestamp) -> NewEvent {
    let data = json!({ "attempt": run.attempt, "trigger": run.trigger.kind, "actor": run.trigger.actor });
    NewEvent::new(at, kind_of(RunState::Running)).job(&run.job).run(run.id).data(data)
}

/// The kind of the event that says a run came to be in this state.
pub fn kind_of(state: RunState) -> &'static str {
    match state {
        RunState::Queued => "run.queued",
        RunState::Running => "run.started",
        RunState::Parked => "run.parked",
        RunState::Succeeded => "run.succeeded",
        RunState::Failed => "run.failed",
        RunState::TimedOut => "run.timed_out",
        RunState::Cancelled => "run.cancelled",
        RunState::Interrupted => "run.interrupted",
    }
}

/// A change that no script made: by recovery, or by somebody who cancels a run that has no VM.
pub fn change(run: &Run, from: RunState, to: RunState, reason: &str, at: Timestamp) -> Transition {
    let mut change = Transition::new(run, from, to, at);
    change.reason = Some(reason.to_owned());
    change.events.push(event_of(run, &change));
    change
}

/// Commits `change`, however long the disk is full or the database away: the outcome of work that was done is not
/// given up. Ends early only when the store closes.
pub async fn commit(
    store: &Store,
    clock: &Clock,
    metrics: &Metrics,
    change: &Transition,
) -> Result<Guarded, StoreError> {
    let in_doubt = AtomicBool::new(false);
    let tell = |error: &StoreError| {
        in_doubt.store(true, Ordering::Relaxed);
        metrics.update(|numbers| numbers.store_retries += 1);
        error!(run = %change.run, to = %change.to, %error, "an outcome could not be stored yet; trying again");
    };
    let done = patiently(clock, || store.transition(change.clone()), tell).await?;
    if done == Guarded::Applied || !in_doubt.load(Ordering::Relaxed) {
        return Ok(done);
    }
    // What was refused now may have been written the time before, when the answer got lost.
    let found =
        patiently(clock, || store.run(change.run), |error| warn!(run = %change.run, %error, "asking again")).await?;
    let is_written = |run: Run| (run.state, run.fence, run.attempt) == (change.to, change.fence, change.attempt);
    Ok(if found.is_some_and(is_written) { Guarded::Applied } else { Guarded::Refused })
}

/// Whether the run is on disk, asked until it is known. False also when the store closes.
pub async fn is_there(store: &Store, clock: &Clock, run: RunId) -> bool {
    let found = patiently(
        clock,
        || store.run_state(run),
        |error| {
            error!(%run, %error, "whether a run was written is not known yet; asking again");
        },
    );
    found.await.is_ok_and(|state| state.is_some())
}

/// The journal of a run that goes on, asked for until it is known.
///
/// # Errors
/// `Closed` when the daemon stops; `Corrupt` when an entry cannot be understood: then nothing of the run may be executed,
/// or what the entry says was done would be done again.
pub async fn journal(store: &Store, clock: &Clock, run: RunId) -> Result<Vec<Entry>, StoreError> {
    let found = patiently(
        clock,
        || store.journal(run),
        |error| {
            error!(%run, %error, "the journal of a run could not be read yet; trying again");
        },
    );
    found.await
}

/// The end of a run whose journal cannot be read.
pub fn unreadable(run: RunId, error: &StoreError) -> Outcome {
    if *error == StoreError::Closed {
        return Outcome::Cancelled;
    }
    let message = format!("the journal of run {run} cannot be read, so the run cannot go on: {error}");
    let hint = "its steps are done as far as the journal on its page shows; start it anew when what is left is known";
    Outcome::Raised(Fault::new(UNREADABLE, message).hint(hint))
}

/// Begins an attempt, asked until it is known whether it began: a run whose start may be on disk keeps its place, or a
/// second one of its job would begin beside it. A start whose answer got lost is this daemon's, at the next fence.
pub async fn start(store: &Store, clock: &Clock, start: StartRun) -> Result<Started, StoreError> {
    let run = start.run;
    let tell = |error: &StoreError| warn!(%run, %error, "a run could not be started yet; trying again");
    let outcome = patiently(clock, || store.start_run(start.clone()), tell).await?;
    if outcome != Started::Lost {
        return Ok(outcome);
    }
    let own = patiently(clock, || store.runs_here(run, start.fence + 1), tell).await?;
    Ok(if own { Started::Applied } else { Started::Lost })
}

/// Repeats what the store refuses for a while, and gives back what waiting does not mend.
pub async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(
    clock: &Clock,
    ask: impl Fn() -> F,
    tell: impl Fn(&StoreError),
) -> Result<T, StoreError> {
    let mut pause = RETRY_PAUSE.0;
    loop {
        match ask().await {
            Err(error) if error.may_pass() => {
                tell(&error);
                clock.sleep(pause).await;
                pause = (pause * 2).min(RETRY_PAUSE.1);
            }
            known => return known,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::base::RunId;
    use crate::model::job::RetryPolicy;
    use crate::model::{Actor, Trigger, TriggerKind};

    fn run(attempt: u32) -> Run {
        let (job, trigger) = ("backup".parse().expect("a good name"), Trigger::new(TriggerKind::Cli, "uid:0(root)"));
        let queued = Run::new(RunId::generate(), job, trigger, Timestamp::UNIX_EPOCH);
        Run { state: RunState::Running, attempt, ..queued }
    }

    fn spec(attempts: u32) -> JobSpec {
        let mut spec = JobSpec::named("backup".parse().expect("a good name"));
        spec.retry = RetryPolicy { attempts, ..RetryPolicy::default() };
        spec
    }

    fn outcome_of(attempt: u32, attempts: u32, outcome: Outcome, stopped: Option<Stopped>) -> Transition {
        conclude(&run(attempt), &spec(attempts), outcome, stopped, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn failures_are_retried_until_the_last_attempt() {
        let fault = || Outcome::Raised(Fault::new("http.timeout", "no answer"));
        let first = outcome_of(1, 2, fault(), None);
        assert_eq!((first.to, first.not_before.map(Timestamp::as_second)), (RunState::Queued, Some(1)));
        let last = outcome_of(2, 2, fault(), None);
        assert_eq!((last.to, last.not_before), (RunState::Failed, None));
        assert!(last.error.is_some_and(|fault| fault.code == "http.timeout"));
    }

    #[test]
    fn every_outcome_has_a_legal_state() {
        let by = || Some(Stopped::By { actor: Actor::new("uid:0(root)"), reason: "cancelled by uid:0(root)".into() });
        let cases = [
            (Outcome::Returned(Value::Null), None, RunState::Succeeded),
            (Outcome::TimedOut(Fault::new("run.timeout", "too long")), None, RunState::TimedOut),
            (Outcome::Cancelled, by(), RunState::Cancelled),
            (Outcome::Cancelled, Some(Stopped::Shutdown), RunState::Interrupted),
        ];
        for (outcome, stopped, expected) in cases {
            let change = outcome_of(1, 1, outcome, stopped);
            assert_eq!(change.to, expected);
            assert!(change.from.may_become(change.to));
            assert_eq!(change.events.len(), 1);
        }
    }

    #[test]
    fn a_failure_that_was_cancelled_is_not_retried() {
        let fault = || Outcome::Raised(Fault::new("http.timeout", "no answer"));
        let by = || Some(Stopped::By { actor: Actor::new("uid:0(root)"), reason: "cancelled by uid:0(root)".into() });
        let cancelled = outcome_of(1, 2, fault(), by());
        assert_eq!((cancelled.to, cancelled.not_before), (RunState::Cancelled, None));
        assert_eq!(cancelled.reason.as_deref(), Some("cancelled by uid:0(root)"));
        assert!(cancelled.from.may_become(cancelled.to) && cancelled.error.is_some());
        assert_eq!(outcome_of(2, 2, fault(), by()).to, RunState::Failed, "it failed, and that was the last attempt");
        assert_eq!(outcome_of(1, 2, fault(), Some(Stopped::Shutdown)).to, RunState::Queued);
    }
}
