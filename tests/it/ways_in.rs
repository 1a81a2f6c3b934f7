//! A file dropped into the scripts folder is a job, and every way in runs it.

use crate::support::scripts::ECHO;
use crate::support::{TestApp, Value, eventually, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_file_runs_by_every_way_in() {
    let app = TestApp::start().await;
    app.add_job("echo", ECHO).await;

    let by_api = app.api.run_to_end("echo", json!({ "text": "api", "count": 2 })).await;
    expect_success(&by_api, "api", "api", 2);

    let printed = app.cli.ok(&["trigger", "echo", "--param", "text=cli", "--param", "count=3", "--wait"]).await;
    assert!(printed.contains("succeeded") || printed.contains("cli"), "{printed}");
    let newest = app.api.runs_of("echo").await.remove(0);
    expect_success(&app.api.run(newest["id"].as_str().unwrap()).await, "cli", "cli", 3);

    let line = "aegis.jobs.wait(aegis.jobs.trigger('echo', { params = { text = 'console', count = 4 } })).state";
    app.cli.run(&["repl", "-e", line]).await.expect_code(0).expect_said(&["succeeded"]);
    let newest = app.api.runs_of("echo").await.remove(0);
    let by_console = app.api.run(newest["id"].as_str().unwrap()).await;
    assert_eq!(by_console["result"], json!({ "text": "console", "count": 4, "loud": false }));

    let log = app.api.log_texts(by_api["id"].as_str().unwrap()).await;
    assert!(log.contains(&"echo: api".to_owned()), "{log:?}");
    let logs = app.cli.ok(&["logs", by_api["id"].as_str().unwrap()]).await;
    assert!(logs.contains("echo: api"), "{logs}");
}

#[track_caller]
fn expect_success(run: &Value, kind: &str, text: &str, count: u64) {
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(run["trigger"]["kind"], kind, "{run}");
    assert!(run["trigger"]["actor"].as_str().is_some_and(|actor| !actor.is_empty()), "{run}");
    assert_eq!(run["result"], json!({ "text": text, "count": count, "loud": false }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_fires_on_time_and_is_accounted_for() {
    let source =
        "return aegis.job { schedule = { every = '1s' }, run = function(ctx) return ctx.trigger.scheduled_for end }";
    let app = TestApp::builder().script("tick.lua", source).start().await;
    let runs = eventually("three scheduled runs have ended", || async {
        let ended = app.api.runs_of("tick").await.into_iter().filter(|run| run["state"] == "succeeded");
        let ended: Vec<Value> = ended.collect();
        (ended.len() >= 3).then_some(ended)
    })
    .await;
    let mut due: Vec<&str> = runs.iter().filter_map(|run| run["trigger"]["scheduled_for"].as_str()).collect();
    assert_eq!(due.len(), runs.len(), "{runs:?}");
    due.dedup();
    assert_eq!(due.len(), runs.len(), "a due time fired twice: {runs:?}");
    for run in &runs {
        assert_eq!(run["trigger"]["kind"], "schedule");
        assert_eq!(run["result"], run["trigger"]["scheduled_for"]);
    }
    let forecast = app.cli.json(&["schedule", "--job", "tick"]).await;
    assert!(forecast.to_string().contains("tick"), "{forecast}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_job_does_not_fire_and_can_still_be_run() {
    let source = "return aegis.job { schedule = { every = '1s' }, run = function() return 1 end }";
    let app = TestApp::builder().script("tick.lua", source).start().await;
    app.cli.ok(&["disable", "tick"]).await;
    // A run that had begun before the order may still end.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let before = app.api.runs_of("tick").await.len();
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert_eq!(app.api.runs_of("tick").await.len(), before, "it fired although it is disabled");
    assert_eq!(app.api.run_to_end("tick", json!({})).await["state"], "succeeded");
    app.cli.ok(&["enable", "tick"]).await;
    eventually("it fires again", || async { (app.api.runs_of("tick").await.len() > before + 1).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_idempotency_key_makes_one_run() {
    let app = TestApp::builder().script("echo.lua", ECHO).start().await;
    app.api.job_appears("echo").await;
    let submit = || async {
        let request = app.api.request(reqwest::Method::POST, "/api/v1/jobs/echo/runs");
        let request = request.header("Idempotency-Key", "order-17").json(&json!({ "params": { "text": "once" } }));
        crate::support::api::Answer::of(request).await
    };
    let first = submit().await.expect(reqwest::StatusCode::ACCEPTED).body;
    // While the first is alive, and after it: the job's overlap policy has no say in it.
    let second = submit().await.expect(reqwest::StatusCode::ACCEPTED).body;
    app.api.ended(first["run_id"].as_str().unwrap()).await;
    let third = submit().await.expect(reqwest::StatusCode::ACCEPTED).body;
    assert_eq!((&second["run_id"], &third["run_id"]), (&first["run_id"], &first["run_id"]));
    assert_eq!((&first["existing"], &second["existing"]), (&json!(false), &json!(true)));
    assert_eq!(app.api.runs_of("echo").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters_are_refused_alike_by_every_way_in() {
    let app = TestApp::builder().script("echo.lua", ECHO).start().await;
    app.api.job_appears("echo").await;

    let answer = app.api.post("/api/v1/jobs/echo/runs", json!({ "params": { "count": "many" } })).await;
    answer.expect_error(reqwest::StatusCode::UNPROCESSABLE_ENTITY, &["count", "whole number"]);
    let answer = app.api.post("/api/v1/jobs/echo/runs", json!({ "params": { "cuont": 1 } })).await;
    answer.expect_error(reqwest::StatusCode::UNPROCESSABLE_ENTITY, &["cuont", "count"]);

    let by_cli = app.cli.run(&["trigger", "echo", "--param", "count=many"]).await;
    assert_ne!(by_cli.code, 0);
    by_cli.expect_said(&["count", "whole number"]);

    let line = "aegis.jobs.trigger('echo', { params = { count = 'many' } })";
    let by_console = app.cli.run(&["repl", "-e", line]).await;
    assert_eq!(by_console.code, 1, "{by_console}");
    by_console.expect_said(&["count", "whole number"]);

    // The dashboard's form is driven in browser.rs; a file that declares a wrong default is the fourth way.
    app.write_script(
        "wrong.lua",
        "return aegis.job { params = { n = { type = 'integer', default = 'x' } }, run = print }",
    );
    let found = eventually("a diagnostic", || async {
        let found = app.api.diagnostics().await;
        (!found.is_empty()).then_some(found)
    })
    .await;
    assert!(found[0].to_string().contains("whole number"), "{found:?}");
    assert!(app.api.runs_of("echo").await.is_empty(), "a refused submission left a run behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_things_have_their_own_exit_codes() {
    let app = TestApp::start().await;
    app.cli.run(&["trigger", "nosuch"]).await.expect_code(5).expect_said(&["nosuch"]);
    app.cli.run(&["show", "01jd3v7h6w2k9q3xamp1e0abcd"]).await.expect_code(5);
    app.cli.run(&["jobs", "--nonsense"]).await.expect_code(2);
    app.api.get("/api/v1/jobs/nosuch").await.expect_error(reqwest::StatusCode::NOT_FOUND, &["nosuch"]);
    app.write_script("bad.lua", "return aegis.job { run = function() error('no luck') end }");
    app.api.job_appears("bad").await;
    app.cli.run(&["trigger", "bad", "--wait"]).await.expect_code(3).expect_said(&["no luck"]);
    let unreachable = crate::support::cli::Cli { socket: app.path("run/other.sock"), ..app.cli.clone() };
    unreachable.run(&["jobs"]).await.expect_code(6);
}
