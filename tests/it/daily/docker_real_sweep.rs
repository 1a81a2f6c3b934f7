//! The sweep over real containers, a real Redis, a real FalkorDB, a database and endpoints: what is ill becomes an
//! alert, and the alert ends when it is well again.

use std::process::{Child, Command, Stdio};

use super::{ended, succeeded};
use crate::support::app::free_port;
use crate::support::docker::Containers;
use crate::support::falkordb::FalkorDb;
use crate::support::provider::Provider;
use crate::support::{TestApp, Value, json};

/// Ends with the test.
struct Redis(Child);

impl Redis {
    fn start(port: u16) -> Self {
        let port = port.to_string();
        let started = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"])
            .stdout(Stdio::null())
            .spawn();
        Self(started.expect("redis-server is installed; tests/run does that"))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn firing(app: &TestApp) -> Vec<(String, String)> {
    let answer = app.api.get("/api/v1/alerts").await;
    let alerts = answer.body["alerts"].as_array().cloned().unwrap_or_default();
    let word = |alert: &Value, key: &str| alert[key].as_str().unwrap_or_default().to_owned();
    let is_firing = |alert: &&Value| alert["state"] == "firing";
    let mut found: Vec<_> =
        alerts.iter().filter(is_firing).map(|alert| (word(alert, "name"), word(alert, "summary"))).collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ill_is_an_alert_until_it_is_well() {
    let containers = Containers::new();
    let killed = containers.start("killed", &[], &["sh", "-c", "exit 137"]);
    let (graph, port) = (FalkorDb::start().await, free_port());
    let site = Provider::start(|_| Ok(json!({ "status": "ok" }))).await;
    let closed = free_port();
    let builder = TestApp::builder().real_docker();
    let database = builder.dir().join("shop.db");
    std::fs::write(&database, "").expect("an empty database");
    let app = builder
        .config("/sql/main/url", json!(format!("sqlite://{}", database.display())))
        .config("/redis/main/url", json!(format!("redis://127.0.0.1:{port}")))
        .config("/graph/knowledge/url", json!(graph.url))
        .shipped("health_sweep", &[("every = \"5m\"", "every = \"1h\"")])
        .start()
        .await;
    app.api.job_appears("health_sweep").await;

    let gone = format!("http://127.0.0.1:{closed}/health");
    let params = json!({ "endpoints": [site.url(), gone], "ports": [site.address.to_string()] });
    let sweep = async || {
        let run = app.api.trigger("health_sweep", params.clone()).await;
        ended(&app, &run).await
    };
    let first = sweep().await;
    let result = succeeded(&first);
    assert_eq!(result["databases"].as_array().map(Vec::len), Some(3), "{result:#}");
    let alerts = firing(&app).await;
    let has = |name: &str, part: &str| alerts.iter().any(|(alert, summary)| alert == name && summary.contains(part));
    assert!(has("container_exited", &killed), "{alerts:?}");
    assert!(has("endpoint_down", &gone), "{alerts:?}");
    assert!(has("database_down", "redis:main"), "{alerts:?}");
    assert!(
        !alerts.iter().any(|(_, summary)| summary.contains("sql:main") || summary.contains("graph:")),
        "{alerts:?}"
    );
    assert!(!alerts.iter().any(|(_, summary)| summary.contains(&site.url())), "{alerts:?}");

    let _redis = Redis::start(port);
    drop(containers);
    let _now_open = tokio::net::TcpListener::bind(("127.0.0.1", closed)).await;
    crate::support::eventually("Redis answers", || async {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop)
    })
    .await;
    let second = sweep().await;
    assert!(succeeded(&second)["cleared"].as_u64().is_some_and(|cleared| cleared >= 2), "{second:#}");
    let alerts = firing(&app).await;
    assert!(!alerts.iter().any(|(name, summary)| name == "database_down" || summary.contains(&killed)), "{alerts:?}");
}
