//! Guarded changes of runs: a row changes only from the state and attempt that the caller saw.

use std::collections::HashMap;

use super::command::Answer;
use super::sheet::Sheet;
use super::{hours, park};
use crate::base::RunId;
use crate::store::sql::{Conn, Query, Rows, query};
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
    RETURNING id, job";

pub async fn transition<'a>(conn: &mut Conn, list: &[(usize, &'a Transition)], sheet: &mut Sheet<'a>) -> Result<()> {
    let mut ended = Vec::new();
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
        let jobs = changed(conn, query(TRANSITION).bind(rows)).await?;
        let mut applied = Vec::with_capacity(round.len());
        for (index, change) in round {
            if let Some(job) = jobs.get(&change.run) {
                sheet.logs(None, &change.logs);
                sheet.events(index, &change.events);
                sheet.touched.push(change.run);
                applied.push(change);
                if change.to.is_final() {
                    ended.push((job.clone(), change.at, change.to));
                }
            }
            sheet.answer(index, guarded(jobs.contains_key(&change.run)));
        }
        park::journals(conn, &applied).await?;
    }
    hours::count(conn, &ended).await
}

/// The last update of each run counts; a run that has ended, or that another holder has now, keeps what it had.
pub async fn progress(conn: &mut Conn, list: &[&ProgressUpdate], sheet: &mut Sheet<'_>) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    // Of what was held at different fences only the highest can be the present one.
    let mut latest: HashMap<RunId, &ProgressUpdate> = HashMap::with_capacity(list.len());
    for &update in list {
        let known = latest.entry(update.run).or_insert(update);
        if update.fence >= known.fence {
            *known = update;
        }
    }
    let mut rows = Rows::new();
    for (run, update) in &latest {
        rows.push(&(run, json_of(&update.progress)?, update.fence))?;
    }
    let update = query(
        "UPDATE runs SET progress = c.progress
         FROM (SELECT value->>0 AS run, value->>1 AS progress, CAST(value->>2 AS BIGINT) AS fence FROM {rows}) AS c
         WHERE runs.id = c.run AND runs.state IN ('running', 'parked') AND runs.fence = coalesce(c.fence, runs.fence)",
    );
    conn.later(update.bind(rows)).await?;
    sheet.touched.extend(latest.into_keys());
    Ok(())
}

fn guarded(applied: bool) -> Answer {
    Answer::Guarded(if applied { Guarded::Applied } else { Guarded::Refused })
}

/// The runs that a statement changed, with their jobs.
async fn changed(conn: &mut Conn, query: Query) -> Result<HashMap<RunId, String>> {
    conn.fetch(query).await?.iter().map(|row| Ok((row.parsed("id")?, row.text("job")?))).collect()
}

/// Splits a list, keeping its order, so that no run comes twice in one part.
pub(super) fn rounds<'a, T>(list: &[(usize, &'a T)], run: impl Fn(&T) -> RunId) -> Vec<Vec<(usize, &'a T)>> {
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
