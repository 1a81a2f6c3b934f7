//! `aegis jobs`: schedule, next run, last result.

use comfy_table::{Cell, Color};
use owo_colors::OwoColorize;
use serde_json::Value;

use crate::base::Timestamp;
use crate::cli::api::{self, DiagnosticList, Job, JobList};
use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only jobs with this tag
    #[arg(long)]
    tag: Option<String>,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    let mut answer: Value = client.get("/api/v1/jobs").await?;
    if let (Some(tag), Some(jobs)) = (&args.tag, answer["jobs"].as_array_mut()) {
        jobs.retain(|job| job["tags"].as_array().is_some_and(|tags| tags.iter().any(|each| each == tag.as_str())));
    }
    if ctx.out.json {
        return ctx.out.document(&answer["jobs"]);
    }
    print(api::read(answer)?, ctx)?;
    warn(&client, ctx).await
}

/// The table, also for the console's `.jobs`.
pub(in crate::cli) fn print(list: JobList, ctx: &Context) -> Result<(), Failure> {
    let now = ctx.clock.now();
    let rows = list.jobs.iter().map(|job| row(job, now)).collect();
    let empty = "There are no jobs. Drop a .lua file into the scripts folder; `aegis init` writes an example.";
    ctx.out.table(&["NAME", "SCHEDULE", "NEXT", "LAST", "WHEN", "DESCRIPTION"], rows, empty)
}

fn row(job: &Job, now: Timestamp) -> Vec<Cell> {
    let name = match (job.diagnostics.is_empty(), job.enabled) {
        (false, _) => Cell::new(format!("{} !", job.name)).fg(Color::Red),
        (true, false) => show::dim_cell(&job.name),
        (true, true) => Cell::new(&job.name),
    };
    let next = match &job.next_due {
        _ if job.waiting > 0 => Cell::new("approval").fg(Color::Yellow),
        _ if !job.enabled => show::dim_cell("disabled"),
        Some(due) if due.held.is_some() => show::dim_cell("held"),
        Some(due) => Cell::new(show::relative(due.fire_at, now)),
        None => show::dim_cell("-"),
    };
    let (last, when) = match (&job.last_run, job.live) {
        (_, live @ 1..) => (Cell::new(format!("{live} live")).fg(Color::Blue), show::dim_cell("now")),
        (Some(run), 0) => {
            (show::state_cell(run.state), Cell::new(show::relative(run.finished_at.unwrap_or(run.queued_at), now)))
        }
        (None, 0) => (show::dim_cell("-"), show::dim_cell("-")),
    };
    let schedule = if job.schedules.is_empty() { "-".to_owned() } else { job.schedules.join(", ") };
    vec![name, Cell::new(schedule), next, last, when, Cell::new(show::plain(&job.description))]
}

/// Files that were rejected are said on standard error: their job may be missing above.
async fn warn(client: &Client, ctx: &Context) -> Result<(), Failure> {
    let list: DiagnosticList = client.get("/api/v1/scripts/diagnostics").await?;
    for diagnostic in list.diagnostics {
        let place = diagnostic
            .fault
            .at
            .as_ref()
            .map_or_else(|| diagnostic.file.clone(), |at| format!("{}:{}", at.file, at.line));
        let kept = if diagnostic.last_good_kept { " (the last good version stays)" } else { "" };
        let severity =
            if diagnostic.severity == "error" { "error".red().to_string() } else { "warning".yellow().to_string() };
        ctx.out.note(format_args!("{place}: {severity}: {}{kept}", show::plain(&diagnostic.fault.message)));
        if let Some(hint) = &diagnostic.fault.hint {
            ctx.out.note(format_args!("  {} {}", "hint:".cyan(), show::plain(hint)));
        }
    }
    Ok(())
}
