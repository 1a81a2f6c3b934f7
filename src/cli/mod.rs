//! The command line. Talks to the daemon through its socket, never to its insides.

mod api;
mod args;
mod client;
mod commands;
mod context;
mod engine;
mod failure;
mod logging;
mod output;
mod repl;
mod save;
mod show;
mod terminal;

pub use args::{Cli, Command, Global};
pub use failure::{Exit, Failure};

/// Does what the command line asks for.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    commands::dispatch(command, context::Context::new(global)).await
}
