//! The journals of durable runs. A waiting entry whose answer is there already is answered in the same commit, so that
//! an event which was sent between two waits is not lost.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::command::Answer;
use super::sheet::Sheet;
use crate::base::RunId;
use crate::model::{Entry, EntryKind, EntryState, StepKey};
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::{clean, json_of, micros};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

pub async fn write<'a>(conn: &mut Conn, list: &[(usize, &'a JournalWrite)], sheet: &mut Sheet<'a>) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    let held = held(conn, list).await?;
    let mut entries = Vec::new();
    for (index, write) in list {
        let holds = held.contains(&(write.run, write.fence));
        if holds {
            entries.extend(write.entries.iter().map(|entry| (write.run, entry)));
            sheet.touched.push(write.run);
        }
        sheet.answer(*index, Answer::Guarded(if holds { Guarded::Applied } else { Guarded::Refused }));
    }
    record(conn, &entries).await
}

/// The runs among those of `list` that are running, with their fences.
async fn held(conn: &mut Conn, list: &[(usize, &JournalWrite)]) -> Result<HashSet<(RunId, i64)>> {
    let select = query(
        "SELECT id, fence FROM runs
         WHERE id IN (SELECT value->>0 FROM {rows}) AND state = 'running' AND finished_at IS NULL",
    );
    let rows = Rows::of(list.iter().map(|(_, write)| [write.run]))?;
    conn.fetch(select.bind(rows)).await?.iter().map(|row| Ok((row.parsed("id")?, row.int("fence")?))).collect()
}

/// An answer that is there is not taken back by the note that it was waited for, nor by one that it did not come in time:
/// whoever answered was told that it counts. A wait that its run has given up leaves the event to a later one.
const RECORD: &str = "
    INSERT INTO steps (run, key, place, kind, name, state, result, error, show, match_key, actor, undo, tries, attempt,
        started_at, finished_at, wake_at)
    SELECT value->>0, value->>1,
        CAST(value->>2 AS BIGINT) + coalesce((SELECT max(place) FROM steps WHERE steps.run = value->>0), 0),
        value->>3, value->>4, value->>5, value->>6, value->>7, value->>8, value->>9, value->>10,
        CAST(value->>11 AS BIGINT), CAST(value->>12 AS BIGINT), CAST(value->>13 AS BIGINT),
        CAST(value->>14 AS BIGINT), CAST(value->>15 AS BIGINT), CAST(value->>16 AS BIGINT)
    FROM {rows} WHERE true
    ON CONFLICT (run, key) DO UPDATE
    SET kind = excluded.kind, name = excluded.name, state = excluded.state, result = excluded.result,
        error = excluded.error, show = excluded.show, match_key = excluded.match_key, actor = excluded.actor,
        undo = excluded.undo, tries = excluded.tries, attempt = excluded.attempt, started_at = excluded.started_at,
        finished_at = excluded.finished_at, wake_at = excluded.wake_at, answered = NULL,
        signal_seq = CASE WHEN excluded.state = 'done' THEN steps.signal_seq END
    WHERE steps.state = 'waiting' OR excluded.state = 'done' OR (excluded.state = 'failed' AND steps.answered IS NULL)";

/// A row of [`RECORD`], in its order.
#[derive(Serialize)]
struct StepRow<'a>(
    RunId,
    String,
    usize,
    &'static str,
    Cow<'a, str>,
    &'static str,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Cow<'a, str>>,
    Option<Cow<'a, str>>,
    u8,
    u32,
    u32,
    i64,
    Option<i64>,
    Option<i64>,
);

impl<'a> StepRow<'a> {
    fn of(run: RunId, place: usize, entry: &'a Entry) -> Result<Self> {
        Ok(Self(
            run,
            entry.key.to_string(),
            place,
            entry.kind.as_str(),
            clean(&entry.name),
            entry.state.as_str(),
            entry.result.as_ref().map(ToString::to_string),
            entry.error.as_ref().map(json_of).transpose()?,
            entry.show.as_ref().map(ToString::to_string),
            entry.match_key.as_deref().map(clean),
            entry.actor.as_ref().map(|actor| clean(&actor.0)),
            u8::from(entry.undo),
            entry.tries,
            entry.attempt,
            entry.started_at.as_microsecond(),
            micros(entry.finished_at),
            micros(entry.wake_at),
        ))
    }
}

