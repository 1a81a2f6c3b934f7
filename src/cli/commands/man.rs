//! `aegis man`: the manual, as one page or as a page for each command.

use std::path::PathBuf;

use clap::CommandFactory;

use crate::cli::args::Cli;
use crate::cli::context::Context;
use crate::cli::failure::Failure;

#[derive(Debug, clap::Args)]
#[command(after_help = "Read it at once: aegis man | man -l -")]
pub struct Args {
    /// Write aegis.1 and a page for each command into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let command = Cli::command();
    match args.out {
        Some(dir) => {
            std::fs::create_dir_all(&dir)?;
            clap_mangen::generate_to(command, &dir)?;
            ctx.out.note(format_args!("The pages are in {}.", dir.display()));
            Ok(())
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            ctx.out.raw(&page)
        }
    }
}
