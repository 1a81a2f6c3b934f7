//! What the runner decides, without doing any of it: messages and answers go in, effects come out. Nothing here waits,
//! reads a clock or touches the store, so that a simulator can drive it through histories that no test could wait for.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::handle::{LiveTable, SubmitError};
use super::live::{Entry, Live, LiveRun, NewEntry, Next, Phase};
use super::logs::{Flusher, RunLog};
use super::metrics::Metrics;
use super::settle;
use super::stop::{Stop, Stopped};
use crate::base::clock::{later, since};
use crate::base::{Clock, JobName, RunId, Timestamp};
use crate::jobs::Job;
use crate::lua::Outcome;
use crate::model::{Actor, Run, RunState, StepKey};
use crate::store::{Guarded, NewRun, StartRun, Started, StoreError, Transition};

/// What shall be done outside, in this order.
#[derive(Debug)]
pub enum Effect {
    /// Commit a new run; answered by [`Core::accepted`].
    Accept(Box<NewRun>),
    /// Find out what became of a commit that was not answered; answered by [`Core::resolved`].
    Resolve(RunId),
    /// Commit the beginning of an attempt; answered by [`Core::started`].
    Start(Box<StartRun>),
    /// Give it to a lane; answered by [`Core::finished`].
    Execute(Box<Execution>),
    /// Commit what became of an attempt; answered by [`Core::settled`].
    Settle { change: Box<Transition>, log: Arc<RunLog> },
    /// A run is parked: it has to be woken at that moment, or as soon as the store knows, if it waits for an answer.
    Parked { wake_at: Option<Timestamp>, asks: bool },
    /// A run is on disk and has no entry: read it; answered by [`Core::comes_back`].
    Load(RunId),
    /// Cancel the parked runs of a job, or one of them; they have no entry here.
    CancelParked { job: JobName, only: Option<RunId>, stopped: Stopped },
}

/// An attempt for a lane.
#[derive(Debug, Clone)]
pub struct Execution {
    pub run: Run,
    pub job: Arc<Job>,
    pub stop: Arc<Stop>,
    pub log: Arc<RunLog>,
}

/// What a lane reports.
#[derive(Debug)]
pub struct Finished {
    pub outcome: Outcome,
    /// Why it was stopped, where the entry does not know: before a restart.
    pub stopped: Option<Stopped>,
    /// Entries of the journal that another attempt makes anew.
    pub forget: Vec<StepKey>,
    /// The run is parked until something is answered, which may have happened meanwhile.
    pub asks: bool,
}

impl From<Outcome> for Finished {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, stopped: None, forget: Vec::new(), asks: false }
    }
}

/// How a run of an earlier life comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comeback {
    /// It waited in the queue, or waits for its next attempt.
    Waiting,
    /// It was parked until now.
    Woken,
}

/// A source of ids.
pub(super) struct NewId(pub Box<dyn FnMut() -> RunId + Send>);

impl std::fmt::Debug for NewId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewId")
    }
}

/// Owns all live state.
#[derive(Debug)]
pub struct Core {
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    table: LiveTable,
    pub(super) live: Live,
    pub(super) effects: Vec<Effect>,
    pub(super) flusher: Flusher,
    pub(super) now: Timestamp,
    /// Other daemons start runs too: what must not run beside them is only queued, and asks the store when it begins.
    pub(super) shares: bool,
    /// Where the ids of new runs come from.
    pub(super) new_id: NewId,
    adopted: HashMap<RunId, CancellationToken>,
    stopping: bool,
}

impl Core {
    pub(super) fn new(
        clock: Clock,
        metrics: Arc<Metrics>,
        table: LiveTable,
        flusher: Flusher,
        running_max: usize,
        shares: bool,
    ) -> Self {
        Self {
            now: clock.now(),
            clock,
            metrics,
            table,
            live: Live::new(running_max, !shares),
            effects: Vec::new(),
            flusher,
            shares,
            new_id: NewId(Box::new(RunId::generate)),
            adopted: HashMap::new(),
            stopping: false,
        }
    }