/// Adds the entries to the journals of their runs, or replaces those of the same key, which keep their places.
pub(super) async fn record(conn: &mut Conn, list: &[(RunId, &Entry)]) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    // Of several of the same key the last counts: one statement changes a row at most once.
    let last: HashMap<(RunId, &StepKey), usize> =
        list.iter().enumerate().map(|(place, (run, entry))| ((*run, &entry.key), place)).collect();
    let kept = list.iter().enumerate().filter(|(place, (run, entry))| last[&(*run, &entry.key)] == *place);
    let mut rows = Rows::new();
    for (place, (run, entry)) in kept {
        rows.push(&StepRow::of(*run, place + 1, entry)?)?;
    }
    conn.later(query(RECORD).bind(rows)).await?;
    let unwound: Vec<RunId> =
        list.iter().filter(|(_, entry)| entry.kind == EntryKind::Unwind).map(|(run, _)| *run).collect();
    stop_waiting(conn, &unwound).await?;
    for (run, entry) in list {
        if entry.kind == EntryKind::Event && entry.state == EntryState::Waiting {
            answer_from_before(conn, *run, entry).await?;
        }
    }
    Ok(())
}

/// Gives the waiting entry the first event for it that was sent since the run was accepted and that no other wait of the
/// run has taken.
async fn answer_from_before(conn: &mut Conn, run: RunId, entry: &Entry) -> Result<()> {
    let fits = if entry.match_key.is_some() { " AND signals.key = $3" } else { "" };
    let first = query(format!(
        "SELECT signals.seq, signals.at, signals.payload, signals.actor, runs.fence FROM runs
         JOIN signals ON signals.name = $2 AND signals.at >= runs.queued_at
         WHERE runs.id = $1 AND (signals.run IS NULL OR signals.run = $1){fits}
             AND signals.seq NOT IN (SELECT signal_seq FROM steps WHERE run = $1 AND signal_seq IS NOT NULL)
         ORDER BY signals.at, signals.seq LIMIT 1"
    ));
    let first = first.bind(run).bind(clean(&entry.name).into_owned());
    let first = match &entry.match_key {
        Some(key) => first.bind(clean(key).into_owned()),
        None => first,
    };
    let Some(found) = conn.fetch(first).await?.into_iter().next() else { return Ok(()) };
    let sent_at = found.time("at")?.max(entry.started_at);
    if entry.wake_at.is_some_and(|over| over <= sent_at) {
        return Ok(());
    }
    let answer = query(
        "UPDATE steps SET state = 'done', result = coalesce($3, 'null'), actor = $4, finished_at = $5, signal_seq = $6,
             answered = $7
         WHERE run = $1 AND key = $2 AND state = 'waiting'",
    );
    let answer = answer.bind(run).bind(entry.key.to_string());
    let answer = answer.bind(found.maybe_text("payload")?).bind(found.text("actor")?).bind(sent_at);
    conn.execute(answer.bind(found.int("seq")?).bind(found.int("fence")?)).await.map(drop)
}

/// Removes entries that a later attempt makes anew.
pub(super) async fn forget(conn: &mut Conn, list: &[(RunId, &StepKey)]) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    let delete = query("DELETE FROM steps WHERE (run, key) IN (SELECT value->>0, value->>1 FROM {rows})");
    conn.later(delete.bind(Rows::of(list.iter().map(|(run, key)| (run, key.to_string())))?)).await
}

/// Runs that have ended, or are being undone, wait for nothing any more.
pub(super) async fn stop_waiting(conn: &mut Conn, runs: &[RunId]) -> Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    let delete = query("DELETE FROM steps WHERE run IN (SELECT value->>0 FROM {rows}) AND state = 'waiting'");
    conn.later(delete.bind(Rows::of(runs.iter().map(|run| [run]))?)).await
}
