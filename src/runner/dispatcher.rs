//! The one task that owns all live runs: it carries messages and answers to the [`Core`], and does what that decides.
//! Commits go out, lanes get work; it never waits for one of them while another could go on.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::attempt::Attempt;
use super::comeback::Pinned;
use super::core::{Comeback, Core, Effect, Execution, Finished};
use super::handle::{Handle, LiveTable, Options, Shared, Submission, SubmitError, SubmitRequest};
use super::journal::RunJournal;
use super::lane::Lanes;
use super::live::LiveRun;
use super::logs::{self, Flusher, RunLog};
use super::metrics::Metrics;
use super::ports::Ports;
use super::settle;
use super::stop::Stopped;
use crate::base::{Clock, JobName, RunId, Timestamp};
use crate::jobs::{Job, Registry};
use crate::lua::{Engine, Outcome};
use crate::model::{Actor, Entry, Run};
use crate::store::{Accepted, Guarded, Started, Store, StoreError, Transition};

/// What the dispatcher is told.
#[derive(Debug)]
pub enum Message {
    Submit {
        request: Box<SubmitRequest>,
        job: Arc<Job>,
        reply: oneshot::Sender<Result<Submission, SubmitError>>,
    },
    Cancel {
        run: RunId,
        by: Actor,
        reason: String,
        reply: oneshot::Sender<bool>,
    },
    Wait {
        run: RunId,
        reply: oneshot::Sender<Run>,
    },
    Adopt {
        live: LiveRun,
        cancel: CancellationToken,
    },
    Forget {
        run: RunId,
    },
    Finished {
        run: RunId,
        fence: i64,
        finished: Box<Finished>,
    },
    /// Runs that were parked are queued in the store.
    Woken {
        runs: Vec<RunId>,
    },
    /// Runs of a daemon that is gone, or that has too much to do.
    ComeBack {
        runs: Vec<(Pinned, Comeback)>,
    },
    /// Runs that wait here are another daemon's now.
    Taken {
        runs: Vec<RunId>,
    },
    /// Other daemons may have parked runs and gone away.
    Look,
    /// This daemon has lost its lease.
    Abandon {
        reply: oneshot::Sender<()>,
    },
    /// A parked run has ended without coming back.
    Unparked {
        run: RunId,
        job: JobName,
        key: Option<String>,
    },
}

/// Something outside that came back.
pub(super) enum Done {
    Accepted {
        run: RunId,
        result: Result<Accepted, StoreError>,
    },
    Resolved {
        run: RunId,
        is_there: bool,
    },
    Started {
        run: RunId,
        /// The fence and the moment that the start was asked with.
        asked: (i64, Timestamp),
        result: Result<Started, StoreError>,
    },
    Settled {
        change: Box<Transition>,
        result: Result<Guarded, StoreError>,
    },
    Journal {
        execution: Box<Execution>,
        entries: Result<Vec<Entry>, StoreError>,
    },
    /// Runs to be taken up, and whether there may be more of them.
    Loaded {
        runs: Vec<(Pinned, Comeback)>,
        more: bool,
    },
    NextWake {
        moment: Option<Timestamp>,
    },
}

/// Messages taken before commits and the queue are looked at again.
const BATCH: usize = 64;
/// After the grace, interrupted runs get this long to be written down.
const LAST_COMMITS: Duration = Duration::from_secs(5);

/// Owns all live state. Run it under the supervisor.
#[derive(Debug)]
pub struct Dispatcher {
    pub(super) core: Core,
    pub(super) shared: Arc<Shared>,
    pub(super) pending: FuturesUnordered<BoxFuture<'static, Done>>,
    pub(super) ports: Arc<Ports>,
    pub(super) io: tokio::runtime::Handle,
    /// When the next parked run goes on by itself.
    pub(super) wake_at: Option<Timestamp>,
    inbox: mpsc::UnboundedReceiver<Message>,
    outbox: mpsc::UnboundedSender<Message>,
    announced: Option<mpsc::UnboundedReceiver<Arc<RunLog>>>,
    grace: Duration,
    hurry: CancellationToken,
    lane_threads: Vec<JoinHandle<()>>,
}

