//! Reading which runs are parked, and until when.

use crate::base::{JobName, Timestamp};
use crate::model::Run;
use crate::store::handle::Store;
use crate::store::read::understood;
use crate::store::sql::{Query, query};
use crate::store::text::limit_rows;
use crate::store::types::*;

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

    /// Parked runs of a job, oldest first, at most `limit` (capped at `STORE_PAGE_ROWS_MAX`).
    pub async fn parked_of_job(&self, job: &JobName, limit: usize) -> Result<Vec<Run>> {
        let select = query(
            "SELECT * FROM runs WHERE job = $1 AND state = 'parked' AND finished_at IS NULL
             ORDER BY queued_at, id LIMIT $2",
        );
        let rows = self.readers().fetch(select.bind(job).bind(limit_rows(limit))).await?;
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
