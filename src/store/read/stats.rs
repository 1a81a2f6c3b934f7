//! Runs in numbers: for the dashboard's lists and bars, and for metrics.

use std::collections::{BTreeMap, HashMap};

use super::runs::in_state;
use crate::base::limits::STORE_RECENT_RUNS_MAX;
use crate::base::{JobName, RunId, Timestamp};
use crate::model::{Run, RunState};
use crate::store::handle::Store;
use crate::store::sql::{Query, query};
use crate::store::text::{HOUR_MICROS, hour_of};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

/// Walks from one job's runs to the next along the index instead of reading all of it.
pub const JOB_NAMES: &str = "
    WITH RECURSIVE names (job) AS (
        SELECT min(job) FROM runs
        UNION ALL
        SELECT (SELECT min(job) FROM runs WHERE runs.job > names.job) FROM names WHERE names.job IS NOT NULL)";

/// What is counted for bars.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    Hours,
    Runs,
}

impl Source {
    /// Ended runs by state and bucket of `width` microseconds.
    pub fn of(self, job: Option<&JobName>, since: Timestamp, width: i64) -> Query {
        match self {
            Self::Hours => {
                let count = "SELECT state, hour / $1 AS bucket, CAST(sum(count) AS BIGINT) AS runs FROM run_hours
                    WHERE job = $3 AND hour >= $2 GROUP BY state, hour / $1";
                query(count).bind(width).bind(hour_of(since)).bind(job.map_or("", JobName::as_str))
            }
            Self::Runs => {
                let count = "SELECT state, queued_at / $1 AS bucket, count(*) AS runs FROM runs WHERE queued_at >= $2
                    AND finished_at IS NOT NULL
                    AND state IN ('succeeded', 'failed', 'timed_out', 'cancelled', 'interrupted')";
                let grouped = "GROUP BY state, queued_at / $1";
                match job {
                    Some(job) => query(format!("{count} AND job = $3 {grouped}")).bind(width).bind(since).bind(job),
                    None => query(format!("{count} {grouped}")).bind(width).bind(since),
                }
            }
        }
    }
}

impl Store {
    /// How many runs there are in each state. Those that have ended are counted back to where retention has removed the
    /// hours in which they ended.
    pub async fn run_counts(&self) -> Result<Vec<(RunState, u64)>> {
        let count = query(
            "SELECT state, count(*) AS runs FROM runs WHERE finished_at IS NULL GROUP BY state
             UNION ALL SELECT state, CAST(sum(count) AS BIGINT) AS runs FROM run_hours WHERE job = '' GROUP BY state",
        );
        let rows = self.readers().fetch(count).await?;
        rows.iter().map(|row| Ok((row.word("state", RunState::parse)?, row.number("runs")?))).collect()
    }

    /// Of every job that has runs, in order of their names.
    pub async fn job_stats(&self) -> Result<Vec<JobStats>> {
        let text = format!(
            "{JOB_NAMES}
             SELECT names.job,
                 (SELECT id FROM runs WHERE runs.job = names.job ORDER BY queued_at DESC, id DESC LIMIT 1) AS last,
                 (SELECT finished_at FROM runs WHERE runs.job = names.job AND {}
                  ORDER BY queued_at DESC, id DESC LIMIT 1) AS last_success,
                 (SELECT string_agg(state, ',' ORDER BY queued_at, id) FROM
                     (SELECT state, queued_at, id FROM runs WHERE runs.job = names.job AND finished_at IS NOT NULL
                      ORDER BY queued_at DESC, id DESC LIMIT {STORE_RECENT_RUNS_MAX}) AS ended) AS recent
             FROM names WHERE names.job IS NOT NULL AND names.job <> $1",
            in_state(RunState::Succeeded)
        );
        let rows = self.readers().fetch(query(text).bind(&JobName::console())).await?;
        let ids: Vec<RunId> = rows.iter().map(|row| row.parsed("last")).collect::<Result<_>>()?;
        let mut runs: HashMap<RunId, Run> = self.runs_of(&ids).await?.into_iter().map(|run| (run.id, run)).collect();
        let stats = rows.iter().zip(ids).map(|(row, id)| {
            let recent = row.maybe_text("recent")?.unwrap_or_default();
            Ok(JobStats {
                job: row.parsed("job")?,
                last: runs.remove(&id),
                last_success: row.maybe_time("last_success")?,
                recent: recent.split(',').filter_map(RunState::parse).collect(),
            })
        });
        stats.collect()
    }

    /// How runs ended, of one job or of all but the console, by buckets of `bucket_seconds` that begin at whole multiples
    /// of it. Buckets without ended runs are left out. `failed` includes runs that timed out; `other` are the cancelled
    /// and interrupted.
    ///
    /// Buckets of whole hours count by when runs ended, from the beginning of the hour of `since` on, and cost the same
    /// however many runs there were. Others read the history, and count runs queued since `since` by when that was.
    pub async fn run_buckets(
        &self,
        job: Option<&JobName>,
        since: Timestamp,
        bucket_seconds: i64,
    ) -> Result<Vec<Bucket>> {
        let width = bucket_seconds.max(1).saturating_mul(1_000_000);
        let source = if width % HOUR_MICROS == 0 { Source::Hours } else { Source::Runs };
        let mut buckets: BTreeMap<i64, Bucket> = BTreeMap::new();
        self.count_into(&mut buckets, source.of(job, since, width), width, u64::saturating_add).await?;
        if job.is_none() {
            // Console lines are counted and taken off again: what counts all runs does not know their jobs.
            let console = source.of(Some(&JobName::console()), since, width);
            self.count_into(&mut buckets, console, width, u64::saturating_sub).await?;
        }
        buckets.retain(|_, bucket| bucket.succeeded + bucket.failed + bucket.other > 0);
        Ok(buckets.into_values().collect())
    }

    async fn count_into(
        &self,
        buckets: &mut BTreeMap<i64, Bucket>,
        count: Query,
        width: i64,
        combine: impl Fn(u64, u64) -> u64,
    ) -> Result<()> {
        for row in self.readers().fetch(count).await? {
            let (key, runs): (i64, u64) = (row.int("bucket")?, row.number("runs")?);
            let start = Timestamp::from_microsecond(key.saturating_mul(width)).unwrap_or(Timestamp::UNIX_EPOCH);
            let bucket = buckets.entry(key).or_insert(Bucket { start, succeeded: 0, failed: 0, other: 0 });
            let place = match row.word("state", RunState::parse)? {
                RunState::Succeeded => &mut bucket.succeeded,
                RunState::Failed | RunState::TimedOut => &mut bucket.failed,
                _ => &mut bucket.other,
            };
            *place = combine(*place, runs);
        }
        Ok(())
    }
}
