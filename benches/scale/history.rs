//! How soon the API and the pages answer when the history is long.

use std::time::{Duration, Instant};

use reqwest::Method;

use crate::daemon::Daemon;
use crate::fill::Filler;
use crate::numbers::{Table, show, spread};

const JOBS: i64 = 50;
const ASKS: usize = 200;

pub async fn pages(runs: i64, table: &mut Table) {
    let job = |number: i64| format!("job_{number:02}");
    let source = "return aegis.job { overlap = \"parallel\", run = function() print(\"one line\") end }\n";
    let (daemon, _) = Daemon::start((0..JOBS).map(|number| (job(number), source.to_owned()))).await;
    daemon.await_jobs(usize::try_from(JOBS).expect("few")).await;
    let template = daemon.trigger(&job(7)).await;
    while daemon.get(&format!("/api/v1/runs/{template}")).await["state"] != "succeeded" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stopped = daemon.pause().await;
    let mut filler = Filler::open(&stopped.file()).await;
    let which = format!("t.id = '{template}'");
    let (id, at) = ("printf('01jd%022d', n.i)", format!("t.queued_at - ({runs} - n.i) * 1000000"));
    let state = "CASE WHEN n.i % 1000 = 0 THEN 'failed' ELSE 'succeeded' END";
    let name = format!("printf('job_%02d', n.i % {JOBS})");
    let columns = [
        ("id", id),
        ("job", &name),
        ("state", state),
        ("queued_at", &at),
        ("started_at", &at),
        ("finished_at", &at),
        ("idempotency_key", "NULL"),
    ];
    filler.copy("runs", &which, runs, &columns).await;
    let line = format!("t.run = '{template}'");
    filler.copy("logs", &line, runs, &[("run", id)]).await;
    // Counts by hour are kept as runs end; here they ended without the daemon.
    let hours = "DELETE FROM run_hours; INSERT INTO run_hours (job, hour, state, count)
         SELECT job, finished_at - finished_at % 3600000000, state, COUNT(*) FROM runs
         WHERE finished_at IS NOT NULL GROUP BY 1, 2, 3";
    filler.run(hours).await;
    filler.close().await;

    let (daemon, ready) = stopped.start().await;
    table.row(format!("start to ready, {runs} runs of history"), show(ready));
    table.row("resident memory after the start", format!("{:.1} MiB", daemon.memory_mib()));
    let middle = format!("01jd{:022}", runs / 2);
    for (what, path) in [
        ("API: newest runs", "/api/v1/runs".to_owned()),
        ("API: runs of a job", "/api/v1/runs?job=job_07".to_owned()),
        ("API: failed runs", "/api/v1/runs?state=failed".to_owned()),
        ("API: failed runs of a job", "/api/v1/runs?state=failed&job=job_00".to_owned()),
        ("API: a page from the middle", format!("/api/v1/runs?before={middle}")),
        ("API: a page of 1,000", "/api/v1/runs?limit=1000".to_owned()),
        ("API: one run", format!("/api/v1/runs/{middle}")),
        ("API: all jobs", "/api/v1/jobs".to_owned()),
        ("page: history", "/runs".to_owned()),
        ("page: history from the middle", format!("/runs?before={middle}")),
        ("page: overview", "/".to_owned()),
        ("page: a job", "/jobs/job_07".to_owned()),
        ("page: a run", format!("/runs/{middle}")),
    ] {
        let mut samples = Vec::new();
        for _ in 0..ASKS {
            let began = Instant::now();
            let answer = daemon.request(Method::GET, &path).send().await.expect("an answer");
            let status = answer.status();
            let body = answer.bytes().await.expect("a body");
            samples.push(began.elapsed());
            assert!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&body));
        }
        table.row(format!("{what}, {ASKS} times"), spread(&mut samples, &[0.5, 0.99]));
    }
    daemon.stop().await;
}
