//! A million runs: in the history, and parked. The real release binary on SQLite: `cargo bench --bench scale`.
//!
//! `AEGIS_BENCH_RUNS` says how many instead of a million. The database is filled directly; what is measured goes through
//! the daemon.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "a benchmark waits for a real process and has no Supervisor")]

#[path = "../e2e/daemon.rs"]
#[allow(dead_code, reason = "shared with the other benchmark, which uses more of it")]
mod daemon;
mod fill;
mod history;
#[path = "../e2e/numbers.rs"]
mod numbers;
mod parked;

use numbers::{Table, fsync_rate};

#[tokio::main]
async fn main() {
    // `cargo bench` passes `--bench`; `cargo test --benches` only wants to see it compile and start.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runs = std::env::var("AEGIS_BENCH_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let mut table = Table::default();
    table.row("machine: fsync of 4 KiB", format!("{:.0} /s", fsync_rate(std::env::temp_dir().as_path())));
    history::pages(runs, &mut table).await;
    parked::wakes(runs, &mut table).await;
    table.print();
}
