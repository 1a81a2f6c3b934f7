//! Reading the ledger of due times.

use crate::base::{JobName, Timestamp};
use crate::model::{Occurrence, OccurrenceState};
use crate::store::handle::Store;
use crate::store::sql::{Row, query};
use crate::store::text::limit_rows;
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

fn occurrence_from(row: &Row) -> Result<Occurrence> {
    Ok(Occurrence {
        job: row.parsed("job")?,
        scheduled_for: row.time("scheduled_for")?,
        state: row.word("state", OccurrenceState::parse)?,
        reason: row.maybe_text("reason")?,
        run: row.maybe_parsed("run")?,
        decided_at: row.time("decided_at")?,
    })
}

impl Store {
    /// Newest first; `[from, to)` by due time; at most `limit` (capped at `STORE_PAGE_ROWS_MAX`).
    pub async fn occurrences(
        &self,
        job: Option<&JobName>,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<Occurrence>> {
        let of_job = if job.is_some() { " AND job = $4" } else { "" };
        let select = query(format!(
            "SELECT * FROM occurrences WHERE scheduled_for >= $1 AND scheduled_for < $2{of_job}
             ORDER BY scheduled_for DESC, job DESC LIMIT $3"
        ));
        let select = select.bind(from).bind(to).bind(limit_rows(limit));
        let select = if let Some(job) = job { select.bind(job) } else { select };
        self.readers().fetch(select).await?.iter().map(occurrence_from).collect()
    }

    /// The latest settled due time of each job.
    pub async fn last_occurrences(&self) -> Result<Vec<(JobName, Timestamp)>> {
        // Walks from job to job along the primary key instead of reading all of it.
        let select = query(
            "WITH RECURSIVE names (job) AS (
                 SELECT min(job) FROM occurrences
                 UNION ALL
                 SELECT (SELECT min(job) FROM occurrences WHERE occurrences.job > names.job) FROM names
                 WHERE names.job IS NOT NULL)
             SELECT job, (SELECT max(scheduled_for) FROM occurrences WHERE occurrences.job = names.job) AS latest
             FROM names WHERE job IS NOT NULL",
        );
        let rows = self.readers().fetch(select).await?;
        rows.iter().map(|row| Ok((row.parsed("job")?, row.time("latest")?))).collect()
    }
}
