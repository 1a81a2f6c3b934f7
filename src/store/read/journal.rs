//! Reading the journals of durable runs.

use crate::base::RunId;
use crate::model::{Actor, Entry, EntryKind, EntryState};
use crate::store::handle::Store;
use crate::store::sql::{Query, Row, query};
use crate::store::text::limit_rows;
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

fn entry_from(row: &Row) -> Result<Entry> {
    Ok(Entry {
        key: row.parsed("key")?,
        kind: row.word("kind", EntryKind::parse)?,
        name: row.text("name")?,
        state: row.word("state", EntryState::parse)?,
        result: row.maybe_json("result")?,
        error: row.maybe_json("error")?,
        show: row.maybe_json("show")?,
        match_key: row.maybe_text("match_key")?,
        actor: row.maybe_text("actor")?.map(Actor::new),
        undo: row.flag("undo")?,
        tries: row.number("tries")?,
        attempt: row.number("attempt")?,
        started_at: row.time("started_at")?,
        finished_at: row.maybe_time("finished_at")?,
        wake_at: row.maybe_time("wake_at")?,
    })
}

impl Store {
    /// All entries of a run, in the order in which they were recorded.
    pub async fn journal(&self, run: RunId) -> Result<Vec<Entry>> {
        let select = query("SELECT * FROM steps WHERE run = $1 ORDER BY place").bind(run);
        self.readers().fetch(select).await?.iter().map(entry_from).collect()
    }

    /// Approvals that wait and whose time is not over, the longest waiting first, at most `limit` (capped at
    /// `STORE_PAGE_ROWS_MAX`).
    pub async fn pending_approvals(&self, limit: usize) -> Result<Vec<PendingApproval>> {
        let select = pending().bind(self.clock().now()).bind(limit_rows(limit));
        let rows = self.readers().fetch(select).await?;
        let pending = rows.iter().map(|row| {
            Ok(PendingApproval { run: row.parsed("run")?, job: row.parsed("job")?, entry: entry_from(row)? })
        });
        pending.collect()
    }
}

pub fn pending() -> Query {
    query(
        "SELECT steps.*, runs.job FROM steps JOIN runs ON runs.id = steps.run
         WHERE steps.kind = 'approval' AND steps.state = 'waiting' AND (steps.wake_at IS NULL OR steps.wake_at > $1)
         ORDER BY steps.started_at, steps.run, steps.place LIMIT $2",
    )
}
