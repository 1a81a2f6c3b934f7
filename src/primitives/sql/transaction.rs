//! A transaction that a script holds open over several calls. A task owns its session, so that it ends in time whatever
//! the script does meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cell::Rows;
use super::error::SqlError;
use super::service::Origin;
use super::session::Session;
use super::sink::Sink;
use super::statement::Statement;
use crate::base::clock::{later, since};
use crate::base::quantity::show_duration;
use crate::base::{Clock, Timestamp};

type Reply<T> = oneshot::Sender<Result<T, SqlError>>;

enum Command {
    Run { statement: Statement, wants_rows: bool, reply: Reply<(u64, Rows)> },
    Finish { commit: bool, reply: Reply<()> },
}

/// Dropped before it is finished, it is rolled back.
#[derive(Debug)]
pub struct Transaction {
    commands: mpsc::Sender<Command>,
    limit: Duration,
    origin: Arc<Origin>,
    /// In a dry run, where what changes is only looked at: whether it would be allowed.
    dry: Option<bool>,
    writes: bool,
    _task: JoinSet<()>,
}

impl Transaction {
    pub(super) fn new(
        session: Session,
        origin: &Arc<Origin>,
        limit: Duration,
        dry: Option<bool>,
        cancel: CancellationToken,
    ) -> Self {
        let (commands, received) = mpsc::channel(1);
        let mut task = JoinSet::new();
        let deadline = later(origin.clock.now(), limit);
        let (clock, statement) = (origin.clock.clone(), origin.source.statement_timeout);
        let writes = session.writes();
        let serving = Serving { session, clock, deadline, statement, cancel };
        task.spawn(serving.serve(received));
        Self { commands, limit, origin: origin.clone(), dry, writes, _task: task }
    }

    pub async fn query(&self, statement: Statement) -> Result<Rows, SqlError> {
        let (_, rows) = self.ask(|reply| Command::Run { statement, wants_rows: true, reply }).await?;
        Ok(rows)
    }

    pub async fn execute(&self, statement: Statement, dry: bool) -> Result<u64, SqlError> {
        if let Some(writes) = self.dry.or(dry.then_some(self.writes)) {
            return self.origin.look_at(&statement, writes).await.map(|()| 0);
        }
        let (affected, _) = self.ask(|reply| Command::Run { statement, wants_rows: false, reply }).await?;
        Ok(affected)
    }

    pub async fn finish(&self, commit: bool) -> Result<(), SqlError> {
        self.ask(|reply| Command::Finish { commit, reply }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, SqlError> {
        let (reply, answer) = oneshot::channel();
        let over = || {
            let limit = show_duration(self.limit);
            SqlError::Over(format!(
                "the transaction is over: it was ended, or took longer than {limit}, and is rolled back"
            ))
        };
        self.commands.send(command(reply)).await.map_err(|_| over())?;
        answer.await.unwrap_or_else(|_| Err(over()))
    }
}

struct Serving {
    session: Session,
    clock: Clock,
    deadline: Timestamp,
    /// How long one statement may take.
    statement: Duration,
    /// Of the run, or of the group of tasks that began it.
    cancel: CancellationToken,
}

impl Serving {
    async fn serve(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            let command = tokio::select! {
                biased;
                () = self.cancel.cancelled() => None,
                () = self.clock.sleep_until(self.deadline) => None,
                command = commands.recv() => command,
            };
            match command {
                Some(Command::Run { statement, wants_rows, mut reply }) => {
                    let mut sink = if wants_rows { Sink::whole(statement.bounds.rows()) } else { Sink::Nothing };
                    let limit = self.limit(&statement);
                    let outcome = tokio::select! {
                        outcome = self.session.run(&statement, &mut sink, limit) => outcome,
                        // Nobody waits for it any more: the call was cancelled.
                        () = reply.closed() => return,
                    };
                    let _ = reply.send(outcome.map(|affected| (affected, sink.into_rows())));
                }
                Some(Command::Finish { commit, reply }) => {
                    let _ = reply.send(self.session.finish(commit).await);
                    return;
                }
                None => {
                    let _ = self.session.finish(false).await;
                    return;
                }
            }
        }
    }

    /// No statement outlives its transaction.
    fn limit(&self, statement: &Statement) -> Duration {
        let left = since(self.deadline, self.clock.now());
        statement.bounds.timeout.unwrap_or(self.statement).min(left)
    }
}
