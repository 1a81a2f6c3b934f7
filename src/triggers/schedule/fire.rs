//! Due times on their way to their rows.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tracing::warn;

use super::super::desk::Desk;
use super::catch_up::Verdict;
use super::timetable::Firing;
use crate::base::{Clock, RunId};
use crate::model::params::Params;
use crate::model::{Absence, NewEvent, Occurrence, OccurrenceState, Trigger, TriggerKind};
use crate::runner::{Submission, SubmitError, SubmitRequest};
use crate::store::StoreError;

/// Between tries while the store cannot be written.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Carries a due time through until its row is on disk, however long the store is away. False when the daemon ended
/// before that. No run is asked for if there is a reason why it is held.
pub async fn fire(desk: Arc<dyn Desk>, clock: Clock, firing: Firing, held: Option<String>) -> bool {
    let name = &firing.job.spec.name;
    let (state, reason, run) = match held {
        Some(why) => (OccurrenceState::Held, why, None),
        None => match submit(&*desk, &clock, &firing).await {
            Ok(Submission::Accepted { .. } | Submission::AlreadySettled) => return true,
            Ok(Submission::Coalesced { run }) => {
                (OccurrenceState::Coalesced, format!("run {run} waits already and stands for it"), Some(run))
            }
            Ok(Submission::Skipped { reason }) => (OccurrenceState::SkippedOverlap, reason, None),
            Err(SubmitError::Closed | SubmitError::Store(StoreError::Closed)) => return false,
            Err(error) => (OccurrenceState::Refused, error.to_string(), None),
        },
    };
    let occurrence = occurrence(&firing, &clock, state, Some(reason), run);
    let kind = format!("schedule.{}", state.as_str());
    let data = json!({ "scheduled_for": occurrence.scheduled_for, "reason": occurrence.reason, "run": run });
    let event = NewEvent::new(occurrence.decided_at, kind).job(name).data(data);
    while let Err(error) = desk.settle(occurrence.clone(), vec![event.clone()]).await {
        if matches!(error, StoreError::Closed) {
            return false;
        }
        warn!(job = %name, %error, "what became of a due time could not be stored yet; trying again");
        clock.sleep(RETRY_PAUSE).await;
    }
    true
}

/// Carries what a job missed through, like [`fire`]: rows and one event, once, and one warning.
pub async fn miss(desk: Arc<dyn Desk>, clock: Clock, absence: Absence) -> bool {
    let job = &absence.job;
    loop {
        match desk.miss(absence.clone()).await {
            // All of them had their rows, written by a daemon that did not get to say so.
            Ok(0) => return true,
            Ok(count) => {
                let cause = absence.cause.describe();
                warn!(%job, missed = count, caught_up = absence.caught_up, cause, "due times were missed");
                return true;
            }
            Err(StoreError::Closed) => return false,
            Err(error) => {
                warn!(%job, %error, "what was missed could not be stored yet; trying again");
                clock.sleep(RETRY_PAUSE).await;
            }
        }
    }
}

async fn submit(desk: &dyn Desk, clock: &Clock, firing: &Firing) -> Result<Submission, SubmitError> {
    let state = if firing.due.dst_shifted { OccurrenceState::DstShifted } else { OccurrenceState::Fired };
    let reason = match (firing.due.dst_shifted, &firing.verdict) {
        (true, _) => Some("the local time does not exist on that day; fired when the gap closed".to_owned()),
        (false, Verdict::FireLate) => Some(format!("caught up: {}", firing.cause.describe())),
        (false, _) => None,
    };
    let mut trigger = Trigger::new(TriggerKind::Schedule, "schedule");
    trigger.scheduled_for = Some(firing.due.scheduled_for);
    loop {
        let request = SubmitRequest {
            job: firing.job.spec.name.clone(),
            params: Params::new(),
            trigger: trigger.clone(),
            idempotency_key: None,
            dry_run: false,
            parent: None,
            occurrence: Some(occurrence(firing, clock, state, reason.clone(), None)),
        };
        match desk.submit(request).await {
            // The unique key of the occurrence makes it safe to ask again when the fate of a commit is not known.
            Err(SubmitError::Store(error)) if !matches!(error, StoreError::Closed) => {
                warn!(job = %firing.job.spec.name, %error, "a due run could not be stored yet; trying again");
                clock.sleep(RETRY_PAUSE).await;
            }
            other => return other,
        }
    }
}

fn occurrence(
    firing: &Firing,
    clock: &Clock,
    state: OccurrenceState,
    reason: Option<String>,
    run: Option<RunId>,
) -> Occurrence {
    Occurrence {
        job: firing.job.spec.name.clone(),
        scheduled_for: firing.due.scheduled_for,
        state,
        reason,
        run,
        decided_at: clock.now(),
    }
}