impl Dispatcher {
    /// Starts the lanes; nothing is taken before [`Self::run`]. To be called on the runtime that does the I/O.
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
        let (flusher, announced) = Flusher::new(store.masker().clone());
        let (metrics, live) = (Arc::new(Metrics::default()), LiveTable::default());
        let mut core = Core::new(
            clock.clone(),
            metrics.clone(),
            live.clone(),
            flusher.clone(),
            options.running_max,
            options.shares,
        );
        core.live.labels.clone_from(&options.labels);
        let (labels, running_max) = (options.labels.clone(), options.running_max);
        let (enabling, secrets) = (Default::default(), engine.secrets().clone());
        let shared =
            Arc::new(Shared { store, registry, clock, lanes, labels, running_max, metrics, live, enabling, secrets });
        let handle = Handle { inbox: outbox.clone(), shared: shared.clone(), flusher };
        let dispatcher = Self {
            core,
            pending: FuturesUnordered::new(),
            ports: Arc::new(Ports(handle.clone())),
            io: tokio::runtime::Handle::current(),
            wake_at: None,
            inbox,
            outbox,
            announced: Some(announced),
            grace: options.grace,
            hurry: options.hurry.clone(),
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
        let clock = self.shared.clock.clone();
        loop {
            self.core.at(clock.now());
            let start_at = self.core.start_waiting();
            self.carry_out();
            tokio::select! {
                _ = self.inbox.recv_many(&mut batch, BATCH) => {
                    self.core.at(clock.now());
                    batch.drain(..).for_each(|message| self.take(message));
                }
                Some(done) = self.pending.next() => {
                    self.core.at(clock.now());
                    self.came_back(done);
                }
                () = sleep_until(&clock, start_at) => {}
                () = sleep_until(&clock, self.wake_at) => self.wake_due(),
                () = stop.cancelled() => return,
            }
        }
    }

    async fn drain(&mut self) {
        self.core.stop();
        let clock = self.shared.clock.clone();
        let grace_is_over = over(self.grace, self.hurry.clone());
        let mut patience = std::pin::pin!(grace_is_over);
        let mut last_commits = None;
        while self.core.live.running() > 0 || !self.pending.is_empty() {
            tokio::select! {
                Some(message) = self.inbox.recv() => {
                    self.core.at(clock.now());
                    self.take(message);
                }
                Some(done) = self.pending.next() => {
                    self.core.at(clock.now());
                    self.came_back(done);
                }
                () = sleep_at_last(last_commits) => {
                    warn!(runs = self.core.live.running(), "some outcomes could not be written before the end");
                    return;
                }
                () = &mut patience, if last_commits.is_none() => {
                    last_commits = Some(tokio::time::Instant::now() + LAST_COMMITS);
                    info!(runs = self.core.live.running(), "the grace is over; interrupting what still runs");
                    self.core.let_go(&Stopped::Shutdown);
                }
            }
            self.carry_out();
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Submit { request, job, reply } => self.core.submit(*request, job, reply),
            Message::Cancel { run, by, reason, reply } => self.core.cancel(run, by, reason, reply),
            Message::Wait { run, reply } => self.core.wait(run, reply),
            Message::Adopt { live, cancel } => self.core.adopt(live, cancel),
            Message::Forget { run } => self.core.forget(run),
            Message::Finished { run, fence, finished } => self.core.finished(run, fence, *finished),
            Message::Woken { runs } => self.load(runs),
            Message::ComeBack { runs } => self.come_back(runs),
            Message::Taken { runs } => self.core.taken(&runs),
            Message::Look => self.look_for_next_wake(),
            Message::Abandon { reply } => {
                self.core.abandon();
                let _ = reply.send(());
                self.look_for_next_wake();
            }
            Message::Unparked { run, job, key } => self.core.unparked(run, &job, key.as_deref()),
        }
    }

