//! Samples, alerts, checks and silences of a batch: what is there is read in few statements, the changes play out in
//! memory in their order, and what is left of them goes back in few.

mod alerts;
mod samples;

pub use samples::rollup_from;

use super::command::Answer;
use super::sheet::Sheet;
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::json_of;
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

/// Returns the highest number given to a sample, or None when there were none.
pub async fn write<'a>(
    conn: &mut Conn,
    list: &[(usize, &'a WatchWrite)],
    sheet: &mut Sheet<'a>,
) -> Result<Option<i64>> {
    if list.is_empty() {
        return Ok(None);
    }
    let mut series = samples::find(conn, list).await?;
    let mut book = alerts::Book::read(conn, list).await?;
    let mut taken = Vec::with_capacity(list.len());
    for (index, write) in list {
        let outcome = series.admit(&write.samples).and_then(|()| book.apply(write));
        match outcome {
            Ok(changed) => {
                sheet.answer(*index, Answer::Flag(changed));
                sheet.events(*index, &write.events);
                taken.push(*write);
            }
            Err(refusal) => sheet.refuse(*index, refusal),
        }
    }
    let newest = samples::append(conn, &mut series, &taken).await?;
    book.store(conn).await?;
    checks(conn, &taken).await?;
    silences(conn, &taken).await?;
    if let Some(seen) = taken.iter().filter_map(|write| write.seen).max() {
        let mark = query("UPDATE counters SET value = $1 WHERE name = 'watch_seen' AND value < $1");
        conn.execute(mark.bind(seen)).await?;
    }
    Ok(newest)
}

async fn checks(conn: &mut Conn, taken: &[&WatchWrite]) -> Result<()> {
    // The last of a name counts: a statement cannot touch a row twice.
    let latest: std::collections::BTreeMap<&str, _> =
        taken.iter().flat_map(|write| &write.checks).map(|check| (check.name.as_str(), check)).collect();
    let mut rows = Rows::new();
    for (name, check) in latest {
        rows.push(&(name, check.state.as_str(), json_of(check)?))?;
    }
    if !rows.is_empty() {
        let upsert = query(
            "INSERT INTO checks (name, state, body) SELECT value->>0, value->>1, value->>2 FROM {rows} WHERE true
             ON CONFLICT (name) DO UPDATE SET state = excluded.state, body = excluded.body",
        );
        conn.execute(upsert.bind(rows)).await?;
    }
    for only in taken.iter().filter_map(|write| write.checks_only.as_ref()) {
        let forget = query("DELETE FROM checks WHERE name NOT IN (SELECT value->>0 FROM {rows})");
        conn.execute(forget.bind(Rows::of(only.iter().map(|name| [name]))?)).await?;
    }
    Ok(())
}

async fn silences(conn: &mut Conn, taken: &[&WatchWrite]) -> Result<()> {
    for silence in taken.iter().flat_map(|write| &write.silences) {
        let upsert = query(
            "INSERT INTO silences (id, ends_at, body) VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET ends_at = excluded.ends_at, body = excluded.body",
        );
        let upsert = upsert.bind(silence.id.as_str()).bind(silence.ends_at).bind(json_of(silence)?);
        conn.execute(upsert).await?;
    }
    Ok(())
}
