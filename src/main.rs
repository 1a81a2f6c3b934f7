//! The `aegis` command: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

use aegis::cli::{self, Cli, Failure};
use clap::Parser;

fn main() -> ExitCode {
    aegis::primitives::process::capabilities::keep_to_itself();
    if let Some(code) = aegis::primitives::process::keeper::main(std::env::args_os()) {
        return code;
    }
    let cli = Cli::parse();
    let ended = runtime(&cli).and_then(|runtime| {
        let ended = runtime.block_on(cli::run(cli));
        // Threads that wait for a terminal or for the name service are not worth waiting for.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Many threads for the daemon and for scripts; one for a client.
fn runtime(cli: &Cli) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = if cli.command.needs_threads() {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().thread_name("aegis-io").build().map_err(|error| Failure::new(error.to_string()))
}
