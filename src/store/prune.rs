//! Retention. Readers look up what may go; the writer removes it in small steps between its other work, so that a pass
//! over a long history holds up nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use super::handle::Store;
use super::sql::query;
use super::text::{ROLLUP_STEPS, hour_of};
use super::trust::TrustWrite;
use super::types::*;
use super::write::{Command, NumberRange, Removal, Watched};
use crate::base::limits::{STORE_PRUNE_ARTIFACTS_MAX, STORE_PRUNE_ROWS_MAX};
use crate::base::{JobName, RunId, Timestamp, VersionHash};

type Result<T> = std::result::Result<T, StoreError>;

/// A run that was accepted just when its version was superseded may still use it.
const VERSION_MARGIN: Duration = Duration::from_secs(86_400);

impl Store {
    /// Removes what is older than `keep` says, and what has expired. Runs that have not ended stay, and so do the
    /// versions that runs or jobs use.
    pub async fn prune(&self, keep: &Retention, now: Timestamp) -> Result<Pruned> {
        let runs_before = before(now, keep.runs);
        let mut pruned = Pruned { logs: self.prune_logs(before(now, keep.logs)).await?, ..Pruned::default() };
        for job in self.jobs_with_runs().await? {
            self.prune_runs(&job, runs_before, keep.runs_per_job_min, &mut pruned).await?;
        }
        let events_before = before(now, keep.events);
        pruned.events = self.prune_numbered("events", events_before, now, |range| Removal::Events { range }).await?;
        // An event stays while a run is alive that may still come to wait for it.
        let signals_before = events_before.min(self.oldest_alive().await?.unwrap_or(events_before));
        pruned.signals =
            self.prune_numbered("signals", signals_before, now, |range| Removal::Signals { range }).await?;
        let limit = STORE_PRUNE_ROWS_MAX;
        let hours_before = hour_of(runs_before);
        pruned.hours = self.repeat(limit, || Removal::Hours { before: hours_before, limit }).await?;
        pruned.occurrences = self.repeat(limit, || Removal::Occurrences { before: runs_before, limit }).await?;
        pruned.kv = self.repeat(limit, || Removal::Kv { before: now, limit }).await?;
        pruned.sessions = self.repeat(limit, || Removal::Sessions { before: now, limit }).await?;
        pruned.versions = self.prune_versions(runs_before).await?;
        Ok(pruned)
    }

    /// Removes samples, rollups, alerts and silences that are older than `keep` says, and series of which nothing is
    /// left. Returns how many rows went.
    pub async fn prune_watch(&self, keep: &WatchRetention, now: Timestamp) -> Result<u64> {
        let limit = STORE_PRUNE_ROWS_MAX;
        let samples_before = before(now, keep.samples);
        let mut removed = self
            .prune_numbered("samples", samples_before, now, |range| Removal::Watched(Watched::Samples { range }))
            .await?;
        for (step, kept) in ROLLUP_STEPS.into_iter().zip([keep.minutes, keep.hours]) {
            let cutoff = before(now, kept);
            removed +=
                self.repeat(limit, || Removal::Watched(Watched::Rollups { step, before: cutoff, limit })).await?;
        }
        let longest = keep.samples.max(keep.minutes).max(keep.hours);
        // An hour's rollup is dated from its beginning, so the series outlives it.
        let series_before = before(now, longest + Duration::from_secs(7_200));
        removed += self.repeat(limit, || Removal::Watched(Watched::Series { before: series_before, limit })).await?;
        let alerts_before = before(now, keep.alerts);
        removed += self.repeat(limit, || Removal::Watched(Watched::Alerts { before: alerts_before, limit })).await?;
        removed += self.repeat(limit, || Removal::Watched(Watched::Silences { before: alerts_before, limit })).await?;
        Ok(removed)
    }

    /// Removes audit records of before `cutoff`, the oldest first, and notes what the rest continues. Records that are
    /// dated before an earlier one stay until that one goes, so that what is left has no gap.
    pub async fn prune_audit(&self, keep: Duration, now: Timestamp) -> Result<u64> {
        let (cutoff, mut total) = (before(now, keep), 0);
        loop {
            let page = query("SELECT seq, at FROM audit ORDER BY seq LIMIT $1").bind(STORE_PRUNE_ROWS_MAX);
            let mut up_to = None;
            for row in &self.readers().fetch(page).await? {
                if row.time("at")? >= cutoff {
                    break;
                }
                up_to = Some(row.int("seq")?);
            }
            let Some(up_to) = up_to else { return Ok(total) };
            let prune = TrustWrite::Prune { up_to, at: now };
            let removed: u64 = self.write(Command::Trust(Box::new(prune))).await?;
            total += removed;
            if removed == 0 {
                return Ok(total);
            }
        }
    }

