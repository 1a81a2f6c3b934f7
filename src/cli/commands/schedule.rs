//! `aegis schedule`: due times of a window, what became of them and what is to come.

use clap::builder::PossibleValuesParser;
use comfy_table::{Cell, Color};
use serde_json::Value;

use crate::base::limits;
use crate::cli::api::{self, Occurrence, ScheduleWindow, Upcoming};
use crate::cli::client::with_query;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;
use crate::model::OccurrenceState;

/// Due times of each kind in a window, unless told.
const SHOWN: usize = 50;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this job's
    #[arg(long)]
    job: Option<String>,
    /// Begin of the window: now, an age such as 24h, +2h for later, or a time [default: now]
    #[arg(long, value_name = "AGE|TIME")]
    from: Option<String>,
    /// End of the window [default: a day after its begin]
    #[arg(long, value_name = "AGE|TIME")]
    to: Option<String>,
    /// At most so many due times of the past, and as many to come [default: 50; with --past all]
    #[arg(long, short = 'n')]
    limit: Option<usize>,
    /// What became of due times, the newest first, however long ago; as NDJSON with --json
    #[arg(long, conflicts_with_all = ["simulate"])]
    past: bool,
    /// Only in these states
    #[arg(long, value_delimiter = ',', requires = "past",
        value_parser = PossibleValuesParser::new(OccurrenceState::ALL.map(OccurrenceState::as_str)))]
    state: Vec<String>,
    /// Count what the overlap policies would make of the due times, if runs take as long as they usually did
    #[arg(long)]
    simulate: bool,
    /// How long runs of jobs take that have not succeeded yet
    #[arg(long, value_name = "DURATION", requires = "simulate")]
    assume: Option<String>,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    if args.past {
        return past(args, ctx).await;
    }
    // The end of a forecast lies ahead, so that `--to 2h` means what it looks like.
    let ahead = |text: String| {
        if text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains('-') { format!("+{text}") } else { text }
    };
    let from = args.from.filter(|from| from != "now");
    let to = args.to.map(ahead);
    if args.simulate {
        let pairs = [("job", args.job), ("from", from.map(ahead)), ("to", to), ("assume", args.assume)];
        return super::simulate::run(&pairs, ctx).await;
    }
    let pairs =
        [("job", args.job), ("from", from), ("to", to), ("limit", Some(args.limit.unwrap_or(SHOWN).to_string()))];
    let answer: Value = ctx.client()?.get(&with_query("/api/v1/schedule", &pairs)).await?;
    if ctx.out.json {
        return ctx.out.document(&answer);
    }
    let window: ScheduleWindow = api::read(answer)?;
    let now = ctx.clock.now();
    let past = window.past.iter().rev().map(past_row);
    let coming = window.upcoming.iter().map(|due| coming_row(due, show::relative(due.fire_at, now)));
    let empty = "Nothing is due in this window.";
    ctx.out.table(&["DUE", "JOB", "OUTCOME", "NOTE"], past.chain(coming).collect(), empty)
}

/// Walks the ledger page by page, so that its length costs no memory.
async fn past(args: Args, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    let from = args.from.filter(|from| from != "now");
    let state = (!args.state.is_empty()).then(|| args.state.join(","));
    let (mut left, mut before) = (args.limit.unwrap_or(usize::MAX), None);
    loop {
        let path = with_query(
            "/api/v1/occurrences",
            &[
                ("job", args.job.clone()),
                ("state", state.clone()),
                ("from", from.clone()),
                ("to", args.to.clone()),
                ("limit", Some(left.clamp(1, limits::STORE_PAGE_ROWS_MAX).to_string())),
                ("before", before.clone()),
            ],
        );
        let answer: Value = client.get(&path).await?;
        let is_first = before.is_none();
        before = answer["next"].as_str().map(str::to_owned);
        left = left.saturating_sub(answer["occurrences"].as_array().map_or(0, Vec::len));
        print_past(answer, is_first && before.is_none(), ctx)?;
        if before.is_none() || left == 0 {
            return Ok(());
        }
    }
}

fn print_past(mut answer: Value, is_whole: bool, ctx: &Context) -> Result<(), Failure> {
    let rows = answer["occurrences"].take();
    if ctx.out.json {
        let mut rows = rows.as_array().into_iter().flatten();
        return rows.try_for_each(|row| ctx.out.raw(format!("{row}\n").as_bytes()));
    }
    let rows: Vec<Occurrence> = api::read(rows)?;
    if rows.is_empty() && !is_whole {
        return Ok(());
    }
    let empty = "No such due times.";
    ctx.out.table(&["DUE", "JOB", "OUTCOME", "NOTE"], rows.iter().map(past_row).collect(), empty)
}

fn past_row(past: &Occurrence) -> Vec<Cell> {
    let colour = match past.state {
        OccurrenceState::Fired | OccurrenceState::DstShifted => Color::Green,
        OccurrenceState::Missed | OccurrenceState::Refused => Color::Red,
        _ => Color::Yellow,
    };
    let note = past.reason.clone().or_else(|| past.run.clone()).unwrap_or_default();
    vec![
        Cell::new(show::time(past.scheduled_for)),
        Cell::new(&past.job),
        Cell::new(past.state.as_str()).fg(colour),
        show::dim_cell(show::plain(&note)),
    ]
}

fn coming_row(due: &Upcoming, when: String) -> Vec<Cell> {
    let (outcome, note) = match (&due.held, due.dst_shifted) {
        (Some(reason), _) => (Cell::new("held").fg(Color::Yellow), reason.clone()),
        (None, true) => (Cell::new(when), "the local time does not exist: it fires when the gap closes".to_owned()),
        (None, false) => (Cell::new(when), String::new()),
    };
    vec![Cell::new(show::time(due.scheduled_for)), Cell::new(&due.job), outcome, show::dim_cell(note)]
}
