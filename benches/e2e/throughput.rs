//! How many runs a second are accepted, executed and recorded, each safely on disk before it is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::daemon::Daemon;
use crate::numbers::Table;

const CLIENTS: usize = 128;
const TIME: Duration = Duration::from_secs(10);

pub async fn no_op_runs(daemon: &Daemon, fsyncs: f64, table: &mut Table) {
    std::fs::write(daemon.script("no_op"), "return aegis.job { overlap = \"parallel\", run = function() end }\n")
        .expect("a script");
    daemon.await_jobs(crate::JOBS + 1).await;
    let accepted = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let request = daemon.request(Method::POST, "/api/v1/jobs/no_op/runs").json(&json!({}));
            let accepted = accepted.clone();
            tokio::spawn(async move {
                while began.elapsed() < TIME {
                    let request = request.try_clone().expect("a small body");
                    if request.send().await.is_ok_and(|answer| answer.status().is_success()) {
                        accepted.fetch_add(1, Ordering::Relaxed);
                    } else {
                        // The daemon says that too much waits.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("a client");
    }
    await_idle(daemon).await;
    let rate = accepted.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    table.row(
        format!("no-op runs, durable end to end, {CLIENTS} HTTP clients"),
        format!("{rate:.0} /s ({:.1} runs an fsync)", rate / fsyncs),
    );
}

/// Until nothing is queued or running.
async fn await_idle(daemon: &Daemon) {
    loop {
        let alive = daemon.get("/api/v1/runs?state=queued,running&limit=1").await;
        if alive["runs"].as_array().is_some_and(Vec::is_empty) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
