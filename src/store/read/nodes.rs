//! Reading which daemons share the database.

use crate::store::handle::Store;
use crate::store::sql::query;
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

impl Store {
    /// Every daemon that has registered and not signed off, in order of their names; also those whose lease is over.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>> {
        let rows = self.readers().fetch(query("SELECT * FROM nodes ORDER BY name")).await?;
        let nodes = rows.iter().map(|row| {
            Ok(NodeRow {
                name: row.text("name")?,
                epoch: row.int("epoch")?,
                address: row.text("address")?,
                labels: row.json("labels")?,
                started_at: row.time("started_at")?,
                lease_until: row.time("lease_until")?,
            })
        });
        nodes.collect()
    }
}
