//! The one task that owns all live runs. Messages come in, commits go out, lanes get work; it never waits for one of
//! them while another could go on.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::admission::may_start;
use super::attempt::Attempt;
use super::handle::{Handle, Options, Shared, Submission, SubmitError, SubmitRequest};
use super::lane::Lanes;
use super::live::{Entry, Live, LiveRun, Next, Phase};
use super::logs::{self, Flusher, RunLog};
use super::metrics::Metrics;
use super::ports::Ports;
use super::settle::{self, Stopped};
use crate::base::clock::{later, since};
use crate::base::{Clock, RunId, Timestamp};
use crate::jobs::{Job, Registry};
use crate::lua::{Engine, Outcome};
use crate::model::{Actor, Run, RunState};
use crate::store::{Accepted, Guarded, Store, StoreError, Transition};

/// What the dispatcher is told.
#[derive(Debug)]
pub enum Message {
    Submit { request: Box<SubmitRequest>, job: Arc<Job>, reply: oneshot::Sender<Result<Submission, SubmitError>> },
    Cancel { run: RunId, by: Actor, reply: oneshot::Sender<bool> },
    Wait { run: RunId, reply: oneshot::Sender<Run> },
    Adopt { live: LiveRun, cancel: CancellationToken },
    Forget { run: RunId },
    Finished { run: RunId, outcome: Outcome },
}

/// A commit that came back.
pub(super) enum Done {
    Accepted {
        run: RunId,
        /// Runs that it replaces.
        victims: Vec<RunId>,
        reply: oneshot::Sender<Result<Submission, SubmitError>>,
        result: Result<Accepted, StoreError>,
    },
    Started {
        run: RunId,
        result: Result<Guarded, StoreError>,
    },
    Settled {
        run: RunId,
        change: Box<Transition>,
        result: Result<Guarded, StoreError>,
    },
}

/// Messages taken before commits and the queue are looked at again.
const BATCH: usize = 64;
/// A start that the store refused for lack of disk or connection is tried again after this.
const START_RETRY: Duration = Duration::from_secs(1);
/// After the grace, interrupted runs get this long to be written down.
const LAST_COMMITS: Duration = Duration::from_secs(5);

/// Owns all live state. Run it under the supervisor.
#[derive(Debug)]
pub struct Dispatcher {
    pub(super) shared: Arc<Shared>,
    pub(super) live: Live,
    pub(super) pending: FuturesUnordered<BoxFuture<'static, Done>>,
    pub(super) ports: Arc<Ports>,
    pub(super) flusher: Flusher,
    inbox: mpsc::UnboundedReceiver<Message>,
    outbox: mpsc::UnboundedSender<Message>,
    adopted: HashMap<RunId, CancellationToken>,
    announced: Option<mpsc::UnboundedReceiver<Arc<RunLog>>>,
    grace: Duration,
    hurry: CancellationToken,
    stopping: bool,
    lane_threads: Vec<JoinHandle<()>>,
}

impl Dispatcher {
    /// Starts the lanes; nothing is taken before [`Self::run`].
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn new(
        options: &Options,
        store: Store,
        registry: Registry,
        clock: Clock,
        engine: &Engine,
    ) -> std::io::Result<(Self, Handle)> {
        let (lanes, lane_threads) = Lanes::start(options.lanes, engine)?;
        let (outbox, inbox) = mpsc::unbounded_channel();
        let (flusher, announced) = Flusher::new();
        let metrics = Arc::new(Metrics::default());
        let (live, enabling) = Default::default();
        let shared = Arc::new(Shared { store, registry, clock, lanes, metrics, live, enabling });
        let handle = Handle { inbox: outbox.clone(), shared: shared.clone(), flusher: flusher.clone() };
        let dispatcher = Self {
            live: Live::new(options.running_max),
            pending: FuturesUnordered::new(),
            ports: Arc::new(Ports(handle.clone())),
            flusher,
            inbox,
            outbox,
            adopted: HashMap::new(),
            announced: Some(announced),
            grace: options.grace,
            hurry: options.hurry.clone(),
            stopping: false,
            lane_threads,
            shared,
        };
        Ok((dispatcher, handle))
    }

