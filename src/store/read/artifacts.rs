//! Reading what runs keep for people.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::base::RunId;
use crate::store::handle::Store;
use crate::store::sql::{Row, query};
use crate::store::text::clean;
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

fn artifact_from(row: &Row) -> Result<Artifact> {
    Ok(Artifact {
        name: row.text("name")?,
        media_type: row.text("media_type")?,
        bytes: row.number("bytes")?,
        created_at: row.time("created_at")?,
    })
}

impl Store {
    /// Without their contents, in order of their names.
    pub async fn artifacts(&self, run: RunId) -> Result<Vec<Artifact>> {
        let select = query("SELECT name, media_type, bytes, created_at FROM artifacts WHERE run = $1 ORDER BY name");
        self.readers().fetch(select.bind(run)).await?.iter().map(artifact_from).collect()
    }

    pub async fn artifact(&self, run: RunId, name: &str) -> Result<Option<(Artifact, Vec<u8>)>> {
        let select = query("SELECT * FROM artifacts WHERE run = $1 AND name = $2");
        let row = self.readers().fetch_first(select.bind(run).bind(clean(name).into_owned())).await?;
        let Some(row) = row else { return Ok(None) };
        let content = BASE64_STANDARD
            .decode(row.text("content")?)
            .map_err(|error| StoreError::Corrupt { reason: format!("the artifact {name:?} of {run}: {error}") })?;
        Ok(Some((artifact_from(&row)?, content)))
    }
}
