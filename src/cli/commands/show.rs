//! `aegis show RUN`: one run, all of it.

use owo_colors::OwoColorize;
use serde_json::Value;

use crate::cli::api::{self, Run};
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
    let answer: Value = ctx.client()?.get(&format!("/api/v1/runs/{}", escape(&args.run))).await?;
    if ctx.out.json {
        return ctx.out.document(&answer);
    }
    print(&api::read(answer)?, ctx)
}

pub(super) fn print(run: &Run, ctx: &Context) -> Result<(), Failure> {
    let now = ctx.clock.now();
    let took = show::span(run.started_at, run.finished_at, now);
    let dry = if run.dry_run { ", dry run" } else { "" };
    ctx.out.line(format_args!("{} {} {}{dry}", run.id.bold(), run.job, show::state(run.state)))?;
    let fact = |name: &str, value: String| ctx.out.line(format_args!("  {:<10} {value}", name.dimmed()));
    fact("queued", format!("{} ({})", show::time(run.queued_at), show::relative(run.queued_at, now)))?;
    fact("by", format!("{} {}", run.trigger.kind.as_str(), run.trigger.actor))?;
    if let Some(due) = run.trigger.scheduled_for {
        fact("due", show::time(due))?;
    }
    if let Some(started) = run.started_at {
        fact("started", format!("{}, took {took}, attempt {}", show::time(started), run.attempt))?;
    }
    if let Some(next) = run.not_before.filter(|_| !run.state.is_final()) {
        fact("not before", format!("{} ({})", show::time(next), show::relative(next, now)))?;
    }
    if let Some(version) = &run.version {
        fact("version", version.get(..12).unwrap_or(version).to_owned())?;
    }
    if let Some(parent) = &run.parent {
        fact("parent", parent.clone())?;
    }
    if let Some(progress) = &run.progress {
        let total = progress.total.map_or_else(String::new, |total| format!(" of {total}"));
        fact("progress", format!("{}{total} {}", progress.done, progress.text.as_deref().unwrap_or_default()))?;
    }
    if let Some(reason) = &run.reason {
        fact("reason", show::plain(reason))?;
    }
    for (name, value) in run.params.as_object().into_iter().flatten() {
        fact("param", format!("{name} = {}", show::plain(&show::inline(value))))?;
    }
    if let Some(result) = run.result.as_ref().filter(|result| !result.is_null()) {
        let text = serde_json::to_string_pretty(result).unwrap_or_default();
        ctx.out.line(format_args!("\n{}\n{}", "Result".bold(), show::plain(&text)))?;
    }
    match &run.error {
        Some(error) => ctx.out.line(format_args!("\n{}", show::fault(error))),
        None => Ok(()),
    }
}