    /// Settles what an earlier daemon left behind, then serves until `stop`, then lets runs end within the grace.
    ///
    /// # Errors
    /// When the store cannot be read at the start.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        let flushing = CancellationToken::new();
        let mut flusher = JoinSet::new();
        if let Some(announced) = self.announced.take() {
            let (store, metrics) = (self.shared.store.clone(), self.shared.metrics.clone());
            flusher.spawn(logs::flush_all(announced, store, metrics, flushing.clone()));
        }
        self.recover().await?;
        self.serve(stop).await;
        self.drain().await;
        flushing.cancel();
        while flusher.join_next().await.is_some() {}
        info!(lanes = self.lane_threads.len(), "the runner has stopped");
        Ok(())
    }

    async fn serve(&mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let wake_at = self.start_waiting();
            let clock = self.shared.clock.clone();
            tokio::select! {
                _ = self.inbox.recv_many(&mut batch, BATCH) => batch.drain(..).for_each(|message| self.take(message)),
                Some(done) = self.pending.next() => self.committed(done),
                () = sleep_until(&clock, wake_at) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn drain(&mut self) {
        self.stopping = true;
        let grace_is_over = over(self.grace, self.hurry.clone());
        let mut patience = std::pin::pin!(grace_is_over);
        let mut last_commits = None;
        while self.live.running() > 0 || !self.pending.is_empty() {
            tokio::select! {
                Some(message) = self.inbox.recv() => self.take(message),
                Some(done) = self.pending.next() => self.committed(done),
                () = sleep_at_last(last_commits) => {
                    warn!(runs = self.live.running(), "some outcomes could not be written before the end");
                    return;
                }
                () = &mut patience, if last_commits.is_none() => {
                    last_commits = Some(tokio::time::Instant::now() + LAST_COMMITS);
                    info!(runs = self.live.running(), "the grace is over; interrupting what still runs");
                    self.live.all().for_each(|entry| entry.cancel.cancel());
                    self.adopted.values().for_each(CancellationToken::cancel);
                }
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Submit { request, job, reply } => self.submit(*request, job, reply),
            Message::Cancel { run, by, reply } => {
                let reason = format!("cancelled by {by}");
                let _ = reply.send(self.cancel(run, Stopped::By { actor: by, reason }));
            }
            Message::Wait { run, reply } => {
                // Without an entry the sender is dropped, and the waiter reads the store.
                if let Some(entry) = self.live.get_mut(run) {
                    entry.waiters.push(reply);
                }
            }
            Message::Adopt { live, cancel } => {
                self.adopted.insert(live.run, cancel);
                self.publish(live.run, Some(live));
            }
            Message::Forget { run } => {
                self.adopted.remove(&run);
                self.publish(run, None);
            }
            Message::Finished { run, outcome } => self.conclude(run, outcome),
        }
    }

    /// Stops a live run; false when there is none of that id.
    pub(super) fn cancel(&mut self, run: RunId, stopped: Stopped) -> bool {
        if let Some(token) = self.adopted.get(&run) {
            token.cancel();
            return true;
        }
        let Some(entry) = self.live.get_mut(run) else { return false };
        entry.stopped.get_or_insert(stopped);
        entry.cancel.cancel();
        if entry.phase == Phase::Waiting {
            self.conclude_waiting(run);
        }
        true
    }

    fn conclude(&mut self, run: RunId, outcome: Outcome) {
        let (at, stopping) = (self.shared.clock.now(), self.stopping);
        let Some(entry) = self.live.get_mut(run) else { return };
        let stopped = entry.stopped.clone().or(stopping.then_some(Stopped::Shutdown));
        let change = settle::conclude(&entry.run, &entry.job.spec, outcome, stopped, at);
        self.settle(run, change);
    }

    /// A run that never began is cancelled while it waits.
    fn conclude_waiting(&mut self, run: RunId) {
        self.live.unqueue(run);
        let at = self.shared.clock.now();
        let Some(entry) = self.live.get_mut(run) else { return };
        let stopped = entry.stopped.clone();
        let mut change = settle::conclude(&entry.run, &entry.job.spec, Outcome::Cancelled, stopped, at);
        change.from = RunState::Queued;
        self.settle(run, change);
    }

    fn settle(&mut self, run: RunId, mut change: Transition) {
        let Some(entry) = self.live.get_mut(run) else { return };
        entry.phase = Phase::Settling;
        let log = entry.log.clone();
        let shared = self.shared.clone();
        self.pending.push(Box::pin(async move {
            let (lines, dropped) = log.finish(&shared.store).await;
            shared.metrics.update(|numbers| numbers.log_lines_dropped += dropped);
            change.logs = lines;
            let committed = settle::commit(shared.store.clone(), shared.clock.clone(), &shared.metrics, change.clone());
            let result = committed.await;
            if result == Ok(Guarded::Refused) && shared.store.append_logs(change.logs.clone()).await.is_err() {
                warn!(%run, lines = change.logs.len(), "the last lines of a run were not stored");
            }
            Done::Settled { run, change: Box::new(change), result }
        }));
    }

    fn committed(&mut self, done: Done) {
        match done {
            Done::Accepted { run, victims, reply, result } => self.accepted(run, victims, reply, result),
            Done::Started { run, result } => self.started(run, result),
            Done::Settled { run, change, result } => self.settled(run, *change, result),
        }
    }

    fn started(&mut self, run: RunId, result: Result<Guarded, StoreError>) {
        let now = self.shared.clock.now();
        match result {
            Ok(Guarded::Applied) => self.give_to_lane(run),
            Ok(Guarded::Refused) => {
                warn!(%run, "another daemon or an administrator changed this run; it is left alone");
                self.remove(run);
            }
            Err(error) => {
                warn!(%run, %error, "a run could not be started yet; trying again");
                self.live.release(run);
                if let Some(entry) = self.live.get_mut(run) {
                    entry.run.attempt -= 1;
                    entry.run.state = RunState::Queued;
                    entry.run.not_before = Some(later(now, START_RETRY));
                }
                self.live.enqueue(run);
                self.publish_entry(run);
            }
        }
    }

    pub(super) fn settled(&mut self, run: RunId, change: Transition, result: Result<Guarded, StoreError>) {
        // Where it was not stored, those who wait read from the store what holds instead.
        match result {
            Ok(Guarded::Applied) => {}
            Ok(Guarded::Refused) => {
                warn!(%run, outcome = %change.to, "another daemon or an administrator changed this run; that holds");
                return drop(self.remove(run));
            }
            Err(error) => {
                warn!(%run, %error, "the outcome of a run was not stored");
                return drop(self.remove(run));
            }
        }
        let Some(entry) = self.live.get_mut(run) else { return };
        entry.run.state = change.to;
        entry.run.reason = change.reason;
        entry.run.error = change.error;
        entry.run.not_before = change.not_before;
        if change.to == RunState::Queued {
            self.shared.metrics.update(|numbers| numbers.retried += 1);
            let stopped = entry.stopped.clone();
            self.live.release(run);
            self.live.enqueue(run);
            self.publish_entry(run);
            // Somebody cancelled it while this was on its way.
            if let Some(stopped) = stopped {
                self.cancel(run, stopped);
            }
            return;
        }
        entry.run.result = change.result;
        entry.run.finished_at = Some(change.at);
        let began = entry.run.started_at.unwrap_or(change.at);
        self.shared.metrics.finished(change.to, since(change.at, began));
        if let Some(entry) = self.remove(run) {
            entry.waiters.into_iter().for_each(|waiter| drop(waiter.send(entry.run.clone())));
        }
    }

    /// Begins every waiting run that may. Returns when the next one that waits for a moment shall be looked at.
    fn start_waiting(&mut self) -> Option<Timestamp> {
        let now = self.shared.clock.now();
        loop {
            if self.stopping || !self.live.has_room() {
                return None;
            }
            match self.live.next_to_start(now, may_start) {
                Next::Start(run) => self.begin_waiting(run, now),
                Next::At(moment) => return moment,
            }
        }
    }

    fn begin_waiting(&mut self, run: RunId, now: Timestamp) {
        self.live.unqueue(run);
        self.live.hold(run);
        let Some(entry) = self.live.get_mut(run) else { return };
        entry.phase = Phase::Starting;
        entry.run.attempt += 1;
        entry.run.state = RunState::Running;
        entry.run.started_at = Some(now);
        let attempt = entry.run.attempt;
        let event = settle::started_event(&entry.run, now);
        let store = self.shared.store.clone();
        self.pending.push(Box::pin(async move {
            Done::Started { run, result: store.start_run(run, attempt, now, vec![event]).await }
        }));
        self.publish_entry(run);
    }

    pub(super) fn give_to_lane(&mut self, run: RunId) {
        let (ports, report) = (self.ports.clone(), self.outbox.clone());
        let Some(entry) = self.live.get_mut(run) else { return };
        entry.phase = Phase::Running;
        entry.log.begin_attempt(entry.run.attempt);
        let attempt = Attempt {
            run: entry.run.clone(),
            job: entry.job.clone(),
            cancel: entry.cancel.clone(),
            log: entry.log.clone(),
            ports,
        };
        let given = self.shared.lanes.give(Box::new(move |engine| {
            Box::pin(async move {
                let outcome = attempt.execute(engine).await;
                let _ = report.send(Message::Finished { run, outcome });
            })
        }));
        if !given {
            self.conclude(run, Outcome::Cancelled);
        }
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
        let mut table = self.shared.live.lock().unwrap_or_else(PoisonError::into_inner);
        match live {
            Some(live) => drop(table.insert(run, live)),
            None => drop(table.remove(&run)),
        }
        drop(table);
        let (running, waiting) = (self.live.running(), self.live.waiting());
        self.shared.metrics.update(|numbers| (numbers.running, numbers.waiting) = (running, waiting));
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }
}

/// Until the grace is over, or somebody is in a hurry.
async fn over(grace: Duration, hurry: CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(grace) => {}
        () = hurry.cancelled() => {}
    }
}

async fn sleep_at_last(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(clock: &Clock, moment: Option<Timestamp>) {
    match moment {
        Some(moment) => clock.sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
