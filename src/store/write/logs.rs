//! Log lines. A line that is there already is left alone, so that a caller may repeat what it is not sure of.

use crate::model::LogLine;
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::{clean, json};
use crate::store::types::StoreError;

/// A statement's JSON stays around this size.
const CHUNK_BYTES: usize = 1 << 20;

/// With a fence, a line is only written while the run is held at it: whoever holds the run after that numbers its own.
pub async fn append(conn: &mut Conn, lines: &[(Option<i64>, &LogLine)]) -> Result<(), StoreError> {
    let mut rows = Rows::new();
    for (fence, line) in lines {
        rows.push(&(
            line.run,
            line.seq,
            line.at.as_microsecond(),
            line.attempt,
            line.level.as_str(),
            clean(&line.text),
            json(&line.fields),
            fence,
        ))?;
        if rows.bytes() >= CHUNK_BYTES {
            insert(conn, std::mem::replace(&mut rows, Rows::new())).await?;
        }
    }
    insert(conn, rows).await
}

async fn insert(conn: &mut Conn, rows: Rows) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let insert = query(
        "INSERT INTO logs (run, seq, at, attempt, level, text, fields)
         SELECT value->>0, CAST(value->>1 AS BIGINT), CAST(value->>2 AS BIGINT), CAST(value->>3 AS BIGINT),
             value->>4, value->>5, value->>6
         FROM {rows}
         WHERE value->>7 IS NULL
             OR EXISTS (SELECT 1 FROM runs WHERE runs.id = value->>0 AND runs.fence = CAST(value->>7 AS BIGINT))
         ON CONFLICT (run, seq) DO NOTHING",
    );
    conn.later(insert.bind(rows)).await
}
