//! What an earlier daemon left behind is settled before new work is taken: no phantom `running`, nothing accepted lost.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::dispatcher::Dispatcher;
use super::logs::RunLog;
use super::settle;
use crate::base::{Timestamp, VersionHash};
use crate::jobs::Job;
use crate::lua::Bundle;
use crate::model::{NewEvent, Run, RunState};
use crate::store::{StoreError, Transition};

const DIED: &str = "the daemon died while it ran";

impl Dispatcher {
    pub(super) async fn recover(&mut self) -> Result<(), StoreError> {
        let now = self.shared.clock.now();
        let mut versions = HashMap::new();
        let running = self.shared.store.runs_in(RunState::Running, None).await?;
        let (mut interrupted, mut again) = (0, 0);
        for run in running {
            let job = self.pinned(&run, &mut versions).await?;
            let may_repeat = job.as_ref().is_some_and(|job| run.attempt < job.spec.retry.attempts);
            let to = if may_repeat { RunState::Queued } else { RunState::Interrupted };
            self.settle_left_over(&run, RunState::Running, to, DIED, now).await?;
            if let Some(job) = job.filter(|_| may_repeat) {
                again += 1;
                self.wait_again(run, job).await?;
            } else {
                interrupted += 1;
            }
        }
        let queued: Vec<Run> = self.shared.store.runs_in(RunState::Queued, None).await?;
        let mut waiting = 0;
        for run in queued {
            if self.live.get_mut(run.id).is_some() {
                continue;
            }
            match self.pinned(&run, &mut versions).await? {
                Some(job) => {
                    waiting += 1;
                    self.wait_again(run, job).await?;
                }
                None => {
                    let reason = "the version of the script that it was accepted with is gone";
                    self.settle_left_over(&run, RunState::Queued, RunState::Interrupted, reason, now).await?;
                    interrupted += 1;
                }
            }
        }
        if interrupted + again + waiting > 0 {
            info!(interrupted, again, waiting, "settled the runs that an earlier daemon left behind");
        }
        Ok(())
    }

    async fn wait_again(&mut self, mut run: Run, job: Arc<Job>) -> Result<(), StoreError> {
        run.state = RunState::Queued;
        let id = run.id;
        let last_seq = self.shared.store.logs_tail(id, 1).await?.last().map_or(0, |line| line.seq);
        let log = RunLog::new(id, self.shared.clock.clone(), &self.flusher, last_seq);
        self.live.insert(run, job, log, CancellationToken::new());
        self.live.enqueue(id);
        self.publish_entry(id);
        Ok(())
    }

    async fn settle_left_over(
        &mut self,
        run: &Run,
        from: RunState,
        to: RunState,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let kind = if to == RunState::Queued { "run.retrying" } else { settle::kind_of(to) };
        let data = json!({ "attempt": run.attempt, "reason": reason, "actor": run.trigger.actor });
        let event = NewEvent::new(at, kind).job(&run.job).run(run.id).data(data);
        let change = Transition {
            run: run.id,
            from,
            to,
            attempt: run.attempt,
            fence: run.fence,
            at,
            reason: Some(reason.to_owned()),
            result: None,
            error: None,
            not_before: None,
            wake_at: None,
            clear_deadline: false,
            journal: vec![],
            forget: vec![],
            logs: Vec::new(),
            events: vec![event],
        };
        self.shared.store.transition(change).await.map(drop)
    }

    /// The job as it was when the run was accepted.
    async fn pinned(
        &mut self,
        run: &Run,
        known: &mut HashMap<VersionHash, Option<Arc<Job>>>,
    ) -> Result<Option<Arc<Job>>, StoreError> {
        let Some(hash) = run.version else { return Ok(None) };
        if let Some(job) = known.get(&hash) {
            return Ok(job.clone());
        }
        let version = self.shared.store.version(hash).await?;
        let job = version.map(|version| {
            let file = version.files.first().map(|(path, _)| path.clone()).unwrap_or_default();
            Arc::new(Job {
                spec: Arc::new(version.spec),
                bundle: Arc::new(Bundle::new(version.files)),
                file,
                loaded_at: version.created_at,
                enabled_override: None,
            })
        });
        known.insert(hash, job.clone());
        Ok(job)
    }
}
