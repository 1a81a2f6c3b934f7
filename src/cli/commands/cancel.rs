//! `aegis cancel RUN`.

use serde_json::{Value, json};

use crate::cli::client::escape;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or the beginning of it
    run: String,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    let answer: Value = client.post(&format!("/api/v1/runs/{}/cancel", escape(&args.run)), json!({})).await?;
    if ctx.out.json {
        return ctx.out.document(&answer);
    }
    ctx.out.line(show::inline(&answer["run_id"]))
}
