//! What runs keep for people.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use super::sheet::Sheet;
use crate::base::RunId;
use crate::base::limits::ARTIFACTS_PER_RUN_MAX;
use crate::store::sql::{Conn, query};
use crate::store::text::clean;
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

/// What is to be kept, and the fence at which its run was held, if told.
#[derive(Debug, Clone, Copy)]
pub struct Put<'a> {
    pub run: RunId,
    pub fence: Option<i64>,
    pub artifact: &'a Artifact,
    pub content: &'a Bytes,
}

pub async fn put(conn: &mut Conn, list: &[(usize, Put<'_>)], sheet: &mut Sheet<'_>) -> Result<()> {
    for (index, put) in list {
        match refusal(conn, put).await? {
            Some(reason) => sheet.refuse(*index, StoreError::Refused { reason }),
            None => {
                upsert(conn, put.run, put.artifact, put.content).await?;
                sheet.touched.push(put.run);
            }
        }
    }
    Ok(())
}

async fn refusal(conn: &mut Conn, put: &Put<'_>) -> Result<Option<String>> {
    let Put { run, fence, artifact, .. } = *put;
    let beside = query(
        "SELECT (SELECT count(*) FROM artifacts WHERE run = $1 AND name <> $2) AS others,
             (SELECT fence FROM runs WHERE id = $1) AS fence",
    );
    let row = conn.fetch_one(beside.bind(run).bind(clean(&artifact.name).into_owned())).await?;
    let Some(held) = row.maybe_int("fence")? else {
        return Ok(Some(format!("there is no run {run} that could keep {:?}", artifact.name)));
    };
    if fence.is_some_and(|fence| fence != held) {
        let name = &artifact.name;
        return Ok(Some(format!("run {run} belongs to another daemon now, which keeps {name:?} itself")));
    }
    let full = row.number::<usize>("others")? >= ARTIFACTS_PER_RUN_MAX;
    Ok(full.then(|| {
        let name = &artifact.name;
        format!("run {run} has {ARTIFACTS_PER_RUN_MAX} artifacts already and cannot keep {name:?}; put them together")
    }))
}

async fn upsert(conn: &mut Conn, run: RunId, artifact: &Artifact, content: &Bytes) -> Result<()> {
    let upsert = query(
        "INSERT INTO artifacts (run, name, media_type, bytes, content, created_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (run, name) DO UPDATE
         SET media_type = excluded.media_type, bytes = excluded.bytes, content = excluded.content,
             created_at = excluded.created_at",
    );
    let upsert =
        upsert.bind(run).bind(clean(&artifact.name).into_owned()).bind(clean(&artifact.media_type).into_owned());
    let upsert = upsert.bind(content.len()).bind(BASE64_STANDARD.encode(content)).bind(artifact.created_at);
    conn.execute(upsert).await.map(drop)
}
