//! The handle through which every other part reads and writes. What only reads is in `read/`.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::follow::{Follow, Followers};
use super::known::KnownTokens;
use super::metrics::{Counters, StoreMetrics};
use super::sql::{Readers, query};
use super::target::Target;
use super::types::*;
use super::write::{Answer, Command, Request};
use super::writer::Writer;
use super::{check, schema};
use crate::base::limits::{STORE_QUEUE_COMMANDS_MAX, STORE_SEND_WAIT};
use crate::base::{Clock, JobName, Masker, RunId, Timestamp};
use crate::model::{Absence, Decision, LogLine, NewEvent, Occurrence, Signal};

type Result<T> = std::result::Result<T, StoreError>;

/// Reads and writes Aegis's own state. Cheap to clone. Every write resolves after its commit is on disk.
///
/// A write that fails was not written, unless its error says that this is not known, which only a connection that broke
/// during the commit and did not come back can cause. Dropping a call's future does not take the command back.
#[derive(Debug, Clone)]
pub struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: mpsc::Sender<Request>,
    readers: Readers,
    marks: watch::Receiver<CommitMark>,
    sampled: watch::Receiver<i64>,
    followers: Followers,
    known: KnownTokens,
    counters: Arc<Counters>,
    clock: Clock,
    node: String,
    masker: Masker,
    /// An in-memory database goes away with the last one who knows of it.
    target: Target,
}

impl Store {
    /// Opens (and creates or migrates) the database. A SQLite file is locked until the writer is dropped.
    pub async fn open(options: Options, clock: Clock) -> Result<(Self, Writer)> {
        Self::open_masked(options, clock, Masker::default()).await
    }

    /// The same, with what takes secrets out of everything that is written.
    pub async fn open_masked(options: Options, clock: Clock, masker: Masker) -> Result<(Self, Writer)> {
        let target = Target::parse(&options.url)?;
        let lock = target.prepare()?;
        let refuse = |error: StoreError| match error {
            StoreError::Open { .. } | StoreError::TooNew { .. } | StoreError::DiskFull => error,
            other => StoreError::Open { url: target.url.clone(), reason: other.to_string() },
        };
        let mut conn = target.connect().await.map_err(refuse)?;
        schema::migrate(&mut conn, &target.url).await.map_err(refuse)?;
        let newest = query("SELECT value FROM counters WHERE name = 'event_seq'");
        let event_seq = conn.fetch_one(newest).await.map_err(refuse)?.int("value")?;
        let (queue, requests) = mpsc::channel(STORE_QUEUE_COMMANDS_MAX);
        let (marks, seen_marks) = watch::channel(CommitMark { event_seq, log_commits: 0 });
        let (sampled, seen_samples) = watch::channel(0);
        let (followers, counters) = (Followers::default(), Arc::new(Counters::default()));
        let known = KnownTokens::default();
        let shared = Shared {
            queue,
            readers: target.readers(),
            marks: seen_marks,
            sampled: seen_samples,
            followers: followers.clone(),
            known: known.clone(),
            counters: counters.clone(),
            clock: clock.clone(),
            node: options.node.clone(),
            masker,
            target: target.clone(),
        };
        let link = super::link::Link::new(target, conn, lock);
        let (node, own) = (options.node, RunId::generate());
        let writer = Writer { link, queue: requests, marks, sampled, followers, known, counters, clock, node, own };
        Ok((Self(Arc::new(shared)), writer))
    }

    /// Changes with every commit that holds events or logs.
    pub fn commits(&self) -> watch::Receiver<CommitMark> {
        self.0.marks.clone()
    }

    /// Changes with every commit of this daemon that holds samples.
    pub fn sampled(&self) -> watch::Receiver<i64> {
        self.0.sampled.clone()
    }

    /// Changes with every commit that concerns `run`: its lines, its state, its progress.
    pub fn follow(&self, run: RunId) -> Follow {
        self.0.followers.follow(run)
    }

    /// Whether other daemons may work on the same database.
    pub fn is_shared(&self) -> bool {
        !self.target().is_sqlite()
    }

    pub fn metrics(&self) -> StoreMetrics {
        self.0.counters.snapshot(STORE_QUEUE_COMMANDS_MAX - self.0.queue.capacity())
    }

