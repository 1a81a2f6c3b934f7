//! A notification leaves the daemon for a real receiver, and is tried again when that is not well.

use crate::support::hook::Hook;
use crate::support::{TestApp, Value, json};

const ALERT: &str = r#"
return aegis.job {
  permissions = { notify = { "alerts" } },
  params = { route = { type = "string", default = "alerts" } },
  run = function(ctx)
    return aegis.notify.send(ctx.params.route, { title = "db is down", text = "exit code 137", severity = "critical" })
  end,
}
"#;

async fn app(hook: &Hook) -> TestApp {
    let routes = json!({
        "alerts": [{ "webhook": { "url": hook.url() } }],
        "other": [{ "webhook": { "url": hook.url() } }],
    });
    let app = TestApp::builder().config("/notify/routes", routes).script("alert.lua", ALERT).start().await;
    app.api.job_appears("alert").await;
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_receives_what_the_script_sent() {
    let hook = Hook::start().await;
    let app = app(&hook).await;
    let run = app.api.run_to_end("alert", json!({})).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    let delivery = hook.wait_for(1).await.remove(0);
    let text = delivery.body.to_string();
    for word in ["db is down", "exit code 137", "critical"] {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_is_tried_again() {
    let hook = Hook::start().await;
    hook.refuse(1);
    let app = app(&hook).await;
    let run = app.api.run_to_end("alert", json!({})).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    hook.wait_for(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_was_not_granted_is_refused_with_the_line_to_add() {
    let hook = Hook::start().await;
    let app = app(&hook).await;
    let run = app.api.run_to_end("alert", json!({ "route": "other" })).await;
    assert_eq!(run["state"], "failed", "{run}");
    assert_eq!(run["error"]["code"], "permission.denied", "{run}");
    let said = run["error"].to_string();
    assert!(said.contains("notify") && said.contains("other"), "{said}");
    assert_eq!(run["error"]["at"]["file"], Value::from("alert.lua"));
    assert!(hook.deliveries().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_tries_a_route_and_shows_what_was_given_up() {
    let hook = Hook::start().await;
    let routes = json!({
        "alerts": [{ "webhook": { "url": hook.url() } }],
        "broken": [{ "webhook": { "url": "secret:AEGIS_TEST_ABSENT" } }],
    });
    let script = ALERT.replace("{ \"alerts\" }", "{ \"*\" }");
    let app = TestApp::builder().config("/notify/routes", routes).script("alert.lua", &script).start().await;
    app.api.job_appears("alert").await;
    app.cli.run(&["notify", "test", "alerts", "-m", "hello"]).await.expect_code(0).expect_said(&["delivered"]);
    assert!(hook.wait_for(1).await[0].body.to_string().contains("hello"));
    let failed = app.cli.run(&["notify", "test", "broken"]).await.expect_code(1);
    failed.expect_said(&["failed", "AEGIS_TEST_ABSENT"]);
    app.cli.run(&["notify", "test", "alert"]).await.expect_code(5).expect_said(&["alerts"]);

    let run = app.api.run_to_end("alert", json!({ "route": "broken" })).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    let mut dead = json!([]);
    for _ in 0..200 {
        dead = app.cli.json(&["notify", "queue"]).await;
        if dead[0]["state"] == "dead" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!((&dead[0]["state"], &dead[0]["title"]), (&json!("dead"), &json!("db is down")), "{dead}");
    let id = dead[0]["id"].as_str().unwrap();
    app.cli.ok(&["notify", "retry", id]).await;
    app.cli.run(&["notify", "queue"]).await.expect_code(0).expect_said(&[id, "broken"]);
}
