//! `kill -9` with runs in flight: every accepted run ends in a stated outcome, none stays "running".

use crate::support::scripts::{SLEEPER, doing};
use crate::support::{TestApp, json};

#[tokio::test(flavor = "multi_thread")]
async fn no_phantom_survives_a_crash() {
    let retried = "return aegis.job { retry = { attempts = 2, initial = '10ms' }, run = function(ctx)\n\
                   if ctx.attempt == 1 then ctx:sleep(120) end\nreturn ctx.attempt end }";
    let mut app = TestApp::builder()
        .config("/runner/max_running", json!(6))
        .script("sleeper.lua", SLEEPER)
        .script("retried.lua", retried)
        .script("quick.lua", doing("return 'done'"))
        .start()
        .await;
    for job in ["sleeper", "retried", "quick"] {
        app.api.job_appears(job).await;
    }
    let finished = app.api.run_to_end("quick", json!({})).await;
    let mut sleeping = Vec::new();
    for _ in 0..3 {
        sleeping.push(app.api.trigger("sleeper", json!({ "seconds": 120 })).await);
    }
    let repeated = app.api.trigger("retried", json!({})).await;
    for run in sleeping.iter().chain([&repeated]) {
        app.api.reaches(run, &["running"]).await;
    }
    // More than may run at once, so that some are still queued when the power goes.
    let mut queued = Vec::new();
    for _ in 0..5 {
        queued.push(app.api.trigger("sleeper", json!({ "seconds": 0.1 })).await);
    }
    app.kill().await;
    app.restart().await;

    for run in &sleeping {
        let ended = app.api.ended(run).await;
        assert_eq!(ended["state"], "interrupted", "{ended}");
        assert!(ended["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "no reason is given: {ended}");
        assert!(ended["finished_at"].is_string(), "{ended}");
    }
    let second = app.api.ended(&repeated).await;
    assert_eq!((&second["state"], &second["result"]), (&json!("succeeded"), &json!(2)), "{second}");
    for run in &queued {
        let ended = app.api.ended(run).await;
        assert!(ended["state"] == "succeeded" || ended["state"] == "interrupted", "{ended}");
    }
    let unchanged = app.api.run(finished["id"].as_str().unwrap()).await;
    assert_eq!(unchanged, finished, "a run that had ended was changed");
    let running = app.api.get("/api/v1/runs?state=running").await;
    assert!(crate::support::api::items(&running.body, "runs").is_empty(), "phantoms: {}", running.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let mut app = TestApp::builder().script("quick.lua", doing("return ctx.params")).start().await;
    app.api.job_appears("quick").await;
    let mut accepted = Vec::new();
    for _ in 0..40 {
        accepted.push(app.api.trigger("quick", json!({})).await);
    }
    app.kill().await;
    app.restart().await;
    for run in &accepted {
        app.api.ended(run).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_does_not_settle_a_due_time_twice() {
    let source = "return aegis.job { schedule = { every = '1s', catch_up = 'none' }, run = function() end }";
    let mut app = TestApp::builder().script("tick.lua", source).start().await;
    for _ in 0..2 {
        let before = app.api.runs_of("tick").await.len();
        crate::support::eventually("it fires", || async {
            (app.api.runs_of("tick").await.len() > before).then_some(())
        })
        .await;
        app.kill().await;
        app.restart().await;
    }
    crate::support::eventually("it fires after the crashes", || async {
        (app.api.runs_of("tick").await.len() > 3).then_some(())
    })
    .await;
    let runs = app.api.runs_of("tick").await;
    let due: std::collections::BTreeSet<String> =
        runs.iter().map(|run| run["trigger"]["scheduled_for"].to_string()).collect();
    assert_eq!(due.len(), runs.len(), "{runs:?}");
}
