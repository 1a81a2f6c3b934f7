//! `aegis schedule --simulate`: what the overlap policies would make of a period to come.

use comfy_table::{Cell, Color};
use serde_json::Value;

use crate::base::quantity::show_duration;
use crate::cli::api::{self, SimulatedJob, Simulation};
use crate::cli::client::with_query;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;

pub(super) async fn run(pairs: &[(&str, Option<String>)], ctx: &Context) -> Result<(), Failure> {
    let answer: Value = ctx.client()?.get(&with_query("/api/v1/schedule/simulation", pairs)).await?;
    if ctx.out.json {
        return ctx.out.document(&answer);
    }
    let simulation: Simulation = api::read(answer)?;
    let rows = simulation.jobs.iter().map(row).collect();
    let header = ["JOB", "OVERLAP", "DUE", "RUNS", "SKIPPED", "COALESCED", "REPLACED", "QUEUE", "TYPICAL RUN", "NOTE"];
    ctx.out.table(&header, rows, "No job has a schedule.")?;
    let (from, to) = (show::time(simulation.from), show::time(simulation.to));
    ctx.out.note(format_args!("From {from} to {to}."));
    if let Some(at) = simulation.alive_max_at {
        let most = simulation.alive_max;
        ctx.out.note(format_args!(
            "At most {most} alive at once, over all jobs, for the first time at {}.",
            show::time(at)
        ));
    }
    Ok(())
}

fn row(job: &SimulatedJob) -> Vec<Cell> {
    let typical = job.median_ms.map(std::time::Duration::from_millis).map(show_duration);
    let amiss = |count: usize| match count {
        0 => show::dim_cell("-"),
        count => Cell::new(count).fg(Color::Yellow),
    };
    let mut notes = Vec::new();
    if job.more {
        notes.push(format!("only the first {} due times", job.due));
    }
    if job.held > 0 {
        notes.push(format!("{} held", job.held));
    }
    if job.alive_max > 1 {
        notes.push(format!("up to {} at once", job.alive_max));
    }
    if typical.is_none() {
        notes.push("never succeeded: --assume says how long it takes".to_owned());
    }
    vec![
        Cell::new(&job.job),
        Cell::new(&job.overlap),
        Cell::new(job.due),
        Cell::new(job.runs),
        amiss(job.skipped),
        amiss(job.coalesced),
        amiss(job.replaced),
        amiss(job.queue_max),
        typical.map_or_else(|| show::dim_cell("-"), Cell::new),
        show::dim_cell(notes.join("; ")),
    ]
}
