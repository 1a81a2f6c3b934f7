//! What the whole daemon does, measured on the real release binary from outside: `cargo bench --bench e2e`.
//!
//! Prints one table. Everything runs on one machine, the client included, so the numbers are a floor. The rate of
//! durable runs stands beside the disk's own rate of fsync, measured in the same folder in the same run.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "a benchmark waits for a real process and has no Supervisor")]

#[allow(dead_code, reason = "shared with the benchmark of scale, which uses more of it")]
mod daemon;
mod latency;
mod lateness;
mod numbers;
mod throughput;

use daemon::Daemon;
use numbers::{Table, fsync_rate};

/// How many jobs are there while the daemon idles, reloads and is triggered.
const JOBS: usize = 1_000;

#[tokio::main]
async fn main() {
    // `cargo bench` passes `--bench`; `cargo test --benches` only wants to see it compile and start.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut table = Table::default();
    let fsyncs = fsync_rate(std::env::temp_dir().as_path());
    table.row("machine: fsync of 4 KiB", format!("{fsyncs:.0} /s"));

    let scripts = (0..JOBS).map(|number| (format!("job_{number:05}"), latency::idle_job(number)));
    let (daemon, ready) = Daemon::start(scripts).await;
    table.row("start to ready, 1,000 jobs on disk", numbers::show(ready));
    let loaded = daemon.await_jobs(JOBS).await;
    table.row("start to all 1,000 jobs live", numbers::show(ready + loaded));
    table.row("resident memory, idle, 1,000 jobs", daemon.settled_memory().await);
    latency::reload(&daemon, &mut table).await;
    latency::first_line(&daemon, &mut table).await;
    throughput::no_op_runs(&daemon, fsyncs, &mut table).await;
    daemon.stop().await;

    for count in [1_000, 10_000] {
        lateness::of_schedules(count, &mut table).await;
    }
    table.print();
}
