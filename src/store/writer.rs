//! The one writer: takes whatever waits, executes it in one transaction, commits, and only then answers.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::StoreError;
use super::follow::Followers;
use super::known::KnownTokens;
use super::link::{Fate, Link};
use super::listen::{Listener, Notice};
use super::metrics::Counters;
use super::sql::Uncommitted;
use super::types::CommitMark;
use super::write::{Answer, Applied, Command, Request, apply};
use crate::base::limits::{STORE_BATCH_BYTES_MAX, STORE_BATCH_COMMANDS_MAX, STORE_CONNECT_WAIT, STORE_WRITE_TRIES_MAX};
use crate::base::{Clock, RunId};

type Result<T> = std::result::Result<T, StoreError>;

/// The writer's task: run it under the supervisor; it drains its queue before it returns.
#[derive(Debug)]
pub struct Writer {
    pub(super) link: Link,
    pub(super) queue: mpsc::Receiver<Request>,
    pub(super) marks: watch::Sender<CommitMark>,
    /// The highest number of a sample that is committed.
    pub(super) sampled: watch::Sender<i64>,
    pub(super) followers: Followers,
    pub(super) known: KnownTokens,
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Clock,
    pub(super) node: String,
    /// Tells its own notifications from those of other daemons.
    pub(super) own: RunId,
}

/// Why a transaction came to nothing.
enum Failed {
    /// None of it is in the database.
    Undone(StoreError),
    /// The connection broke during `COMMIT`; this is what was in it.
    InDoubt(Applied, StoreError),
}

impl Writer {
    /// The task that hears of other daemons' commits. Take it before the writer is run.
    pub fn listener(&self) -> Listener {
        let (marks, followers) = (self.marks.clone(), self.followers.clone());
        Listener { target: self.link.target().clone(), marks, followers, own: self.own }
    }

    /// Serves the queue until `stop` is cancelled or every handle is gone, then what still waits, and returns.
    pub async fn run(mut self, stop: CancellationToken) -> Result<()> {
        let mut waiting = VecDeque::new();
        let mut arrived = Vec::with_capacity(STORE_BATCH_COMMANDS_MAX);
        loop {
            if waiting.is_empty() {
                let room = STORE_BATCH_COMMANDS_MAX;
                tokio::select! {
                    biased;
                    taken = self.queue.recv_many(&mut arrived, room) => if taken == 0 { break },
                    () = stop.cancelled(), if !self.queue.is_closed() => self.queue.close(),
                }
                waiting.extend(arrived.drain(..));
            }
            let batch = take_batch(&mut waiting);
            if !batch.is_empty() {
                self.serve(batch).await;
            }
        }
        self.link.close().await;
        Ok(())
    }

