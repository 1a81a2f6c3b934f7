//! What an earlier daemon left behind is settled before new work is taken: no phantom `running`, nothing accepted lost.

use tracing::{error, info};

use super::comeback::Versions;
use super::core::Comeback;
use super::dispatcher::Dispatcher;
use super::settle;
use crate::base::Timestamp;
use crate::model::{JobSpec, Run, RunState};
use crate::store::{StoreError, Transition};

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
        let mut left = store.runs_in(RunState::Running, None).await?;
        left.extend(store.runs_in(RunState::Queued, None).await?);
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
        let pinned = versions.pin(&store, run.clone()).await?;
        let plan = plan(&run, pinned.as_ref().map(|pinned| &*pinned.job.spec));
        if let Some(change) = plan.change(&run, now) {
            store.transition(change).await?;
        }
        *(match plan {
            Plan::Resume => &mut count.resumed,
            Plan::Repeat => &mut count.again,
            Plan::Wait => &mut count.waiting,
            Plan::Interrupt { .. } => &mut count.interrupted,
        }) += 1;
        if let (Some(mut pinned), false) = (pinned, matches!(plan, Plan::Interrupt { .. })) {
            if plan == Plan::Repeat {
                pinned.run.deadline_at = None;
            }
            self.core.comes_back(pinned.run, pinned.job, pinned.last_log, Comeback::Waiting);
        }
        Ok(())
    }
}

/// What becomes of a run whose daemon is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// It goes on at its first unfinished step.
    Resume,
    /// Its next attempt begins.
    Repeat,
    /// It had not begun.
    Wait,
    Interrupt {
        reason: &'static str,
    },
}

/// `spec` is the job as it was when the run was accepted; None when it is gone.
pub fn plan(run: &Run, spec: Option<&JobSpec>) -> Plan {
    match (run.state, spec) {
        (_, None) => Plan::Interrupt { reason: GONE },
        (RunState::Running, Some(spec)) if spec.resume => Plan::Resume,
        (RunState::Running, Some(spec)) if run.attempt < spec.retry.attempts => Plan::Repeat,
        (RunState::Running, Some(_)) => Plan::Interrupt { reason: DIED },
        _ => Plan::Wait,
    }
}

impl Plan {
    /// What has to be written for it.
    pub fn change(self, run: &Run, at: Timestamp) -> Option<Transition> {
        match self {
            Self::Wait => None,
            Self::Resume => Some(settle::change(run, run.state, RunState::Queued, DIED, at)),
            Self::Repeat => {
                let change = settle::change(run, run.state, RunState::Queued, DIED, at);
                Some(Transition { clear_deadline: true, ..change })
            }
            Self::Interrupt { reason } => Some(settle::change(run, run.state, RunState::Interrupted, reason, at)),
        }
    }
}
