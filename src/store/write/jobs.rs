//! Versions of scripts and what is remembered of jobs. A version that is current already changes nothing, so that a
//! restart with a thousand unchanged jobs costs no commit.

use super::command::Answer;
use super::sheet::Sheet;
use crate::base::{JobName, Timestamp};
use crate::model::NewEvent;
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::{clean, json_of};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

pub async fn put_versions(conn: &mut Conn, list: &[&ScriptVersion]) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    // Of several versions of one job the last is the current one; the statements below see each job once.
    for (place, version) in list.iter().enumerate() {
        if list[..place].iter().any(|earlier| earlier.job == version.job) {
            Box::pin(put_versions(conn, &list[..place])).await?;
            return Box::pin(put_versions(conn, &list[place..])).await;
        }
    }
    keep_versions(conn, list).await?;
    let rows = || {
        Rows::of(list.iter().map(|version| (version.job.as_str(), version.hash, version.created_at.as_microsecond())))
    };
    let supersede = query(
        "UPDATE versions SET superseded_at = CASE WHEN versions.hash = c.hash THEN NULL ELSE c.at END
         FROM (SELECT value->>0 AS of_job, value->>1 AS hash, CAST(value->>2 AS BIGINT) AS at FROM {rows}) AS c
         WHERE versions.job = c.of_job AND (versions.hash = c.hash) = (versions.superseded_at IS NOT NULL)",
    );
    conn.execute(supersede.bind(rows()?)).await?;
    let point = query(
        "INSERT INTO jobs (name, version, first_seen)
         SELECT value->>0, value->>1, CAST(value->>2 AS BIGINT) FROM {rows} WHERE true
         ON CONFLICT (name) DO UPDATE SET version = excluded.version WHERE jobs.version <> excluded.version",
    );
    conn.execute(point.bind(rows()?)).await?;
    Ok(())
}

async fn keep_versions(conn: &mut Conn, list: &[&ScriptVersion]) -> Result<()> {
    let mut rows = Rows::new();
    for version in list {
        let (spec, files) = (json_of(&version.spec)?, json_of(&version.files)?);
        rows.push(&(version.hash, version.job.as_str(), spec, clean(&files), version.created_at.as_microsecond()))?;
    }
    let keep = query(
        "INSERT INTO versions (hash, job, spec, files, created_at)
         SELECT value->>0, value->>1, value->>2, value->>3, CAST(value->>4 AS BIGINT) FROM {rows} WHERE true
         ON CONFLICT (hash) DO NOTHING",
    );
    conn.execute(keep.bind(rows)).await.map(drop)
}

pub async fn set_enabled<'a>(
    conn: &mut Conn,
    list: &[(usize, &'a JobName, Option<bool>, &'a [NewEvent])],
    sheet: &mut Sheet<'a>,
) -> Result<()> {
    for (index, job, enabled, events) in list {
        let update = query("UPDATE jobs SET enabled = $1 WHERE name = $2");
        if conn.execute(update.bind(enabled.map(i64::from)).bind(*job)).await? > 0 {
            sheet.events(*index, events);
            sheet.answer(*index, Answer::Done);
        } else {
            sheet.refuse(*index, StoreError::Refused { reason: format!("no job {job} has been loaded yet") });
        }
    }
    Ok(())
}

pub async fn scheduled_until(conn: &mut Conn, list: &[(&[JobName], Timestamp)]) -> Result<()> {
    for (jobs, until) in list {
        let update = query("UPDATE jobs SET scheduled_until = $2 WHERE name IN (SELECT value->>0 FROM {rows})");
        let rows = Rows::of(jobs.iter().map(|job| [job.as_str()]))?;
        conn.execute(update.bind(rows).bind(*until)).await?;
    }
    Ok(())
}
