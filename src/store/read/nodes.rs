//! Reading which daemons share the database.

use crate::base::limits::RUN_WAKE_MAX;
use crate::model::Actor;
use crate::store::handle::Store;
use crate::store::sql::{Row, query};
use crate::store::text::limit_rows;
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

    /// What other daemons were asked to cancel and `node` holds, or nobody because it is parked; so many at a time.
    pub async fn stops_of(&self, node: &str) -> Result<Vec<StopRequest>> {
        let select = query(
            "SELECT stops.run, stops.actor, stops.reason, stops.at FROM stops JOIN runs ON runs.id = stops.run
             WHERE runs.finished_at IS NULL
                 AND (runs.state = 'parked' OR (runs.state IN ('queued', 'running') AND runs.node = $1))
             ORDER BY stops.at, stops.run LIMIT $2",
        );
        let rows = self.readers().fetch(select.bind(node).bind(limit_rows(RUN_WAKE_MAX))).await?;
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
