//! The audit log grows here, in the order of commits: the row of its head stays locked until the commit, so that several
//! daemons on one PostgreSQL write one chain.

use std::borrow::Cow;

use super::command::Answer;
use super::sheet::Sheet;
use crate::base::limits::{AUDIT_DATA_BYTES_MAX, AUDIT_TEXT_BYTES_MAX};
use crate::base::{RunId, Timestamp};
use crate::model::audit::{Mark, PRUNE, removal};
use crate::model::{AuditRecord, NewAudit};
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::{clean, json, json_of};
use crate::store::trust::{RightsRow, TrustWrite};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

/// What is asked, but for the records: those are appended last of all.
pub async fn write<'a>(conn: &mut Conn, list: &[(usize, &'a TrustWrite)], sheet: &mut Sheet<'a>) -> Result<()> {
    for (index, command) in list {
        match command {
            TrustWrite::Audit(records) => sheet.audit.extend(records.iter().map(|one| (*index, Cow::Borrowed(one)))),
            TrustWrite::Approve(given) => {
                let (row, record, event) = &**given;
                approve(conn, row).await?;
                sheet.audit.push((*index, Cow::Borrowed(record)));
                sheet.events(*index, std::slice::from_ref(event));
            }
            TrustWrite::Prune { up_to, at } => {
                let pruned = prune(conn, *up_to).await?;
                if let Some((mark, _)) = &pruned {
                    let record = NewAudit::new(*at, "daemon", PRUNE, format!("records up to {up_to}"));
                    sheet.audit.push((*index, Cow::Owned(record.data(removal(mark)))));
                }
                sheet.answer(*index, Answer::Count(pruned.map_or(0, |(_, removed)| removed)));
            }
        }
    }
    Ok(())
}

pub async fn append(conn: &mut Conn, records: &[(usize, Cow<'_, NewAudit>)], node: &str) -> Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let take = query("UPDATE audit_ends SET seq = seq + $1 WHERE name = 'head' RETURNING seq, hash");
    let head = conn.fetch_one(take.bind(records.len())).await?;
    let first = head.int("seq")? - i64::try_from(records.len()).unwrap_or(i64::MAX) + 1;
    let mut hash = head.text("hash")?;
    let mut rows = Rows::new();
    for (seq, (_, new)) in (first..).zip(records) {
        let record = sealed(seq, new, node, hash)?;
        rows.push(&(
            (record.seq, record.at.as_microsecond(), &record.node, &record.actor, &record.action, &record.object),
            (&record.job, &record.run, &record.permission, &record.outcome, &record.data, &record.prev, &record.hash),
        ))?;
        hash = record.hash;
    }
    let insert = query(
        "INSERT INTO audit
             (seq, at, node, actor, action, object, job, run, permission, outcome, data, prev, hash)
         SELECT CAST(value->0->>0 AS BIGINT), CAST(value->0->>1 AS BIGINT), value->0->>2, value->0->>3, value->0->>4,
             value->0->>5, value->1->>0, value->1->>1, value->1->>2, value->1->>3, value->1->>4, value->1->>5,
             value->1->>6
         FROM {rows}",
    );
    conn.later(insert.bind(rows)).await?;
    conn.later(query("UPDATE audit_ends SET hash = $1 WHERE name = 'head'").bind(hash)).await
}

fn sealed(seq: i64, new: &NewAudit, node: &str, prev: String) -> Result<AuditRecord> {
    let at = Timestamp::from_microsecond(new.at.as_microsecond());
    let mut record = AuditRecord {
        seq,
        at: at.map_err(|error| StoreError::Refused { reason: error.to_string() })?,
        node: node.to_owned(),
        actor: short(&new.actor),
        action: short(&new.action),
        object: short(&new.object),
        job: new.job.as_ref().map(ToString::to_string),
        run: new.run.as_ref().map(RunId::to_string),
        permission: new.permission.as_deref().map(short),
        outcome: short(&new.outcome),
        data: json(&new.data).map(|text| bounded(&text)),
        prev,
        hash: String::new(),
    };
    record.hash = record.digest();
    Ok(record)
}

/// As the databases keep text, and no longer than a record's texts may be.
fn short(text: &str) -> String {
    let end = text.floor_char_boundary(AUDIT_TEXT_BYTES_MAX);
    let cut = if end < text.len() { "\u{2026}" } else { "" };
    format!("{}{cut}", clean(&text[..end]))
}

fn bounded(data: &str) -> String {
    if data.len() <= AUDIT_DATA_BYTES_MAX {
        return clean(data).into_owned();
    }
    serde_json::json!({ "omitted_bytes": data.len() }).to_string()
}

async fn approve(conn: &mut Conn, row: &RightsRow) -> Result<()> {
    let upsert = query(
        "INSERT INTO rights (job, rights, hash, approved_by, approved_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (job) DO UPDATE SET rights = excluded.rights, hash = excluded.hash,
             approved_by = excluded.approved_by, approved_at = excluded.approved_at",
    );
    let upsert = upsert.bind(&row.job).bind(json_of(&row.rights)?).bind(row.hash.as_str());
    conn.execute(upsert.bind(row.approved_by.as_str()).bind(row.approved_at)).await.map(drop)
}

/// The checkpoint is moved first: below it the database lets rows be removed. None when another was faster.
async fn prune(conn: &mut Conn, up_to: i64) -> Result<Option<(Mark, u64)>> {
    let found = conn.fetch(query("SELECT seq, hash FROM audit WHERE seq = $1").bind(up_to)).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let mark = Mark { seq: row.int("seq")?, hash: row.text("hash")? };
    let checkpoint = query(
        "INSERT INTO audit_ends (name, seq, hash) VALUES ('checkpoint', $1, $2)
         ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
    );
    conn.execute(checkpoint.bind(mark.seq).bind(mark.hash.as_str())).await?;
    let removed = conn.execute(query("DELETE FROM audit WHERE seq <= $1").bind(up_to)).await?;
    Ok(Some((mark, removed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_long_data_gives_way_to_its_size() {
        let long = "\u{e9}".repeat(AUDIT_TEXT_BYTES_MAX);
        let data = "x".repeat(AUDIT_DATA_BYTES_MAX).into();
        let new = NewAudit { data, ..NewAudit::new(Timestamp::UNIX_EPOCH, "a\0b", "x", long) };
        let record = sealed(1, &new, "n", String::new()).expect("a record");
        assert!(record.object.ends_with('\u{2026}') && record.object.len() <= AUDIT_TEXT_BYTES_MAX + 3);
        assert_eq!(record.actor, "a\u{fffd}b");
        assert!(record.data.as_deref().is_some_and(|data| data.starts_with("{\"omitted_bytes\":")));
        let most = NewAudit { data: "x".repeat(AUDIT_DATA_BYTES_MAX - 2).into(), ..new };
        let record = sealed(1, &most, "n", String::new()).expect("a record");
        assert_eq!(record.data.map(|data| data.len()), Some(AUDIT_DATA_BYTES_MAX));
    }
}
