//! Samples: each is kept for hours, and counted into its minute and its hour for longer.

use std::collections::BTreeMap;

use crate::base::limits::{METRIC_SERIES_MAX, METRIC_SERIES_PER_NAME_MAX};
use crate::model::metrics::{Rollup, Sample, SeriesKey};
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::{ROLLUP_STEPS, clean, from_bits, json_of, to_bits};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

/// The series that a batch is about.
#[derive(Debug, Default)]
pub struct Known {
    ids: BTreeMap<SeriesKey, Option<i64>>,
    /// All that are kept, and those of the names that the batch has.
    all: usize,
    by_name: BTreeMap<String, usize>,
}

pub async fn find(conn: &mut Conn, list: &[(usize, &WatchWrite)]) -> Result<Known> {
    let mut known = Known::default();
    let keys = list.iter().flat_map(|(_, write)| &write.samples).map(|sample| &sample.series);
    let wanted: BTreeMap<(String, String), &SeriesKey> =
        keys.map(|series| Ok((text_of(series)?, series))).collect::<Result<_>>()?;
    if wanted.is_empty() {
        return Ok(known);
    }
    let select = query(
        "SELECT series.id, series.name, series.labels
         FROM (SELECT value->>0 AS of_name, value->>1 AS of_labels FROM {rows}) AS c
         JOIN series ON series.name = c.of_name AND series.labels = c.of_labels",
    );
    for row in conn.fetch(select.bind(Rows::of(wanted.keys())?)).await? {
        if let Some(series) = wanted.get(&(row.text("name")?, row.text("labels")?)) {
            known.ids.insert((*series).clone(), Some(row.int("id")?));
        }
    }
    if known.ids.len() < wanted.len() {
        let all = query("SELECT count(*) AS series FROM series");
        known.all = conn.fetch_one(all).await?.number("series")?;
        let names = query(
            "SELECT name, count(*) AS series FROM series WHERE name IN (SELECT value->>0 FROM {rows}) GROUP BY name",
        );
        for row in conn.fetch(names.bind(Rows::of(wanted.keys().map(|(name, _)| [name]))?)).await? {
            known.by_name.insert(row.text("name")?, row.number("series")?);
        }
    }
    Ok(known)
}

impl Known {
    /// Takes in the series of one write, or none of them.
    pub fn admit(&mut self, samples: &[Sample]) -> Result<()> {
        let mut new: Vec<&SeriesKey> =
            samples.iter().map(|sample| &sample.series).filter(|series| !self.ids.contains_key(*series)).collect();
        new.sort_unstable();
        new.dedup();
        if self.all + new.len() > METRIC_SERIES_MAX
            && let Some(first) = new.first()
        {
            return Err(StoreError::TooMany { what: format!("the series {first}"), limit: METRIC_SERIES_MAX });
        }
        let mut by_name = self.by_name.clone();
        for series in &new {
            let count = by_name.entry(series.name.clone()).or_default();
            *count += 1;
            if *count > METRIC_SERIES_PER_NAME_MAX {
                let what = format!("the series {series} of the metric {:?}", series.name);
                return Err(StoreError::TooMany { what, limit: METRIC_SERIES_PER_NAME_MAX });
            }
        }
        self.by_name = by_name;
        self.all += new.len();
        self.ids.extend(new.into_iter().map(|series| (series.clone(), None)));
        Ok(())
    }

    fn id(&self, series: &SeriesKey) -> Option<i64> {
        self.ids.get(series).copied().flatten()
    }
}

pub async fn append(conn: &mut Conn, known: &mut Known, taken: &[&WatchWrite]) -> Result<Option<i64>> {
    let samples: Vec<&Sample> = taken.iter().flat_map(|write| &write.samples).collect();
    if samples.is_empty() {
        return Ok(None);
    }
    make_series(conn, known, &samples).await?;
    let last = next_numbers(conn, "sample_seq", samples.len()).await?;
    let first = last - i64::try_from(samples.len()).unwrap_or(i64::MAX) + 1;
    let mut rows = Rows::new();
    for (seq, sample) in (first..).zip(&samples) {
        rows.push(&(seq, known.id(&sample.series), sample.at.as_microsecond(), to_bits(sample.value)))?;
    }
    let insert = query(
        "INSERT INTO samples (seq, series, at, value)
         SELECT CAST(value->>0 AS BIGINT), CAST(value->>1 AS BIGINT), CAST(value->>2 AS BIGINT),
             CAST(value->>3 AS BIGINT) FROM {rows}",
    );
    conn.execute(insert.bind(rows)).await?;
    roll_up(conn, known, &samples).await?;
    Ok(Some(last))
}

