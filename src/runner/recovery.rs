//! What an earlier daemon left behind is settled before new work is taken: no phantom `running`, nothing accepted lost.

use super::comeback::take_over;
use super::core::Comeback;
use super::dispatcher::Dispatcher;
use super::settle;
use crate::base::Timestamp;
use crate::model::{JobSpec, Run, RunState};
use crate::store::{Store, StoreError, Transition};

const DIED: &str = "the daemon died while it ran";
const GONE: &str = "the version of the script that it was accepted with is gone";

impl Dispatcher {
    pub(super) async fn recover(&mut self) -> Result<(), StoreError> {
        let store = self.shared.store.clone();
        // Behind whatever the daemon that is gone still had under way.
        store.ping().await?;
        // Alone on its database, a daemon settles everything, under whatever name it was left.
        let node = self.core.shares.then(|| store.node().to_owned());
        let mut left = store.runs_in(RunState::Running, node.as_deref()).await?;
        left.extend(store.runs_in(RunState::Queued, node.as_deref()).await?);
        let now = self.shared.clock.now();
        self.core.at(now);
        for pinned in take_over(&store, now, left).await {
            self.core.comes_back(pinned.run, pinned.job, pinned.last_log, Comeback::Waiting);
        }
        if node.is_none() {
            self.count_parked(&store).await?;
        }
        self.wake_at = store.next_wake().await?;
        Ok(())
    }

    async fn count_parked(&mut self, store: &Store) -> Result<(), StoreError> {
        for (job, runs) in store.parked_counts().await? {
            self.core.live.count_parked(job, runs);
        }
        for (key, runs) in store.parked_keys().await? {
            self.core.live.count_key(key, runs);
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
        (RunState::Running, Some(spec)) if spec.resume => Plan::Resume,
        (RunState::Running, Some(spec)) if run.attempt < spec.retry.attempts => Plan::Repeat,
        (RunState::Running, _) => Plan::Interrupt { reason: DIED },
        (_, Some(_)) => Plan::Wait,
        (_, None) => Plan::Interrupt { reason: GONE },
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
