//! `aegis stack`: several containers that are one thing.

pub mod config;
pub mod live;

use crate::cli::context::Context;
use crate::cli::failure::Failure;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show what Compose files come to: merged, filled in and complete; needs no daemon
    Config(config::Args),
    /// List the stacks of the configuration
    List,
    /// Show what `up` would do, and why
    Plan(live::PlanArgs),
    /// Bring a stack to what its files say
    Up(live::UpArgs),
    /// Take a stack away
    Down(live::DownArgs),
    /// List a stack's containers
    Ps(live::Stack),
    /// Show what a stack's containers printed
    Logs(live::LogsArgs),
    /// Stop a stack's containers and start them again
    Restart(live::ServicesArgs),
    /// Fetch the images of a stack
    Pull(live::ServicesArgs),
    /// Build the images of a stack
    Build(live::ServicesArgs),
}

pub(super) async fn run(command: Command, ctx: &Context) -> Result<(), Failure> {
    match command {
        Command::Config(args) => config::run(&args, ctx),
        Command::List => live::list(ctx).await,
        Command::Plan(args) => live::plan(args, ctx).await,
        Command::Up(args) => live::up(args, ctx).await,
        Command::Down(args) => live::down(args, ctx).await,
        Command::Ps(args) => live::ps(args, ctx).await,
        Command::Logs(args) => live::logs(args, ctx).await,
        Command::Restart(args) => live::restart(args, ctx).await,
        Command::Pull(args) => live::pull(args, ctx).await,
        Command::Build(args) => live::build(args, ctx).await,
    }
}
