//! `aegis backup FILE` and `aegis restore FILE`: Aegis's own state as a file, and back.

use std::path::PathBuf;

use serde_json::json;

use crate::admin::socket_is_live;
use crate::base::quantity;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::{save, terminal};
use crate::config::redact_urls;
use crate::store;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to write it; nothing is overwritten
    file: PathBuf,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let file = args.file;
    if file.exists() {
        return Err(Failure::new(format!("{} is there already", file.display()))
            .hint("choose another name, or remove the file first"));
    }
    let mut content = ctx.client()?.download("/api/v1/backup").await?;
    let bytes = save::to(&mut content, &file, save::Existing::Keep).await?;
    if ctx.out.json {
        return ctx.out.document(&json!({ "file": file, "bytes": bytes }));
    }
    ctx.out.note(format_args!("{} written to {}.", quantity::show_size(bytes), file.display()));
    Ok(())
}

#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// What `aegis backup` wrote
    file: PathBuf,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn restore(args: RestoreArgs, ctx: &Context) -> Result<(), Failure> {
    let file = args.file;
    let metadata = std::fs::metadata(&file)
        .map_err(|error| Failure::new(format!("cannot read the backup {}: {error}", file.display())))?;
    if !metadata.is_file() {
        return Err(Failure::usage(format!("{} is no file", file.display())));
    }
    let socket = ctx.socket()?;
    if socket_is_live(&socket).await {
        return Err(Failure::new(format!("a daemon is running: it answers on {}", socket.display()))
            .hint("stop it, and every other daemon of this database, before its state is replaced"));
    }
    let url = ctx.config(&[])?.config.store.url;
    let shown = redact_urls(&url);
    terminal::confirm(&format!("Replace everything in {shown} by {}", file.display()), args.yes)?;
    let restored = store::restore(&url, &file, ctx.clock.now()).await;
    let kept = restored.map_err(|error| Failure::from(crate::base::Fault::from(error)))?.kept;
    if ctx.out.json {
        return ctx.out.document(&json!({ "file": file, "store": shown, "kept": kept }));
    }
    if let Some(kept) = &kept {
        ctx.out.note(format_args!("what was there before is kept in {}", kept.display()));
    }
    ctx.out.note(format_args!("{shown} holds what {} held. Start the daemon.", file.display()));
    Ok(())
}
