//! Reading what is measured, checked and wrong.

use std::collections::BTreeMap;

use crate::base::Timestamp;
use crate::base::limits::{METRIC_POINTS_MAX, METRIC_SERIES_ANSWERED_MAX, METRIC_SERIES_MAX, SILENCES_MAX};
use crate::model::alerts::{Alert, Silence};
use crate::model::checks::Check;
use crate::model::metrics::{Rollup, Sample, SeriesKey, labels_match};
use crate::store::handle::Store;
use crate::store::sql::{Row, query};
use crate::store::text::{ROLLUP_STEPS, after_prefix, clean, from_bits, limit_rows};
use crate::store::types::*;
use crate::store::write::rollup_from;

type Result<T> = std::result::Result<T, StoreError>;

fn series_from(row: &Row) -> Result<SeriesKey> {
    Ok(SeriesKey { name: row.text("name")?, labels: row.json("labels")? })
}

fn sample_from(row: &Row) -> Result<(i64, Sample)> {
    let sample = Sample { series: series_from(row)?, at: row.time("at")?, value: from_bits(row.int("value")?) };
    Ok((row.int("seq")?, sample))
}

impl Store {
    /// Samples after number `seq`, with their numbers, in the order in which they were committed.
    pub async fn samples_after(&self, seq: i64, limit: usize) -> Result<Vec<(i64, Sample)>> {
        let select = query(
            "SELECT samples.seq, samples.at, samples.value, series.name, series.labels
             FROM samples JOIN series ON series.id = samples.series
             WHERE samples.seq > $1 ORDER BY samples.seq LIMIT $2",
        );
        self.readers().fetch(select.bind(seq).bind(limit)).await?.iter().map(sample_from).collect()
    }

    /// Samples of one metric since `since` up to number `seq`, in the order in which they were committed.
    pub async fn samples_of(&self, name: &str, since: Timestamp, seq: i64) -> Result<Vec<Sample>> {
        let select = query(
            "SELECT samples.seq, samples.at, samples.value, series.name, series.labels
             FROM series JOIN samples ON samples.series = series.id AND samples.at >= $2
             WHERE series.name = $1 AND samples.seq <= $3 ORDER BY samples.seq",
        );
        let rows = self.readers().fetch(select.bind(name).bind(since).bind(seq)).await?;
        rows.iter().map(|row| sample_from(row).map(|(_, sample)| sample)).collect()
    }

    /// The number up to which samples were looked at, and that of the newest.
    pub async fn watch_marks(&self) -> Result<(i64, i64)> {
        let select = query("SELECT name, value FROM counters WHERE name IN ('watch_seen', 'sample_seq')");
        let mut marks = (0, 0);
        for row in self.readers().fetch(select).await? {
            let value = row.int("value")?;
            if row.text("name")? == "watch_seen" { marks.0 = value } else { marks.1 = value }
        }
        Ok(marks)
    }

    /// Series of one metric or of all, in order of their names, with their last samples.
    pub async fn series(&self, name: Option<&str>, since: Option<Timestamp>) -> Result<Vec<SeriesRow>> {
        let since = since.unwrap_or(Timestamp::MIN);
        let select = match name {
            Some(name) => {
                query("SELECT * FROM series WHERE last_at >= $1 AND name = $3 ORDER BY name, labels LIMIT $2")
                    .bind(since)
                    .bind(METRIC_SERIES_MAX)
                    .bind(clean(name).into_owned())
            }
            None => query("SELECT * FROM series WHERE last_at >= $1 ORDER BY name, labels LIMIT $2")
                .bind(since)
                .bind(METRIC_SERIES_MAX),
        };
        let row = |row: &Row| {
            let (last_at, last_value) = (row.time("last_at")?, from_bits(row.int("last_value")?));
            Ok(SeriesRow { series: series_from(row)?, last_at, last_value })
        };
        self.readers().fetch(select).await?.iter().map(row).collect()
    }

