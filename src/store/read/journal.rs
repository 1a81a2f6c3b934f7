//! Reading the journals of durable runs.

use serde_json::json;

use crate::base::limits::PAGE_STEP_VALUE_BYTES_MAX;
use crate::base::{JobName, RunId};
use crate::model::{Actor, Entry, EntryKind, EntryState, StepKey};
use crate::store::handle::Store;
use crate::store::sql::{Query, Readers, Row, query};
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
        answered: row.maybe_int("answered")?.is_some(),
    })
}

impl Store {
    /// All entries of a run, in the order in which they were recorded.
    pub async fn journal(&self, run: RunId) -> Result<Vec<Entry>> {
        let select = query("SELECT * FROM steps WHERE run = $1 ORDER BY place").bind(run);
        self.readers().fetch(select).await?.iter().map(entry_from).collect()
    }

    /// The entry at one place of a run.
    pub async fn journal_entry(&self, run: RunId, key: &StepKey) -> Result<Option<Entry>> {
        let select = query("SELECT * FROM steps WHERE run = $1 AND key = $2").bind(run).bind(key.to_string());
        self.readers().fetch_first(select).await?.as_ref().map(entry_from).transpose()
    }

    /// As [`Store::journal`], for people: what is longer than `PAGE_STEP_VALUE_BYTES_MAX` is not read. In its place stands
    /// `{"cut": {"bytes": …, "begins": "…"}}`, with the beginning of its text.
    pub async fn journal_shown(&self, run: RunId) -> Result<Vec<Entry>> {
        let select = query(SHOWN).bind(run).bind(PAGE_STEP_VALUE_BYTES_MAX).bind(PAGE_STEP_VALUE_BYTES_MAX / 8);
        let rows = self.readers().fetch(select).await?;
        let shown = rows.iter().map(|row| {
            let entry = entry_from(row)?;
            let cut = row.maybe_int("cut_bytes")?.zip(row.maybe_text("begins")?);
            let cut = cut.map(|(bytes, begins)| json!({ "cut": { "bytes": bytes, "begins": begins } }));
            Ok(Entry { result: cut.or(entry.result), ..entry })
        });
        shown.collect()
    }

    /// The jobs in which approvals wait, in order of their names.
    pub async fn jobs_that_ask(&self) -> Result<Vec<JobName>> {
        let select = query(
            "SELECT DISTINCT runs.job FROM steps JOIN runs ON runs.id = steps.run
             WHERE steps.kind = 'approval' AND steps.state = 'waiting' ORDER BY 1",
        );
        self.readers().fetch(select).await?.iter().map(|row| row.parsed("job")).collect()
    }

    /// Approvals that wait and whose time is not over, the longest waiting first, at most `limit` (capped at
    /// `STORE_PAGE_ROWS_MAX`); only those in runs of `jobs`, if told.
    pub async fn pending_approvals(&self, limit: usize, jobs: Option<&[JobName]>) -> Result<Vec<PendingApproval>> {
        let select = match jobs {
            None => pending("").bind(self.clock().now()).bind(limit_rows(limit)),
            Some(jobs) => {
                let list =
                    serde_json::to_string(jobs).map_err(|error| StoreError::Refused { reason: error.to_string() })?;
                let among = match self.readers() {
                    Readers::Sqlite(_) => "AND runs.job IN (SELECT value FROM json_each($3))",
                    Readers::Postgres { .. } => "AND runs.job IN (SELECT jsonb_array_elements_text($3::jsonb))",
                };
                pending(among).bind(self.clock().now()).bind(limit_rows(limit)).bind(list)
            }
        };
        let rows = self.readers().fetch(select).await?;
        let pending = rows.iter().map(|row| {
            Ok(PendingApproval { run: row.parsed("run")?, job: row.parsed("job")?, entry: entry_from(row)? })
        });
        pending.collect()
    }
}

/// The columns of an entry, the result only if it is of bounded length.
const SHOWN: &str = "
    SELECT key, kind, name, state, error, show, match_key, actor, undo, tries, attempt, started_at, finished_at, wake_at,
        answered,
        CASE WHEN octet_length(result) <= $2 THEN result END AS result,
        CASE WHEN octet_length(result) > $2 THEN CAST(octet_length(result) AS BIGINT) END AS cut_bytes,
        CASE WHEN octet_length(result) > $2 THEN substr(result, 1, CAST($3 AS INTEGER)) END AS begins
    FROM steps WHERE run = $1 ORDER BY place";

/// `among` restricts the runs.
pub fn pending(among: &str) -> Query {
    query(format!(
        "SELECT steps.*, runs.job FROM steps JOIN runs ON runs.id = steps.run
         WHERE steps.kind = 'approval' AND steps.state = 'waiting' AND (steps.wake_at IS NULL OR steps.wake_at > $1)
             {among}
         ORDER BY steps.started_at, steps.run, steps.place LIMIT $2"
    ))
}