    async fn remove(&self, what: Removal) -> Result<u64> {
        self.write(Command::Remove(what)).await
    }

    /// Removes steps of `limit` rows until one is not full.
    async fn repeat(&self, limit: usize, step: impl Fn() -> Removal) -> Result<u64> {
        let mut total = 0;
        loop {
            let removed = self.remove(step()).await?;
            total += removed;
            if removed < u64::try_from(limit).unwrap_or(u64::MAX) {
                return Ok(total);
            }
        }
    }

    /// Lines of runs that ended before `cutoff`, and lines whose run is gone.
    async fn prune_logs(&self, cutoff: Timestamp) -> Result<u64> {
        // Walks from run to run along the primary key. Runs are named about in the order of time, so the
        // walk ends at the first page of recent ones.
        let walk = "
            WITH RECURSIVE logged (run) AS (
                SELECT min(run) FROM logs WHERE run > $1
                UNION ALL
                SELECT (SELECT min(run) FROM logs WHERE logs.run > logged.run) FROM logged WHERE logged.run IS NOT NULL)
            SELECT logged.run, runs.queued_at, runs.finished_at FROM logged LEFT JOIN runs ON runs.id = logged.run
            WHERE logged.run IS NOT NULL LIMIT $2";
        let (mut total, mut cursor) = (0, String::new());
        loop {
            let page = self.readers().fetch(query(walk).bind(cursor.as_str()).bind(STORE_PRUNE_ROWS_MAX)).await?;
            let (mut old, mut recent) = (Vec::new(), 0);
            for row in &page {
                let queued_at = row.maybe_time("queued_at")?;
                let orphan = queued_at.is_none();
                if orphan || row.maybe_time("finished_at")?.is_some_and(|at| at < cutoff) {
                    old.push(row.parsed("run")?);
                }
                recent += usize::from(queued_at.is_some_and(|at| at >= cutoff));
                cursor = row.text("run")?;
            }
            total += self.remove_lines(&old).await?;
            if page.len() < STORE_PRUNE_ROWS_MAX || recent == page.len() {
                return Ok(total);
            }
        }
    }

    /// All lines of these runs, in steps of at most `STORE_PRUNE_ROWS_MAX` lines.
    async fn remove_lines(&self, runs: &[RunId]) -> Result<u64> {
        let first = query(
            "SELECT max(seq) AS up_to, count(*) AS lines FROM
                 (SELECT seq FROM logs WHERE run = $1 ORDER BY seq LIMIT $2) AS first",
        );
        let (mut total, mut step, mut room) = (0, Vec::new(), STORE_PRUNE_ROWS_MAX);
        for run in runs {
            loop {
                let found = self.readers().fetch(first.clone().bind(*run).bind(room)).await?;
                let Some(row) = found.first() else { break };
                let lines: usize = row.number("lines")?;
                if let Some(up_to) = row.maybe_int("up_to")? {
                    step.push((*run, up_to));
                }
                if lines < room {
                    room -= lines;
                    break;
                }
                total += self.remove(Removal::Logs(std::mem::take(&mut step))).await?;
                room = STORE_PRUNE_ROWS_MAX;
            }
        }
        if !step.is_empty() {
            total += self.remove(Removal::Logs(step)).await?;
        }
        Ok(total)
    }

    /// Every name under which there are runs, the console's too.
    async fn jobs_with_runs(&self) -> Result<Vec<JobName>> {
        let walk = format!("{} SELECT job FROM names WHERE job IS NOT NULL", super::read::JOB_NAMES);
        self.readers().fetch(query(walk)).await?.iter().map(|row| row.parsed("job")).collect()
    }

