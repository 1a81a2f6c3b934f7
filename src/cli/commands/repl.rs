//! `aegis repl`: a console on the live daemon.

use std::io::Read;

use crate::base::limits;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::repl::{Session, evaluate, interact};
use crate::cli::terminal;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Evaluate this and exit; without it, lines come from the terminal or all of standard input
    #[arg(short, long = "eval", value_name = "CODE", allow_hyphen_values = true)]
    eval: Option<String>,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    let session = Session::open(&client).await?;
    match args.eval {
        Some(code) => evaluate(session, &code, ctx).await,
        None if terminal::stdin_is_terminal() => interact(session, &client, ctx).await,
        None => evaluate(session, &read_input()?, ctx).await,
    }
}

fn read_input() -> Result<String, Failure> {
    let limit = limits::ADMIN_FRAME_BYTES_MAX as u64;
    let mut text = String::new();
    std::io::stdin().lock().take(limit + 1).read_to_string(&mut text)?;
    if text.len() as u64 > limit {
        return Err(Failure::new(format!("standard input is larger than {limit} bytes")));
    }
    Ok(text)
}
