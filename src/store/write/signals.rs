//! Events, decisions and time: what runs wait for, and how they come to be queued again.

use serde_json::json;

use super::command::Answer;
use super::sheet::Sheet;
use crate::base::{JobName, RunId, Timestamp};
use crate::model::{Decision, NewEvent, Signal};
use crate::store::sql::{Conn, Query, Row, Rows, query};
use crate::store::text::{clean, json as json_text};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

pub async fn signal<'a>(conn: &mut Conn, list: &[(usize, &'a Signal)], sheet: &mut Sheet<'a>) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    let next = query("UPDATE counters SET value = value + $1 WHERE name = 'signal_seq' RETURNING value");
    let last = conn.fetch_one(next.bind(list.len())).await?.int("value")?;
    let first = last - i64::try_from(list.len()).unwrap_or(i64::MAX) + 1;
    keep(conn, first, list).await?;
    for (seq, (index, signal)) in (first..).zip(list) {
        let job = match signal.run {
            Some(run) => job_of(conn, run).await?,
            None => None,
        };
        let data = json!({"name": signal.name, "key": signal.key, "by": signal.actor});
        sheet.tell(*index, NewEvent { job, run: signal.run, ..NewEvent::new(signal.at, "event.sent").data(data) });
        let answered = answer_waits(conn, seq, signal).await?;
        sheet.touched.extend(&answered);
        let why = json!({"by": "event", "name": signal.name});
        let parked = wake(conn, &answered, signal.at, &why, *index, sheet).await?;
        sheet.answer(*index, Answer::Woken(Woken { parked }));
    }
    Ok(())
}

async fn keep(conn: &mut Conn, first: i64, list: &[(usize, &Signal)]) -> Result<()> {
    let rows = Rows::of((first..).zip(list).map(|(seq, (_, signal))| {
        (
            seq,
            signal.at.as_microsecond(),
            clean(&signal.name),
            signal.key.as_deref().map(clean),
            signal.run,
            json_text(&signal.payload),
            clean(&signal.actor.0),
        )
    }))?;
    let insert = query(
        "INSERT INTO signals (seq, at, name, key, run, payload, actor)
         SELECT CAST(value->>0 AS BIGINT), CAST(value->>1 AS BIGINT), value->>2, value->>3, value->>4, value->>5,
             value->>6
         FROM {rows}",
    );
    conn.execute(insert.bind(rows)).await.map(drop)
}

async fn job_of(conn: &mut Conn, run: RunId) -> Result<Option<JobName>> {
    let rows = conn.fetch(query("SELECT job FROM runs WHERE id = $1").bind(run)).await?;
    rows.first().map(|row| row.parsed("job")).transpose()
}

/// Answers the first wait for the event of each run that has one whose time is not over.
async fn answer_waits(conn: &mut Conn, seq: i64, signal: &Signal) -> Result<Vec<RunId>> {
    let of_run = if signal.run.is_some() { " AND steps.run = $8" } else { "" };
    let open = |of: &str| {
        format!(
            "{of}.kind = 'event' AND {of}.name = $1 AND {of}.state = 'waiting'
                 AND ({of}.match_key IS NULL OR {of}.match_key = $2) AND ({of}.wake_at IS NULL OR {of}.wake_at > $3)"
        )
    };
    let update = query(format!(
        "UPDATE steps SET state = 'done', result = $4, actor = $5, finished_at = $6, signal_seq = $7,
             answered = (SELECT fence FROM runs WHERE runs.id = steps.run)
         WHERE {}{of_run}
             AND place = (SELECT min(other.place) FROM steps AS other WHERE other.run = steps.run AND {})
         RETURNING run",
        open("steps"),
        open("other"),
    ));
    let update = update.bind(clean(&signal.name).into_owned());
    let update = update.bind(signal.key.as_deref().map(|key| clean(key).into_owned()));
    let update = update.bind(signal.at).bind(signal.payload.to_string()).bind(clean(&signal.actor.0).into_owned());
    let update = update.bind(signal.at).bind(seq);
    let update = match signal.run {
        Some(run) => update.bind(run),
        None => update,
    };
    conn.fetch(update).await?.iter().map(|row| row.parsed("run")).collect()
}

/// Those of `runs` that are parked become queued, and this daemon's: it is the one that hears of it.
async fn wake<'a>(
    conn: &mut Conn,
    runs: &[RunId],
    at: Timestamp,
    why: &serde_json::Value,
    index: usize,
    sheet: &mut Sheet<'a>,
) -> Result<Vec<RunId>> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let update = query(
        "UPDATE runs SET state = 'queued', wake_at = NULL, node = $2
         WHERE id IN (SELECT value->>0 FROM {rows}) AND state = 'parked' AND finished_at IS NULL
         RETURNING id, job",
    );
    let mut woken = Vec::new();
    for row in conn.fetch(update.bind(Rows::of(runs.iter().map(|run| [run]))?).bind(sheet.node.as_str())).await? {
        let (run, job): (RunId, JobName) = (row.parsed("id")?, row.parsed("job")?);
        sheet.tell(index, NewEvent::new(at, "run.woken").job(&job).run(run).data(why.clone()));
        woken.push(run);
    }
    sheet.touched.extend(&woken);
    // In the order that was asked for.
    Ok(runs.iter().copied().filter(|run| woken.contains(run)).collect())
}

