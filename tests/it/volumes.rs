//! Volumes on the real daemon: made and filled by the command line and by jobs, there again after a kill.

use crate::support::app::free_port;
use crate::support::{TestApp, json};

const FILLER: &str = r#"return aegis.job {
  description = "Writes into a volume",
  permissions = { volumes = { ["agents/*"] = "write" } },
  params = { volume = { type = "string", required = true } },
  run = function(ctx)
    aegis.volumes.write(ctx.params.volume, "deep/file", "from lua", { parents = true })
    return aegis.volumes.read(ctx.params.volume, "deep/file")
  end,
}"#;

fn builder() -> crate::support::app::Builder {
    TestApp::builder().config("/nfs/listen", json!(format!("127.0.0.1:{}", free_port())))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_a_volume_outlives_the_daemon() {
    let mut app = builder().script("filler.lua", FILLER).start().await;
    let made = app.cli.json(&["volume", "create", "agents/one", "--size", "4MiB", "--uid", "33"]).await;
    assert_eq!(
        (&made["quota_bytes"], &made["uid"], &made["device"]),
        (&json!(4 << 20), &json!(33), &json!(":/agents/one"))
    );
    app.cli.run_with_input(&["volume", "put", "agents/one", "task/in"], "words").await.expect_code(0);
    assert_eq!(app.cli.ok(&["volume", "cat", "agents/one", "task/in"]).await, "words");
    app.api.job_appears("filler").await;
    let ended = app.api.run_to_end("filler", json!({ "volume": "agents/one" })).await;
    assert_eq!(ended["result"], "from lua", "{ended}");
    let denied = app.api.run_to_end("filler", json!({ "volume": "other/one" })).await;
    assert_eq!(denied["error"]["code"], "permission.denied", "{denied}");
    app.cli.ok(&["volume", "snapshot", "agents/one", "first"]).await;
    app.cli.ok(&["volume", "rm", "agents/one", "deep/file"]).await;
    app.kill().await;
    app.restart().await;
    assert_eq!(app.cli.run(&["volume", "cat", "agents/one", "deep/file"]).await.code, 5);
    app.cli.ok(&["volume", "clone", "agents/one", "agents/two", "--snapshot", "first"]).await;
    assert_eq!(app.cli.ok(&["volume", "cat", "agents/two", "deep/file"]).await, "from lua");
    app.cli.ok(&["volume", "restore", "agents/one", "first", "--yes"]).await;
    assert_eq!(app.cli.ok(&["volume", "cat", "agents/one", "deep/file"]).await, "from lua");
    let deleted = app.cli.json(&["volume", "delete", "agents/one", "--yes"]).await;
    app.kill().await;
    app.restart().await;
    let names = |list: &crate::support::Value| {
        let list = list.as_array().expect("a list").clone();
        list.iter().map(|volume| volume["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&app.cli.json(&["volume", "list"]).await), ["agents/two"]);
    assert_eq!(names(&app.cli.json(&["volume", "deleted"]).await), ["agents/one"]);
    app.cli.ok(&["volume", "recover", deleted["id"].as_str().expect("an id")]).await;
    assert_eq!(names(&app.cli.json(&["volume", "list"]).await), ["agents/one", "agents/two"]);
    let ready = app.api.get("/health/ready").await.body;
    assert!(
        ready["dependencies"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["name"] == "nfs" && one["ok"] == true))
    );
    assert_eq!(app.stop().await.code(), Some(0), "{}", app.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_address_the_daemon_says_how_to_get_volumes() {
    let app = TestApp::start().await;
    let refused = app.cli.run(&["volume", "create", "agents/one"]).await;
    assert!(refused.code != 0 && refused.stderr.contains("nfs.listen"), "{refused:?}");
    let wrong = app.cli.run(&["volume", "show", "agents"]).await.expect_code(2);
    assert!(wrong.stderr.contains("TENANT/VOLUME"), "{wrong:?}");
}
