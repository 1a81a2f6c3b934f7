//! `aegis completions SHELL`.

use clap::CommandFactory;

use crate::cli::args::Cli;
use crate::cli::context::Context;
use crate::cli::failure::Failure;

#[derive(Debug, clap::Args)]
#[command(after_help = "bash: aegis completions bash > ~/.local/share/bash-completion/completions/aegis")]
pub struct Args {
    shell: clap_complete::Shell,
}

pub(super) fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "aegis", &mut script);
    ctx.out.raw(&script)
}
