//! `aegis retry RUN`: the same job and parameters, as a new run.

use serde_json::{Value, json};

use super::watch::{Watch, watch};
use crate::cli::api::{self, Triggered};
use crate::cli::client::escape;
use crate::cli::context::Context;
use crate::cli::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or the beginning of it
    run: String,
    /// Stay until the new run has ended; exit with 3 unless it succeeded
    #[arg(long, short)]
    wait: bool,
    /// Print the new run's log until it has ended
    #[arg(long, short)]
    follow: bool,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    let answer: Value = client.post(&format!("/api/v1/runs/{}/retry", escape(&args.run)), json!({})).await?;
    if ctx.out.json && !args.wait && !args.follow {
        return ctx.out.document(&answer);
    }
    let triggered: Triggered = api::read(answer)?;
    watch(&client, &triggered.run_id, Watch { wait: args.wait, follow: args.follow }, ctx).await
}
