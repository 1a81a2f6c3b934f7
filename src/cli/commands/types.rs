//! `aegis types`: what editors know of the API.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::lua;

#[derive(Debug, clap::Args)]
#[command(after_help = "`aegis init` writes the stubs and the settings for luau-lsp that point to them.")]
pub struct Args {
    /// Write aegis.d.luau into this directory rather than to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The name by which editors' settings find it.
pub(super) const FILE: &str = "aegis.d.luau";

pub(super) fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let stubs = lua::types();
    let Some(dir) = args.out else { return ctx.out.raw(stubs.as_bytes()) };
    let path = dir.join(FILE);
    let failed = |error: std::io::Error| Failure::new(format!("cannot write {}: {error}", path.display()));
    std::fs::create_dir_all(&dir).map_err(failed)?;
    std::fs::write(&path, stubs).map_err(failed)?;
    ctx.out.note(format_args!("wrote {}", path.display()));
    Ok(())
}
