//! Which of several daemons on one PostgreSQL keeps the schedule: the one whose session holds an advisory lock. The lock
//! goes with its session, so a daemon that is gone leads no longer.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::StoreError;
use super::handle::Store;
use super::sql::{Conn, query};
use super::target::Target;
use crate::base::limits::{LEADER_CHECK_EVERY, LEADER_SILENT_MAX, STORE_CONNECT_WAIT};

/// In the same numbers as the writers' lock, and different from it.
const LOCK: i64 = 0x6165_6769_735f_6c64;

/// Ends the session that holds the lock, if it was silent for so many seconds: a leader asks something every
/// `LEADER_CHECK_EVERY`.
const DISMISS: &str = "
    SELECT CASE WHEN pg_terminate_backend(held.pid) THEN CAST(1 AS BIGINT) ELSE 0 END AS ended
    FROM pg_locks AS held JOIN pg_stat_activity AS session ON session.pid = held.pid
    WHERE held.locktype = 'advisory' AND held.granted AND session.datname = current_database()
        AND ((CAST(held.classid AS BIGINT) << 32) | CAST(held.objid AS BIGINT)) = $1
        AND session.state_change < now() - make_interval(secs => CAST($2 AS DOUBLE PRECISION))";

/// Whether this daemon leads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Leadership(watch::Receiver<bool>);

impl Leadership {
    /// True as far as is known: a session that breaks is noticed within `LEADER_CHECK_EVERY` and
    /// `STORE_CONNECT_WAIT`, so for that long two may lead. What must happen once is settled by the store.
    pub fn leads(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns at the next change, with what holds then. False for ever after the candidate has ended.
    pub async fn changed(&mut self) -> bool {
        if self.0.changed().await.is_err() {
            return false;
        }
        *self.0.borrow_and_update()
    }
}

/// The task that tries to lead; run it under the supervisor.
#[derive(Debug)]
pub struct Candidate {
    target: Target,
    leads: watch::Sender<bool>,
}

impl Store {
    /// With SQLite this daemon leads from the beginning.
    pub fn candidate(&self) -> (Candidate, Leadership) {
        let (leads, seen) = watch::channel(self.target().is_sqlite());
        (Candidate { target: self.target().clone(), leads }, Leadership(seen))
    }
}

impl Candidate {
    /// Stands for leadership until `stop` is cancelled, and gives it up then.
    ///
    /// # Errors
    /// None: without the server nobody leads, and it is tried again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), StoreError> {
        if self.target.is_sqlite() {
            stop.cancelled().await;
        } else {
            let mut conn = None;
            let standing = async {
                loop {
                    self.stand(&mut conn).await;
                    tokio::time::sleep(LEADER_CHECK_EVERY).await;
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = standing => {}
            }
            // The server frees the lock with the connection.
            if let Some(conn) = conn.take() {
                let _ = Conn::close(conn).await;
            }
        }
        self.leads.send_replace(false);
        Ok(())
    }

    /// Takes the lock if it is free, and otherwise makes sure that the session which holds it is there.
    async fn stand(&self, conn: &mut Option<Conn>) {
        let led = *self.leads.borrow();
        let tried = tokio::time::timeout(STORE_CONNECT_WAIT, self.try_to_lead(conn, led)).await;
        let leads = match tried {
            Ok(Ok(leads)) => leads,
            Ok(Err(error)) => {
                warn!(%error, "the session that leads or would lead is lost");
                *conn = None;
                false
            }
            Err(_) => {
                warn!("the session that leads or would lead does not answer");
                *conn = None;
                false
            }
        };
        if leads != led {
            info!(leads, "the schedule is led by {}", if leads { "this daemon" } else { "another daemon, or none" });
            self.leads.send_replace(leads);
        }
    }

    async fn try_to_lead(&self, conn: &mut Option<Conn>, led: bool) -> Result<bool, StoreError> {
        if conn.is_none() {
            *conn = Some(self.target.connect().await?);
        }
        let Some(conn) = conn else { return Ok(false) };
        if led {
            conn.fetch_one(query("SELECT CAST(1 AS BIGINT) AS here")).await?;
            return Ok(true);
        }
        let lock = query("SELECT CASE WHEN pg_try_advisory_lock($1) THEN CAST(1 AS BIGINT) ELSE 0 END AS won");
        if conn.fetch_one(lock.bind(LOCK)).await?.flag("won")? {
            return Ok(true);
        }
        // A process that stands still keeps its session, and the lock with it.
        let silent = i64::try_from(LEADER_SILENT_MAX.as_secs()).unwrap_or(i64::MAX);
        if !conn.fetch(query(DISMISS).bind(LOCK).bind(silent)).await?.is_empty() {
            warn!("the daemon that leads has said nothing for {silent} s; its session is ended");
        }
        Ok(false)
    }
}
