//! `aegis daemon`: runs the daemon in the foreground.

use std::path::PathBuf;

use tracing::{info, warn};

use crate::app;
use crate::base::Masker;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::logging;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address of the dashboard and the API
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<String>,
    /// Folder of the jobs
    #[arg(long, value_name = "DIR")]
    scripts: Option<PathBuf>,
    /// Aegis's own database
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// What to log, such as debug, or info,aegis::web=debug
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How to log
    #[arg(long, value_name = "FORMAT", value_parser = ["auto", "text", "json"])]
    log_format: Option<String>,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let flags: Vec<_> = [
        ("--listen", "http.listen", args.listen),
        ("--scripts", "scripts.dir", args.scripts.as_ref().map(path)),
        ("--store", "store.url", args.store),
        ("--socket", "admin.socket", ctx.global.socket.as_ref().map(path)),
        ("--log-level", "log.level", args.log_level),
        ("--log-format", "log.format", args.log_format),
    ]
    .into_iter()
    .filter_map(|(flag, key, value)| Some((flag, key, value?)))
    .collect();
    let loaded = ctx.config(&flags)?;
    let masker = Masker::default();
    logging::install(&loaded.config.log, &masker)?;
    match &loaded.file {
        Some(file) => info!(file = %file.display(), "configuration read"),
        None => info!("no configuration file: running on defaults"),
    }
    if rustix::process::geteuid().is_root() {
        warn!("the daemon runs as root and does not need to: give it a user of its own in the group docker");
    }
    let options = app::DaemonOptions { config_file: loaded.file, masker };
    app::run(loaded.config, options).await.map_err(|error| Failure::new(format!("{error:#}")))
}
