//! Key-value writes of a batch: the present entries are read in one statement, the writes play out in memory in their
//! order, and what is left of them goes back in one statement.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::command::Answer;
use super::sheet::Sheet;
use crate::base::Timestamp;
use crate::base::limits::{KV_SCOPE_BYTES_MAX, KV_SCOPE_KEYS_MAX};
use crate::store::sql::{Conn, Row, Rows, query};
use crate::store::text::{clean, micros};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;
type Key<'a> = (&'a str, Cow<'a, str>);

/// What becomes of one key in this batch.
struct Slot<'a> {
    /// 0 when there is no live entry.
    revision: i64,
    /// Of its value; 0 when there is none.
    bytes: usize,
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
    let present = present(conn, list, now).await?;
    let mut used = usage(conn, list).await?;
    let mut slots: HashMap<Key<'_>, Slot<'_>> = HashMap::with_capacity(list.len());
    let next = query("UPDATE counters SET value = value + $1 WHERE name = 'kv_revision' RETURNING value");
    let last = conn.fetch_one(next.bind(list.len())).await?.int("value")?;
    let first = last - i64::try_from(list.len()).unwrap_or(i64::MAX) + 1;
    for (revision, (index, write)) in (first..).zip(list) {
        let slot = slots.entry(key_of(write)).or_insert_with_key(|(scope, key)| {
            let known = present.get(&((*scope).to_owned(), key.as_ref().to_owned()));
            let (revision, bytes) = known.copied().unwrap_or_default();
            Slot { revision, bytes, last: None }
        });
        let outcome = match write.expect_revision {
            Some(expected) if expected != slot.revision => KvOutcome::Conflict { revision: slot.revision },
            _ => {
                let bytes = write.value.as_ref().map_or(0, |value| value.to_string().len());
                if let Some(used) = used.get_mut(&write.scope)
                    && !used.replace(slot.bytes, bytes)
                {
                    let (scope, keys_max, bytes_max) = (write.scope.clone(), KV_SCOPE_KEYS_MAX, KV_SCOPE_BYTES_MAX);
                    sheet.refuse(*index, StoreError::ScopeFull { scope, keys_max, bytes_max });
                    continue;
                }
                slot.revision = if write.value.is_some() { revision } else { 0 };
                slot.bytes = bytes;
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

/// What a scope holds, entries that have expired but were not removed yet among it.
#[derive(Debug, Default)]
struct Used {
    keys: usize,
    bytes: usize,
}

impl Used {
    /// Counts a value of `new` bytes in place of one of `old`; 0 stands for none. False, and nothing is counted, when
    /// that would grow beyond what a scope may hold.
    fn replace(&mut self, old: usize, new: usize) -> bool {
        let keys = self.keys.saturating_sub(usize::from(old > 0)) + usize::from(new > 0);
        let bytes = self.bytes.saturating_sub(old) + new;
        let is_over =
            (keys > KV_SCOPE_KEYS_MAX && keys > self.keys) || (bytes > KV_SCOPE_BYTES_MAX && bytes > self.bytes);
        if !is_over {
            (self.keys, self.bytes) = (keys, bytes);
        }
        !is_over
    }
}

/// The scopes that values are written to. Lengths are in the rows' heads, so this reads no values.
async fn usage(conn: &mut Conn, list: &[(usize, &KvWrite)]) -> Result<HashMap<String, Used>> {
    let scopes: HashSet<&str> =
        list.iter().filter(|(_, write)| write.value.is_some()).map(|(_, write)| write.scope.as_str()).collect();
    if scopes.is_empty() {
        return Ok(HashMap::new());
    }
    let select = query(
        "SELECT scope, COUNT(*) AS count, CAST(SUM(octet_length(value)) AS BIGINT) AS bytes
         FROM kv WHERE scope IN (SELECT value->>0 FROM {rows}) GROUP BY scope",
    );
    let rows = conn.fetch(select.bind(Rows::of(scopes.iter().map(|scope| [scope]))?)).await?;
    let mut used: HashMap<String, Used> = scopes.iter().map(|scope| ((*scope).to_owned(), Used::default())).collect();
    for row in &rows {
        let number = |name| row.int(name).map(|number| usize::try_from(number).unwrap_or(0));
        used.insert(row.text("scope")?, Used { keys: number("count")?, bytes: number("bytes")? });
    }
    Ok(used)
}

/// Revision and length of the entries that are there and have not expired, by scope and key.
async fn present(
    conn: &mut Conn,
    list: &[(usize, &KvWrite)],
    now: Timestamp,
) -> Result<HashMap<(String, String), (i64, usize)>> {
    let select = query(
        "SELECT kv.scope, kv.key, kv.revision, CAST(octet_length(kv.value) AS BIGINT) AS bytes
         FROM (SELECT value->>0 AS in_scope, value->>1 AS named FROM {rows}) AS c
         JOIN kv ON kv.scope = c.in_scope AND kv.key = c.named
         WHERE kv.expires_at IS NULL OR kv.expires_at > $2",
    );
    let rows = Rows::of(list.iter().map(|(_, write)| key_of(write)))?;
    let rows = conn.fetch(select.bind(rows).bind(now)).await?;
    let entry = |row: &Row| {
        let bytes = usize::try_from(row.int("bytes")?).unwrap_or(0);
        Ok(((row.text("scope")?, row.text("key")?), (row.int("revision")?, bytes)))
    };
    rows.iter().map(entry).collect()
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
