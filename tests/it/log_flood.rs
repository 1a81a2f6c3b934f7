//! Scripts that talk too much: lines and runs are cut with a note, the daemon and its neighbours go on.

use std::time::{Duration, Instant};

use crate::support::scripts::{doing, returning};
use crate::support::{TestApp, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_hundred_megabytes_is_cut() {
    let body = "local half = string.rep('x', 50 * 1024 * 1024)\nprint(half, half)\nprint('after')\nreturn 'done'";
    let source = format!("return aegis.job {{ memory = '512MiB', run = function(ctx)\n{body}\nend }}");
    let app = TestApp::builder().script("shout.lua", source).script("calm.lua", returning("1")).start().await;
    app.api.job_appears("shout").await;
    let run = app.api.trigger("shout", json!({})).await;
    assert_eq!(app.api.run_to_end("calm", json!({})).await["state"], "succeeded");
    let ended = app.api.ended(&run).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let lines = app.api.log_texts(&run).await;
    assert!(
        lines.iter().all(|line| line.len() <= 17 * 1024),
        "a line of {:?} bytes",
        lines.iter().map(String::len).max()
    );
    assert!(lines.iter().any(|line| line.starts_with("xxx")), "the line's beginning is lost");
    assert!(lines.contains(&"after".to_owned()), "what came after is lost");
    assert!(resident_mib(&app) < 600, "the daemon holds {} MiB", resident_mib(&app));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_lines_a_second_arrive_in_order() {
    let body = "for i = 1, 20000 do print('line ' .. i) if i % 100 == 0 then ctx:sleep('10ms') end end\nreturn 'done'";
    let app = TestApp::builder().script("chatty.lua", doing(body)).script("calm.lua", returning("1")).start().await;
    app.api.job_appears("chatty").await;
    app.api.job_appears("calm").await;
    let run = app.api.trigger("chatty", json!({})).await;
    let mut slowest = Duration::ZERO;
    while app.api.run(&run).await["state"] != "succeeded" {
        let began = Instant::now();
        assert_eq!(app.api.run_to_end("calm", json!({})).await["state"], "succeeded");
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(5), "a neighbour took {slowest:?}");
    let mut seen = 0_u64;
    loop {
        let lines = app.api.log_lines(&run, seen).await;
        if lines.is_empty() {
            break;
        }
        for line in lines {
            seen += 1;
            assert_eq!((&line["seq"], &line["text"]), (&json!(seen), &json!(format!("line {seen}"))));
        }
    }
    assert_eq!(seen, 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_without_end_is_cut_with_a_note() {
    let body = "while true do print(string.rep('flood ', 100)) end";
    let source = format!("return aegis.job {{ timeout = '60s', cpu = '30s', run = function(ctx)\n{body}\nend }}");
    let app = TestApp::builder().script("flood.lua", source).script("calm.lua", returning("1")).start().await;
    app.api.job_appears("flood").await;
    let run = app.api.trigger("flood", json!({})).await;
    app.api.reaches(&run, &["running", "failed", "timed_out"]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(app.api.run_to_end("calm", json!({})).await["state"], "succeeded");
    // It may have ended by itself meanwhile; then there is nothing to cancel.
    if app.api.run(&run).await["state"] == "running" {
        app.cli.run(&["cancel", &run]).await.expect_code(0);
    }
    app.api.ended(&run).await;
    let is_note = |text: &str| text.contains("the log of this run is full") || text.contains("were dropped");
    let (mut last, mut noted) = (0, false);
    loop {
        let lines = app.api.log_lines(&run, last).await;
        let Some(line) = lines.last() else { break };
        last = line["seq"].as_u64().expect("a number");
        noted |= lines.iter().any(|line| line["text"].as_str().is_some_and(is_note));
    }
    assert!(noted, "{last} lines, and none says that others are missing");
    assert!(resident_mib(&app) < 400, "the daemon holds {} MiB", resident_mib(&app));
}

/// What the daemon holds in memory now.
fn resident_mib(app: &TestApp) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", app.pid())).expect("the daemon runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
}
