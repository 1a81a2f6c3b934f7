//! `aegis event send NAME`: what runs wait for with `ctx:wait_event`.

use serde_json::{Value, json};

use crate::cli::client::escape;
use crate::cli::context::Context;
use crate::cli::failure::Failure;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Send an event to the runs that wait for its name
    Send(Args),
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The event's name
    name: String,
    /// Reaches only waits with the same key, and those without any
    #[arg(long)]
    key: Option<String>,
    /// Reaches only this run
    #[arg(long)]
    run: Option<String>,
    /// What the waiting script is given [default: null]
    #[arg(long, value_name = "JSON", value_parser = data)]
    data: Option<Value>,
}

fn data(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("this is not JSON ({error}); texts need quotes: '\"paid\"'"))
}

pub(super) async fn run(command: Command, ctx: &Context) -> Result<(), Failure> {
    let Command::Send(args) = command;
    let body = json!({ "key": args.key, "run": args.run, "payload": args.data });
    let answer: Value = ctx.client()?.post(&format!("/api/v1/events/{}", escape(&args.name)), body).await?;
    if ctx.out.json {
        return ctx.out.document(&answer);
    }
    let woken = answer["woken"].as_u64().unwrap_or_default();
    let runs = if woken == 1 { "run goes" } else { "runs go" };
    ctx.out.note(format_args!("Sent; {woken} parked {runs} on because of it."));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_json_and_a_bare_word_is_told_so() {
        assert_eq!(data("{\"amount\": 3}"), Ok(json!({ "amount": 3 })));
        assert!(data("paid").is_err_and(|told| told.contains("quotes")));
    }
}
