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
    /// Cancel a run that has no entry here any more: it is parked, or another daemon has it.
    CancelGone { run: RunId, stopped: Stopped },
    /// Cancel what came before run `by` of its job and has no entry here: what is parked, and what other daemons have.
    ReplaceOthers { job: JobName, by: RunId, stopped: Stopped },
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
    /// Runs that were cancelled while they were being parked: if one is woken before it is cancelled in the store, it
    /// is stopped when it comes back.
    owed: HashMap<RunId, Stopped>,
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
            owed: HashMap::new(),
            stopping: false,
        }
    }

    /// The moment at which everything until the next call happens.
    pub fn at(&mut self, now: Timestamp) {
        if now < self.now {
            self.live.ask_again_at(later(now, START_RETRY), now);
        }
        // As exact as what is stored, so that who hears of a run and who reads it are told the same.
        self.now = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
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
        self.owed.clear();
    }

    /// A parked run has ended without coming back.
    pub fn unparked(&mut self, run: RunId, job: &JobName, key: Option<&str>) {
        self.owed.remove(&run);
        self.live.forget_parked(job, key);
    }

    /// Stops a live run. Answered with true when it was told to stop, or its end is written; with false, or not at all,
    /// when the store has to be asked.
    pub fn cancel(&mut self, run: RunId, by: Actor, reason: String, reply: oneshot::Sender<bool>) {
        if let Some(token) = self.adopted.get(&run) {
            token.cancel();
            let _ = reply.send(true);
            return;
        }
        let is_there = self.stop_run(run, Stopped::By { actor: by, reason });
        let shares = self.shares;
        match self.live.get_mut(run) {
            Some(entry) if entry.phase == Phase::Settling => entry.cancels.push(reply),
            // It may be with another daemon by now: whoever has it has to find it cancelled.
            Some(entry) if entry.phase == Phase::Waiting && shares => drop(reply.send(false)),
            _ => drop(reply.send(is_there)),
        }
    }

    pub(super) fn stop_run(&mut self, run: RunId, stopped: Stopped) -> bool {
        let Some(entry) = self.live.get_mut(run) else { return false };
        entry.stop.now(stopped);
        if entry.phase == Phase::Waiting {
            self.end_waiting(run);
        }
        true
    }

    /// A waiting run that was made to stop: one that has begun before may have something to undo, which a lane finds out.
    fn end_waiting(&mut self, run: RunId) {
        let Some(entry) = self.live.get_mut(run) else { return };
        if !entry.may_have_done_something() {
            return self.conclude_waiting(run);
        }
        self.live.unqueue(run);
        if let Some(entry) = self.live.get_mut(run) {
            entry.run.not_before = None;
        }
        self.live.enqueue(run, self.now);
    }

    /// A run that has done nothing yet is cancelled while it waits.
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
        let Some(entry) = self.live.in_phase(run, fence, Phase::Running) else { return };
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

    /// The start that was asked for at this fence and moment was committed, or was not.
    pub fn started(&mut self, run: RunId, (fence, at): (i64, Timestamp), result: Result<Started, StoreError>) {
        let now = self.now;
        let entry = self.live.in_phase(run, fence, Phase::Starting);
        let Some(entry) = entry.filter(|entry| entry.asked_at == Some(at)) else { return };
        match result {
            Ok(Started::Applied) => {
                entry.run.fence += 1;
                self.execute(run);
            }
            Ok(Started::Lost) => self.lose(run),
            Ok(Started::Busy) => self.start_later(run, later(now, START_RETRY)),
            Err(error) => {
                warn!(%run, %error, "a run could not be started yet; trying again");
                self.start_later(run, later(now, START_RETRY));
            }
        }
    }

    /// Whoever waits for the end of a run that another daemon has asks the store.
    fn lose(&mut self, run: RunId) {
        info!(%run, "another daemon took this run");
        self.let_others_stop(run);
    }

    /// Whoever cancelled a run that is another daemon's by now was told that it will be.
    fn let_others_stop(&mut self, run: RunId) {
        if let Some(stopped @ Stopped::By { .. }) = self.remove(run).and_then(|entry| entry.stop.why()) {
            self.effects.push(Effect::CancelGone { run, stopped });
        }
    }

    /// Runs that waited here for a daemon that may execute them, and are with it.
    pub fn taken(&mut self, runs: &[RunId]) {
        for run in runs {
            if self.live.get_mut(*run).is_some_and(|entry| entry.phase == Phase::Waiting) {
                self.lose(*run);
            }
        }
    }

    fn start_later(&mut self, run: RunId, moment: Timestamp) {
        self.live.release(run);
        if let Some(entry) = self.live.get_mut(run) {
            if !entry.resumes {
                entry.run.attempt -= 1;
                entry.run.deadline_at = None;
            }
            entry.run.state = RunState::Queued;
            entry.run.not_before = Some(moment);
        }
        self.live.enqueue(run, self.now);
        self.live.hold_back(run);
        self.publish_entry(run);
        if self.live.get_mut(run).is_some_and(|entry| entry.stop.why().is_some()) {
            self.end_waiting(run);
        }
    }

    /// The change that was asked for was committed.
    pub fn settled(&mut self, change: Transition, result: Result<Guarded, StoreError>) {
        let run = change.run;
        if self.live.in_phase(run, change.fence, Phase::Settling).is_none() {
            return;
        }
        match result {
            Ok(Guarded::Applied) => {}
            Ok(Guarded::Refused) => {
                warn!(%run, to = %change.to, "this run was changed by another daemon; the outcome here is not recorded");
                self.let_others_stop(run);
                return;
            }
            Err(error) => {
                warn!(%run, %error, "the outcome of a run was not stored");
                self.remove(run);
                return;
            }
        }
        let Some(entry) = self.live.get_mut(run) else { return };
        // Whoever cancelled too late is told how it ended.
        let is_cancelled = !change.to.is_final() || change.to == RunState::Cancelled;
        for reply in entry.cancels.drain(..) {
            let _ = reply.send(is_cancelled);
        }
        entry.run.state = change.to;
        entry.run.reason = change.reason;
        entry.run.error = change.error;
        entry.run.not_before = change.not_before;
        match change.to {
            RunState::Queued => self.wait_again(run, change.clear_deadline),
            RunState::Parked => {
                let (asks, woken) = (entry.asks, entry.woken);
                let stopped = entry.stop.why();
                let wake_at = [change.wake_at, entry.run.deadline_at].into_iter().flatten().min();
                self.publish(run, None);
                self.live.park(run);
                if woken {
                    self.effects.push(Effect::Load(run));
                }
                // Somebody cancelled it while this was on its way.
                if let Some(stopped @ Stopped::By { .. }) = stopped {
                    self.owed.insert(run, stopped.clone());
                    self.effects.push(Effect::CancelGone { run, stopped });
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
            self.end_waiting(run);
        }
    }

    /// A run of an earlier life, or of another daemon, is this one's now.
    pub fn comes_back(&mut self, run: Run, job: Arc<Job>, last_log: u64, how: Comeback) {
        let id = run.id;
        let known = self.live.get_mut(id).map(|entry| (entry.phase, entry.run.fence));
        match known {
            // It was with another daemon meanwhile, and what stands here is how it was before.
            Some((Phase::Waiting, fence)) if fence < run.fence => drop(self.remove(id)),
            Some(_) => {
                if how == Comeback::Woken {
                    self.wakes(id);
                }
                return;
            }
            None => {}
        }
        let log = RunLog::new(id, self.clock.clone(), &self.flusher, last_log);
        let resumes = run.deadline_at.is_some();
        let run = Run { state: RunState::Queued, ..run };
        self.live.insert(NewEntry { run, job, log, resumes, was_parked: how == Comeback::Woken });
        self.live.enqueue(id, self.now);
        self.publish_entry(id);
        if let Some(stopped) = self.owed.remove(&id) {
            self.stop_run(id, stopped);
        }
    }

    /// Whether the run is in work here. One whose parking is on its way is read when that is done: it was woken meanwhile.
    pub fn wakes(&mut self, run: RunId) -> bool {
        let Some(entry) = self.live.get_mut(run) else { return false };
        entry.woken |= entry.phase == Phase::Settling;
        entry.phase != Phase::Waiting
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
        entry.asked_at = Some(now);
        entry.run.not_before = None;
        entry.run.deadline_at = entry.run.deadline_at.or_else(|| settle::deadline(&entry.job.spec, now));
        let limit = entry.job.spec.concurrency.as_ref().map(|limit| limit.limit);
        let start = StartRun {
            run,
            fence: entry.run.fence,
            attempt: entry.run.attempt,
            at: now,
            began,
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
            let live = LiveRun::of(&entry.run);
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
        let (running, waiting) = (self.live.running(), self.live.waiting_here());
        self.metrics.update(|numbers| (numbers.running, numbers.waiting) = (running, waiting));
    }
}

/// A start that the store refused for lack of disk or connection is tried again after this.
const START_RETRY: std::time::Duration = std::time::Duration::from_secs(1);
