//! Runs in numbers: for the dashboard's lists and bars, and for metrics.

use std::collections::{BTreeMap, HashMap};

use super::runs::in_state;
use crate::base::limits::STORE_RECENT_RUNS_MAX;
use crate::base::{JobName, RunId, Timestamp};
use crate::model::{Run, RunState};
use crate::store::handle::Store;
use crate::store::sql::query;
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

/// Walks from one job's runs to the next along the index instead of reading all of it.
pub const JOB_NAMES: &str = "
    WITH RECURSIVE names (job) AS (
        SELECT min(job) FROM runs
        UNION ALL
        SELECT (SELECT min(job) FROM runs WHERE runs.job > names.job) FROM names WHERE names.job IS NOT NULL)";

impl Store {
    pub async fn run_counts(&self) -> Result<Vec<(RunState, u64)>> {
        let count = query(
            "SELECT state, count(*) AS runs FROM runs WHERE finished_at IS NULL GROUP BY state
             UNION ALL SELECT state, count(*) AS runs FROM runs WHERE finished_at IS NOT NULL GROUP BY state",
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

    /// How runs queued since `since` ended, of one job or of all, by buckets of `bucket_seconds` that begin at whole
    /// multiples of it. Buckets without ended runs are left out. `failed` includes runs that timed out; `other` are the
    /// cancelled and interrupted.
    pub async fn run_buckets(
        &self,
        job: Option<&JobName>,
        since: Timestamp,
        bucket_seconds: i64,
    ) -> Result<Vec<Bucket>> {
        let width = bucket_seconds.max(1).saturating_mul(1_000_000);
        let mut buckets: BTreeMap<i64, Bucket> = BTreeMap::new();
        self.count_into(&mut buckets, job, since, width, u64::saturating_add).await?;
        if job.is_none() {
            // Console lines are counted and taken off again: the index that counts all runs does not know their jobs.
            self.count_into(&mut buckets, Some(&JobName::console()), since, width, u64::saturating_sub).await?;
        }
        buckets.retain(|_, bucket| bucket.succeeded + bucket.failed + bucket.other > 0);
        Ok(buckets.into_values().collect())
    }

    async fn count_into(
        &self,
        buckets: &mut BTreeMap<i64, Bucket>,
        job: Option<&JobName>,
        since: Timestamp,
        width: i64,
        combine: impl Fn(u64, u64) -> u64,
    ) -> Result<()> {
        let count = "SELECT state, queued_at / $1 AS bucket, count(*) AS runs FROM runs WHERE queued_at >= $2
            AND finished_at IS NOT NULL AND state IN ('succeeded', 'failed', 'timed_out', 'cancelled', 'interrupted')";
        let grouped = "GROUP BY state, queued_at / $1";
        let count = match job {
            Some(job) => query(format!("{count} AND job = $3 {grouped}")).bind(width).bind(since).bind(job),
            None => query(format!("{count} {grouped}")).bind(width).bind(since),
        };
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
