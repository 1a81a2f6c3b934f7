//! `aegis ps`: containers.

use comfy_table::{Cell, Color};
use serde_json::Value;

use crate::base::quantity;
use crate::cli::api::{self, Container, ContainerList};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only containers of this Compose project
    #[arg(long)]
    stack: Option<String>,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let mut answer: Value = ctx.client()?.get("/api/v1/containers").await?;
    if let (Some(stack), Some(containers)) = (&args.stack, answer["containers"].as_array_mut()) {
        containers.retain(|container| container["stack"] == stack.as_str());
    }
    if ctx.out.json {
        return ctx.out.document(&answer["containers"]);
    }
    let list: ContainerList = api::read(answer)?;
    let rows = list.containers.iter().map(row).collect();
    ctx.out.table(&["NAME", "STATE", "STATUS", "CPU", "MEMORY", "IMAGE", "STACK", "PORTS"], rows, "No containers.")
}

fn row(container: &Container) -> Vec<Cell> {
    let colour = match (container.state.as_str(), container.health.as_deref()) {
        (_, Some("unhealthy")) | ("restarting" | "dead", _) => Color::Red,
        ("running", _) => Color::Green,
        _ => Color::Yellow,
    };
    let usage = container.usage.as_ref();
    let cpu =
        usage.and_then(|usage| usage.cpu_percent).map_or_else(|| "-".to_owned(), |percent| format!("{percent:.1}%"));
    let memory = usage.map_or_else(|| "-".to_owned(), |usage| quantity::show_size(usage.memory_bytes));
    vec![
        Cell::new(&container.name),
        Cell::new(container.health.as_deref().filter(|_| container.state == "running").unwrap_or(&container.state))
            .fg(colour),
        show::dim_cell(&container.status),
        Cell::new(cpu),
        Cell::new(memory),
        Cell::new(&container.image),
        Cell::new(container.stack.as_deref().unwrap_or("-")),
        show::dim_cell(container.ports.join(", ")),
    ]
}
