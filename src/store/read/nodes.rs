//! Reading which daemons share the database.

use crate::model::Actor;
use crate::store::handle::Store;
use crate::store::sql::{Row, query};
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

    /// What other daemons were asked to cancel and `node` holds.
    pub async fn stops_of(&self, node: &str) -> Result<Vec<StopRequest>> {
        let select = query(
            "SELECT stops.run, stops.actor, stops.reason, stops.at FROM stops JOIN runs ON runs.id = stops.run
             WHERE runs.node = $1 AND runs.finished_at IS NULL AND runs.state IN ('queued', 'running', 'parked')",
        );
        let rows = self.readers().fetch(select.bind(node)).await?;
        let wish = |row: &Row| {
            Ok(StopRequest {
                run: row.parsed("run")?,
                actor: Actor::new(row.text("actor")?),
                reason: row.text("reason")?,
                at: row.time("at")?,
            })
        };
        rows.iter().map(wish).collect()
    }
}
