//! `aegis enable JOB` and `aegis disable JOB`: whether its schedules fire.

use serde_json::{Value, json};

use crate::cli::client::escape;
use crate::cli::context::Context;
use crate::cli::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job's name
    name: String,
}

pub(super) async fn run(args: Args, enable: bool, ctx: &Context) -> Result<(), Failure> {
    let verb = if enable { "enable" } else { "disable" };
    let path = format!("/api/v1/jobs/{}/{verb}", escape(&args.name));
    let answer: Value = ctx.client()?.post(&path, json!({})).await?;
    if ctx.out.json {
        return ctx.out.document(&answer);
    }
    match enable {
        true => ctx.out.note(format_args!("{}: its schedules fire.", args.name)),
        false => {
            ctx.out.note(format_args!("{}: its schedules are held; it can still be triggered by hand.", args.name))
        }
    }
    Ok(())
}
