//! `aegis schedule`: due times of a window, what became of them and what is to come.

use comfy_table::{Cell, Color};
use serde_json::Value;

use crate::cli::api::{self, Occurrence, ScheduleWindow, Upcoming};
use crate::cli::client::with_query;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;
use crate::model::OccurrenceState;

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
    /// At most so many due times of the past, and as many to come
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: usize,
    /// Count what the overlap policies would make of the due times, if runs take as long as they usually did
    #[arg(long)]
    simulate: bool,
    /// How long runs of jobs take that have not succeeded yet
    #[arg(long, value_name = "DURATION", requires = "simulate")]
    assume: Option<String>,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
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
    let pairs = [("job", args.job), ("from", from), ("to", to), ("limit", Some(args.limit.to_string()))];
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
