//! Reading the ledger of due times.

use super::runs::Conditions;
use crate::base::{JobName, Timestamp};
use crate::model::{Occurrence, OccurrenceState};
use crate::store::handle::Store;
use crate::store::sql::{Query, Row, query};
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
        let window = OccurrenceFilter { job: job.cloned(), from: Some(from), to: Some(to), ..Default::default() };
        self.occurrence_page(&OccurrenceFilter { limit, ..window }).await
    }

    /// Newest first; due times of the same moment by the names of their jobs.
    pub async fn occurrence_page(&self, filter: &OccurrenceFilter) -> Result<Vec<Occurrence>> {
        self.readers().fetch(page(filter)).await?.iter().map(occurrence_from).collect()
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

/// The statement for one page: a short walk along an index for each state, merged.
pub fn page(filter: &OccurrenceFilter) -> Query {
    let mut conditions = Conditions::default();
    if let Some(job) = &filter.job {
        conditions.add("job = $", job.as_str());
    }
    if let Some(from) = filter.from {
        conditions.add("scheduled_for >= $", from);
    }
    if let Some(to) = filter.to {
        conditions.add("scheduled_for < $", to);
    }
    if let Some((at, job)) = &filter.before {
        conditions.add("scheduled_for <= $", *at);
        conditions.add("(scheduled_for < $", *at);
        conditions.continue_with(" OR job < $)", job.as_str());
    }
    let order = format!("ORDER BY scheduled_for DESC, job DESC LIMIT {}", limit_rows(filter.limit));
    let walk = |state: Option<OccurrenceState>| {
        let state = state.map_or_else(|| "true".to_owned(), |state| format!("state = '{}'", state.as_str()));
        format!("SELECT * FROM occurrences WHERE {state}{} {order}", conditions.text)
    };
    let text = match filter.states[..] {
        [] => walk(None),
        [state] => walk(Some(state)),
        ref states => {
            let branch = |(place, state): (usize, &OccurrenceState)| {
                format!("SELECT * FROM ({}) AS branch{place}", walk(Some(*state)))
            };
            let branches: Vec<String> = states.iter().enumerate().map(branch).collect();
            format!("SELECT * FROM ({}) AS found {order}", branches.join(" UNION ALL "))
        }
    };
    conditions.args.into_iter().fold(query(text), Query::bind)
}