    /// The moment at which everything until the next call happens.
    pub fn at(&mut self, now: Timestamp) {
        self.now = now;
    }

    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub fn wait(&mut self, run: RunId, reply: oneshot::Sender<Run>) {
        // Without an entry the sender is dropped, and the waiter reads the store.
        if let Some(entry) = self.live.get_mut(run) {
            entry.waiters.push(reply);
        }
    }

    /// Something that others execute, but that is shown and cancelled like a run.
    pub fn adopt(&mut self, live: LiveRun, cancel: CancellationToken) {
        self.adopted.insert(live.run, cancel);
        self.publish(live.run, Some(live));
    }

    pub fn forget(&mut self, run: RunId) {
        self.adopted.remove(&run);
        self.publish(run, None);
    }

    /// No new work from now on.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Ends what still runs: the daemon cannot wait any longer, or has lost the right to go on.
    pub fn let_go(&mut self, why: &Stopped) {
        self.live.all().for_each(|entry| entry.stop.now(why.clone()));
        self.adopted.values().for_each(CancellationToken::cancel);
    }

    /// This daemon has lost the right to its runs: they are stopped and forgotten, and whoever waits asks the store.
    pub fn abandon(&mut self) {
        let runs: Vec<RunId> = self.live.all().map(|entry| entry.run.id).collect();
        for run in runs {
            if let Some(entry) = self.live.get_mut(run) {
                entry.stop.now(Stopped::Lost);
            }
            let Some(entry) = self.remove(run) else { continue };
            let replies = entry.repeats.into_iter().chain(entry.deferred.into_iter().map(|deferred| deferred.reply));
            for reply in replies {
                let reason = "this daemon lost its lease before the run was certain; submit it again".to_owned();
                let _ = reply.send(Err(SubmitError::Store(StoreError::Unavailable { reason })));
            }
        }
        self.live.forget_all_parked();
    }

    /// Stops a live run; false when there is none of that id.
    pub fn cancel(&mut self, run: RunId, by: Actor, reason: String) -> bool {
        if let Some(token) = self.adopted.get(&run) {
            token.cancel();
            return true;
        }
        self.stop_run(run, Stopped::By { actor: by, reason })
    }

    pub(super) fn stop_run(&mut self, run: RunId, stopped: Stopped) -> bool {
        let Some(entry) = self.live.get_mut(run) else { return false };
        entry.stop.now(stopped);
        // One that has begun before may have something to undo: a lane finds out.
        if entry.phase == Phase::Waiting && !entry.resumes {
            self.conclude_waiting(run);
        }
        true
    }

    /// A run that never began is cancelled while it waits.
    fn conclude_waiting(&mut self, run: RunId) {
        self.live.unqueue(run);
        let Some(entry) = self.live.get_mut(run) else { return };
        let stopped = entry.stop.why();
        let mut change = settle::conclude(&entry.run, &entry.job.spec, Outcome::Cancelled, stopped, self.now);
        change.from = RunState::Queued;
        self.settle(run, change);
    }

    /// A lane is done with an attempt that it was given at this fence.
    pub fn finished(&mut self, run: RunId, fence: i64, finished: Finished) {
        let stopping = self.stopping;
        let Some(entry) = self.live.get_mut(run).filter(|entry| entry.run.fence == fence) else { return };
        let stopped = finished.stopped.or_else(|| entry.stop.why()).or(stopping.then_some(Stopped::Shutdown));
        if stopped == Some(Stopped::Lost) {
            warn!(%run, "another daemon has this run now; what was done here is not recorded");
            self.remove(run);
            return;
        }
        let mut change = settle::conclude(&entry.run, &entry.job.spec, finished.outcome, stopped, self.now);
        change.forget = finished.forget;
        entry.asks = finished.asks;
        self.settle(run, change);
    }

    fn settle(&mut self, run: RunId, change: Transition) {
        let Some(entry) = self.live.get_mut(run) else { return };
        entry.phase = Phase::Settling;
        let log = entry.log.clone();
        self.effects.push(Effect::Settle { change: Box::new(change), log });
    }

