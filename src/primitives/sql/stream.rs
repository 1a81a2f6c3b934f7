//! Rows that come in pages: one waits to be taken while the next one is read, and no more are in memory.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cell::Rows;
use super::error::SqlError;
use super::session::Session;
use super::sink::Sink;
use super::statement::Statement;

/// Dropped before its end, its connection is closed.
#[derive(Debug)]
pub struct Stream {
    pages: mpsc::Receiver<Result<Rows, SqlError>>,
    _task: JoinSet<()>,
}

impl Stream {
    pub(super) fn new(mut session: Session, statement: Statement, limit: Duration, cancel: CancellationToken) -> Self {
        let (to, pages) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut sink = Sink::pages(to.clone());
            let outcome = tokio::select! {
                outcome = session.run(&statement, &mut sink, limit) => outcome,
                () = cancel.cancelled() => return,
            };
            let finished = session.finish(false).await;
            if let Err(error) = outcome.and(finished) {
                let _ = to.send(Err(error)).await;
            }
        });
        Self { pages, _task: task }
    }

    /// The next rows, at least one; None at the end.
    pub async fn next(&mut self) -> Result<Option<Rows>, SqlError> {
        self.pages.recv().await.transpose()
    }
}
