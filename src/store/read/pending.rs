//! Reading what durable runs have recorded and wait for, and who shares the database.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::RunId;
use crate::model::{Actor, Entry, EntryKind, EntryState};
use crate::store::handle::Store;
use crate::store::sql::{Row, query};
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

fn artifact_from(row: &Row) -> Result<Artifact> {
    Ok(Artifact {
        name: row.text("name")?,
        media_type: row.text("media_type")?,
        bytes: row.number("bytes")?,
        created_at: row.time("created_at")?,
    })
}

impl Store {
    /// A run's entries in the order in which they were recorded.
    pub async fn journal(&self, run: RunId) -> Result<Vec<Entry>> {
        let select = query("SELECT * FROM steps WHERE run = $1 ORDER BY place, key").bind(run);
        self.readers().fetch(select).await?.iter().map(entry_from).collect()
    }

    /// Approvals that wait, the oldest first.
    pub async fn pending_approvals(&self, limit: usize) -> Result<Vec<PendingApproval>> {
        let select = query(
            "SELECT steps.*, runs.job AS job FROM steps JOIN runs ON runs.id = steps.run
             WHERE steps.state = 'waiting' AND steps.kind = 'approval' AND runs.finished_at IS NULL
             ORDER BY steps.started_at, steps.run LIMIT $1",
        );
        let rows = self.readers().fetch(select.bind(limit_rows(limit))).await?;
        let read = |row: &Row| {
            Ok(PendingApproval { run: row.parsed("run")?, job: row.parsed("job")?, entry: entry_from(row)? })
        };
        rows.iter().map(read).collect()
    }

    /// What a run keeps for people, by name.
    pub async fn artifacts(&self, run: RunId) -> Result<Vec<Artifact>> {
        let select = query("SELECT name, media_type, bytes, created_at FROM artifacts WHERE run = $1 ORDER BY name");
        self.readers().fetch(select.bind(run)).await?.iter().map(artifact_from).collect()
    }

    /// One artifact with its content.
    pub async fn artifact(&self, run: RunId, name: &str) -> Result<Option<(Artifact, Vec<u8>)>> {
        let select = query("SELECT * FROM artifacts WHERE run = $1 AND name = $2").bind(run).bind(name);
        let Some(row) = self.readers().fetch_first(select).await? else { return Ok(None) };
        let content = STANDARD.decode(row.text("content")?);
        let content = content.map_err(|error| StoreError::Corrupt { reason: format!("column content: {error}") })?;
        Ok(Some((artifact_from(&row)?, content)))
    }

    /// The daemons that share the database, by name.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>> {
        let rows = self.readers().fetch(query("SELECT * FROM nodes ORDER BY name")).await?;
        let read = |row: &Row| {
            Ok(NodeRow {
                name: row.text("name")?,
                epoch: row.int("epoch")?,
                address: row.text("address")?,
                labels: row.json("labels")?,
                started_at: row.time("started_at")?,
                lease_until: row.time("lease_until")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Writes a consistent copy of everything to a new file.
    pub async fn backup(&self, to: &Path) -> Result<()> {
        let reason = format!("this build cannot write a backup to {}", to.display());
        Err(StoreError::Refused { reason })
    }
}

/// Puts a backup in the place of the database's content.
pub async fn restore(url: &str, from: &Path) -> Result<()> {
    let kind = url.split_once(':').map_or(url, |(kind, _)| kind);
    let reason = format!("this build cannot restore {} to {kind}", from.display());
    Err(StoreError::Refused { reason })
}
