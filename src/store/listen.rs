//! How daemons on one PostgreSQL hear of each other's commits: every commit that others may wait for carries a
//! notification, and a listener wakes whoever follows here what was committed there.

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::StoreError;
use super::follow::Followers;
use super::target::Target;
use super::types::CommitMark;
use super::write::Applied;
use crate::base::RunId;
use crate::base::limits::{STORE_NOTIFY_RUNS_MAX, STORE_RECONNECT_BACKOFF_MAX};

pub(super) const CHANNEL: &str = "aegis";

/// What a commit tells the other daemons.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Notice {
    /// The store that committed; it has told its own readers already.
    from: RunId,
    event_seq: Option<i64>,
    logs: bool,
    /// Runs that have new lines, a new state or new progress.
    runs: Vec<RunId>,
    /// There were more of them than can be named.
    more: bool,
}

impl Notice {
    /// None when the commit holds nothing that anybody waits for.
    pub fn of(applied: &Applied, from: RunId) -> Option<Self> {
        if applied.event_seq.is_none() && applied.log_lines == 0 && applied.touched.is_empty() {
            return None;
        }
        let mut runs = applied.touched.clone();
        runs.sort_unstable();
        runs.dedup();
        let more = runs.len() > STORE_NOTIFY_RUNS_MAX;
        runs.truncate(STORE_NOTIFY_RUNS_MAX);
        Some(Self { from, event_seq: applied.event_seq, logs: applied.log_lines > 0, runs, more })
    }
}

/// The task that listens; run it under the supervisor, after the writer. With SQLite it only waits for its end.
#[derive(Debug)]
pub struct Listener {
    pub(super) target: Target,
    pub(super) marks: watch::Sender<CommitMark>,
    pub(super) followers: Followers,
    pub(super) own: RunId,
}

impl Listener {
    /// Listens until `stop` is cancelled; a connection that is lost is opened anew.
    ///
    /// # Errors
    /// None: without the server there is nothing to hear, and it is tried again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), StoreError> {
        let Some(pool) = self.target.listening() else {
            stop.cancelled().await;
            return Ok(());
        };
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Err(error) = self.listen(&pool) => warn!(%error, "other daemons are not heard; it is tried again"),
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(STORE_RECONNECT_BACKOFF_MAX / 5) => {}
            }
        }
        Ok(())
    }

    async fn listen(&self, pool: &PgPool) -> Result<(), StoreError> {
        let mut channel = PgListener::connect_with(pool).await?;
        channel.listen(CHANNEL).await?;
        loop {
            self.catch_up(pool).await?;
            // None stands for a connection that was lost and is back; what was told meanwhile is not repeated.
            while let Some(told) = channel.try_recv().await? {
                match serde_json::from_str::<Notice>(told.payload()) {
                    Ok(notice) if notice.from == self.own => {}
                    Ok(notice) => self.pass_on(&notice),
                    Err(error) => debug!(%error, "a notification of something else"),
                }
            }
        }
    }

    /// Takes everything as changed that may have changed while nobody listened.
    async fn catch_up(&self, pool: &PgPool) -> Result<(), StoreError> {
        let newest = sqlx::query_scalar::<_, i64>("SELECT value FROM counters WHERE name = 'event_seq'");
        let event_seq = Some(newest.fetch_one(pool).await?);
        self.pass_on(&Notice { from: self.own, event_seq, logs: true, runs: Vec::new(), more: true });
        Ok(())
    }

    fn pass_on(&self, notice: &Notice) {
        if notice.event_seq.is_some() || notice.logs {
            self.marks.send_modify(|mark| {
                mark.event_seq = notice.event_seq.unwrap_or(mark.event_seq).max(mark.event_seq);
                mark.log_commits += u64::from(notice.logs);
            });
        }
        if notice.more { self.followers.wake_all() } else { self.followers.wake(&notice.runs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_of_many_runs_fits_a_notification() {
        /// What PostgreSQL takes, less one.
        const PAYLOAD_BYTES_MAX: usize = 7_999;
        let touched = (0..1_000).map(|_| RunId::generate()).collect();
        let applied = Applied { event_seq: Some(i64::MAX), log_lines: 1, touched, ..Applied::default() };
        let notice = Notice::of(&applied, RunId::generate()).expect("there is something to tell");
        assert!(notice.more && notice.runs.len() == STORE_NOTIFY_RUNS_MAX);
        assert!(serde_json::to_string(&notice).expect("plain").len() <= PAYLOAD_BYTES_MAX);
        assert!(Notice::of(&Applied::default(), RunId::generate()).is_none());
    }
}
