//! `aegis runs`: history.

use clap::builder::PossibleValuesParser;
use comfy_table::Cell;
use serde_json::Value;

use crate::cli::api::{self, RunPage};
use crate::cli::client::with_query;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;
use crate::model::RunState;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this job's
    #[arg(long)]
    job: Option<String>,
    /// Only in these states
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(RunState::ALL.map(RunState::as_str)))]
    state: Vec<String>,
    /// Not older than this: an age such as 24h, or a time
    #[arg(long, value_name = "AGE|TIME")]
    since: Option<String>,
    /// At most so many
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: usize,
    /// Only runs older than this one
    #[arg(long, value_name = "RUN")]
    before: Option<String>,
    /// Lines typed into a console too
    #[arg(long)]
    console: bool,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let path = with_query(
        "/api/v1/runs",
        &[
            ("job", args.job),
            ("state", (!args.state.is_empty()).then(|| args.state.join(","))),
            ("since", args.since),
            ("before", args.before),
            ("limit", Some(args.limit.to_string())),
            ("console", args.console.then(|| "true".to_owned())),
        ],
    );
    let answer: Value = ctx.client()?.get(&path).await?;
    if ctx.out.json {
        return ctx.out.document(&answer["runs"]);
    }
    let page: RunPage = api::read(answer)?;
    let next = page.next.clone();
    print(&page, ctx)?;
    if let Some(next) = next {
        ctx.out.note(format_args!("More: repeat with --before {next}"));
    }
    Ok(())
}

/// The table, also for the console's `.runs`.
pub(in crate::cli) fn print(page: &RunPage, ctx: &Context) -> Result<(), Failure> {
    let now = ctx.clock.now();
    let rows = page.runs.iter().map(|run| {
        let told =
            run.error.as_ref().map(|error| error.message.clone()).or_else(|| run.reason.clone()).unwrap_or_default();
        vec![
            Cell::new(&run.id),
            Cell::new(&run.job),
            show::state_cell(run.state),
            Cell::new(show::relative(run.queued_at, now)),
            Cell::new(show::span(run.started_at, run.finished_at, now)),
            Cell::new(format!("{} {}", run.trigger.kind.as_str(), run.trigger.actor)),
            show::dim_cell(show::plain(told.lines().next().unwrap_or_default())),
        ]
    });
    ctx.out.table(&["RUN", "JOB", "STATE", "WHEN", "TOOK", "BY", "NOTE"], rows.collect(), "No such runs.")
}
