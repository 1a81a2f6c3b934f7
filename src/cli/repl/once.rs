//! One evaluation: `-e`, or standard input when it is no terminal.

use serde_json::Value;

use super::session::{Evaluated, Session};
use crate::admin::protocol::Shown;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::show;

pub(in crate::cli) async fn evaluate(mut session: Session, code: &str, ctx: &Context) -> Result<(), Failure> {
    match session.eval(code).await? {
        Evaluated::Values(values) => print(&values, ctx),
        Evaluated::Incomplete => Err(incomplete()),
        Evaluated::Failed(fault) => {
            ctx.out.note(show::fault(&fault));
            let is_cancelled = fault.code == "run.cancelled";
            Err(Failure::silent(if is_cancelled { Exit::Interrupted } else { Exit::Failure }))
        }
    }
}

pub(super) fn incomplete() -> Failure {
    Failure::new("the input ends in the middle of something").hint("look for a missing `end`, bracket or quote")
}

/// Each value on lines of its own; with `--json` one JSON value a line.
pub(super) fn print(values: &[Shown], ctx: &Context) -> Result<(), Failure> {
    for value in values {
        match (ctx.out.json, &value.json) {
            (false, _) => ctx.out.line(show::plain(&value.lua))?,
            // What JSON cannot express is given as its text.
            (true, Value::Null) if value.lua != "nil" => ctx.out.document(&value.lua)?,
            (true, json) => ctx.out.document(json)?,
        }
    }
    Ok(())
}
