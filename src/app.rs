//! The composition root: builds every part in order and shuts down in reverse.

use std::path::PathBuf;

/// What the command line adds to the configuration.
#[derive(Debug, Clone, Default)]
pub struct DaemonOptions {
    /// Where the configuration came from.
    pub config_file: Option<PathBuf>,
}

/// Runs the daemon until it is told to stop.
pub async fn run(config: crate::config::Config, options: DaemonOptions) -> anyhow::Result<()> {
    let _ = options;
    anyhow::bail!("the parts are not put together yet; it would listen on {}", config.http.listen)
}
