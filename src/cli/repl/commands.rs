//! What begins with a dot at the prompt.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::session::Session;
use crate::base::suggest;
use crate::cli::client::{Client, with_query};
use crate::cli::commands::{jobs, runs};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;

const COMMANDS: [(&str, &str); 7] = [
    (".help", "this list"),
    (".jobs", "the live jobs"),
    (".runs", "the latest runs; .runs NAME those of one job"),
    (".reload", "read the scripts folder anew"),
    (".doc", "what a function does: .doc aegis.kv.get"),
    (".grants", "what this console may do"),
    (".quit", "leave; so does Ctrl-D"),
];

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|(name, _)| *name)
}

/// Whether the session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Stay,
    Leave,
}

pub(super) async fn run(
    line: &str,
    session: &Arc<Mutex<Session>>,
    client: &Client,
    ctx: &Context,
) -> Result<After, Failure> {
    let mut words = line.split_whitespace().map(str::to_owned);
    let name = words.next().unwrap_or_default();
    let args: Vec<String> = words.collect();
    match name.as_str() {
        ".help" => {
            for (name, about) in COMMANDS {
                ctx.out.line(format_args!("{name:<9} {about}"))?;
            }
            ctx.out.line("Anything else is Luau: an expression prints its value, and locals stay for the session.")?;
        }
        ".jobs" => jobs::print(client.get("/api/v1/jobs").await?, ctx)?,
        ".runs" => {
            let job = args.first().cloned();
            let pairs = [("limit", Some("20".to_owned())), ("console", Some("true".to_owned())), ("job", job)];
            runs::print(&client.get(&with_query("/api/v1/runs", &pairs)).await?, ctx)?;
        }
        ".reload" | ".doc" | ".grants" => {
            let answer = session.lock().await.command(&name[1..], &args).await?;
            ctx.out.line(show::plain(&answer))?;
        }
        ".quit" | ".exit" => return Ok(After::Leave),
        other => {
            let near = suggest::did_you_mean(other, names());
            return Err(Failure::usage(format!("there is no command {other}{near}")).hint("see .help"));
        }
    }
    Ok(After::Stay)
}
