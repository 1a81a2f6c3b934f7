//! Guarded changes of runs: a row changes only from the state and attempt that the caller saw.

use std::collections::{HashMap, HashSet};

use super::command::Answer;
use super::sheet::Sheet;
use crate::base::RunId;
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::{clean, json_of, micros};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

const TRANSITION: &str = "
    UPDATE runs SET state = c.to_state, reason = c.reason, result = c.result, error = c.error,
        not_before = c.not_before, finished_at = c.finished_at, wake_at = c.wake_at,
        deadline_at = CASE WHEN c.clear_deadline = 1 THEN NULL ELSE runs.deadline_at END
    FROM (SELECT value->>0 AS run, value->>1 AS from_state, CAST(value->>2 AS BIGINT) AS attempt,
            value->>3 AS to_state, value->>4 AS reason, value->>5 AS result, value->>6 AS error,
            CAST(value->>7 AS BIGINT) AS not_before, CAST(value->>8 AS BIGINT) AS finished_at,
            CAST(value->>9 AS BIGINT) AS fence, CAST(value->>10 AS BIGINT) AS wake_at,
            CAST(value->>11 AS BIGINT) AS clear_deadline
          FROM {rows}) AS c
    WHERE runs.id = c.run AND runs.state = c.from_state AND runs.attempt = c.attempt AND runs.fence = c.fence
    RETURNING id";

pub async fn transition<'a>(conn: &mut Conn, list: &[(usize, &'a Transition)], sheet: &mut Sheet<'a>) -> Result<()> {
    // One statement changes a row at most once, so commands for the same run take turns.
    for round in rounds(list, |change| change.run) {
        let mut rows = Rows::new();
        for (_, change) in &round {
            rows.push(&(
                change.run,
                change.from.as_str(),
                change.attempt,
                change.to.as_str(),
                change.reason.as_deref().map(clean),
                change.result.as_ref().map(ToString::to_string),
                change.error.as_ref().map(json_of).transpose()?,
                micros(change.not_before),
                change.to.is_final().then(|| change.at.as_microsecond()),
                change.fence,
                micros(change.wake_at),
                u8::from(change.clear_deadline),
            ))?;
        }
        let changed = ids(conn, query(TRANSITION).bind(rows)).await?;
        for (index, change) in round {
            if changed.contains(&change.run) {
                sheet.logs(&change.logs);
                sheet.events(index, &change.events);
                sheet.touched.push(change.run);
            }
            sheet.answer(index, guarded(changed.contains(&change.run)));
        }
    }
    Ok(())
}

const START: &str = "
    UPDATE runs SET state = 'running', attempt = c.attempt, started_at = c.at, finished_at = NULL, not_before = NULL,
        reason = NULL, node = $2, fence = c.fence + 1, wake_at = NULL,
        deadline_at = coalesce(runs.deadline_at, c.deadline_at)
    FROM (SELECT value->>0 AS run, CAST(value->>1 AS BIGINT) AS attempt, CAST(value->>2 AS BIGINT) AS at,
            CAST(value->>3 AS BIGINT) AS fence, CAST(value->>4 AS BIGINT) AS deadline_at
          FROM {rows}) AS c
    WHERE runs.id = c.run AND runs.state = 'queued' AND runs.fence = c.fence
    RETURNING id";

pub async fn start<'a>(
    conn: &mut Conn,
    list: &[(usize, &'a StartRun)],
    node: &str,
    sheet: &mut Sheet<'a>,
) -> Result<()> {
    for round in rounds(list, |start| start.run) {
        let rows = Rows::of(round.iter().map(|(_, start)| {
            (start.run, start.attempt, start.at.as_microsecond(), start.fence, micros(start.deadline_at))
        }))?;
        let changed = ids(conn, query(START).bind(rows).bind(node)).await?;
        for (index, start) in round {
            if changed.contains(&start.run) {
                sheet.events(index, &start.events);
                sheet.touched.push(start.run);
            }
            sheet.answer(
                index,
                Answer::Started(if changed.contains(&start.run) { Started::Applied } else { Started::Lost }),
            );
        }
    }
    Ok(())
}

/// The last update of each run counts; a run that has ended keeps what it had.
pub async fn progress(conn: &mut Conn, list: &[&ProgressUpdate], sheet: &mut Sheet<'_>) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    let latest: HashMap<RunId, &ProgressUpdate> = list.iter().map(|update| (update.run, *update)).collect();
    let mut rows = Rows::new();
    for (run, update) in &latest {
        rows.push(&(run, json_of(&update.progress)?))?;
    }
    let update = query(
        "UPDATE runs SET progress = c.progress
         FROM (SELECT value->>0 AS run, value->>1 AS progress FROM {rows}) AS c
         WHERE runs.id = c.run AND runs.state IN ('running', 'parked')",
    );
    conn.execute(update.bind(rows)).await?;
    sheet.touched.extend(latest.into_keys());
    Ok(())
}

fn guarded(applied: bool) -> Answer {
    Answer::Guarded(if applied { Guarded::Applied } else { Guarded::Refused })
}

async fn ids(conn: &mut Conn, query: crate::store::sql::Query) -> Result<HashSet<RunId>> {
    conn.fetch(query).await?.iter().map(|row| row.parsed("id")).collect()
}

/// Splits a list, keeping its order, so that no run comes twice in one part.
fn rounds<'a, T>(list: &[(usize, &'a T)], run: impl Fn(&T) -> RunId) -> Vec<Vec<(usize, &'a T)>> {
    let mut turns: HashMap<RunId, usize> = HashMap::with_capacity(list.len());
    let mut rounds: Vec<Vec<(usize, &T)>> = Vec::new();
    for &(index, item) in list {
        let turn = turns.entry(run(item)).or_insert(0);
        if rounds.len() == *turn {
            rounds.push(Vec::new());
        }
        rounds[*turn].push((index, item));
        *turn += 1;
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_one_turn_in_each_round() {
        let (a, b) = (RunId::generate(), RunId::generate());
        let rounds = rounds(&[(0, &a), (1, &b), (2, &a), (3, &a)], |id| *id);
        let places: Vec<Vec<usize>> =
            rounds.iter().map(|round| round.iter().map(|(index, _)| *index).collect()).collect();
        assert_eq!(places, [vec![0, 1], vec![2], vec![3]]);
    }
}