    /// The start that was asked for was committed, or was not.
    pub fn started(&mut self, run: RunId, fence: i64, result: Result<Started, StoreError>) {
        let now = self.now;
        let Some(entry) = self.live.get_mut(run).filter(|entry| entry.run.fence == fence) else { return };
        match result {
            Ok(Started::Applied) => {
                entry.run.fence += 1;
                self.execute(run);
            }
            Ok(Started::Lost) => {
                info!(%run, "another daemon took this run");
                self.remove(run);
            }
            Ok(Started::Busy) => self.start_later(run, later(now, START_RETRY)),
            Err(error) => {
                warn!(%run, %error, "a run could not be started yet; trying again");
                self.start_later(run, later(now, START_RETRY));
            }
        }
    }

    fn start_later(&mut self, run: RunId, moment: Timestamp) {
        self.live.release(run);
        if let Some(entry) = self.live.get_mut(run) {
            entry.run.attempt -= u32::from(!entry.resumes);
            entry.run.state = RunState::Queued;
            entry.run.not_before = Some(moment);
        }
        self.live.enqueue(run, self.now);
        self.publish_entry(run);
        if self.live.get_mut(run).is_some_and(|entry| entry.stop.why().is_some() && !entry.resumes) {
            self.conclude_waiting(run);
        }
    }

    /// The change that was asked for was committed.
    pub fn settled(&mut self, change: Transition, result: Result<Guarded, StoreError>) {
        let run = change.run;
        if self.live.get_mut(run).is_none_or(|entry| entry.run.fence != change.fence) {
            return;
        }
        match result {
            Ok(Guarded::Applied) => {}
            Ok(Guarded::Refused) => {
                warn!(%run, to = %change.to, "this run was changed by another daemon; the outcome here is not recorded");
                self.remove(run);
                return;
            }
            Err(error) => {
                warn!(%run, %error, "the outcome of a run was not stored");
                self.remove(run);
                return;
            }
        }
        let Some(entry) = self.live.get_mut(run) else { return };
        entry.run.state = change.to;
        entry.run.reason = change.reason;
        entry.run.error = change.error;
        entry.run.not_before = change.not_before;
        match change.to {
            RunState::Queued => self.wait_again(run, change.clear_deadline),
            RunState::Parked => {
                let (asks, woken) = (entry.asks, entry.woken);
                let (job, stopped) = (entry.run.job.clone(), entry.stop.why());
                let wake_at = [change.wake_at, entry.run.deadline_at].into_iter().flatten().min();
                self.publish(run, None);
                self.live.park(run);
                if woken {
                    self.effects.push(Effect::Load(run));
                }
                // Somebody cancelled it while this was on its way.
                if let Some(stopped @ Stopped::By { .. }) = stopped {
                    self.effects.push(Effect::CancelParked { job, only: Some(run), stopped });
                }
                self.effects.push(Effect::Parked { wake_at, asks });
            }
            _ => {
                entry.run.result = change.result;
                entry.run.finished_at = Some(change.at);
                let began = entry.run.started_at.unwrap_or(change.at);
                self.metrics.finished(change.to, since(change.at, began));
                if let Some(entry) = self.remove(run) {
                    entry.waiters.into_iter().for_each(|waiter| drop(waiter.send(entry.run.clone())));
                }
            }
        }
    }

    /// Another attempt follows, or the same one goes on.
    fn wait_again(&mut self, run: RunId, from_the_start: bool) {
        self.metrics.update(|numbers| numbers.retried += u64::from(from_the_start));
        if let Some(entry) = self.live.get_mut(run) {
            entry.resumes = !from_the_start && entry.run.deadline_at.is_some();
            if from_the_start {
                entry.run.deadline_at = None;
            }
        }
        self.live.release(run);
        self.live.enqueue(run, self.now);
        self.publish_entry(run);
        // A stop that came while the outcome was on its way.
        if self.live.get_mut(run).is_some_and(|entry| matches!(entry.stop.why(), Some(Stopped::By { .. }))) {
            self.conclude_waiting(run);
        }
    }

