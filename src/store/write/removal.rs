//! One small step of retention. What may go has been looked up by a reader; the statement here checks it again.

use crate::base::{RunId, Timestamp, VersionHash};
use crate::model::RunState;
use crate::store::sql::{Conn, Rows, query};
use crate::store::types::StoreError;

/// Each removes at most `STORE_PRUNE_ROWS_MAX` rows.
#[derive(Debug)]
pub enum Removal {
    /// Log lines of these runs, each with `seq` up to the number beside it.
    Logs(Vec<(RunId, i64)>),
    /// Runs that have ended.
    Runs(Vec<RunId>),
    /// Events before `before`, of those with numbers after `after` and up to `up_to`.
    Events {
        after: i64,
        up_to: i64,
        before: Timestamp,
    },
    /// Due times before `before`, at most `limit`.
    Occurrences {
        before: Timestamp,
        limit: usize,
    },
    /// Entries that expired before `before`, at most `limit`.
    Kv {
        before: Timestamp,
        limit: usize,
    },
    Sessions {
        before: Timestamp,
        limit: usize,
    },
    /// Versions that are not current.
    Versions(Vec<VersionHash>),
}

/// Returns how many rows went.
pub async fn remove(conn: &mut Conn, what: &Removal) -> Result<u64, StoreError> {
    let statement = match what {
        Removal::Logs(steps) => query(
            "DELETE FROM logs WHERE (run, seq) IN
                 (SELECT logs.run, logs.seq
                  FROM (SELECT value->>0 AS of_run, CAST(value->>1 AS BIGINT) AS up_to FROM {rows}) AS c
                  JOIN logs ON logs.run = c.of_run AND logs.seq <= c.up_to)",
        )
        .bind(Rows::of(steps)?),
        Removal::Runs(ids) => {
            let live = RunState::ALL.into_iter().filter(|state| !state.is_final());
            let live: Vec<String> = live.map(|state| format!("'{state}'")).collect();
            query(format!(
                "DELETE FROM runs WHERE id IN (SELECT value->>0 FROM {{rows}}) AND state NOT IN ({})",
                live.join(", ")
            ))
            .bind(Rows::of(ids.iter().map(|id| [id]))?)
        }
        Removal::Events { after, up_to, before } => {
            let delete = query("DELETE FROM events WHERE seq > $1 AND seq <= $2 AND at < $3");
            delete.bind(*after).bind(*up_to).bind(*before)
        }
        Removal::Occurrences { before, limit } => query(
            "DELETE FROM occurrences WHERE (job, scheduled_for) IN
                 (SELECT job, scheduled_for FROM occurrences WHERE scheduled_for < $1 ORDER BY scheduled_for LIMIT $2)",
        )
        .bind(*before)
        .bind(*limit),
        Removal::Kv { before, limit } => query(
            "DELETE FROM kv WHERE (scope, key) IN
                 (SELECT scope, key FROM kv WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
        )
        .bind(*before)
        .bind(*limit),
        Removal::Sessions { before, limit } => query(
            "DELETE FROM sessions WHERE hash IN
                 (SELECT hash FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
        )
        .bind(*before)
        .bind(*limit),
        Removal::Versions(hashes) => query(
            "DELETE FROM versions WHERE hash IN (SELECT value->>0 FROM {rows}) AND superseded_at IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.version = versions.hash)",
        )
        .bind(Rows::of(hashes.iter().map(|hash| [hash]))?),
    };
    conn.execute(statement).await
}
