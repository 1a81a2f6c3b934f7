//! Events get their numbers here, in the order of commits: the counter's row stays locked until the commit, so a reader
//! that has seen number n will never find a smaller one later, also with several daemons on one PostgreSQL.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::base::limits::EVENT_DATA_BYTES_MAX;
use crate::model::NewEvent;
use crate::store::sql::{Conn, Rows, query};
use crate::store::types::StoreError;

/// Returns the highest number given out, or None when there was nothing to append.
pub async fn append(conn: &mut Conn, events: &[(usize, Cow<'_, NewEvent>)]) -> Result<Option<i64>, StoreError> {
    if events.is_empty() {
        return Ok(None);
    }
    let next = query("UPDATE counters SET value = value + $1 WHERE name = 'event_seq' RETURNING value");
    let last = conn.fetch_one(next.bind(events.len())).await?.int("value")?;
    let first = last - i64::try_from(events.len()).unwrap_or(i64::MAX) + 1;
    let rows = Rows::of((first..).zip(events).map(|(seq, (_, event))| {
        let job = event.job.as_ref().map(|job| job.as_str());
        (seq, event.at.as_microsecond(), &event.kind, job, event.run, data(&event.data))
    }))?;
    let insert = query(
        "INSERT INTO events (seq, at, kind, job, run, data)
         SELECT CAST(value->>0 AS BIGINT), CAST(value->>1 AS BIGINT), value->>2, value->>3, value->>4, value->>5
         FROM {rows}",
    );
    conn.later(insert.bind(rows)).await?;
    Ok(Some(last))
}

/// An event must not fail the change that it tells of: data that is too long is replaced by its size.
fn data(data: &Value) -> Option<String> {
    let text = crate::store::text::json(data)?;
    if text.len() <= EVENT_DATA_BYTES_MAX {
        return Some(text);
    }
    Some(json!({"omitted_bytes": text.len()}).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_data_gives_way_to_its_size() {
        let long = Value::String("x".repeat(EVENT_DATA_BYTES_MAX));
        assert_eq!(data(&long).as_deref(), Some(r#"{"omitted_bytes":65538}"#));
        assert_eq!(data(&Value::Null), None);
    }
}
