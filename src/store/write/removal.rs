//! One small step of retention. What may go has been looked up by a reader; the statement here checks it again.

use crate::base::{RunId, Timestamp, VersionHash};
use crate::model::RunState;
use crate::store::sql::{Conn, Query, Rows, query};
use crate::store::types::StoreError;

/// Each removes at most `STORE_PRUNE_ROWS_MAX` rows, or what its `limit` says.
#[derive(Debug)]
pub enum Removal {
    /// Log lines of these runs, each with `seq` up to the number beside it.
    Logs(Vec<(RunId, i64)>),
    /// Runs that have ended.
    Runs(Vec<RunId>),
    /// Entries of the journals of these runs, which have ended.
    Steps {
        runs: Vec<RunId>,
        limit: usize,
    },
    /// What these runs, which have ended, have kept.
    Artifacts {
        runs: Vec<RunId>,
        limit: usize,
    },
    /// Events that were sent to waiting runs.
    Signals {
        range: NumberRange,
    },
    /// Counts of hours that began before `before`, in microseconds since the epoch.
    Hours {
        before: i64,
        limit: usize,
    },
    Events {
        range: NumberRange,
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
    /// Of what is measured and what was wrong.
    Watched(Watched),
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
        Removal::Steps { runs, limit } => query(
            "DELETE FROM steps WHERE (run, key) IN
                 (SELECT run, key FROM steps WHERE run IN (SELECT value->>0 FROM {rows}) LIMIT $2)",
        )
        .bind(Rows::of(runs.iter().map(|run| [run]))?)
        .bind(*limit),
        Removal::Artifacts { runs, limit } => query(
            "DELETE FROM artifacts WHERE (run, name) IN
                 (SELECT run, name FROM artifacts WHERE run IN (SELECT value->>0 FROM {rows}) LIMIT $2)",
        )
        .bind(Rows::of(runs.iter().map(|run| [run]))?)
        .bind(*limit),
        Removal::Signals { range } => range.delete("signals"),
        Removal::Hours { before, limit } => query(
            "DELETE FROM run_hours WHERE (job, hour, state) IN
                 (SELECT job, hour, state FROM run_hours WHERE hour < $1 ORDER BY hour LIMIT $2)",
        )
        .bind(*before)
        .bind(*limit),
        Removal::Events { range } => range.delete("events"),
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
        Removal::Watched(what) => what.delete(),
        Removal::Versions(hashes) => query(
            "DELETE FROM versions WHERE hash IN (SELECT value->>0 FROM {rows}) AND superseded_at IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.version = versions.hash)",
        )
        .bind(Rows::of(hashes.iter().map(|hash| [hash]))?),
    };
    conn.execute(statement).await
}

/// What the watch keeps.
#[derive(Debug, Clone, Copy)]
pub enum Watched {
    Samples {
        range: NumberRange,
    },
    /// Rollups of this step, in microseconds, that began before `before`.
    Rollups {
        step: i64,
        before: Timestamp,
        limit: usize,
    },
    /// Series without a sample since `before`.
    Series {
        before: Timestamp,
        limit: usize,
    },
    /// Alerts that were over before `before`.
    Alerts {
        before: Timestamp,
        limit: usize,
    },
    /// Silences that ended before `before`.
    Silences {
        before: Timestamp,
        limit: usize,
    },
}

impl Watched {
    fn delete(self) -> Query {
        match self {
            Self::Samples { range } => range.delete("samples"),
            Self::Rollups { step, before, limit } => query(
                "DELETE FROM rollups WHERE (series, step, start) IN
                     (SELECT series, step, start FROM rollups WHERE step = $1 AND start < $2 ORDER BY start LIMIT $3)",
            )
            .bind(step)
            .bind(before)
            .bind(limit),
            Self::Series { before, limit } => {
                query("DELETE FROM series WHERE id IN (SELECT id FROM series WHERE last_at < $1 ORDER BY last_at LIMIT $2)")
                    .bind(before)
                    .bind(limit)
            }
            Self::Alerts { before, limit } => query(
                "DELETE FROM alerts WHERE id IN
                     (SELECT id FROM alerts WHERE resolved_at < $1 ORDER BY resolved_at LIMIT $2)",
            )
            .bind(before)
            .bind(limit),
            Self::Silences { before, limit } => query(
                "DELETE FROM silences WHERE id IN (SELECT id FROM silences WHERE ends_at < $1 ORDER BY ends_at LIMIT $2)",
            )
            .bind(before)
            .bind(limit),
        }
    }
}

/// Rows before `before`, of those with numbers after `after` and up to `up_to`.
#[derive(Debug, Clone, Copy)]
pub struct NumberRange {
    pub after: i64,
    pub up_to: i64,
    pub before: Timestamp,
}

impl NumberRange {
    fn delete(self, table: &str) -> Query {
        let delete = query(format!("DELETE FROM {table} WHERE seq > $1 AND seq <= $2 AND at < $3"));
        delete.bind(self.after).bind(self.up_to).bind(self.before)
    }
}
