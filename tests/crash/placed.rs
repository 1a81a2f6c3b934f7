//! Two daemons share one PostgreSQL, and a job asks for a label that only one of them has.

use reqwest::StatusCode;
use serde_json::json;

use crate::postgres::Postgres;
use crate::support::{TestApp, eventually};

const SCRIPT: &str = r#"
return aegis.job {
    runs_on = { "gpu" },
    run = function() return "done" end,
}
"#;

async fn daemon(postgres: &Postgres, name: &str, labels: &[&str], token: Option<&str>) -> TestApp {
    let builder = TestApp::builder().config("/store/url", json!(postgres.url())).config("/node/name", json!(name));
    let builder = builder.config("/node/labels", json!(labels)).script("render.lua", SCRIPT);
    match token {
        Some(token) => builder.start_known(token).await,
        None => builder.start().await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_executed_by_the_daemon_that_has_its_labels() {
    let postgres = Postgres::start().await;
    let plain = daemon(&postgres, "plain", &[], None).await;
    plain.api.job_appears("render").await;
    let early = plain.api.trigger("render", json!({})).await;
    let waits = eventually("it says what it waits for", async || {
        let run = plain.api.run(&early).await;
        run["reason"].as_str().is_some_and(|reason| reason.contains("gpu")).then_some(run)
    });
    assert_eq!(waits.await["state"], "queued");

    let mut other = daemon(&postgres, "other", &["gpu", "big"], Some(&plain.token)).await;
    other.api.job_appears("render").await;
    assert_eq!(plain.api.ended(&early).await["state"], "succeeded", "it waited for the daemon that has the label");
    let late = eventually("the first run is known to be over", async || {
        let answer = plain.api.post("/api/v1/jobs/render/runs?wait=20", json!({})).await;
        (answer.status != StatusCode::CONFLICT).then_some(answer)
    });
    let late = late.await.expect(StatusCode::OK);
    assert_eq!(late.body["result"], "done", "the daemon without the label took it in, and heard of its end");

    other.stop().await;
    let stuck = plain.api.trigger("render", json!({})).await;
    assert_eq!(plain.api.run(&stuck).await["state"], "queued", "nobody is left who may execute it");
    other.restart().await;
    assert_eq!(plain.api.ended(&stuck).await["state"], "succeeded");
}