async fn next_numbers(conn: &mut Conn, counter: &str, count: usize) -> Result<i64> {
    let next = query("UPDATE counters SET value = value + $1 WHERE name = $2 RETURNING value");
    conn.fetch_one(next.bind(count).bind(counter)).await?.int("value")
}

/// Gives new series their numbers, and notes the last sample of each.
async fn make_series(conn: &mut Conn, known: &mut Known, samples: &[&Sample]) -> Result<()> {
    let new = known.ids.values().filter(|id| id.is_none()).count();
    if new > 0 {
        let last = next_numbers(conn, "series_id", new).await?;
        let unnumbered = known.ids.values_mut().filter(|id| id.is_none());
        for (id, slot) in (last - i64::try_from(new).unwrap_or(i64::MAX) + 1..).zip(unnumbered) {
            *slot = Some(id);
        }
    }
    let mut latest: BTreeMap<&SeriesKey, &Sample> = BTreeMap::new();
    for sample in samples {
        let slot = latest.entry(&sample.series).or_insert(sample);
        if sample.at >= slot.at {
            *slot = sample;
        }
    }
    let mut rows = Rows::new();
    for (series, sample) in latest {
        let (name, labels) = text_of(series)?;
        rows.push(&(known.id(series), name, labels, sample.at.as_microsecond(), to_bits(sample.value)))?;
    }
    let upsert = query(
        "INSERT INTO series (id, name, labels, last_at, last_value)
         SELECT CAST(value->>0 AS BIGINT), value->>1, value->>2, CAST(value->>3 AS BIGINT), CAST(value->>4 AS BIGINT)
         FROM {rows} WHERE true
         ON CONFLICT (id) DO UPDATE SET last_at = excluded.last_at, last_value = excluded.last_value
         WHERE excluded.last_at >= series.last_at",
    );
    conn.execute(upsert.bind(rows)).await.map(drop)
}

/// Adds the samples to what is there of their minutes and hours.
async fn roll_up(conn: &mut Conn, known: &Known, samples: &[&Sample]) -> Result<()> {
    let mut sums: BTreeMap<(i64, i64, i64), Rollup> = BTreeMap::new();
    for sample in samples {
        let Some(id) = known.id(&sample.series) else { continue };
        let (one, at) = (Rollup::of(sample.at, sample.value), sample.at.as_microsecond());
        for step in ROLLUP_STEPS {
            let sum = sums.entry((id, step, at - at.rem_euclid(step)));
            sum.and_modify(|sum| sum.add(&one)).or_insert(one);
        }
    }
    let select = query(
        "SELECT rollups.* FROM (SELECT CAST(value->>0 AS BIGINT) AS of_series, CAST(value->>1 AS BIGINT) AS of_step,
             CAST(value->>2 AS BIGINT) AS of_start FROM {rows}) AS c
         JOIN rollups ON rollups.series = c.of_series AND rollups.step = c.of_step AND rollups.start = c.of_start",
    );
    for row in conn.fetch(select.bind(Rows::of(sums.keys())?)).await? {
        if let Some(sum) = sums.get_mut(&(row.int("series")?, row.int("step")?, row.int("start")?)) {
            let new = std::mem::replace(sum, rollup_from(&row)?);
            sum.add(&new);
        }
    }
    let mut rows = Rows::new();
    for ((series, step, start), sum) in &sums {
        let [min, max, total, last] = [sum.min, sum.max, sum.sum, sum.last].map(to_bits);
        rows.push(&(series, step, start, sum.count, min, max, total, last, sum.last_at.as_microsecond()))?;
    }
    let columns: Vec<String> = (0..9).map(|place| format!("CAST(value->>{place} AS BIGINT)")).collect();
    let upsert = query(format!(
        "INSERT INTO rollups (series, step, start, count, min, max, sum, last, last_at)
         SELECT {} FROM {{rows}} WHERE true
         ON CONFLICT (series, step, start) DO UPDATE SET count = excluded.count, min = excluded.min,
             max = excluded.max, sum = excluded.sum, last = excluded.last, last_at = excluded.last_at",
        columns.join(", ")
    ));
    conn.execute(upsert.bind(rows)).await.map(drop)
}

/// A row of `rollups`.
pub fn rollup_from(row: &crate::store::sql::Row) -> Result<Rollup> {
    let number = |column| Ok::<_, StoreError>(from_bits(row.int(column)?));
    Ok(Rollup {
        count: row.number("count")?,
        min: number("min")?,
        max: number("max")?,
        sum: number("sum")?,
        last: number("last")?,
        last_at: row.time("last_at")?,
    })
}

fn text_of(series: &SeriesKey) -> Result<(String, String)> {
    let labels = json_of(&series.labels)?;
    // A NUL in a label's value is escaped in JSON, which PostgreSQL would still refuse to take apart.
    Ok((clean(&series.name).into_owned(), labels.replace("\\u0000", "\u{fffd}")))
}
