//! `aegis approve` and `aegis reject`: decide what a run waits for. `aegis approvals`: what waits.

use comfy_table::Cell;
use serde_json::{Value, json};

use crate::base::Timestamp;
use crate::cli::api::{self, Approval, ApprovalList};
use crate::cli::client::escape;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or the beginning of it
    run: String,
    /// The approval's name [default: the only one that waits]
    name: Option<String>,
    /// For the record, and for the job
    #[arg(long, short = 'm')]
    comment: Option<String>,
}

pub(super) async fn run(args: Args, approved: bool, ctx: &Context) -> Result<(), Failure> {
    let verb = if approved { "approve" } else { "reject" };
    let body = json!({ "name": args.name, "comment": args.comment });
    let answer: Value = ctx.client()?.post(&format!("/api/v1/runs/{}/{verb}", escape(&args.run)), body).await?;
    if ctx.out.json {
        return ctx.out.document(&answer);
    }
    let done = if approved { "Approved" } else { "Rejected" };
    ctx.out.note(format_args!("{done} {:?}.", show::plain(&show::inline(&answer["name"]))));
    ctx.out.line(show::inline(&answer["run_id"]))
}

pub(super) async fn list(ctx: &Context) -> Result<(), Failure> {
    let answer: Value = ctx.client()?.get("/api/v1/approvals").await?;
    if ctx.out.json {
        return ctx.out.document(&answer["approvals"]);
    }
    let list: ApprovalList = api::read(answer)?;
    let now = ctx.clock.now();
    let rows = list.approvals.iter().map(|approval| row(approval, now)).collect();
    let header = ["RUN", "JOB", "APPROVAL", "SINCE", "EXPIRES", "SHOWN"];
    ctx.out.table(&header, rows, "Nothing waits for a decision.")
}

fn row(approval: &Approval, now: Timestamp) -> Vec<Cell> {
    let expires = approval.expires.map_or_else(|| "-".to_owned(), |at| show::relative(at, now));
    let shown = show::inline(&approval.show);
    let shown = if approval.show.is_null() { "" } else { shown.lines().next().unwrap_or_default() };
    vec![
        Cell::new(&approval.run),
        Cell::new(&approval.job),
        Cell::new(show::plain(&approval.name)),
        Cell::new(show::relative(approval.since, now)),
        Cell::new(expires),
        show::dim_cell(show::plain(shown)),
    ]
}