    /// Answers when the database can be written, by writing: for readiness.
    pub async fn ping(&self) -> Result<()> {
        self.write(Command::Ping).await
    }

    /// The name under which this daemon holds runs.
    pub fn node(&self) -> &str {
        &self.0.node
    }

    /// What takes secrets out of everything that is written, and that is shown.
    pub fn masker(&self) -> &Masker {
        &self.0.masker
    }

    pub(super) fn target(&self) -> &Target {
        &self.0.target
    }

    pub(super) fn readers(&self) -> &Readers {
        &self.0.readers
    }

    pub(super) fn known(&self) -> &KnownTokens {
        &self.0.known
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Queues a command and waits for its commit.
    pub(super) async fn write<T: TryFrom<Answer, Error = StoreError>>(&self, mut command: Command) -> Result<T> {
        command.mask(&self.0.masker);
        let (reply, answer) = oneshot::channel();
        let place = match self.0.queue.try_reserve() {
            Ok(place) => place,
            Err(mpsc::error::TrySendError::Closed(())) => return Err(StoreError::Closed),
            Err(mpsc::error::TrySendError::Full(())) => {
                match tokio::time::timeout(STORE_SEND_WAIT, self.0.queue.reserve()).await {
                    Ok(place) => place.map_err(|_| StoreError::Closed)?,
                    Err(_) => return Err(StoreError::Overloaded { limit: STORE_QUEUE_COMMANDS_MAX }),
                }
            }
        };
        place.send(Request { command, reply });
        answer.await.map_err(|_| StoreError::Closed)?.and_then(T::try_from)
    }

    /// Queues a command if there is room, and does not wait for what becomes of it.
    pub(super) fn enqueue(&self, mut command: Command) -> Result<()> {
        command.mask(&self.0.masker);
        let (reply, _) = oneshot::channel();
        self.0.queue.try_send(Request { command, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded { limit: STORE_QUEUE_COMMANDS_MAX },
        })
    }

    /// Whether the queue has room left for what must not be lost.
    pub fn has_room(&self) -> bool {
        !self.0.queue.is_closed() && self.0.queue.capacity() > STORE_QUEUE_COMMANDS_MAX / 8
    }

    /// Settles idempotency key and occurrence, and writes the run as it is given: `Queued`, or `Running` with attempt
    /// and start. Repeating it with the same run is harmless.
    pub async fn accept_run(&self, new: NewRun) -> Result<Accepted> {
        check::new_run(&new)?;
        self.write(Command::Accept(Box::new(new))).await
    }

    /// Also writes and forgets entries of the journal. What a run that ends waited for is forgotten. A run that parks
    /// after an answer came that it has not gone on from is due at once: its `wake_at` is `at`.
    ///
    /// A change that the states do not allow is refused as an error before it reaches the database.
    pub async fn transition(&self, change: Transition) -> Result<Guarded> {
        check::transition(&change)?;
        self.write(Command::Transition(Box::new(change))).await
    }

    /// queued -> running, guarded by the fence that the caller knows. A run of another daemon that shares the database
    /// is [`Started::Lost`].
    pub async fn start_run(&self, start: StartRun) -> Result<Started> {
        self.write(Command::Start(start)).await
    }

    /// Adds entries to a run's journal, or replaces those of the same key. Refused when the run is not running at that
    /// fence any more. A wait for an event that was sent since the run was accepted is answered in the same commit, and an
    /// answer that is there already is kept when the entry is recorded as waiting again.
    pub async fn journal_write(&self, write: JournalWrite) -> Result<Guarded> {
        self.write(Command::Journal(write)).await
    }

    /// Keeps an event and answers the waits that it is for; parked runs among them become queued.
    pub async fn signal(&self, signal: Signal) -> Result<Woken> {
        self.write(Command::Signal(signal)).await
    }

    /// Answers an approval that waits and has not expired; the run, if it is parked, becomes queued.
    pub async fn decide(&self, decision: Decision) -> Result<Decided> {
        self.write(Command::Decide(decision)).await
    }

    /// Parked runs whose `wake_at` or `deadline_at` has come become queued, at most `limit`, the earliest first.
    pub async fn wake_due(&self, now: Timestamp, limit: usize) -> Result<Woken> {
        self.write(Command::WakeDue(now, limit)).await
    }

    /// Keeps what a run made for people; an artifact of the same name is replaced. Its size is that of `content`.
    /// Refused when the run is not held at `fence` any more, if told.
    pub async fn put_artifact(
        &self,
        run: RunId,
        fence: Option<i64>,
        artifact: Artifact,
        content: bytes::Bytes,
    ) -> Result<()> {
        check::artifact(&artifact, &content)?;
        self.write(Command::PutArtifact(run, fence, artifact, content)).await
    }

    /// Of updates that wait together the last one of each run is written. A run that has ended, or that is
    /// not held at the update's fence any more, keeps what it had.
    pub async fn set_progress(&self, update: ProgressUpdate) -> Result<()> {
        self.write(Command::Progress(update)).await
    }

    /// A line whose `(run, seq)` is there already is left as it is.
    pub async fn append_logs(&self, lines: Vec<LogLine>) -> Result<()> {
        self.append_logs_at(None, lines).await
    }

    /// Lines of one run, which are dropped when the run is not held at `fence` any more: its new holder's lines have
    /// the same numbers.
    pub async fn append_logs_at(&self, fence: Option<i64>, lines: Vec<LogLine>) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.write(Command::Logs(fence, lines)).await
    }

