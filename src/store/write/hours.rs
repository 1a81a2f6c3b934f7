//! Ended runs counted by the hour in which they ended, so that counts need not read the history.

use std::collections::BTreeMap;

use crate::base::Timestamp;
use crate::model::RunState;
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::hour_of;
use crate::store::types::StoreError;

/// Counts runs that have just ended, each given by job, moment and state: once for its job and once for all jobs.
pub async fn count(conn: &mut Conn, ended: &[(String, Timestamp, RunState)]) -> Result<(), StoreError> {
    if ended.is_empty() {
        return Ok(());
    }
    let mut counts: BTreeMap<(&str, i64, &str), u64> = BTreeMap::new();
    for (job, at, state) in ended {
        for counted in [job.as_str(), ""] {
            *counts.entry((counted, hour_of(*at), state.as_str())).or_default() += 1;
        }
    }
    let add = query(
        "INSERT INTO run_hours (job, hour, state, count)
         SELECT value->>0, CAST(value->>1 AS BIGINT), value->>2, CAST(value->>3 AS BIGINT) FROM {rows} WHERE true
         ON CONFLICT (job, hour, state) DO UPDATE SET count = run_hours.count + excluded.count",
    );
    let rows = Rows::of(counts.into_iter().map(|((job, hour, state), count)| (job, hour, state, count)))?;
    conn.later(add.bind(rows)).await
}
