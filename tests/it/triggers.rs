//! What sets runs off besides the clock, through the whole daemon. Events of Docker are in `docker_real`.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, StatusCode};

use crate::server::Server;
use crate::support::{TestApp, Value, eventually, json};

/// Listens to everything, and keeps what it is told.
const HEARS: &str = r#"
return aegis.job {
  on = {
    { job = { name = "tells" } },
    { alert = { rule = "disk_full" } },
    { sql = { source = "main", channel = "orders" } },
    { file = { path = "inbox:*.csv", settle = "100ms" } },
    { webhook = { secret = "HOOK_KEY" } },
  },
  overlap = "parallel",
  permissions = { runs = { "tells" }, sql = { main = "read" }, fs = { inbox = "read" }, secrets = { "HOOK_KEY" } },
  run = function(ctx) return ctx.trigger.payload end,
}
"#;

const TELLS: &str = r#"
return aegis.job {
  permissions = { sql = { main = "write" }, fs = { inbox = "write" } },
  run = function(ctx)
    aegis.sql.execute("main", "SELECT pg_notify('orders', 'seven')")
    aegis.alerts.report { name = "disk_full", summary = "no room" }
    aegis.fs.write(`inbox:{ctx.run_id}.csv`, "1,2")
  end,
}
"#;

async fn app(database: &str) -> TestApp {
    let builder = TestApp::builder();
    let (inbox, secrets) = (builder.dir().join("inbox"), builder.dir().join("secrets.env"));
    std::fs::create_dir(&inbox).expect("a folder");
    std::fs::write(&secrets, "HOOK_KEY=key-of-the-hook\n").expect("written");
    std::fs::set_permissions(&secrets, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    let app = builder
        .config("/fs/roots", json!({ "inbox": inbox }))
        .config("/secrets/env_file", json!(secrets))
        .config("/sql", json!({ "main": { "url": database } }))
        .script("hears.lua", HEARS)
        .script("tells.lua", TELLS)
        .start()
        .await;
    app.api.job_appears("hears").await;
    app.api.job_appears("tells").await;
    app
}

/// The payload of the first run of that kind, once there is one.
async fn heard(app: &TestApp, kind: &str) -> Value {
    let run = eventually(&format!("a run set off by {kind}"), || async {
        let runs = app.api.runs_of("hears").await;
        runs.into_iter().find(|run| run["trigger"]["kind"] == kind)
    })
    .await;
    let run = app.api.ended(run["id"].as_str().expect("an id")).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    run["result"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_alerts_notifications_files_and_webhooks_start_runs() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let port = free.port().to_string();
    let database = format!("postgres://aegis@127.0.0.1:{port}/postgres");
    let options = ["-p", &*port, "-c", "listen_addresses=127.0.0.1"];
    let _server = Server::start(&options).answers(&database).await;
    let app = app(&database).await;
    // What PostgreSQL is told before anybody listens is lost.
    eventually("the channel is heard", || async {
        app.api.run_to_end("tells", json!({})).await;
        let runs = app.api.runs_of("hears").await;
        runs.iter().any(|run| run["trigger"]["kind"] == "sql").then_some(())
    })
    .await;
    assert_eq!(heard(&app, "sql").await["payload"], "seven");
    assert_eq!(heard(&app, "job").await["state"], "succeeded");
    assert_eq!(heard(&app, "alert").await["name"], "disk_full");
    let file = heard(&app, "file").await;
    assert!(file["path"].as_str().is_some_and(|path| path.starts_with("inbox:") && path.ends_with(".csv")), "{file}");

    let moment = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs().to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"key-of-the-hook").expect("a key");
    mac.update(format!("msg-1.{moment}.{{\"id\":7}}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let send = |signature: String| {
        let stranger = app.api.without_token();
        let request = stranger.request(Method::POST, "/hooks/hears").header("webhook-id", "msg-1");
        let request = request.header("webhook-timestamp", &moment).header("webhook-signature", signature);
        async move { request.body("{\"id\":7}").send().await.expect("an answer").status() }
    };
    assert_eq!(send("v1,AAAA".into()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(send(signature.clone()).await, StatusCode::ACCEPTED);
    assert_eq!(send(signature).await, StatusCode::ACCEPTED, "sent again, it is answered with the run of then");
    assert_eq!(heard(&app, "webhook").await["body"]["id"], 7);
    let runs = app.api.runs_of("hears").await;
    assert_eq!(runs.iter().filter(|run| run["trigger"]["kind"] == "webhook").count(), 1);
    let ready = app.api.get("/health/ready").await;
    assert!(!ready.text.contains("the channel") && !ready.text.contains("the files"), "{}", ready.text);
}
