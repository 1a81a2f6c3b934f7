//! Two daemons share one PostgreSQL, and one is asked to end what the other executes.

use reqwest::StatusCode;
use serde_json::json;

use crate::postgres::Postgres;
use crate::support::{TestApp, eventually};

const SWAP: &str = r#"
return aegis.job {
    overlap = "replace",
    params = { long = { type = "boolean", default = false } },
    run = function(ctx)
        if ctx.params.long then aegis.sleep("10m") end
        return "done"
    end,
}
"#;

async fn daemon(postgres: &Postgres, name: &str, token: Option<&str>) -> TestApp {
    let builder = TestApp::builder().config("/store/url", json!(postgres.url())).config("/node/name", json!(name));
    let builder = builder.script("swap.lua", SWAP);
    match token {
        Some(token) => builder.start_known(token).await,
        None => builder.start().await,
    }
}

async fn runs(app: &TestApp) -> String {
    let run = app.api.trigger("swap", json!({ "long": true })).await;
    eventually("it runs", async || (app.api.run(&run).await["state"] == "running").then_some(())).await;
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_the_other_daemon_is_cancelled_and_replaced() {
    let postgres = Postgres::start().await;
    let one = daemon(&postgres, "one", None).await;
    one.api.job_appears("swap").await;
    let other = daemon(&postgres, "other", Some(&one.token)).await;
    other.api.job_appears("swap").await;

    let cancelled = runs(&one).await;
    other.api.post(&format!("/api/v1/runs/{cancelled}/cancel"), json!({})).await.expect(StatusCode::ACCEPTED);
    let ended = other.api.ended(&cancelled).await;
    assert_eq!(ended["state"], "cancelled");
    assert!(ended["reason"].as_str().is_some_and(|reason| reason.contains("cancelled by token:")), "{ended}");

    let replaced = runs(&one).await;
    let newer = other.api.trigger("swap", json!({})).await;
    let ended = one.api.ended(&replaced).await;
    assert_eq!(ended["state"], "cancelled");
    assert!(ended["reason"].as_str().is_some_and(|reason| reason.contains("replaced by a newer run")), "{ended}");
    assert_eq!(one.api.ended(&newer).await["state"], "succeeded", "its place is free then");
}
