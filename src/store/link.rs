//! The writer's connection: its transactions, and how it comes back when it is lost.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::StoreError;
use super::listen::{CHANNEL, Notice};
use super::lock::FileLock;
use super::sql::{Conn, Dialect, Uncommitted, query};
use super::target::Target;
use super::text::json_of;
use crate::base::limits::{STORE_ANSWER_WAIT, STORE_RECONNECT_BACKOFF_MAX};

const BACKOFF_FIRST: Duration = Duration::from_millis(50);

/// Serialises the writers of all daemons on one PostgreSQL, as SQLite does by itself: each transaction sees what the
/// one before it left, and event numbers are committed in their order.
pub(super) const LOCK: i64 = 0x6165_6769_735f_7772;

#[derive(Debug)]
pub(super) struct Link {
    target: Target,
    conn: Option<Conn>,
    /// PostgreSQL's name for the open transaction, by which its fate can be asked for on another connection.
    transaction: Option<String>,
    backoff: Duration,
    /// Before this, a lost connection is not tried again.
    retry_at: Instant,
    failure: String,
    /// The file that is open, by device and number.
    opened: Option<(u64, u64)>,
    _lock: Option<FileLock>,
    /// `STORE_ANSWER_WAIT`, or less in tests.
    pub(super) answer_wait: Duration,
}

/// What became of a transaction whose `COMMIT` was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Committed,
    RolledBack,
    Unknown,
}

impl Link {
    pub fn new(target: Target, conn: Conn, lock: Option<FileLock>) -> Self {
        let now = Instant::now();
        let failure = String::new();
        let (backoff, answer_wait) = (BACKOFF_FIRST, STORE_ANSWER_WAIT);
        let opened = target.identity();
        let conn = Some(conn);
        Self { target, conn, transaction: None, backoff, retry_at: now, failure, opened, _lock: lock, answer_wait }
    }

    pub fn conn(&mut self) -> Result<&mut Conn, StoreError> {
        self.conn.as_mut().ok_or_else(|| StoreError::Unavailable { reason: self.failure.clone() })
    }

    /// What is written into a file that nobody can find any more would be lost at the next start.
    fn is_there(&self) -> Result<(), StoreError> {
        match (self.target.file(), self.opened) {
            (Some(file), Some(opened)) if self.target.identity() != Some(opened) => {
                let reason = format!(
                    "{} was removed or replaced while it was open; stop the daemon, put the file or a backup back, start it",
                    file.display()
                );
                Err(StoreError::Unavailable { reason })
            }
            _ => Ok(()),
        }
    }

    /// Connects anew if the connection was lost, unless a try has failed just now. True when it connected.
    pub async fn restore(&mut self) -> Result<bool, StoreError> {
        self.is_there()?;
        if self.conn.is_some() {
            return Ok(false);
        }
        if Instant::now() < self.retry_at {
            return Err(StoreError::Unavailable { reason: self.failure.clone() });
        }
        match self.target.connect().await {
            Ok(conn) => {
                info!(url = %self.target.url, "the database is reachable again");
                self.conn = Some(conn);
                self.backoff = BACKOFF_FIRST;
                Ok(true)
            }
            Err(error) => {
                self.failure = error.reason();
                self.retry_at = Instant::now() + self.backoff;
                self.backoff = (self.backoff * 2).min(STORE_RECONNECT_BACKOFF_MAX);
                Err(StoreError::Unavailable { reason: self.failure.clone() })
            }
        }
    }

    /// Tries to connect until `deadline`.
    pub async fn restore_until(&mut self, deadline: Instant) -> Result<(), StoreError> {
        loop {
            match self.restore().await {
                Ok(_) => return Ok(()),
                Err(error) if self.retry_at >= deadline => return Err(error),
                Err(_) => tokio::time::sleep_until(self.retry_at).await,
            }
        }
    }

