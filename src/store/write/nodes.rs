//! The daemons that share the database, and which of them holds a run. Every change of hands raises the run's fence, so
//! that what the earlier holder still writes is refused.

use super::command::Answer;
use super::sheet::Sheet;
use super::start::IN_THE_WAY;
use crate::base::{JobName, Timestamp};
use crate::model::Run;
use crate::store::read::understood;
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::{clean, json_of};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

/// What a daemon asks about itself and about the runs of others.
#[derive(Debug)]
pub enum NodeCommand {
    /// Whether a live lease of the same name is taken over.
    Register(NodeRow, bool),
    Renew {
        name: String,
        epoch: i64,
        until: Timestamp,
    },
    Release {
        name: String,
        epoch: i64,
    },
    Claim {
        now: Timestamp,
        limit: usize,
        rules: ClaimRules,
    },
    Orphans {
        now: Timestamp,
        limit: usize,
    },
    Stop(StopRequest),
}

pub async fn run<'a>(
    conn: &mut Conn,
    list: &[(usize, &'a NodeCommand)],
    node: &str,
    now: Timestamp,
    sheet: &mut Sheet<'a>,
) -> Result<()> {
    for (index, command) in list {
        let answer = match command {
            NodeCommand::Register(row, force) => match register(conn, row, *force, now).await? {
                Ok(epoch) => Answer::Epoch(epoch),
                Err(reason) => {
                    sheet.refuse(*index, StoreError::Refused { reason });
                    continue;
                }
            },
            NodeCommand::Renew { name, epoch, until } => {
                let renew = query("UPDATE nodes SET lease_until = $3 WHERE name = $1 AND epoch = $2");
                Answer::Flag(conn.execute(renew.bind(name.as_str()).bind(*epoch).bind(*until)).await? > 0)
            }
            NodeCommand::Release { name, epoch } => {
                let release = query("DELETE FROM nodes WHERE name = $1 AND epoch = $2");
                Answer::Flag(conn.execute(release.bind(name.as_str()).bind(*epoch)).await? > 0)
            }
            NodeCommand::Claim { now, limit, rules } => {
                Answer::Runs(take(conn, CLAIM, node, *now, *limit, rules).await?)
            }
            NodeCommand::Orphans { now, limit } => {
                Answer::Runs(take(conn, ORPHANS, node, *now, *limit, &ClaimRules::default()).await?)
            }
            NodeCommand::Stop(wish) => Answer::Flag(stop(conn, wish).await?),
        };
        if let Answer::Runs(runs) = &answer {
            sheet.touched.extend(runs.iter().map(|run| run.id));
        }
        sheet.answer(*index, answer);
    }
    Ok(())
}

/// The inner error says who has the name.
async fn register(
    conn: &mut Conn,
    row: &NodeRow,
    force: bool,
    now: Timestamp,
) -> Result<std::result::Result<i64, String>> {
    let holder = query("SELECT address, lease_until FROM nodes WHERE name = $1 AND lease_until > $2 AND epoch <> $3");
    let holder = conn.fetch(holder.bind(row.name.as_str()).bind(now).bind(row.epoch)).await?;
    if let (Some(holder), false) = (holder.first(), force) {
        return Ok(Err(format!(
            "a daemon called {:?} shares this database already (at {}, its lease ends {}); give this one another name, \
             or stop the other",
            row.name,
            holder.text("address")?,
            holder.time("lease_until")?,
        )));
    }
    let next = query("UPDATE counters SET value = value + 1 WHERE name = 'node_epoch' RETURNING value");
    let epoch = conn.fetch_one(next).await?.int("value")?;
    let upsert = query(
        "INSERT INTO nodes (name, epoch, address, labels, started_at, lease_until) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (name) DO UPDATE
         SET epoch = excluded.epoch, address = excluded.address, labels = excluded.labels,
             started_at = excluded.started_at, lease_until = excluded.lease_until",
    );
    let upsert = upsert.bind(row.name.as_str()).bind(epoch).bind(clean(&row.address).into_owned());
    conn.execute(upsert.bind(json_of(&row.labels)?).bind(row.started_at).bind(row.lease_until)).await?;
    Ok(Ok(epoch))
}

/// Queued runs that another daemon holds and has not begun.
const CLAIM: &str = "state = 'queued' AND finished_at IS NULL AND node <> $2
    AND (not_before IS NULL OR not_before <= $3)";

/// Queued and running runs of daemons whose lease is over, or that have gone away.
const ORPHANS: &str = "state IN ('queued', 'running') AND finished_at IS NULL AND node <> $2
    AND NOT EXISTS (SELECT 1 FROM nodes WHERE nodes.name = runs.node AND nodes.lease_until > $3)";

/// Takes over what `which` says and `rules` allow, oldest first. A run that had to wait with its new holder would be taken
/// from it in turn, and would not be seen by the daemon that asks whether a run of the schedule waits already.
async fn take(
    conn: &mut Conn,
    which: &str,
    node: &str,
    now: Timestamp,
    limit: usize,
    rules: &ClaimRules,
) -> Result<Vec<Run>> {
    // Rows that somebody else has locked, at a prompt say, are left for the next time instead of being waited for.
    let update = query(format!(
        "UPDATE runs SET node = $2, fence = fence + 1
         WHERE id IN (SELECT id FROM runs WHERE {which}
                 AND NOT EXISTS (SELECT 1 FROM {{rows}} WHERE value->>0 = runs.job AND (value->>1 = 'never'
                     OR (value->>1 = 'alone'
                         AND EXISTS (SELECT 1 FROM runs AS other WHERE other.job = runs.job AND {IN_THE_WAY}))
                     OR (value->>1 = 'keyed'
                         AND (SELECT count(*) FROM runs AS other
                              WHERE other.concurrency_key = runs.concurrency_key AND {IN_THE_WAY})
                             >= CAST(value->>2 AS BIGINT))))
             ORDER BY queued_at, id LIMIT $4{{skip_locked}})
         RETURNING *"
    ));
    let whole =
        |jobs: &[JobName], rule: &'static str| jobs.iter().map(|job| (job.clone(), rule, 0)).collect::<Vec<_>>();
    let keyed = rules.keyed.iter().map(|(job, limit)| (job.clone(), "keyed", *limit));
    let except = Rows::of(whole(&rules.never, "never").into_iter().chain(whole(&rules.alone, "alone")).chain(keyed))?;
    let rows = conn.fetch(update.bind(except).bind(node).bind(now).bind(limit)).await?;
    let mut runs = understood(&rows);
    runs.sort_by_key(|run| (run.queued_at, run.id));
    Ok(runs)
}

/// Notes that somebody wants a running run cancelled. False when it does not run.
async fn stop(conn: &mut Conn, wish: &StopRequest) -> Result<bool> {
    const ALIVE: &str = "finished_at IS NULL AND state IN ('queued', 'running', 'parked')";
    let over = format!("DELETE FROM stops WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = stops.run AND {ALIVE})");
    conn.execute(query(over)).await?;
    let insert = query(
        "INSERT INTO stops (run, actor, reason, at)
         SELECT id, $2, $3, $4 FROM runs WHERE id = $1 AND state = 'running' AND finished_at IS NULL
         ON CONFLICT (run) DO UPDATE SET at = excluded.at",
    );
    let insert = insert.bind(wish.run).bind(clean(&wish.actor.0).into_owned());
    let insert = insert.bind(clean(&wish.reason).into_owned()).bind(wish.at);
    Ok(conn.execute(insert).await? > 0)
}
