//! Staying with a run: its log as it grows, and how it ends.

use serde_json::Value;

use crate::cli::api::{self, LogLine, Run};
use crate::cli::client::{Client, escape, with_query};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::show;

/// What a person wants to see of a run that was just submitted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    /// Stay until it has ended; a bad end is exit code 3.
    pub wait: bool,
    /// Print its log meanwhile.
    pub follow: bool,
}

/// Prints the run's id, or stays with the run as `watch` says.
pub(super) async fn watch(client: &Client, id: &str, watch: Watch, ctx: &Context) -> Result<(), Failure> {
    if !watch.wait && !watch.follow {
        return ctx.out.line(id);
    }
    tokio::select! {
        ended = stay(client, id, watch, ctx) => ended,
        _ = tokio::signal::ctrl_c() => {
            ctx.out.note(format_args!("The run {id} goes on; see `aegis show {id}`, or stop it with `aegis cancel {id}`."));
            Err(Failure::silent(Exit::Interrupted))
        }
    }
}

async fn stay(client: &Client, id: &str, watch: Watch, ctx: &Context) -> Result<(), Failure> {
    let print = watch.follow.then_some(if ctx.out.json { Lines::Json } else { Lines::ToStderr });
    follow(client, id, 0, None, print, ctx).await?;
    let answer: Value = client.get(&format!("/api/v1/runs/{}", escape(id))).await?;
    let run: Run = api::read(answer.clone())?;
    if ctx.out.json {
        ctx.out.document(&answer)?;
    } else {
        super::show::print(&run, ctx)?;
    }
    match run.state {
        crate::model::RunState::Succeeded => Ok(()),
        _ => Err(Failure::silent(Exit::RunFailed)),
    }
}

/// Where followed lines go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lines {
    /// They are the data that was asked for.
    Text,
    /// They go along with it.
    ToStderr,
    Json,
}

/// Follows the run's log after line `after` until the run has ended.
pub(super) async fn follow(
    client: &Client,
    id: &str,
    after: u64,
    level: Option<&str>,
    lines: Option<Lines>,
    ctx: &Context,
) -> Result<(), Failure> {
    let path = with_query(
        &format!("/api/v1/runs/{}/logs", escape(id)),
        &[("follow", Some("true".to_owned())), ("after", Some(after.to_string())), ("level", level.map(str::to_owned))],
    );
    let mut stream = client.lines(&path).await?;
    while let Some(bytes) = stream.next().await? {
        let line: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if let Some(code) = line.get("code").and_then(Value::as_str) {
            return Err(Failure::new(format!("the log broke off: {} [{code}]", show::inline(&line["message"]))));
        }
        match lines {
            None => {}
            Some(Lines::Json) => ctx.out.raw(&[&bytes[..], b"\n"].concat())?,
            Some(Lines::Text) => ctx.out.line(show::log_line(&api::read(line)?))?,
            Some(Lines::ToStderr) => ctx.out.note(show::log_line(&api::read::<LogLine>(line)?)),
        }
    }
    Ok(())
}
