//! Reading the event log.

use crate::base::{RunId, Timestamp};
use crate::model::{Event, NewEvent};
use crate::store::handle::Store;
use crate::store::sql::{Query, Row, query};
use crate::store::text::{after_prefix, limit_rows};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

fn event_from(row: &Row) -> Result<Event> {
    Ok(Event {
        seq: row.int("seq")?,
        body: NewEvent {
            at: row.time("at")?,
            kind: row.text("kind")?,
            job: row.maybe_parsed("job")?,
            run: row.maybe_parsed("run")?,
            data: row.value("data")?,
        },
    })
}

impl Store {
    /// Events with `seq > after`, at most `limit` (capped at `STORE_PAGE_ROWS_MAX`), oldest first.
    pub async fn events(&self, after: i64, limit: usize) -> Result<Vec<Event>> {
        let select = query("SELECT * FROM events WHERE seq > $1 ORDER BY seq LIMIT $2");
        let rows = self.readers().fetch(select.bind(after).bind(limit_rows(limit))).await?;
        rows.iter().map(event_from).collect()
    }

    /// The newest `limit` events, newest first; `kinds` are prefixes such as `job.`, empty for all.
    pub async fn events_latest(&self, kinds: &[&str], limit: usize) -> Result<Vec<Event>> {
        let mut text = "SELECT * FROM events".to_owned();
        let ranges: Vec<String> =
            (0..kinds.len()).map(|i| format!("kind >= ${} AND kind < ${}", 2 * i + 1, 2 * i + 2)).collect();
        if !ranges.is_empty() {
            text += &format!(" WHERE ({})", ranges.join(" OR "));
            // The words of the partial index, for questions that no event of a run can answer.
            if kinds.iter().all(|kind| kind.len() >= 4 && !kind.starts_with("run.")) {
                text += " AND substr(kind, 1, 4) <> 'run.'";
            }
        }
        text += &format!(" ORDER BY seq DESC LIMIT {}", limit_rows(limit));
        let bounds = kinds.iter().flat_map(|kind| [(*kind).to_owned(), after_prefix(kind)]);
        let rows = self.readers().fetch(bounds.fold(query(text), Query::bind)).await?;
        rows.iter().map(event_from).collect()
    }

    /// What was missed since, the newest first, at most `limit`: one event for each absence and job.
    pub async fn absences(&self, since: Timestamp, limit: usize) -> Result<Vec<Event>> {
        // The words of the partial index.
        let text = "SELECT * FROM events WHERE kind = 'schedule.missed' AND at >= $1 ORDER BY seq DESC LIMIT $2";
        let rows = self.readers().fetch(query(text).bind(since).bind(limit_rows(limit))).await?;
        rows.iter().map(event_from).collect()
    }

    /// What happened to one run, oldest first, at most `limit`.
    pub async fn run_events(&self, run: RunId, limit: usize) -> Result<Vec<Event>> {
        let text = "SELECT * FROM events WHERE run = $1 ORDER BY seq LIMIT $2";
        let rows = self.readers().fetch(query(text).bind(run.to_string()).bind(limit_rows(limit))).await?;
        rows.iter().map(event_from).collect()
    }
}