    async fn prune_runs(&self, job: &JobName, cutoff: Timestamp, keep: usize, pruned: &mut Pruned) -> Result<()> {
        let newest_to_go =
            query("SELECT id, queued_at FROM runs WHERE job = $1 ORDER BY queued_at DESC, id DESC LIMIT 1 OFFSET $2");
        let Some(newest) = self.readers().fetch_first(newest_to_go.bind(job).bind(keep)).await? else { return Ok(()) };
        let (id, queued_at) = (newest.text("id")?, newest.int("queued_at")?);
        loop {
            let old = query(
                "SELECT id FROM runs WHERE job = $1 AND queued_at < $2 AND (queued_at, id) <= ($3, $4)
                     AND finished_at < $2 ORDER BY queued_at, id LIMIT $5",
            );
            let old = old.bind(job).bind(cutoff).bind(queued_at).bind(id.as_str()).bind(STORE_PRUNE_ROWS_MAX);
            let rows = self.readers().fetch(old).await?;
            let ids: Vec<RunId> = rows.iter().map(|row| row.parsed("id")).collect::<Result<_>>()?;
            if ids.is_empty() {
                return Ok(());
            }
            pruned.logs += self.remove_lines(&ids).await?;
            let (rows, few) = (STORE_PRUNE_ROWS_MAX, STORE_PRUNE_ARTIFACTS_MAX);
            pruned.steps += self.repeat(rows, || Removal::Steps { runs: ids.clone(), limit: rows }).await?;
            pruned.artifacts += self.repeat(few, || Removal::Artifacts { runs: ids.clone(), limit: few }).await?;
            let removed = self.remove(Removal::Runs(ids)).await?;
            pruned.runs += removed;
            if removed == 0 {
                return Ok(());
            }
        }
    }

    /// When the oldest run was queued that has not ended.
    async fn oldest_alive(&self) -> Result<Option<Timestamp>> {
        let oldest = query("SELECT min(queued_at) AS oldest FROM runs WHERE finished_at IS NULL");
        let row = self.readers().fetch_first(oldest).await?;
        row.map_or(Ok(None), |row| row.maybe_time("oldest"))
    }

    /// Rows of a table that is numbered in about the order of time. Page by page in the order of numbers, until a page
    /// is young. Rows that are dated in the future were written while the clock was wrong: they say nothing of those
    /// behind them.
    async fn prune_numbered(
        &self,
        table: &'static str,
        cutoff: Timestamp,
        now: Timestamp,
        step: impl Fn(NumberRange) -> Removal,
    ) -> Result<u64> {
        let (mut total, mut after) = (0, 0);
        loop {
            let page = query(format!("SELECT seq, at FROM {table} WHERE seq > $1 ORDER BY seq LIMIT $2"));
            let rows = self.readers().fetch(page.bind(after).bind(STORE_PRUNE_ROWS_MAX)).await?;
            let (mut old, mut young) = (false, false);
            for row in &rows {
                let at = row.time("at")?;
                old |= at < cutoff;
                young |= (cutoff..=now).contains(&at);
            }
            let Some(last) = rows.last() else { return Ok(total) };
            let up_to = last.int("seq")?;
            if old {
                total += self.remove(step(NumberRange { after, up_to, before: cutoff })).await?;
            } else if young {
                return Ok(total);
            }
            after = up_to;
        }
    }

    async fn prune_versions(&self, cutoff: Timestamp) -> Result<u64> {
        // Most of what used them was queued before they were superseded, and has been removed by now.
        let unused = query(
            "SELECT hash, job FROM versions WHERE superseded_at < $1
                 AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.version = versions.hash)
                 AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.job = versions.job AND runs.queued_at < $2
                     AND runs.version = versions.hash)
             LIMIT $3",
        );
        let unused = unused.bind(before(cutoff, VERSION_MARGIN)).bind(cutoff).bind(STORE_PRUNE_ROWS_MAX);
        let rows = self.readers().fetch(unused).await?;
        let mut unused: BTreeMap<JobName, Vec<VersionHash>> = BTreeMap::new();
        for row in &rows {
            unused.entry(row.parsed("job")?).or_default().push(row.parsed("hash")?);
        }
        let mut hashes = Vec::with_capacity(rows.len());
        for (job, mut versions) in unused {
            let used = self.versions_since(&job, cutoff).await?;
            versions.retain(|version| !used.contains(version));
            hashes.extend(versions);
        }
        if hashes.is_empty() {
            return Ok(0);
        }
        self.remove(Removal::Versions(hashes)).await
    }

    /// The versions of a job's younger runs: a daemon that has not read the files again yet starts old ones.
    async fn versions_since(&self, job: &JobName, since: Timestamp) -> Result<Vec<VersionHash>> {
        let used =
            query("SELECT DISTINCT version FROM runs WHERE job = $1 AND queued_at >= $2 AND version IS NOT NULL");
        let rows = self.readers().fetch(used.bind(job).bind(since)).await?;
        rows.iter().map(|row| row.parsed("version")).collect()
    }
}

/// `now` less `age`, or the first moment there is.
fn before(now: Timestamp, age: Duration) -> Timestamp {
    now.checked_sub(age).unwrap_or(Timestamp::UNIX_EPOCH)
}