    /// A run of an earlier life, or of another daemon, is this one's now.
    pub fn comes_back(&mut self, run: Run, job: Arc<Job>, last_log: u64, how: Comeback) {
        let id = run.id;
        if let Some(entry) = self.live.get_mut(id) {
            entry.woken |= how == Comeback::Woken && entry.phase == Phase::Settling;
            return;
        }
        let log = RunLog::new(id, self.clock.clone(), &self.flusher, last_log);
        let resumes = run.deadline_at.is_some();
        let run = Run { state: RunState::Queued, ..run };
        self.live.insert(NewEntry { run, job, log, resumes, was_parked: how == Comeback::Woken });
        self.live.enqueue(id, self.now);
        self.publish_entry(id);
    }

    /// A parked run that the store knows of.
    #[cfg(test)]
    pub fn count_parked(&mut self, job: JobName, key: Option<String>) {
        self.live.count_parked(job, 1);
        if let Some(key) = key {
            self.live.count_key(key, 1);
        }
    }

    /// Where a run stands here, for the simulation's complaints.
    #[cfg(test)]
    pub fn describe(&self, run: RunId) -> String {
        let entry = self.live.all().find(|entry| entry.run.id == run);
        let entry =
            entry.map(|entry| (entry.phase, entry.holds_slot, entry.holds_key, entry.resumes, entry.stop.why()));
        format!("{entry:?}")
    }

    /// Begins every waiting run that may. Returns when the next one that waits for a moment shall be looked at.
    pub fn start_waiting(&mut self) -> Option<Timestamp> {
        loop {
            if self.stopping {
                return None;
            }
            match self.live.next_to_start(self.now) {
                Next::Start(run) => self.begin_waiting(run),
                Next::At(moment) => return moment,
            }
        }
    }

    fn begin_waiting(&mut self, run: RunId) {
        let now = self.now;
        self.live.unqueue(run);
        self.live.hold(run);
        let shares = self.shares;
        let Some(entry) = self.live.get_mut(run) else { return };
        entry.phase = Phase::Starting;
        entry.run.attempt += u32::from(!entry.resumes);
        entry.run.state = RunState::Running;
        let began = entry.run.started_at.filter(|_| entry.resumes).unwrap_or(now);
        entry.run.started_at = Some(began);
        entry.run.not_before = None;
        entry.run.deadline_at = entry.run.deadline_at.or_else(|| settle::deadline(&entry.job.spec, now));
        let limit = entry.job.spec.concurrency.as_ref().map(|limit| limit.limit);
        let start = StartRun {
            run,
            fence: entry.run.fence,
            attempt: entry.run.attempt,
            at: began,
            deadline_at: entry.run.deadline_at,
            alone: shares && settle::runs_alone(&entry.job.spec),
            key: entry.run.concurrency_key.clone().zip(limit).filter(|_| shares),
            events: vec![settle::started_event(&entry.run, now)],
        };
        self.effects.push(Effect::Start(Box::new(start)));
        self.publish_entry(run);
    }

    pub(super) fn execute(&mut self, run: RunId) {
        let Some(entry) = self.live.get_mut(run) else { return };
        entry.phase = Phase::Running;
        entry.log.begin_attempt(entry.run.attempt, Some(entry.run.fence));
        let execution = Execution {
            run: entry.run.clone(),
            job: entry.job.clone(),
            stop: entry.stop.clone(),
            log: entry.log.clone(),
        };
        self.effects.push(Effect::Execute(Box::new(execution)));
    }

    pub(super) fn remove(&mut self, run: RunId) -> Option<Entry> {
        self.publish(run, None);
        self.live.remove(run)
    }

    pub(super) fn publish_entry(&mut self, run: RunId) {
        if let Some(entry) = self.live.get_mut(run) {
            let since = entry.run.started_at.unwrap_or(entry.run.queued_at);
            let live = LiveRun { run, job: entry.run.job.clone(), state: entry.run.state, since };
            self.publish(run, Some(live));
        }
    }

    fn publish(&mut self, run: RunId, live: Option<LiveRun>) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        match live {
            Some(live) => drop(table.insert(run, live)),
            None => drop(table.remove(&run)),
        }
        drop(table);
        let (running, waiting) = (self.live.running(), self.live.waiting());
        self.metrics.update(|numbers| (numbers.running, numbers.waiting) = (running, waiting));
    }
}

/// A start that the store refused for lack of disk or connection is tried again after this.
const START_RETRY: std::time::Duration = std::time::Duration::from_secs(1);