    /// Does `work` on the connection. A server that does not answer in time is taken for gone, and the connection with
    /// it: a host that lost its power never says so. SQLite answers by itself, and its work cannot be broken off.
    pub async fn bounded<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Conn) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let wait = self.answer_wait;
        let conn = self.conn()?;
        if conn.dialect() == Dialect::Sqlite {
            return work(conn).await;
        }
        match tokio::time::timeout(wait, work(conn)).await {
            Ok(done) => done,
            Err(_) => {
                let error = StoreError::Unavailable { reason: format!("no answer within {wait:?}") };
                self.lose(&error);
                Err(error)
            }
        }
    }

    /// Gives the connection up.
    pub fn lose(&mut self, error: &StoreError) {
        warn!(url = %self.target.url, %error, "the writer's connection to the database is lost");
        self.failure = error.reason();
        self.conn = None;
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The folder of an in-memory database.
    #[cfg(test)]
    pub fn scratch(&self) -> Option<&std::path::Path> {
        self.target.scratch()
    }

    pub async fn begin(&mut self) -> Result<(), StoreError> {
        self.transaction = None;
        let begun = self.bounded(async |conn| match conn.dialect() {
            // With the first statement: each way to the connection's thread and back takes longer than it.
            Dialect::Sqlite => conn.later(query("BEGIN IMMEDIATE")).await.map(|()| None),
            Dialect::Postgres => {
                conn.run("BEGIN").await?;
                let lock = query("SELECT CAST(pg_current_xact_id() AS TEXT) AS id FROM pg_advisory_xact_lock($1)");
                conn.fetch_one(lock.bind(LOCK)).await?.text("id").map(Some)
            }
        });
        self.transaction = begun.await?;
        Ok(())
    }

    /// Tells the other daemons once the open transaction is committed. SQLite has no others.
    pub async fn notify(&mut self, notice: &Notice) -> Result<(), StoreError> {
        let conn = self.conn()?;
        if conn.dialect() == Dialect::Postgres {
            let notify = query("SELECT CAST(pg_notify($1, $2) AS TEXT) AS told").bind(CHANNEL);
            conn.fetch_one(notify.bind(json_of(notice)?)).await?;
        }
        Ok(())
    }

    pub async fn commit(&mut self) -> Result<(), Uncommitted> {
        let outcome = self.bounded(async |conn| Ok(conn.commit().await)).await;
        outcome.unwrap_or_else(|error| Err(Uncommitted::During(error)))
    }

    /// Ends the transaction without effect; a connection on which that fails is given up.
    pub async fn rollback(&mut self) {
        if self.conn.is_none() {
            return;
        }
        if let Err(error) = self.bounded(async |conn| conn.roll_back("ROLLBACK").await).await {
            // SQLite has rolled back by itself after some errors, and then says that there is no transaction.
            let gone = matches!(&error, StoreError::Refused { reason } if reason.contains("no transaction"));
            if !gone && self.conn.is_some() {
                self.lose(&error);
            }
        }
    }

    /// Asks, on a new connection, what became of the transaction that was under way when the old one broke.
    pub async fn fate(&mut self) -> Fate {
        const ASK_EVERY: Duration = Duration::from_millis(100);
        const ASK_TIMES: usize = 100;
        let Some(id) = self.transaction.clone() else { return Fate::Unknown };
        for _ in 0..ASK_TIMES {
            let status = query("SELECT pg_xact_status(CAST($1 AS xid8)) AS status").bind(id.clone());
            let status = match self.bounded(async |conn| conn.fetch_one(status).await).await {
                Ok(row) => row.maybe_text("status").ok().flatten(),
                Err(error) => {
                    warn!(%error, "the fate of a transaction could not be asked for");
                    None
                }
            };
            match status.as_deref() {
                Some("committed") => return Fate::Committed,
                Some("aborted") => return Fate::RolledBack,
                // The server has not noticed yet that the old connection is gone.
                Some("in progress") => tokio::time::sleep(ASK_EVERY).await,
                _ => return Fate::Unknown,
            }
        }
        Fate::Unknown
    }

    /// Outside of a transaction: moves SQLite's log into the database file and empties it.
    pub async fn checkpoint(&mut self) -> Result<(), StoreError> {
        let conn = self.conn()?;
        if conn.dialect() == Dialect::Sqlite {
            let row = conn.fetch_one(query("PRAGMA wal_checkpoint(TRUNCATE)")).await?;
            if row.int("busy")? != 0 {
                tracing::debug!("a reader holds on to the database's log; it is emptied next time");
            }
        }
        Ok(())
    }

    pub async fn close(&mut self) {
        if let Err(error) = self.checkpoint().await {
            tracing::debug!(%error, "no checkpoint at the end");
        }
        if let Some(conn) = self.conn.take()
            && let Ok(Err(error)) = tokio::time::timeout(self.answer_wait, conn.close()).await
        {
            warn!(%error, "the database connection did not close cleanly");
        }
    }
}