    pub async fn append_events(&self, events: Vec<NewEvent>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        self.write(Command::Events(events)).await
    }

    /// Records an occurrence that led to no run. False when it was settled before.
    pub async fn settle_occurrence(&self, occurrence: Occurrence, events: Vec<NewEvent>) -> Result<bool> {
        self.write(Command::Settle(occurrence, events)).await
    }

    /// Records what a job missed, with one event about those that were not settled before; returns how many those are.
    pub async fn settle_absence(&self, absence: Absence) -> Result<u64> {
        self.write(Command::Miss(absence)).await
    }

    /// Remembers that all due times of the jobs up to `until` are settled.
    pub async fn set_scheduled_until(&self, jobs: Vec<JobName>, until: Timestamp) -> Result<()> {
        self.write(Command::ScheduledUntil(jobs, until)).await
    }

    /// Keeps the version (idempotent) and makes it the job's current one. Calls made together share a commit; one that
    /// changes nothing and brings no events costs none.
    pub async fn put_version(&self, version: ScriptVersion, events: Vec<NewEvent>) -> Result<()> {
        self.write(Command::PutVersion(Box::new(version), events)).await
    }

    /// Refused when the job was never loaded.
    pub async fn set_enabled(&self, job: &JobName, enabled: Option<bool>, events: Vec<NewEvent>) -> Result<()> {
        self.write(Command::SetEnabled(job.clone(), enabled, events)).await
    }

    /// Compare-and-set when `expect_revision` is given. An entry that has expired counts as absent.
    pub async fn kv_write(&self, write: KvWrite) -> Result<KvOutcome> {
        check::kv(&write)?;
        self.write(Command::Kv(write)).await
    }

    /// Adds a token, or changes the one of the same hash. Refused when a live token of that name has another hash.
    pub async fn put_token(&self, token: TokenRow) -> Result<()> {
        self.write(Command::PutToken(token)).await
    }

    /// False when there is no live token of that name.
    pub async fn revoke_token(&self, name: &str, at: Timestamp) -> Result<bool> {
        self.write(Command::RevokeToken(name.to_owned(), at)).await
    }

    pub async fn put_session(&self, session: SessionRow) -> Result<()> {
        self.write(Command::PutSession(session)).await
    }

    /// Removes and returns it, so that of two callers one gets it: for login links. None when it has expired.
    pub async fn take_session(&self, hash: &str) -> Result<Option<SessionRow>> {
        self.write(Command::TakeSession(hash.to_owned())).await
    }

    /// Samples, alerts, checks and silences, in one transaction. True when a report or an acknowledgement changed
    /// something. Refused whole when it would bring more series or alerts than are kept.
    pub async fn watch(&self, write: WatchWrite) -> Result<bool> {
        self.write(Command::Watch(Box::new(write))).await
    }

    /// SQLite: checkpoints the log and lets it shrink. PostgreSQL: nothing.
    pub async fn checkpoint(&self) -> Result<()> {
        self.write(Command::Checkpoint).await
    }
}