pub async fn wake_due<'a>(conn: &mut Conn, list: &[(usize, Timestamp, usize)], sheet: &mut Sheet<'a>) -> Result<()> {
    for (index, now, limit) in list {
        let rows = conn.fetch(due(*now, *limit)).await?;
        let runs: Vec<RunId> = rows.iter().map(|row| row.parsed("id")).collect::<Result<_>>()?;
        let parked = wake(conn, &runs, *now, &json!({"by": "time"}), *index, sheet).await?;
        sheet.answer(*index, Answer::Woken(Woken { parked }));
    }
    Ok(())
}

/// The parked runs that are due by `now`, the earliest first.
pub fn due(now: Timestamp, limit: usize) -> Query {
    query(
        "SELECT id, min(due) AS due FROM
             (SELECT id, wake_at AS due FROM runs WHERE state = 'parked' AND wake_at <= $1
              UNION ALL SELECT id, deadline_at AS due FROM runs WHERE state = 'parked' AND deadline_at <= $1) AS found
         GROUP BY id ORDER BY 2, 1 LIMIT $2",
    )
    .bind(now)
    .bind(limit)
}

pub async fn decide<'a>(conn: &mut Conn, list: &[(usize, &'a Decision)], sheet: &mut Sheet<'a>) -> Result<()> {
    for (index, decision) in list {
        let outcome = decide_one(conn, decision, *index, sheet).await?;
        sheet.answer(*index, Answer::Decided(outcome));
    }
    Ok(())
}

async fn decide_one(conn: &mut Conn, decision: &Decision, index: usize, sheet: &mut Sheet<'_>) -> Result<Decided> {
    let select = query(
        "SELECT key, name, state, result, actor, wake_at FROM steps WHERE run = $1 AND kind = 'approval' ORDER BY place",
    );
    let approvals = conn.fetch(select.bind(decision.run)).await?;
    let mut waiting: Vec<&Row> = Vec::new();
    for row in &approvals {
        let expired = row.maybe_time("wake_at")?.is_some_and(|over| over <= decision.at);
        if row.text("state")? == "waiting" && !expired {
            waiting.push(row);
        }
    }
    let names: Vec<String> = waiting.iter().map(|row| row.text("name")).collect::<Result<_>>()?;
    let found = match &decision.name {
        Some(name) => waiting.iter().zip(&names).find(|(_, named)| *named == name).map(|(row, _)| *row),
        None if waiting.len() == 1 => waiting.first().copied(),
        None => None,
    };
    let Some(found) = found else { return settled_before(&approvals, decision, names) };
    let name = found.text("name")?;
    let result = json!({
        "approved": decision.approved, "by": decision.actor, "comment": decision.comment, "at": decision.at,
    });
    let update = query(
        "UPDATE steps SET state = 'done', result = $3, actor = $4, finished_at = $5,
             answered = (SELECT fence FROM runs WHERE runs.id = steps.run)
         WHERE run = $1 AND key = $2",
    );
    let update = update.bind(decision.run).bind(found.text("key")?).bind(result.to_string());
    conn.execute(update.bind(clean(&decision.actor.0).into_owned()).bind(decision.at)).await?;
    let data = json!({
        "name": name, "approved": decision.approved, "by": decision.actor, "comment": decision.comment,
    });
    let job = job_of(conn, decision.run).await?;
    let event = NewEvent::new(decision.at, "approval.decided").run(decision.run).data(data);
    sheet.tell(index, NewEvent { job, ..event });
    sheet.touched.push(decision.run);
    let why = json!({"by": "approval", "name": name});
    let parked = wake(conn, &[decision.run], decision.at, &why, index, sheet).await?;
    Ok(Decided::Applied { name, woken: Woken { parked } })
}

/// No approval of that name waits: perhaps one did. Without a name, the latest is meant, unless others wait.
fn settled_before(approvals: &[Row], decision: &Decision, others: Vec<String>) -> Result<Decided> {
    for row in approvals.iter().rev() {
        let name = row.text("name")?;
        let meant = decision.name.as_ref().map_or(others.is_empty(), |asked| *asked == name);
        if meant {
            let actor = row.maybe_text("actor")?.map(crate::model::Actor::new);
            return Ok(Decided::Already { name, actor, result: row.maybe_json("result")? });
        }
    }
    Ok(Decided::NotWaiting { others })
}