    /// The points of the series that match, from samples or rollups, whichever is coarsest and still fine enough.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] when more series match or more points lie between than are answered.
    pub async fn measured(&self, asked: &MetricQuery) -> Result<Vec<SeriesPoints>> {
        let step = i64::try_from(asked.step.as_micros()).unwrap_or(i64::MAX).max(1);
        let span = asked.to.as_microsecond().saturating_sub(asked.from.as_microsecond());
        if span / step > METRIC_POINTS_MAX as i64 {
            let what = format!("a point of {:?} for each step of {:?}", asked.name, asked.step);
            return Err(StoreError::TooMany { what, limit: METRIC_POINTS_MAX });
        }
        let select = query("SELECT id, name, labels FROM series WHERE name = $1 AND last_at >= $2 ORDER BY labels");
        let rows = self.readers().fetch(select.bind(clean(&asked.name).into_owned()).bind(asked.from)).await?;
        let mut answer = Vec::new();
        for row in &rows {
            let series = series_from(row)?;
            if !labels_match(&asked.matching, &series.labels) {
                continue;
            }
            if answer.len() == METRIC_SERIES_ANSWERED_MAX {
                let what = format!("the series {series}");
                return Err(StoreError::TooMany { what, limit: METRIC_SERIES_ANSWERED_MAX });
            }
            let points = self.points(row.int("id")?, asked, step).await?;
            answer.push(SeriesPoints { series, points });
        }
        Ok(answer)
    }

    async fn points(&self, id: i64, asked: &MetricQuery, step: i64) -> Result<Vec<(Timestamp, Rollup)>> {
        // Whole minutes are made of minutes; what is finer only of samples.
        let rolled = ROLLUP_STEPS.into_iter().rev().find(|rolled| step % rolled == 0);
        let select = match rolled {
            Some(rolled) => query(
                "SELECT * FROM rollups WHERE series = $1 AND start >= $2 AND start < $3 AND step = $4 ORDER BY start",
            )
            .bind(id)
            .bind(asked.from.as_microsecond().div_euclid(rolled) * rolled)
            .bind(asked.to)
            .bind(rolled),
            None => {
                query("SELECT at AS start, value FROM samples WHERE series = $1 AND at >= $2 AND at < $3 ORDER BY at")
                    .bind(id)
                    .bind(asked.from)
                    .bind(asked.to)
            }
        };
        let mut points: BTreeMap<i64, Rollup> = BTreeMap::new();
        for row in self.readers().fetch(select).await? {
            let start = row.int("start")?;
            let one = match rolled {
                Some(_) => rollup_from(&row)?,
                None => Rollup::of(row.time("start")?, from_bits(row.int("value")?)),
            };
            let point = points.entry(start - start.rem_euclid(step));
            point.and_modify(|sum| sum.add(&one)).or_insert(one);
        }
        let moment = |start| Timestamp::from_microsecond(start).unwrap_or(Timestamp::MIN);
        Ok(points.into_iter().map(|(start, rollup)| (moment(start), rollup)).collect())
    }

    /// Alerts that pend or fire, the oldest first, and those that were over since `over_since`.
    pub async fn alerts(&self, over_since: Option<Timestamp>) -> Result<Vec<Alert>> {
        let live = query("SELECT body FROM alerts WHERE resolved_at IS NULL ORDER BY since, id");
        let mut found: Vec<Alert> =
            self.readers().fetch(live).await?.iter().map(|row| row.json("body")).collect::<Result<_>>()?;
        if let Some(since) = over_since {
            let over = query("SELECT body FROM alerts WHERE resolved_at >= $1 ORDER BY resolved_at DESC, id LIMIT $2");
            let over = over.bind(since).bind(crate::base::limits::STORE_PAGE_ROWS_MAX);
            for row in self.readers().fetch(over).await? {
                found.push(row.json("body")?);
            }
        }
        Ok(found)
    }

    /// Alerts whose ids begin so.
    pub async fn alerts_named(&self, id: &str) -> Result<Vec<Alert>> {
        let select = query("SELECT body FROM alerts WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3");
        let prefix = clean(id).into_owned();
        let select = select.bind(prefix.clone()).bind(after_prefix(&prefix)).bind(limit_rows(2));
        self.readers().fetch(select).await?.iter().map(|row| row.json("body")).collect()
    }

    /// Silences that have not ended at `now`, those to come among them.
    pub async fn silences(&self, now: Timestamp) -> Result<Vec<Silence>> {
        let select = query("SELECT body FROM silences WHERE ends_at > $1 ORDER BY ends_at, id LIMIT $2");
        let rows = self.readers().fetch(select.bind(now).bind(SILENCES_MAX)).await?;
        rows.iter().map(|row| row.json("body")).collect()
    }

    /// By name.
    pub async fn checks(&self) -> Result<Vec<Check>> {
        let rows = self.readers().fetch(query("SELECT body FROM checks ORDER BY name")).await?;
        rows.iter().map(|row| row.json("body")).collect()
    }
}
