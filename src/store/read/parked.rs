//! Reading which runs are parked, and until when.

use crate::base::{JobName, RunId, Timestamp};
use crate::model::{Run, RunState};
use crate::store::handle::Store;
use crate::store::read::understood;
use crate::store::sql::{Query, query};
use crate::store::text::{clean, limit_rows};
use crate::store::types::*;

/// It has begun and is not over: it runs, is parked, or was woken and waits for its turn.
const IN_PROGRESS: &str =
    "finished_at IS NULL AND (state IN ('running', 'parked') OR (state = 'queued' AND deadline_at IS NOT NULL))";

type Result<T> = std::result::Result<T, StoreError>;

impl Store {
    /// When the next parked run goes on by itself or is out of time; None when none does.
    pub async fn next_wake(&self) -> Result<Option<Timestamp>> {
        let row = self.readers().fetch_first(earliest()).await?;
        row.map_or(Ok(None), |row| row.maybe_time("due"))
    }

    /// How many runs of each job are parked, in order of the jobs' names.
    pub async fn parked_counts(&self) -> Result<Vec<(JobName, u64)>> {
        let count = query(
            "SELECT job, count(*) AS runs FROM runs WHERE state = 'parked' AND finished_at IS NULL
             GROUP BY job ORDER BY job",
        );
        let rows = self.readers().fetch(count).await?;
        rows.iter().map(|row| Ok((row.parsed("job")?, row.number("runs")?))).collect()
    }

    /// The concurrency keys that parked runs hold, each with how many do.
    pub async fn parked_keys(&self) -> Result<Vec<(String, u64)>> {
        let count = query(
            "SELECT concurrency_key, count(*) AS runs FROM runs
             WHERE concurrency_key IS NOT NULL AND state = 'parked' AND finished_at IS NULL
             GROUP BY concurrency_key ORDER BY concurrency_key",
        );
        let rows = self.readers().fetch(count).await?;
        rows.iter().map(|row| Ok((row.text("concurrency_key")?, row.number("runs")?))).collect()
    }

    /// The oldest run of a job that has begun and is not over, besides `except`.
    pub async fn in_progress_of_job(&self, job: &JobName, except: RunId) -> Result<Option<(RunId, RunState)>> {
        let select = query(format!(
            "SELECT id, state FROM runs WHERE job = $1 AND id <> $2 AND {IN_PROGRESS} ORDER BY queued_at, id LIMIT 1"
        ));
        let row = self.readers().fetch_first(select.bind(job).bind(except)).await?;
        row.map(|row| Ok((row.parsed("id")?, row.word("state", RunState::parse)?))).transpose()
    }

    /// The oldest run besides `except` that holds a concurrency key and changes something, on whichever daemon.
    pub async fn changes_under_key(&self, key: &str, except: Option<RunId>) -> Result<Option<RunId>> {
        let select = query(format!(
            "SELECT id FROM runs WHERE concurrency_key = $1 AND id <> $2 AND dry_run = 0 AND {IN_PROGRESS}
             ORDER BY queued_at, id LIMIT 1"
        ));
        let except = except.map(|run| run.to_string()).unwrap_or_default();
        let row = self.readers().fetch_first(select.bind(clean(key).into_owned()).bind(except)).await?;
        row.map(|row| row.parsed("id")).transpose()
    }

    /// How many runs hold a concurrency key, besides `except`.
    pub async fn in_progress_with_key(&self, key: &str, except: RunId) -> Result<u64> {
        let count = query(format!(
            "SELECT count(*) AS runs FROM runs WHERE concurrency_key = $1 AND id <> $2 AND {IN_PROGRESS}"
        ));
        let row = self.readers().fetch_first(count.bind(clean(key).into_owned()).bind(except)).await?;
        row.map_or(Ok(0), |row| row.number("runs"))
    }

    /// Runs of a job that run `by` takes the place of: those that are parked, whatever the clock said when they were
    /// queued, for it would have to wait for them; and those that wait or run and were queued before it. Oldest first, at
    /// most `limit` (capped at `STORE_PAGE_ROWS_MAX`).
    pub async fn alive_before(&self, job: &JobName, by: RunId, limit: usize) -> Result<Vec<Run>> {
        let select = query(
            "SELECT * FROM runs
             WHERE id IN (SELECT id FROM runs
                     WHERE job = $1 AND state IN ('queued', 'running', 'parked') AND finished_at IS NULL)
                 AND id <> $2
                 AND (state = 'parked' OR (queued_at, id) <
                     (SELECT newer.queued_at, newer.id FROM runs AS newer WHERE newer.id = $2))
             ORDER BY queued_at, id LIMIT $3",
        );
        let rows = self.readers().fetch(select.bind(job).bind(by).bind(limit_rows(limit))).await?;
        Ok(understood(&rows))
    }
}

pub fn earliest() -> Query {
    query(
        "SELECT min(due) AS due FROM
             (SELECT min(wake_at) AS due FROM runs WHERE state = 'parked'
              UNION ALL SELECT min(deadline_at) AS due FROM runs WHERE state = 'parked') AS found",
    )
}
