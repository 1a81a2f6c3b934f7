//! `aegis nodes`: the daemons that share the database.

use comfy_table::{Cell, Color};
use serde_json::Value;

use crate::cli::api::{self, NodeList};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;

pub(super) async fn run(ctx: &Context) -> Result<(), Failure> {
    let answer: Value = ctx.client()?.get("/api/v1/nodes").await?;
    if ctx.out.json {
        return ctx.out.document(&answer["nodes"]);
    }
    let list: NodeList = api::read(answer)?;
    let now = ctx.clock.now();
    let rows = list.nodes.iter().map(|node| {
        let state = match node.alive {
            true => Cell::new("alive").fg(Color::Green),
            false => Cell::new("gone").fg(Color::Red),
        };
        vec![
            Cell::new(show::plain(&node.name)),
            state,
            Cell::new(show::relative(node.started_at, now)),
            Cell::new(show::relative(node.lease_until, now)),
            Cell::new(show::plain(&node.address)),
            show::dim_cell(show::plain(&node.labels.join(", "))),
        ]
    });
    let empty = "No daemon has registered: this one does not share its database.";
    ctx.out.table(&["NODE", "STATE", "STARTED", "LEASE ENDS", "ADDRESS", "LABELS"], rows.collect(), empty)
}
