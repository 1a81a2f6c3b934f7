//! Which of several daemons on one PostgreSQL keeps the schedule: the one whose session holds an advisory lock. The lock
//! goes with its session, so a daemon that is gone leads no longer.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::StoreError;
use super::handle::Store;
use super::sql::{Conn, query};
use super::target::Target;
use crate::base::limits::{LEADER_CHECK_EVERY, STORE_CONNECT_WAIT};

/// In the same numbers as the writers' lock, and different from it.
const LOCK: i64 = 0x6165_6769_735f_6c64;

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
        conn.fetch_one(lock.bind(LOCK)).await?.flag("won")
    }
}
