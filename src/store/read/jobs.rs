//! Reading versions and what is remembered of jobs.

use crate::base::{JobName, VersionHash};
use crate::store::handle::Store;
use crate::store::sql::{Row, query};
use crate::store::text::limit_rows;
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

fn version_from(row: &Row) -> Result<ScriptVersion> {
    Ok(ScriptVersion {
        hash: row.parsed("hash")?,
        job: row.parsed("job")?,
        spec: row.json("spec")?,
        files: row.json("files")?,
        created_at: row.time("created_at")?,
    })
}

impl Store {
    pub async fn version(&self, hash: VersionHash) -> Result<Option<ScriptVersion>> {
        let row = self.readers().fetch_first(query("SELECT * FROM versions WHERE hash = $1").bind(hash)).await?;
        row.as_ref().map(version_from).transpose()
    }

    /// Newest first.
    pub async fn versions(&self, job: &JobName, limit: usize) -> Result<Vec<ScriptVersion>> {
        let select = query("SELECT * FROM versions WHERE job = $1 ORDER BY created_at DESC, hash LIMIT $2");
        let rows = self.readers().fetch(select.bind(job).bind(limit_rows(limit))).await?;
        rows.iter().map(version_from).collect()
    }

    pub async fn jobs(&self) -> Result<Vec<JobRow>> {
        let rows = self.readers().fetch(query(
            "SELECT jobs.*, versions.created_at AS version_at FROM jobs JOIN versions ON versions.hash = jobs.version
             ORDER BY name",
        )).await?;
        let jobs = rows.iter().map(|row| {
            Ok(JobRow {
                name: row.parsed("name")?,
                version: row.parsed("version")?,
                enabled: row.maybe_int("enabled")?.map(|flag| flag != 0),
                first_seen: row.time("first_seen")?,
                version_at: row.time("version_at")?,
                scheduled_until: row.maybe_time("scheduled_until")?,
            })
        });
        jobs.collect()
    }
}
