//! Stopping in order: what runs may end, what does not end in time has a stated outcome, nothing is left behind.

use std::time::{Duration, Instant};

use reqwest::StatusCode;

use crate::support::scripts::{SLEEPER, doing};
use crate::support::{TestApp, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_may_end_within_the_grace() {
    let mut app = TestApp::builder().script("sleeper.lua", SLEEPER).start().await;
    app.api.job_appears("sleeper").await;
    let run = app.api.trigger("sleeper", json!({ "seconds": 2 })).await;
    app.api.reaches(&run, &["running"]).await;
    assert_eq!(app.stop().await.code(), Some(0), "{}", app.log());
    assert!(!app.path("run/aegis.sock").exists(), "the socket was left behind");
    app.restart().await;
    let ended = app.api.run(&run).await;
    assert_eq!((&ended["state"], &ended["result"]), (&json!("succeeded"), &json!("slept")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_does_not_end_is_stopped_with_a_reason() {
    let mut app = TestApp::builder()
        .config("/runner/shutdown_grace", json!("1s"))
        .script("sleeper.lua", SLEEPER)
        .script("busy.lua", doing("while true do end"))
        .start()
        .await;
    app.api.job_appears("sleeper").await;
    app.api.job_appears("busy").await;
    let runs = [app.api.trigger("sleeper", json!({})).await, app.api.trigger("busy", json!({})).await];
    for run in &runs {
        app.api.reaches(run, &["running"]).await;
    }
    let began = Instant::now();
    assert_eq!(app.stop().await.code(), Some(0), "{}", app.log());
    assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
    app.restart().await;
    for run in &runs {
        let ended = app.api.ended(run).await;
        assert!(ended["state"] == "interrupted" || ended["state"] == "cancelled", "{ended}");
        assert!(ended["reason"].is_string() || ended["error"].is_object(), "no reason is given: {ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_and_consoles_do_not_hold_it_up() {
    let mut app = TestApp::builder().script("sleeper.lua", SLEEPER).start().await;
    app.api.job_appears("sleeper").await;
    let run = app.api.trigger("sleeper", json!({ "seconds": 1 })).await;
    let follow = format!("/api/v1/runs/{run}/logs?follow=true");
    let stream =
        app.api.request(reqwest::Method::GET, &follow).header("accept", "text/event-stream").send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let events = app.api.request(reqwest::Method::GET, "/api/v1/events").send().await.unwrap();
    assert_eq!(events.status(), 200);
    let cli = app.cli.clone();
    let mut console = tokio::task::JoinSet::new();
    console.spawn(async move { cli.run(&["repl", "-e", "aegis.sleep('5m')"]).await });
    crate::support::eventually("the console's line runs", || async {
        let answer = app.api.get("/api/v1/runs?state=running&console=true").await.expect(StatusCode::OK);
        let runs = answer.body["runs"].as_array().cloned().unwrap_or_default();
        runs.iter().any(|run| run["trigger"]["kind"] == "repl").then_some(())
    })
    .await;
    let began = Instant::now();
    assert_eq!(app.stop().await.code(), Some(0), "{}", app.log());
    assert!(began.elapsed() < Duration::from_secs(15), "it took {:?}", began.elapsed());
    let ended = console.join_next().await.expect("a console").expect("it does not hang");
    assert_ne!(ended.code, 0, "{}", ended.said());
}
