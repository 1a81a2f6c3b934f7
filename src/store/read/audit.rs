//! Reading the audit log and the approved rights.

use crate::model::AuditRecord;
use crate::model::audit::{AuditEnds, Mark};
use crate::store::handle::Store;
use crate::store::sql::{Query, Row, query};
use crate::store::text::{after_prefix, limit_rows};
use crate::store::trust::{AuditFilter, RightsRow};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

fn record_from(row: &Row) -> Result<AuditRecord> {
    Ok(AuditRecord {
        seq: row.int("seq")?,
        at: row.time("at")?,
        node: row.text("node")?,
        actor: row.text("actor")?,
        action: row.text("action")?,
        object: row.text("object")?,
        job: row.maybe_text("job")?,
        run: row.maybe_text("run")?,
        permission: row.maybe_text("permission")?,
        outcome: row.text("outcome")?,
        data: row.maybe_text("data")?,
        prev: row.text("prev")?,
        hash: row.text("hash")?,
    })
}

fn rights_from(row: &Row) -> Result<RightsRow> {
    Ok(RightsRow {
        job: row.parsed("job")?,
        rights: row.json("rights")?,
        hash: row.text("hash")?,
        approved_by: row.text("approved_by")?,
        approved_at: row.time("approved_at")?,
    })
}

/// The conditions of a filter, and the statement with their arguments behind the first.
fn filtered(filter: &AuditFilter, first: i64, comparison: &str, order: &str, limit: usize) -> Query {
    let mut text = format!("SELECT * FROM audit WHERE seq {comparison} $1");
    let mut bound: Vec<String> = Vec::new();
    for (column, value) in [("job", &filter.job), ("actor", &filter.actor)] {
        if let Some(value) = value {
            bound.push(value.clone());
            text += &format!(" AND {column} = ${}", bound.len() + 1);
        }
    }
    if let Some(prefix) = &filter.action {
        bound.extend([prefix.clone(), after_prefix(prefix)]);
        text += &format!(" AND action >= ${} AND action < ${}", bound.len(), bound.len() + 1);
    }
    if filter.refused {
        text += " AND outcome <> 'ok'";
    }
    if filter.since.is_some() {
        text += &format!(" AND at >= ${}", bound.len() + 2);
    }
    text += &format!(" ORDER BY seq {order} LIMIT {}", limit_rows(limit));
    let statement = bound.into_iter().fold(query(text).bind(first), Query::bind);
    match filter.since {
        Some(since) => statement.bind(since),
        None => statement,
    }
}

impl Store {
    /// Records with `seq > after`, oldest first, at most `limit` (capped at `STORE_PAGE_ROWS_MAX`).
    pub async fn audit(&self, filter: &AuditFilter, after: i64, limit: usize) -> Result<Vec<AuditRecord>> {
        let rows = self.readers().fetch(filtered(filter, after, ">", "ASC", limit)).await?;
        rows.iter().map(record_from).collect()
    }

    /// Records with `seq < before`, newest first.
    pub async fn audit_before(&self, filter: &AuditFilter, before: i64, limit: usize) -> Result<Vec<AuditRecord>> {
        let rows = self.readers().fetch(filtered(filter, before, "<", "DESC", limit)).await?;
        rows.iter().map(record_from).collect()
    }

    pub async fn audit_ends(&self) -> Result<AuditEnds> {
        let rows = self.readers().fetch(query("SELECT name, seq, hash FROM audit_ends")).await?;
        let (mut head, mut checkpoint) = (None, None);
        for row in &rows {
            let mark = Mark { seq: row.int("seq")?, hash: row.text("hash")? };
            match row.text("name")?.as_str() {
                "head" => head = Some(mark),
                _ => checkpoint = Some(mark),
            }
        }
        let lost = || StoreError::Corrupt { reason: "the audit log's note of its end is missing".into() };
        Ok(AuditEnds { head: head.ok_or_else(lost)?, checkpoint })
    }

    /// What people have approved, of all jobs.
    pub async fn rights(&self) -> Result<Vec<RightsRow>> {
        let rows = self.readers().fetch(query("SELECT * FROM rights ORDER BY job")).await?;
        rows.iter().map(rights_from).collect()
    }
}
