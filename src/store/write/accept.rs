//! Accepting runs: idempotency keys and occurrences are settled by unique keys, a whole batch at a time.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::command::Answer;
use super::occurrences;
use super::sheet::Sheet;
use crate::base::RunId;
use crate::model::{Occurrence, Run};
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::{clean, json, json_of, micros};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

pub async fn accept<'a>(
    conn: &mut Conn,
    list: &[(usize, &'a NewRun)],
    node: &str,
    sheet: &mut Sheet<'a>,
) -> Result<()> {
    let wanted: Vec<(usize, &Occurrence)> =
        list.iter().filter_map(|(index, new)| Some((*index, new.occurrence.as_ref()?))).collect();
    let won = occurrences::claim(conn, &wanted).await?;
    let (due, lost): (Vec<&(usize, &NewRun)>, Vec<_>) =
        list.iter().partition(|(index, new)| new.occurrence.is_none() || won.contains(index));
    let (alone, free): (Vec<&(usize, &NewRun)>, Vec<_>) = due.iter().copied().partition(|(_, new)| new.alone);
    let mut written = insert(conn, &free, node).await?;
    // One by one, so that each sees those before it.
    let mut crowded = HashSet::new();
    for entry in alone {
        if is_crowded(conn, &entry.1.run).await? {
            crowded.insert(entry.0);
        } else {
            written.extend(insert(conn, &[entry], node).await?);
        }
    }
    for (index, new) in due {
        if crowded.contains(index) {
            if let Some(occurrence) = &new.occurrence {
                occurrences::release(conn, occurrence).await?;
            }
            sheet.answer(*index, Answer::Accepted(Accepted::Crowded));
            continue;
        }
        if written.contains(index) {
            sheet.events(*index, &new.events);
            sheet.touched.push(new.run.id);
            sheet.answer(*index, Answer::Accepted(Accepted::New));
            continue;
        }
        let holder = holder_of_key(conn, &new.run).await?;
        if let (Some(occurrence), true) = (&new.occurrence, holder != Some(new.run.id)) {
            occurrences::release(conn, occurrence).await?;
        }
        sheet.answer(*index, Answer::Accepted(refused_as(&new.run, holder)));
    }
    for (index, new) in lost {
        let Some(occurrence) = &new.occurrence else { continue };
        // The same submission again, after an answer that got lost.
        let own = occurrences::run_of(conn, occurrence).await? == Some(new.run.id);
        let outcome = if own { Accepted::New } else { Accepted::OccurrenceSettled };
        sheet.answer(*index, Answer::Accepted(outcome));
    }
    Ok(())
}

/// Whether another run of the job is alive. Not for a run that was written by an earlier try, or whose key is taken.
async fn is_crowded(conn: &mut Conn, run: &Run) -> Result<bool> {
    if holder_of_key(conn, run).await?.is_some() {
        return Ok(false);
    }
    let select = query(
        "SELECT 1 AS found FROM runs WHERE job = $1 AND finished_at IS NULL AND state IN ('queued', 'running', 'parked')
             AND NOT EXISTS (SELECT 1 FROM runs AS own WHERE own.id = $2) LIMIT 1",
    );
    Ok(!conn.fetch(select.bind(&run.job).bind(run.id)).await?.is_empty())
}

/// A run that was not inserted has a key that is taken, or is itself in the table from an earlier try.
fn refused_as(run: &Run, holder: Option<RunId>) -> Accepted {
    match holder {
        Some(id) if id != run.id => Accepted::Existing(id),
        _ => Accepted::New,
    }
}

async fn holder_of_key(conn: &mut Conn, run: &Run) -> Result<Option<RunId>> {
    let Some(key) = &run.idempotency_key else { return Ok(None) };
    let select = query("SELECT id FROM runs WHERE job = $1 AND idempotency_key = $2");
    let rows = conn.fetch(select.bind(&run.job).bind(clean(key).into_owned())).await?;
    rows.first().map(|row| row.parsed("id")).transpose()
}

const INSERT: &str = "
    INSERT INTO runs (id, job, version, state, params, trigger_kind, actor, scheduled_for, payload, priority, attempt,
        dry_run, queued_at, not_before, started_at, finished_at, result, error, reason, parent, idempotency_key,
        progress, fence, wake_at, deadline_at, concurrency_key, node)
    SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, CAST(value->>7 AS BIGINT),
        value->>8, CAST(value->>9 AS BIGINT), CAST(value->>10 AS BIGINT), CAST(value->>11 AS BIGINT),
        CAST(value->>12 AS BIGINT), CAST(value->>13 AS BIGINT), CAST(value->>14 AS BIGINT),
        CAST(value->>15 AS BIGINT), value->>16, value->>17, value->>18, value->>19, value->>20, value->>21, CAST(value->>22 AS BIGINT), CAST(value->>23 AS BIGINT),
        CAST(value->>24 AS BIGINT), value->>25, $2
    FROM {rows} WHERE true
    ON CONFLICT DO NOTHING
    RETURNING id";

/// A row of [`INSERT`], in its order.
#[derive(Serialize)]
struct RunRow<'a>(
    RunId,
    &'a str,
    Option<crate::base::VersionHash>,
    &'static str,
    String,
    &'static str,
    &'a str,
    Option<i64>,
    Option<String>,
    i32,
    u32,
    u8,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<std::borrow::Cow<'a, str>>,
    Option<RunId>,
    Option<std::borrow::Cow<'a, str>>,
    Option<String>,
    i64,
    Option<i64>,
    Option<i64>,
    Option<std::borrow::Cow<'a, str>>,
);

impl<'a> RunRow<'a> {
    fn of(run: &'a Run) -> Result<Self> {
        Ok(Self(
            run.id,
            run.job.as_str(),
            run.version,
            run.state.as_str(),
            run.params.to_string(),
            run.trigger.kind.as_str(),
            &run.trigger.actor.0,
            micros(run.trigger.scheduled_for),
            json(&run.trigger.payload),
            run.priority,
            run.attempt,
            u8::from(run.dry_run),
            run.queued_at.as_microsecond(),
            micros(run.not_before),
            micros(run.started_at),
            micros(run.finished_at),
            run.result.as_ref().map(ToString::to_string),
            run.error.as_ref().map(json_of).transpose()?,
            run.reason.as_deref().map(clean),
            run.parent,
            run.idempotency_key.as_deref().map(clean),
            run.progress.as_ref().map(json_of).transpose()?,
            run.fence,
            micros(run.wake_at),
            micros(run.deadline_at),
            run.concurrency_key.as_deref().map(clean),
        ))
    }
}

/// Inserts what conflicts with nothing, and returns the places of those.
async fn insert(conn: &mut Conn, list: &[&(usize, &NewRun)], node: &str) -> Result<HashSet<usize>> {
    if list.is_empty() {
        return Ok(HashSet::new());
    }
    let mut rows = Rows::new();
    let mut first_of = HashMap::with_capacity(list.len());
    for (index, new) in list {
        rows.push(&RunRow::of(&new.run)?)?;
        first_of.entry(new.run.id).or_insert(*index);
    }
    let mut written = HashSet::with_capacity(list.len());
    for row in conn.fetch(query(INSERT).bind(rows).bind(node)).await? {
        written.extend(first_of.get(&row.parsed("id")?));
    }
    Ok(written)
}
