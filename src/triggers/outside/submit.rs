//! From what was heard to a run.

use std::sync::PoisonError;

use serde_json::{Value, json};
use tracing::warn;

use super::budget::{Allowance, Budget};
use super::{Outside, RETRY};
use crate::base::JobName;
use crate::model::params::Params;
use crate::model::{NewEvent, Trigger, TriggerKind};
use crate::runner::{Submission, SubmitError, SubmitRequest};
use crate::store::StoreError;

/// One thing that was heard, for one job.
pub(super) struct Heard {
    pub(super) job: JobName,
    pub(super) kind: TriggerKind,
    pub(super) payload: Value,
    /// Of what can be heard twice.
    pub(super) key: Option<String>,
}

impl Outside {
    /// Asks for the run, however long the store is away. Whether that took a while.
    pub(super) async fn submit(&self, heard: Heard) -> bool {
        match self.allowance(&heard.job) {
            Allowance::Go => {}
            Allowance::Drop => return false,
            Allowance::Tell(dropped) => {
                warn!(job = %heard.job, dropped, "events come too fast; some start no run");
                let data = json!({ "kind": heard.kind, "dropped": dropped });
                self.report("trigger.dropped", Some(&heard.job), data).await;
                return false;
            }
        }
        let mut has_waited = false;
        loop {
            let mut trigger = Trigger::new(heard.kind, heard.kind.as_str());
            trigger.payload = heard.payload.clone();
            let request = SubmitRequest {
                job: heard.job.clone(),
                params: Params::new(),
                trigger,
                idempotency_key: heard.key.clone(),
                dry_run: false,
                parent: None,
                occurrence: None,
            };
            let reason = match self.desk.submit(request).await {
                Ok(Submission::Accepted { existing: false, .. } | Submission::Coalesced { .. }) => return has_waited,
                // Heard before, as after a restart: it costs the job nothing.
                Ok(Submission::Accepted { .. } | Submission::AlreadySettled) => {
                    self.give_back(&heard.job);
                    return has_waited;
                }
                Ok(Submission::Skipped { reason }) => reason,
                // The daemon ends, or the job went away meanwhile.
                Err(SubmitError::Closed | SubmitError::Store(StoreError::Closed) | SubmitError::UnknownJob { .. }) => {
                    return has_waited;
                }
                Err(error @ (SubmitError::Store(_) | SubmitError::QueueFull { .. })) => {
                    if !has_waited {
                        warn!(job = %heard.job, %error, "an event cannot start its run yet; trying again");
                    }
                    has_waited = true;
                    self.clock.sleep(RETRY).await;
                    continue;
                }
                Err(error) => error.to_string(),
            };
            let data = json!({ "kind": heard.kind, "reason": reason, "event": heard.payload });
            self.report("trigger.skipped", Some(&heard.job), data).await;
            return has_waited;
        }
    }

    fn allowance(&self, job: &JobName) -> Allowance {
        let now = self.clock.now();
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        // Of jobs that went away nothing need be kept.
        if !budgets.contains_key(job) {
            let jobs = &self.registry.snapshot().jobs;
            budgets.retain(|job, _| jobs.contains_key(job));
        }
        budgets.entry(job.clone()).or_insert_with(|| Budget::new(now)).take(now)
    }

    fn give_back(&self, job: &JobName) {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = budgets.get_mut(job) {
            budget.give_back();
        }
    }

    pub(super) async fn report(&self, kind: &str, job: Option<&JobName>, data: Value) {
        let event = NewEvent::new(self.clock.now(), kind).data(data);
        let event = match job {
            Some(job) => event.job(job),
            None => event,
        };
        if let Err(error) = self.desk.report(vec![event]).await {
            warn!(kind, %error, "an event could not be recorded");
        }
    }
}
