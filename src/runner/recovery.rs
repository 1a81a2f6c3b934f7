//! What an earlier daemon left behind is settled before new work is taken: no phantom `running`, nothing accepted lost.

use tracing::{error, info};

use super::comeback::Versions;
use super::core::Comeback;
use super::dispatcher::Dispatcher;
use super::settle;
use crate::base::Timestamp;
use crate::model::{Run, RunState};
use crate::store::StoreError;

const DIED: &str = "the daemon died while it ran";
const GONE: &str = "the version of the script that it was accepted with is gone";

/// What became of the runs that were found.
#[derive(Debug, Default)]
struct Count {
    resumed: usize,
    again: usize,
    waiting: usize,
    interrupted: usize,
    unreadable: usize,
}

impl Dispatcher {
    pub(super) async fn recover(&mut self) -> Result<(), StoreError> {
        let store = self.shared.store.clone();
        let mut left = store.runs_in(RunState::Running).await?;
        left.extend(store.runs_in(RunState::Queued).await?);
        self.take_over(left).await;
        for (job, runs) in store.parked_counts().await? {
            self.core.live.count_parked(job, runs);
        }
        for (key, runs) in store.parked_keys().await? {
            self.core.live.count_key(key, runs);
        }
        self.wake_at = store.next_wake().await?;
        Ok(())
    }

    /// Runs of a daemon that is gone: each goes on, is repeated, waits on, or ends with the reason.
    pub(super) async fn take_over(&mut self, left: Vec<Run>) {
        let now = self.shared.clock.now();
        self.core.at(now);
        let (mut versions, mut count) = (Versions::default(), Count::default());
        for run in left {
            let id = run.id;
            if let Err(error) = self.take_over_one(run, now, &mut versions, &mut count).await {
                count.unreadable += 1;
                error!(run = %id, %error, "a run of an earlier daemon could not be taken over; it is tried at the next start");
            }
        }
        let Count { resumed, again, waiting, interrupted, unreadable } = count;
        if resumed + again + waiting + interrupted + unreadable > 0 {
            info!(
                resumed,
                again, waiting, interrupted, unreadable, "settled the runs that an earlier daemon left behind"
            );
        }
    }

    async fn take_over_one(
        &mut self,
        run: Run,
        now: Timestamp,
        versions: &mut Versions,
        count: &mut Count,
    ) -> Result<(), StoreError> {
        let store = self.shared.store.clone();
        let (state, reason) = (run.state, if run.state == RunState::Running { DIED } else { GONE });
        let Some(mut pinned) = versions.pin(&store, run.clone()).await? else {
            count.interrupted += 1;
            let change = settle::change(&run, state, RunState::Interrupted, reason, now);
            return store.transition(change).await.map(drop);
        };
        let spec = &pinned.job.spec;
        if state == RunState::Running {
            let resumes = spec.resume;
            if !resumes && run.attempt >= spec.retry.attempts {
                count.interrupted += 1;
                let change = settle::change(&run, state, RunState::Interrupted, reason, now);
                return store.transition(change).await.map(drop);
            }
            let mut change = settle::change(&run, state, RunState::Queued, reason, now);
            change.clear_deadline = !resumes;
            store.transition(change).await?;
            if !resumes {
                pinned.run.deadline_at = None;
            }
            *(if resumes { &mut count.resumed } else { &mut count.again }) += 1;
        } else {
            count.waiting += 1;
        }
        self.core.comes_back(pinned.run, pinned.job, pinned.last_log, Comeback::Waiting);
        Ok(())
    }
}
