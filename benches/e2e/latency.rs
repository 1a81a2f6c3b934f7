//! How soon an edit is live, and how soon a triggered script speaks.

use std::time::{Duration, Instant};

use aegis::base::Timestamp;
use futures_util::StreamExt;
use reqwest::Method;

use crate::daemon::Daemon;
use crate::numbers::{Table, spread};

const EDITS: usize = 60;
const TRIGGERS: usize = 300;

/// A job that is due once in a while and has something to declare.
pub fn idle_job(number: usize) -> String {
    format!(
        "return aegis.job {{\n  description = \"Job {number}\",\n  schedule = {{ every = \"7d\" }},\n  overlap = \"parallel\",\n  \
         params = {{ size = {{ type = \"integer\", default = {number} }} }},\n  \
         run = function(ctx)\n    print(\"first line\")\n    return ctx.params.size\n  end,\n}}\n"
    )
}

/// From the moment that the file is in place until the daemon tells that the new version is live.
pub async fn reload(daemon: &Daemon, table: &mut Table) {
    let answer = daemon.request(Method::GET, "/api/v1/events").send().await.expect("events");
    let mut stream = answer.bytes_stream();
    let mut samples = Vec::new();
    for edit in 0..EDITS {
        let name = format!("job_{:05}", edit * 13 % crate::JOBS);
        let beside = daemon.script(&name).with_extension("new");
        std::fs::write(&beside, idle_job(100_000 + edit)).expect("a script");
        let began = Instant::now();
        std::fs::rename(&beside, daemon.script(&name)).expect("a rename");
        let mut told = Vec::new();
        while !told.windows(name.len()).any(|window| window == name.as_bytes()) {
            let next = tokio::time::timeout(Duration::from_secs(10), stream.next()).await;
            told.extend_from_slice(
                &next.expect("the edit is told within 10 s").expect("the stream goes on").expect("bytes"),
            );
        }
        samples.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    table.row(format!("save to live, {EDITS} edits among 1,000 scripts"), spread(&mut samples, &[0.5, 0.95]));
}

/// From before the request is sent until the script's first line, by the line's own time.
pub async fn first_line(daemon: &Daemon, table: &mut Table) {
    let mut runs = Vec::new();
    for _ in 0..TRIGGERS {
        let sent = Timestamp::now();
        runs.push((sent, daemon.trigger("job_00001").await));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut samples = Vec::new();
    for (sent, run) in runs {
        let log = daemon.get(&format!("/api/v1/runs/{run}/logs")).await;
        let at: Timestamp = log["lines"][0]["at"].as_str().expect("a line").parse().expect("a time");
        samples.push(Duration::try_from(at.duration_since(sent)).unwrap_or_default());
    }
    table.row(format!("request to the script's first line, {TRIGGERS} runs"), spread(&mut samples, &[0.5, 0.99]));
}
