//! The ledger of due times: the first to write `(job, scheduled_for)` has settled it.

use std::collections::{HashMap, HashSet};

use super::command::Answer;
use super::sheet::Sheet;
use crate::base::{RunId, Timestamp};
use crate::model::{Absence, NewEvent, Occurrence};
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::clean;
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

/// Writes those that are not settled yet, and returns the places of those.
pub async fn claim(conn: &mut Conn, list: &[(usize, &Occurrence)]) -> Result<HashSet<usize>> {
    if list.is_empty() {
        return Ok(HashSet::new());
    }
    let mut rows = Rows::new();
    let mut first_of = HashMap::with_capacity(list.len());
    for (index, occurrence) in list {
        let due = occurrence.scheduled_for.as_microsecond();
        rows.push(&(
            occurrence.job.as_str(),
            due,
            occurrence.state.as_str(),
            occurrence.reason.as_deref().map(clean),
            occurrence.run,
            occurrence.decided_at.as_microsecond(),
        ))?;
        first_of.entry((occurrence.job.as_str(), due)).or_insert(*index);
    }
    let insert = query(
        "INSERT INTO occurrences (job, scheduled_for, state, reason, run, decided_at)
         SELECT value->>0, CAST(value->>1 AS BIGINT), value->>2, value->>3, value->>4, CAST(value->>5 AS BIGINT)
         FROM {rows} WHERE true
         ON CONFLICT (job, scheduled_for) DO NOTHING
         RETURNING job, scheduled_for",
    );
    let mut won = HashSet::with_capacity(list.len());
    for row in conn.fetch(insert.bind(rows)).await? {
        won.extend(first_of.get(&(row.text("job")?.as_str(), row.int("scheduled_for")?)));
    }
    Ok(won)
}

/// Gives a claim of this transaction back.
pub async fn release(conn: &mut Conn, occurrence: &Occurrence) -> Result<()> {
    let delete = query("DELETE FROM occurrences WHERE job = $1 AND scheduled_for = $2");
    conn.execute(delete.bind(&occurrence.job).bind(occurrence.scheduled_for)).await?;
    Ok(())
}

/// The run that settled it.
pub async fn run_of(conn: &mut Conn, occurrence: &Occurrence) -> Result<Option<RunId>> {
    let select = query("SELECT run FROM occurrences WHERE job = $1 AND scheduled_for = $2");
    let rows = conn.fetch(select.bind(&occurrence.job).bind(occurrence.scheduled_for)).await?;
    rows.first().map_or(Ok(None), |row| row.maybe_parsed("run"))
}

pub async fn settle<'a>(
    conn: &mut Conn,
    list: &[(usize, &'a Occurrence, &'a [NewEvent])],
    sheet: &mut Sheet<'a>,
) -> Result<()> {
    let wanted: Vec<(usize, &Occurrence)> = list.iter().map(|(index, occurrence, _)| (*index, *occurrence)).collect();
    let won = claim(conn, &wanted).await?;
    for (index, _, events) in list {
        let settled = won.contains(index);
        if settled {
            sheet.events(*index, events);
        }
        sheet.answer(*index, Answer::Flag(settled));
    }
    Ok(())
}

/// Settles what was missed; those that were settled before are left out of the count and of the event.
pub async fn miss<'a>(
    conn: &mut Conn,
    list: &[(usize, &'a Absence)],
    now: Timestamp,
    sheet: &mut Sheet<'a>,
) -> Result<()> {
    for (index, absence) in list {
        let rows: Vec<(usize, &Occurrence)> = absence.missed.iter().enumerate().collect();
        let won = claim(conn, &rows).await?;
        let missed: Vec<&Occurrence> =
            rows.into_iter().filter(|(place, _)| won.contains(place)).map(|(_, missed)| missed).collect();
        if let Some(event) = absence.event(&missed, now) {
            sheet.tell(*index, event);
        }
        sheet.answer(*index, Answer::Count(missed.len() as u64));
    }
    Ok(())
}