    fn came_back(&mut self, done: Done) {
        match done {
            Done::Accepted { run, result } => self.core.accepted(run, result),
            Done::Resolved { run, is_there } => self.core.resolved(run, is_there),
            Done::Started { run, asked, result } => self.core.started(run, asked, result),
            Done::Settled { change, result } => self.core.settled(*change, result),
            Done::Journal { execution, entries: Ok(entries) } => self.give_to_lane(*execution, Some(entries)),
            Done::Journal { execution, entries: Err(error) } => {
                let (run, fence) = (execution.run.id, execution.run.fence);
                self.core.finished(run, fence, settle::unreadable(run, &error).into());
            }
            Done::Loaded { runs, more } => {
                self.come_back(runs);
                if more {
                    self.wake_due();
                } else {
                    self.look_for_next_wake();
                }
            }
            Done::NextWake { moment } => self.wake_by(moment),
        }
    }

    fn come_back(&mut self, runs: Vec<(Pinned, Comeback)>) {
        for (pinned, how) in runs {
            self.core.comes_back(pinned.run, pinned.job, pinned.last_log, how);
        }
    }

    pub(super) fn carry_out(&mut self) {
        for effect in self.core.take_effects() {
            self.do_one(effect);
        }
    }

    fn do_one(&mut self, effect: Effect) {
        let shared = self.shared.clone();
        match effect {
            Effect::Accept(new) => self.pending.push(Box::pin(async move {
                let run = new.run.id;
                Done::Accepted { run, result: shared.store.accept_run(*new).await }
            })),
            Effect::Resolve(run) => self.pending.push(Box::pin(async move {
                Done::Resolved { run, is_there: settle::is_there(&shared.store, &shared.clock, run).await }
            })),
            Effect::Start(start) => self.pending.push(Box::pin(async move {
                let (run, asked) = (start.run, (start.fence, start.at));
                Done::Started { run, asked, result: settle::start(&shared.store, &shared.clock, *start).await }
            })),
            Effect::Settle { mut change, log } => self.pending.push(Box::pin(async move {
                let (lines, dropped) = log.finish(&shared.store).await;
                shared.metrics.update(|numbers| numbers.log_lines_dropped += dropped);
                change.logs = lines;
                let result = settle::commit(&shared.store, &shared.clock, &shared.metrics, &change).await;
                let late = (result == Ok(Guarded::Refused)).then(|| change.logs.clone());
                if let Some(lines) = late
                    && shared.store.append_logs_at(Some(change.fence), lines).await.is_err()
                {
                    warn!(run = %change.run, lines = change.logs.len(), "the last lines of a run were not stored");
                }
                Done::Settled { change, result }
            })),
            Effect::Execute(execution) => self.execute(execution),
            Effect::Parked { asks: true, .. } => self.look_for_next_wake(),
            Effect::Parked { wake_at, .. } => self.wake_by(wake_at),
            Effect::Load(run) => self.load(vec![run]),
            Effect::CancelGone { run, stopped } => self.cancel_gone(run, stopped),
            Effect::ReplaceOthers { job, by, stopped } => self.replace_others(job, by, stopped),
        }
    }

    /// A durable run that begins for the first time has no journal yet; any other is read first.
    fn execute(&mut self, execution: Box<Execution>) {
        if !execution.job.spec.resume {
            return self.give_to_lane(*execution, None);
        }
        if execution.run.fence <= 1 {
            return self.give_to_lane(*execution, Some(Vec::new()));
        }
        let shared = self.shared.clone();
        self.pending.push(Box::pin(async move {
            let entries = settle::journal(&shared.store, &shared.clock, execution.run.id).await;
            Done::Journal { execution, entries }
        }));
    }

    fn give_to_lane(&mut self, execution: Execution, journal: Option<Vec<Entry>>) {
        let run = execution.run.id;
        let (store, clock) = (self.shared.store.clone(), self.shared.clock.clone());
        let fence = execution.run.fence;
        let journal =
            journal.map(|entries| RunJournal::new(run, fence, store, clock.clone(), self.io.clone(), entries));
        let attempt = Attempt { execution, ports: self.ports.clone(), clock, journal };
        let report = self.outbox.clone();
        let given = self.shared.lanes.give(Box::new(move |seat| {
            Box::pin(async move {
                let finished = attempt.execute(&seat).await;
                let _ = report.send(Message::Finished { run, fence, finished: Box::new(finished) });
            })
        }));
        if !given {
            self.core.finished(run, fence, Outcome::Cancelled.into());
        }
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
