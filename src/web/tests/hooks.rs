//! Requests by which other services start jobs.

use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

use super::support::{Answer, App, job};
use crate::base::limits;
use crate::model::Grants;
use crate::model::Role;
use crate::model::job::TriggerSpec;

const KEY: &str = "key-of-the-hook";
/// Its result is what it was told.
const ECHO: &str = "return aegis.job { run = function(ctx) return ctx.trigger.payload end }\n";

fn mac(data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY.as_bytes()).expect("a key");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

async fn app() -> App {
    let app = App::new().await;
    let hooks =
        [("hooked", json!({ "secret": "HOOK_KEY" })), ("github", json!({ "secret": "HOOK_KEY", "scheme": "github" }))];
    let hooks =
        hooks.into_iter().chain([("lost", json!({ "secret": "GONE" })), ("poor", json!({ "secret": "HOOK_KEY" }))]);
    app.web.parts.jobs.update(|snapshot| {
        for (name, options) in hooks {
            let (name, made) = job(name, ECHO, |spec| {
                spec.on = vec![TriggerSpec { kind: "webhook".into(), options }];
                let secrets = if spec.name.as_str() == "poor" { Vec::new() } else { vec!["*".to_owned()] };
                spec.permissions = Grants { secrets, ..Grants::default() };
            });
            snapshot.jobs.insert(name, made);
        }
    });
    app
}

impl App {
    /// As a sender after the standard does it.
    async fn send_hook(&self, job: &str, id: &str, age_s: i64, body: &str) -> Answer {
        let moment = (self.clock.now().as_second() - age_s).to_string();
        let signature = format!("v1,{}", STANDARD.encode(mac(format!("{id}.{moment}.{body}").as_bytes())));
        let headers = [("webhook-id", id), ("webhook-timestamp", &*moment), ("webhook-signature", &*signature)];
        self.call(Method::POST, &format!("/hooks/{job}"), &headers, body).await
    }
}

#[tokio::test]
async fn a_signed_request_starts_a_run_once() {
    let app = app().await;
    let first = app.send_hook("hooked", "msg_1", 0, "{\"order\": 7}").await.expect(StatusCode::ACCEPTED);
    let run = first.json()["run_id"].as_str().expect("an id").to_owned();
    assert_eq!(first.headers["location"], format!("/api/v1/runs/{run}"));
    app.web.parts.runner.wait(run.parse().expect("an id")).await.expect("the store").expect("the run");
    let shown = app.get(&format!("/api/v1/runs/{run}")).await.json();
    assert_eq!((&shown["trigger"]["kind"], &shown["state"]), (&json!("webhook"), &json!("succeeded")), "{shown}");
    assert_eq!(shown["result"]["body"], json!({ "order": 7 }), "{shown}");
    // The sender tries again, or somebody who has listened does: with another moment, too.
    for age in [0, 10, -10] {
        let again = app.send_hook("hooked", "msg_1", age, "{\"order\": 7}").await.expect(StatusCode::ACCEPTED).json();
        assert_eq!((&again["run_id"], &again["existing"]), (&json!(run), &json!(true)));
    }
    app.store.ping().await.expect("the store answers");
    let acts = app.as_role(Role::Admin, Method::GET, "/api/v1/audit?action=hook.&after=0", Value::Null).await.json();
    assert_eq!(acts["records"].as_array().map(Vec::len), Some(4), "{acts}");
    let act = &acts["records"][0];
    assert_eq!((&act["actor"], &act["object"], &act["job"]), (&json!("webhook"), &json!("hooked"), &json!("hooked")));
}

#[tokio::test]
async fn a_request_as_github_sends_it_starts_a_run() {
    let app = app().await;
    let body = "{\"action\": \"opened\"}";
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let signature = format!("sha256={}", hex(mac(body.as_bytes())));
    let headers = [("x-hub-signature-256", &*signature), ("x-github-event", "issues"), ("x-github-delivery", "d-1")];
    let answer = app.call(Method::POST, "/hooks/github", &headers, body).await.expect(StatusCode::ACCEPTED).json();
    let run = answer["run_id"].as_str().expect("an id");
    app.web.parts.runner.wait(run.parse().expect("an id")).await.expect("the store").expect("the run");
    let run = app.get(&format!("/api/v1/runs/{run}")).await.json();
    let payload = &run["result"];
    assert_eq!((&payload["event"], &payload["id"]), (&json!("issues"), &json!("d-1")), "{run}");
    assert_eq!(payload["body"]["action"], "opened");
}

#[tokio::test]
async fn what_is_not_signed_now_with_the_secret_starts_nothing() {
    let app = app().await;
    let unsigned = app.call(Method::POST, "/hooks/hooked", &[], "{}").await;
    unsigned.expect_error(StatusCode::UNAUTHORIZED, "hook.header", &["webhook-id"]);
    let stale = limits::HOOK_WINDOW.as_secs() as i64 + 5;
    for age in [stale, -stale] {
        let late = app.send_hook("hooked", "msg_2", age, "{}").await;
        late.expect_error(StatusCode::UNAUTHORIZED, "hook.stale", &["300 s"]);
    }
    let other = app.send_hook("github", "msg_3", 0, "{}").await;
    other.expect_error(StatusCode::UNAUTHORIZED, "hook.header", &["x-hub-signature-256"]);
    for name in ["greet", "nothing", "a b"] {
        let none = app.send_hook(&name.replace(' ', "%20"), "msg_4", 0, "{}").await;
        none.expect_error(StatusCode::NOT_FOUND, "hook.not_found", &["on = { webhook"]);
    }
    // What is missing on this side is told to the log, not to strangers.
    for name in ["lost", "poor"] {
        let unready = app.send_hook(name, "msg_5", 0, "{}").await;
        assert!(!unready.text.contains("GONE") && !unready.text.contains("HOOK_KEY"), "{}", unready.text);
        unready.expect_error(StatusCode::SERVICE_UNAVAILABLE, "hook.unready", &[]);
    }
    let large = "x".repeat(limits::HOOK_BODY_BYTES_MAX + 1);
    let large = app.send_hook("hooked", "msg_6", 0, &large).await;
    large.expect_error(StatusCode::PAYLOAD_TOO_LARGE, "request.too_large", &["256"]);
    assert_eq!(app.get("/api/v1/runs").await.json()["runs"], json!([]), "nothing was started");
    // Guessing is slow, and does not keep the real sender out.
    for _ in 0..limits::AUTH_FAILURES_MAX {
        app.call(Method::POST, "/hooks/hooked", &[], "{}").await;
    }
    let guessed = app.call(Method::POST, "/hooks/hooked", &[], "{}").await;
    guessed.expect_error(StatusCode::TOO_MANY_REQUESTS, "auth.throttled", &["signatures"]);
    app.send_hook("hooked", "msg_7", 0, "plain text").await.expect(StatusCode::ACCEPTED);
}
