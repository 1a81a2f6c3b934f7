//! `aegis trigger NAME`: submits a run.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::watch::{Watch, watch};
use crate::cli::api::{self, Triggered};
use crate::cli::client::escape;
use crate::cli::context::Context;
use crate::cli::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job's name
    name: String,
    /// A parameter; the job's declaration types it
    #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// Stay until the run has ended; exit with 3 unless it succeeded
    #[arg(long, short)]
    wait: bool,
    /// Print the run's log until it has ended
    #[arg(long, short)]
    follow: bool,
    /// Show what would be done instead of doing it
    #[arg(long)]
    dry_run: bool,
    /// A second submission with the same key gets the first one's run
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// `name=value`, both as typed.
pub(in crate::cli) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// Values go as text; whoever knows the declaration types them. The last of equal names counts.
pub(in crate::cli) fn as_params(pairs: Vec<(String, String)>) -> Map<String, Value> {
    pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect()
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    let body = json!({ "params": as_params(args.params), "dry_run": args.dry_run });
    let key = args.idempotency_key.as_deref();
    let headers: Vec<(&str, &str)> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
    let path = format!("/api/v1/jobs/{}/runs", escape(&args.name));
    let answer: Value = client.json(Method::POST, &path, Some(body), &headers).await?;
    let stays = args.wait || args.follow;
    if ctx.out.json && !stays {
        return ctx.out.document(&answer);
    }
    let triggered: Triggered = api::read(answer)?;
    if triggered.existing {
        ctx.out.note("The idempotency key was used before; this is the run of then.");
    } else if triggered.coalesced {
        ctx.out.note("A run that was waiting already stands for this one too.");
    }
    watch(&client, &triggered.run_id, Watch { wait: args.wait, follow: args.follow }, ctx).await
}
