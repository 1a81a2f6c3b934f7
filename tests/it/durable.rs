//! Durable runs on the real daemon: steps, waits, decisions and undoing, across `kill -9` and restarts.

use std::collections::BTreeMap;

use crate::support::api::items;
use crate::support::{TestApp, eventually, json};

/// Five steps that leave a trace in the shared store of values, each with a pause in which it can be killed.
const FLOW: &str = r#"
return aegis.job {
  resume = true,
  timeout = "10m",
  permissions = { kv = { "shared:trace" } },
  run = function(ctx)
    local total = 0
    for number = 1, 5 do
      total += ctx:step("step-" .. number, function()
        aegis.kv.update("done-" .. number, function(count) return (count or 0) + 1 end, { scope = "shared:trace" })
        return number
      end)
      ctx:sleep("400ms")
    end
    return { total = total, at = aegis.time.now():format() }
  end,
}
"#;

async fn steps(app: &TestApp, run: &str) -> Vec<serde_json::Value> {
    items(&app.api.get(&format!("/api/v1/runs/{run}/steps")).await.body, "steps")
}

async fn done(app: &TestApp, run: &str) -> usize {
    let steps = steps(app, run).await;
    steps.iter().filter(|step| step["kind"] == "step" && step["state"] == "done").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_killed_after_each_step_ends_as_if_nothing_had_happened() {
    let mut app = TestApp::builder().script("flow.lua", FLOW).start().await;
    app.api.job_appears("flow").await;
    let run = app.api.trigger("flow", json!({})).await;
    let deadline = eventually("it has a deadline", || async {
        app.api.run(&run).await["deadline_at"].as_str().map(str::to_owned)
    })
    .await;
    for committed in 1..=5 {
        eventually("the next step is committed", || async { (done(&app, &run).await >= committed).then_some(()) })
            .await;
        app.kill().await;
        app.restart().await;
        let now = app.api.run(&run).await["deadline_at"].as_str().map(str::to_owned);
        assert_eq!(now.as_ref(), Some(&deadline), "the deadline moved with a restart");
    }
    let ended = app.api.ended(&run).await;
    assert_eq!((&ended["state"], &ended["result"]["total"]), (&json!("succeeded"), &json!(15)), "{ended}");
    assert_eq!(ended["attempt"], 1, "going on is no new attempt: {ended}");
    let mut counts = BTreeMap::new();
    for step in steps(&app, &run).await.iter().filter(|step| step["kind"] == "step") {
        *counts.entry(step["name"].to_string()).or_insert(0) += 1;
    }
    assert_eq!(counts.values().sum::<i32>(), 5, "{counts:?}");
    let trace = "aegis.kv.list({ scope = 'shared:trace' })";
    let trace = app.cli.run(&["repl", "-e", trace]).await.expect_code(0).said();
    assert!(trace.contains("value = 1") && !trace.contains("value = 2"), "{trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_runs_sleep_through_a_crash_and_wake() {
    let source = "return aegis.job { resume = true, run = function(ctx)\n\
                  local before = ctx:step('before', function() return 1 end)\n\
                  ctx:sleep('6s')\nreturn before + 1 end }";
    let mut app = TestApp::builder().script("sleeper.lua", source).start().await;
    app.api.job_appears("sleeper").await;
    let run = app.api.trigger("sleeper", json!({})).await;
    let parked = app.api.reaches(&run, &["parked"]).await;
    assert!(
        parked["wake_at"].is_string() && parked["reason"].as_str().is_some_and(|r| r.contains("sleep")),
        "{parked}"
    );
    app.kill().await;
    app.restart().await;
    let ended = app.api.ended(&run).await;
    assert_eq!((&ended["state"], &ended["result"]), (&json!("succeeded"), &json!(2)), "{ended}");
    assert_eq!(ended["started_at"], parked["started_at"], "one attempt, which began once: {ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_survives_a_crash_and_is_decided_once() {
    let source = "return aegis.job { resume = true, run = function(ctx)\n\
                  local answer = ctx:approval('switch', { show = { from = 1, to = 2 } })\n\
                  return { by = answer.by, comment = answer.comment } end }";
    let mut app = TestApp::builder().script("deploy.lua", source).start().await;
    app.api.job_appears("deploy").await;
    let run = app.api.trigger("deploy", json!({})).await;
    app.api.reaches(&run, &["parked"]).await;
    app.kill().await;
    app.restart().await;
    let waiting = items(&app.api.get("/api/v1/approvals").await.body, "approvals");
    assert_eq!((waiting.len(), &waiting[0]["name"]), (1, &json!("switch")), "{waiting:?}");
    app.cli.ok(&["approve", &run, "switch", "--comment", "looks right"]).await;
    let ended = app.api.ended(&run).await;
    assert_eq!((&ended["state"], &ended["result"]["comment"]), (&json!("succeeded"), &json!("looks right")), "{ended}");
    app.cli.run(&["approve", &run, "switch"]).await.expect_code(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_a_run_that_was_not_waiting_yet() {
    let source = "return aegis.job { resume = true, run = function(ctx)\n\
                  ctx:step('slow', function() aegis.sleep('1s') end)\n\
                  return ctx:wait_event('paid', { key = 'order-7', timeout = '1m' }).amount end }";
    let app = TestApp::builder().script("order.lua", source).start().await;
    app.api.job_appears("order").await;
    let run = app.api.trigger("order", json!({})).await;
    app.cli.ok(&["event", "send", "paid", "--key", "order-8", "--data", "{\"amount\": 1}"]).await;
    app.cli.ok(&["event", "send", "paid", "--key", "order-7", "--data", "{\"amount\": 42}"]).await;
    let ended = app.api.ended(&run).await;
    assert_eq!((&ended["state"], &ended["result"]), (&json!("succeeded"), &json!(42)), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cancelled_run_did_is_undone_also_when_it_is_parked() {
    let source = "return aegis.job { resume = true, run = function(ctx)\n\
                  for number = 1, 3 do\n\
                    ctx:step('make-' .. number, function() return number end,\n\
                      { undo = function(made) print('unmade ' .. made) end })\n\
                  end\n\
                  ctx:sleep('1h') end }";
    let mut app = TestApp::builder().script("maker.lua", source).start().await;
    app.api.job_appears("maker").await;
    let run = app.api.trigger("maker", json!({})).await;
    app.api.reaches(&run, &["parked"]).await;
    app.kill().await;
    app.restart().await;
    app.cli.ok(&["cancel", &run]).await;
    let ended = app.api.ended(&run).await;
    assert_eq!(ended["state"], "cancelled", "{ended}");
    let lines = app.api.log_texts(&run).await;
    assert_eq!(lines, ["unmade 3", "unmade 2", "unmade 1"], "the latest goes first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_between_two_attempts_undoes_what_it_did() {
    let source = "return aegis.job { resume = true, retry = { attempts = 3, initial = '1h' }, run = function(ctx)\n\
                  ctx:step('make', function() return 1 end, { undo = function() print('unmade') end })\n\
                  error('not yet') end }";
    let app = TestApp::builder().script("maker.lua", source).start().await;
    app.api.job_appears("maker").await;
    let run = app.api.trigger("maker", json!({})).await;
    let waits = |run: &serde_json::Value| run["not_before"].is_string();
    crate::support::eventually("the next attempt is waited for", || async {
        waits(&app.api.run(&run).await).then_some(())
    })
    .await;
    app.cli.ok(&["cancel", &run]).await;
    assert_eq!(app.api.ended(&run).await["state"], "cancelled");
    assert_eq!(app.api.log_texts(&run).await, ["unmade"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_was_caught_and_gone_on_from_is_the_same_in_the_next_attempt() {
    let source = "return aegis.job { resume = true, retry = { attempts = 3, initial = '10ms' }, run = function(ctx)\n\
                  local ok, problem = pcall(ctx.step, ctx, 'deploy', function() error('no') end)\n\
                  ctx:step('tell', function() return 'told' end)\n\
                  error(problem) end }";
    let app = TestApp::builder().script("deploy.lua", source).start().await;
    app.api.job_appears("deploy").await;
    let ended = app.api.run_to_end("deploy", json!({})).await;
    assert_eq!((&ended["state"], &ended["attempt"]), (&json!("failed"), &json!(3)), "{ended}");
    assert_eq!(ended["error"]["code"], "script.error", "{ended}");
}
