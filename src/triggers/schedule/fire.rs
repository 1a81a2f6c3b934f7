//! Hands one schedule's due times over, and records those that lead to no run.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::agenda::Taken;
use super::ports::{Ledger, Submit};
use super::stats::Stats;
use crate::base::clock::since;
use crate::base::quantity::show_duration;
use crate::base::{Clock, JobName, RunId, Timestamp, limits};
use crate::jobs::Registry;
use crate::model::params::Params;
use crate::model::schedule::Due;
use crate::model::{NewEvent, Occurrence, OccurrenceState, Trigger, TriggerKind};
use crate::runner::{Submission, SubmitError, SubmitRequest};
use crate::store::StoreError;

/// What firing needs; shared by all that is under way.
#[derive(Debug, Clone)]
pub struct Firing<S, L> {
    pub submit: S,
    pub ledger: L,
    pub registry: Registry,
    pub clock: Clock,
    pub stats: Arc<Stats>,
    /// Due times before it passed while no daemon ran.
    pub started_at: Timestamp,
    /// Ends waiting for a database that cannot be written.
    pub stop: CancellationToken,
}

/// The daemon stops before the due time is settled; the next one accounts for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled;

impl<S: Submit, L: Ledger> Firing<S, L> {
    /// Settles all of them, oldest first.
    pub async fn settle_all(&self, taken: Taken) -> Result<(), Unsettled> {
        let job = &taken.job;
        for (index, due) in taken.overdue.missed.iter().enumerate() {
            let mut reason = if due.fire_at < self.started_at {
                "no daemon was running".to_owned()
            } else {
                "the clock was set forward, the machine slept or the database could not be written".to_owned()
            };
            if index == 0 && taken.overdue.and_earlier {
                reason.push_str("; earlier due times passed in the same way and are not listed");
            }
            self.record(job, due, OccurrenceState::Missed, reason, None).await?;
        }
        for due in &taken.overdue.fire {
            self.fire(job, due).await?;
        }
        Ok(())
    }

    async fn fire(&self, job: &JobName, due: &Due) -> Result<(), Unsettled> {
        if self.registry.job(job).is_some_and(|job| !job.is_enabled()) {
            return self.record(job, due, OccurrenceState::Held, "the job is disabled".to_owned(), None).await;
        }
        let late = since(self.clock.now(), due.fire_at);
        if due.fire_at >= self.started_at && late <= limits::SCHEDULE_LATE_MAX {
            self.stats.record(late);
        }
        loop {
            let problem = match self.submit.submit(self.request(job, due, late)).await {
                Ok(submission) => return self.submitted(job, due, submission).await,
                Err(SubmitError::Store(error)) => error,
                Err(SubmitError::Closed) => return Err(Unsettled),
                Err(error) => {
                    warn!(%job, scheduled_for = %due.scheduled_for, %error, "a due time was refused");
                    return self.record(job, due, OccurrenceState::Refused, error.to_string(), None).await;
                }
            };
            self.wait_for_store(job, due, &problem).await?;
        }
    }

    fn request(&self, job: &JobName, due: &Due, late: Duration) -> SubmitRequest {
        let mut trigger = Trigger::new(TriggerKind::Schedule, "schedule");
        trigger.scheduled_for = Some(due.scheduled_for);
        let state = if due.dst_shifted { OccurrenceState::DstShifted } else { OccurrenceState::Fired };
        let shifted = due.dst_shifted.then(|| "the local time did not exist; fired when the gap closed".to_owned());
        let caught_up = (late > limits::SCHEDULE_LATE_MAX).then(|| format!("caught up {} late", show_duration(late)));
        let reasons: Vec<_> = shifted.into_iter().chain(caught_up).collect();
        let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        SubmitRequest {
            job: job.clone(),
            params: Params::new(),
            trigger,
            idempotency_key: None,
            dry_run: false,
            parent: None,
            occurrence: Some(self.occurrence(job, due, state, reason, None)),
        }
    }

    async fn submitted(&self, job: &JobName, due: &Due, submission: Submission) -> Result<(), Unsettled> {
        match submission {
            Submission::Accepted { .. } => Ok(()),
            Submission::AlreadySettled => {
                debug!(%job, scheduled_for = %due.scheduled_for, "was settled before");
                Ok(())
            }
            Submission::Coalesced { run } => {
                let reason = "an earlier run that waits stands for it".to_owned();
                self.record(job, due, OccurrenceState::Coalesced, reason, Some(run)).await
            }
            Submission::Skipped { reason } => {
                self.record(job, due, OccurrenceState::SkippedOverlap, reason, None).await
            }
        }
    }

    async fn record(
        &self,
        job: &JobName,
        due: &Due,
        state: OccurrenceState,
        reason: String,
        run: Option<RunId>,
    ) -> Result<(), Unsettled> {
        let occurrence = self.occurrence(job, due, state, Some(reason), run);
        let data = json!({ "scheduled_for": due.scheduled_for, "reason": occurrence.reason, "run": run });
        let event = NewEvent::new(occurrence.decided_at, format!("occurrence.{}", state.as_str())).job(job).data(data);
        loop {
            match self.ledger.settle(occurrence.clone(), vec![event.clone()]).await {
                Ok(_) => return Ok(()),
                Err(error) => self.wait_for_store(job, due, &error).await?,
            }
        }
    }

    fn occurrence(
        &self,
        job: &JobName,
        due: &Due,
        state: OccurrenceState,
        reason: Option<String>,
        run: Option<RunId>,
    ) -> Occurrence {
        let decided_at = self.clock.now();
        Occurrence { job: job.clone(), scheduled_for: due.scheduled_for, state, reason, run, decided_at }
    }

    /// A pause before the next attempt. What is certain to fail again is not repeated.
    async fn wait_for_store(&self, job: &JobName, due: &Due, error: &StoreError) -> Result<(), Unsettled> {
        warn!(%job, scheduled_for = %due.scheduled_for, %error, "a due time could not be stored");
        let passing = matches!(
            error,
            StoreError::DiskFull | StoreError::Locked | StoreError::Unavailable { .. } | StoreError::Overloaded { .. }
        );
        if !passing {
            return Err(Unsettled);
        }
        tokio::select! {
            () = self.stop.cancelled() => Err(Unsettled),
            () = self.clock.sleep(limits::SCHEDULE_RETRY_PAUSE) => Ok(()),
        }
    }
}