    /// Writes a batch and answers every caller.
    async fn serve(&mut self, batch: Vec<Request>) {
        let (checkpoints, requests): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|request| matches!(request.command, Command::Checkpoint));
        if !requests.is_empty() {
            let (commands, replies): (Vec<Command>, Vec<_>) =
                requests.into_iter().map(|request| (request.command, request.reply)).unzip();
            let commands: Vec<&Command> = commands.iter().collect();
            let answers = self.write(&commands).await;
            // Whatever the answers are: one may be that it is not known what was written.
            if commands.iter().any(|command| command.changes_tokens()) {
                self.known.forget();
            }
            for (reply, answer) in replies.into_iter().zip(answers) {
                // A caller that has gone away does not want its answer.
                let _ = reply.send(answer);
            }
        }
        for request in checkpoints {
            let outcome = match self.link.restore().await {
                Ok(_) => self.link.checkpoint().await,
                Err(error) => Err(error),
            };
            let _ = request.reply.send(outcome.map(|()| Answer::Done));
        }
    }

    /// Repeats what can be repeated safely; what is answered with an error otherwise was not written, unless the error
    /// says that this is not known.
    async fn write(&mut self, commands: &[&Command]) -> Vec<Result<Answer>> {
        let (mut singly, mut locked) = (false, 0);
        let deadline = Instant::now() + STORE_CONNECT_WAIT;
        loop {
            match self.link.restore().await {
                Ok(true) => self.counters.reconnected(),
                Ok(false) => {}
                Err(error) => return self.refuse_all(commands, &error),
            }
            let began = Instant::now();
            let undone = match self.transact(commands, singly).await {
                Ok(applied) => return self.committed(applied, began),
                Err(Failed::Undone(error)) => error,
                Err(Failed::InDoubt(applied, error)) => match self.resolve(&error).await {
                    Fate::Committed => return self.committed(applied, began),
                    Fate::RolledBack => error,
                    Fate::Unknown => {
                        let reason = format!("{}; whether this change was written is not known", error.reason());
                        return self.refuse_all(commands, &StoreError::Unavailable { reason });
                    }
                },
            };
            match &undone {
                StoreError::Locked if locked < STORE_WRITE_TRIES_MAX => {
                    locked += 1;
                    warn!("the database is locked; the batch is tried again");
                }
                StoreError::Unavailable { .. } if Instant::now() < deadline => {
                    if let Err(error) = self.come_back(&undone, deadline).await {
                        return self.refuse_all(commands, &error);
                    }
                }
                StoreError::Refused { .. } | StoreError::Corrupt { .. } if !singly => {
                    warn!(error = %undone, commands = commands.len(), "a batch failed; its commands go one by one");
                    singly = true;
                }
                _ => return self.refuse_all(commands, &undone),
            }
        }
    }

    /// A new connection in place of the one that failed with `error`.
    async fn come_back(&mut self, error: &StoreError, deadline: Instant) -> Result<()> {
        self.link.lose(error);
        self.link.restore_until(deadline).await?;
        self.counters.reconnected();
        Ok(())
    }

    /// One transaction from beginning to end.
    async fn transact(&mut self, commands: &[&Command], singly: bool) -> std::result::Result<Applied, Failed> {
        if let Err(error) = self.link.begin().await {
            self.link.rollback().await;
            return Err(Failed::Undone(error));
        }
        let applied = if singly { self.apply_singly(commands).await } else { self.apply(commands).await };
        let applied = match self.announce(applied).await {
            Ok(applied) => applied,
            Err(error) => {
                self.link.rollback().await;
                return Err(Failed::Undone(error));
            }
        };
        match self.link.commit().await {
            Ok(()) => Ok(applied),
            Err(Uncommitted::During(error @ StoreError::Unavailable { .. })) => Err(Failed::InDoubt(applied, error)),
            Err(Uncommitted::Before(error) | Uncommitted::During(error)) => {
                self.link.rollback().await;
                Err(Failed::Undone(error))
            }
        }
    }

    async fn announce(&mut self, applied: Result<Applied>) -> Result<Applied> {
        let applied = applied?;
        if let Some(notice) = Notice::of(&applied, self.own) {
            self.link.notify(&notice).await?;
        }
        Ok(applied)
    }

    async fn apply(&mut self, commands: &[&Command]) -> Result<Applied> {
        let (now, node) = (self.clock.now(), &self.node);
        self.link.bounded(async |conn| apply(conn, commands, node, now).await).await
    }

    /// Each command behind a savepoint of its own, so that one which fails takes nothing with it.
    async fn apply_singly(&mut self, commands: &[&Command]) -> Result<Applied> {
        let mut all = Applied::default();
        for command in commands {
            self.link.bounded(async |conn| conn.run("SAVEPOINT command").await).await?;
            match self.apply_whole(command).await {
                Ok(applied) => all.extend(applied),
                Err(error @ (StoreError::Refused { .. } | StoreError::Corrupt { .. })) => {
                    error!(%error, "a command failed");
                    self.link.bounded(async |conn| conn.roll_back("ROLLBACK TO SAVEPOINT command").await).await?;
                    all.answers.push(Err(error));
                }
                Err(error) => return Err(error),
            }
            self.link.bounded(async |conn| conn.run("RELEASE SAVEPOINT command").await).await?;
        }
        Ok(all)
    }

    /// With all its statements: an error of a later one must not take the other commands with it.
    async fn apply_whole(&mut self, command: &&Command) -> Result<Applied> {
        let applied = self.apply(std::slice::from_ref(command)).await?;
        self.link.bounded(async |conn| conn.flush().await).await?;
        Ok(applied)
    }

    /// What became of the transaction in doubt, as far as it can be found out in time.
    async fn resolve(&mut self, error: &StoreError) -> Fate {
        match self.come_back(error, Instant::now() + STORE_CONNECT_WAIT).await {
            Ok(()) => self.link.fate().await,
            Err(_) => Fate::Unknown,
        }
    }

    /// Tells the readers, and gives the answers out.
    fn committed(&self, applied: Applied, began: Instant) -> Vec<Result<Answer>> {
        self.counters.committed(applied.answers.len(), began.elapsed());
        if applied.event_seq.is_some() || applied.log_lines > 0 {
            self.marks.send_modify(|mark| {
                mark.event_seq = applied.event_seq.unwrap_or(mark.event_seq).max(mark.event_seq);
                mark.log_commits += u64::from(applied.log_lines > 0);
            });
        }
        if let Some(seq) = applied.sample_seq {
            self.sampled.send_replace(seq);
        }
        self.followers.wake(&applied.touched);
        applied.answers
    }

    fn refuse_all(&self, commands: &[&Command], error: &StoreError) -> Vec<Result<Answer>> {
        self.counters.failed();
        error!(%error, commands = commands.len(), "a batch was not written");
        for command in commands {
            if let Command::Trust(write) = command {
                error!(target: "aegis::audit", ?write, "not recorded in the audit log");
            }
        }
        commands.iter().map(|_| Err(error.clone())).collect()
    }
}

impl Applied {
    fn extend(&mut self, later: Self) {
        self.answers.extend(later.answers);
        self.event_seq = later.event_seq.or(self.event_seq);
        self.log_lines += later.log_lines;
        self.sample_seq = later.sample_seq.or(self.sample_seq);
        self.touched.extend(later.touched);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.followers.close();
    }
}

/// As many of the waiting commands as one transaction should hold, at least one if there are any.
fn take_batch(waiting: &mut VecDeque<Request>) -> Vec<Request> {
    let mut bytes = 0;
    let mut batch = Vec::with_capacity(waiting.len());
    while let Some(next) = waiting.front() {
        bytes += next.command.weight();
        if !batch.is_empty() && bytes > STORE_BATCH_BYTES_MAX {
            break;
        }
        batch.extend(waiting.pop_front());
    }
    batch
}
