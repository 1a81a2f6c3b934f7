//! `aegis show RUN`: one run, all of it.

use comfy_table::{Cell, Color};
use owo_colors::OwoColorize;
use serde_json::Value;

use crate::base::Timestamp;
use crate::cli::api::{self, Run, Step};
use crate::cli::client::escape;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;
use crate::model::{EntryKind, EntryState, RunState};

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
    if let Some(wake) = run.wake_at.filter(|_| run.state == RunState::Parked) {
        fact("goes on", format!("{} ({}) at the latest", show::time(wake), show::relative(wake, now)))?;
    }
    if let Some(deadline) = run.deadline_at.filter(|_| !run.state.is_final()) {
        fact("deadline", format!("{} ({})", show::time(deadline), show::relative(deadline, now)))?;
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
    steps(run, ctx)?;
    if let Some(result) = run.result.as_ref().filter(|result| !result.is_null()) {
        let text = serde_json::to_string_pretty(result).unwrap_or_default();
        ctx.out.line(format_args!("\n{}\n{}", "Result".bold(), show::plain(&text)))?;
    }
    match &run.error {
        Some(error) => ctx.out.line(format_args!("\n{}", show::fault(error))),
        None => Ok(()),
    }
}

/// What a durable run has done and waits for.
fn steps(run: &Run, ctx: &Context) -> Result<(), Failure> {
    if run.steps.is_empty() {
        return Ok(());
    }
    let now = ctx.clock.now();
    let rows = run.steps.iter().map(|step| row(step, run, now)).collect();
    ctx.out.line(format_args!("\n{}", "Steps".bold()))?;
    ctx.out.table(&["PLACE", "KIND", "NAME", "STATE", "BEGAN", "TOOK", "TRIES", "NOTE"], rows, "")
}

fn row(step: &Step, run: &Run, now: Timestamp) -> Vec<Cell> {
    let state = match (step.state, step.undone) {
        (_, Some(true)) => Cell::new("undone").fg(Color::Yellow),
        (_, Some(false)) => Cell::new("not undone").fg(Color::Red),
        (EntryState::Done, None) => Cell::new("done").fg(Color::Green),
        (EntryState::Failed, None) => Cell::new("failed").fg(Color::Red),
        (EntryState::Waiting, None) => Cell::new("waiting").fg(Color::Cyan),
    };
    let until = step.wake_at.map_or_else(String::new, |at| format!(" until {}", show::time(at)));
    let waits =
        step.waits_for.as_ref().filter(|_| !run.state.is_final()).map(|what| format!("waits for {what}{until}"));
    let note = waits.or_else(|| step.error.as_ref().map(|error| error.message.clone())).unwrap_or_default();
    vec![
        Cell::new(&step.key),
        Cell::new(step.kind.as_str()),
        Cell::new(show::plain(&step.name)),
        state,
        Cell::new(show::time(step.started_at)),
        Cell::new(show::span(Some(step.started_at), step.finished_at.or(run.finished_at), now)),
        if step.kind == EntryKind::Step { Cell::new(step.tries) } else { show::dim_cell("-") },
        show::dim_cell(show::plain(note.lines().next().unwrap_or_default())),
    ]
}
