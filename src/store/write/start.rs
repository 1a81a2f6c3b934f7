//! queued -> running, by the daemon that holds the run.

use std::collections::HashSet;

use super::command::Answer;
use super::runs::rounds;
use super::sheet::Sheet;
use crate::base::RunId;
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::{clean, micros};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

const SET: &str = "state = 'running', finished_at = NULL, not_before = NULL, reason = NULL, wake_at = NULL, node = $2";

/// Ours, or of a daemon that is not among those that share the database.
const OURS: &str = "(runs.node = $2 OR NOT EXISTS (SELECT 1 FROM nodes WHERE nodes.name = runs.node))";

/// `other` is in progress and goes before `runs`. Parked runs are in progress too, and so are those that were woken: they
/// go before runs that have not begun.
pub const IN_THE_WAY: &str =
    "other.id <> runs.id AND other.finished_at IS NULL AND (other.state IN ('running', 'parked')
        OR (other.state = 'queued' AND other.deadline_at IS NOT NULL AND runs.deadline_at IS NULL))";

pub async fn start<'a>(
    conn: &mut Conn,
    list: &[(usize, &'a StartRun)],
    node: &str,
    sheet: &mut Sheet<'a>,
) -> Result<()> {
    let (limited, free): (Vec<_>, Vec<_>) =
        list.iter().copied().partition(|(_, start)| start.alone || start.key.is_some());
    for round in rounds(&free, |start| start.run) {
        let started = start_all(conn, &round, node).await?;
        for (index, start) in round {
            let outcome = if started.contains(&start.run) { Started::Applied } else { Started::Lost };
            note(sheet, index, start, outcome);
        }
    }
    // One by one, so that each sees those before it. The writers of all daemons take turns, so nobody comes between.
    for (index, start) in limited {
        let outcome = start_limited(conn, start, node).await?;
        note(sheet, index, start, outcome);
    }
    Ok(())
}

fn note<'a>(sheet: &mut Sheet<'a>, index: usize, start: &'a StartRun, outcome: Started) {
    if outcome == Started::Applied {
        sheet.events(index, &start.events);
        sheet.touched.push(start.run);
    }
    sheet.answer(index, Answer::Started(outcome));
}

async fn start_all(conn: &mut Conn, round: &[(usize, &StartRun)], node: &str) -> Result<HashSet<RunId>> {
    let update = query(format!(
        "UPDATE runs SET {SET}, attempt = c.attempt, started_at = c.at, fence = c.fence + 1,
             deadline_at = coalesce(runs.deadline_at, c.deadline_at)
         FROM (SELECT value->>0 AS run, CAST(value->>1 AS BIGINT) AS attempt, CAST(value->>2 AS BIGINT) AS at,
                 CAST(value->>3 AS BIGINT) AS fence, CAST(value->>4 AS BIGINT) AS deadline_at
               FROM {{rows}}) AS c
         WHERE runs.id = c.run AND runs.state = 'queued' AND runs.fence = c.fence AND {OURS}
         RETURNING id"
    ));
    let rows = Rows::of(round.iter().map(|(_, start)| {
        (start.run, start.attempt, start.began.as_microsecond(), start.fence, micros(start.deadline_at))
    }))?;
    conn.fetch(update.bind(rows).bind(node)).await?.iter().map(|row| row.parsed("id")).collect()
}

async fn start_limited(conn: &mut Conn, start: &StartRun, node: &str) -> Result<Started> {
    let alone = format!("AND NOT EXISTS (SELECT 1 FROM runs AS other WHERE other.job = runs.job AND {IN_THE_WAY})");
    let keyed =
        format!("AND (SELECT count(*) FROM runs AS other WHERE other.concurrency_key = $7 AND {IN_THE_WAY}) < $8");
    let update = query(format!(
        "UPDATE runs SET {SET}, attempt = $4, started_at = $5, fence = fence + 1, deadline_at = coalesce(deadline_at, $6)
         WHERE id = $1 AND state = 'queued' AND fence = $3 AND {OURS} {} {} RETURNING id",
        if start.alone { &alone } else { "" },
        if start.key.is_some() { &keyed } else { "" },
    ));
    let update = update.bind(start.run).bind(node).bind(start.fence).bind(i64::from(start.attempt));
    let update = update.bind(start.began).bind(start.deadline_at);
    let update = match &start.key {
        Some((key, at_once)) => update.bind(clean(key).into_owned()).bind(i64::from(*at_once)),
        None => update,
    };
    if !conn.fetch(update).await?.is_empty() {
        return Ok(Started::Applied);
    }
    let waits =
        query(format!("SELECT 1 AS found FROM runs WHERE id = $1 AND state = 'queued' AND fence = $3 AND {OURS}"));
    let waits = conn.fetch(waits.bind(start.run).bind(node).bind(start.fence)).await?;
    Ok(if waits.is_empty() { Started::Lost } else { Started::Busy })
}
