//! Key-value writes of a batch: the present entries are read in one statement, the writes play out in memory in their
//! order, and what is left of them goes back in one statement.

use std::borrow::Cow;
use std::collections::HashMap;

use super::command::Answer;
use super::sheet::Sheet;
use crate::base::Timestamp;
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::{clean, micros};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;
type Key<'a> = (&'a str, Cow<'a, str>);

/// What becomes of one key in this batch.
struct Slot<'a> {
    /// 0 when there is no live entry.
    revision: i64,
    /// The last write that took effect.
    last: Option<&'a KvWrite>,
}

pub async fn write<'a>(
    conn: &mut Conn,
    list: &[(usize, &'a KvWrite)],
    now: Timestamp,
    sheet: &mut Sheet<'a>,
) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    let present = revisions(conn, list, now).await?;
    let mut slots: HashMap<Key<'_>, Slot<'_>> = HashMap::with_capacity(list.len());
    let next = query("UPDATE counters SET value = value + $1 WHERE name = 'kv_revision' RETURNING value");
    let last = conn.fetch_one(next.bind(list.len())).await?.int("value")?;
    let first = last - i64::try_from(list.len()).unwrap_or(i64::MAX) + 1;
    for (revision, (index, write)) in (first..).zip(list) {
        let slot = slots.entry(key_of(write)).or_insert_with_key(|(scope, key)| {
            let known = present.get(&((*scope).to_owned(), key.as_ref().to_owned()));
            Slot { revision: known.copied().unwrap_or(0), last: None }
        });
        let outcome = match write.expect_revision {
            Some(expected) if expected != slot.revision => KvOutcome::Conflict { revision: slot.revision },
            _ => {
                slot.revision = if write.value.is_some() { revision } else { 0 };
                slot.last = Some(write);
                KvOutcome::Written { revision }
            }
        };
        sheet.answer(*index, Answer::Kv(outcome));
    }
    store(conn, &slots).await
}

fn key_of(write: &KvWrite) -> Key<'_> {
    (&write.scope, clean(&write.key))
}

/// The revisions of the entries that are there and have not expired, by scope and key.
async fn revisions(
    conn: &mut Conn,
    list: &[(usize, &KvWrite)],
    now: Timestamp,
) -> Result<HashMap<(String, String), i64>> {
    let select = query(
        "SELECT kv.scope, kv.key, kv.revision
         FROM (SELECT value->>0 AS in_scope, value->>1 AS named FROM {rows}) AS c
         JOIN kv ON kv.scope = c.in_scope AND kv.key = c.named
         WHERE kv.expires_at IS NULL OR kv.expires_at > $2",
    );
    let rows = Rows::of(list.iter().map(|(_, write)| key_of(write)))?;
    let rows = conn.fetch(select.bind(rows).bind(now)).await?;
    rows.iter().map(|row| Ok(((row.text("scope")?, row.text("key")?), row.int("revision")?))).collect()
}

async fn store(conn: &mut Conn, slots: &HashMap<Key<'_>, Slot<'_>>) -> Result<()> {
    let (mut kept, mut gone) = (Rows::new(), Rows::new());
    for ((scope, key), slot) in slots {
        match slot.last {
            Some(KvWrite { value: Some(value), expires_at, .. }) => {
                kept.push(&(scope, key, value.to_string(), slot.revision, micros(*expires_at)))?;
            }
            Some(_) => gone.push(&(scope, key))?,
            None => {}
        }
    }
    if !kept.is_empty() {
        let upsert = query(
            "INSERT INTO kv (scope, key, value, revision, expires_at)
             SELECT value->>0, value->>1, value->>2, CAST(value->>3 AS BIGINT), CAST(value->>4 AS BIGINT)
             FROM {rows} WHERE true
             ON CONFLICT (scope, key) DO UPDATE
             SET value = excluded.value, revision = excluded.revision, expires_at = excluded.expires_at",
        );
        conn.execute(upsert.bind(kept)).await?;
    }
    if !gone.is_empty() {
        let delete = query("DELETE FROM kv WHERE (scope, key) IN (SELECT value->>0, value->>1 FROM {rows})");
        conn.execute(delete.bind(gone)).await?;
    }
    Ok(())
}
