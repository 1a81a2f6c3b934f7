//! Agents in real containers: hardened, each iteration in a fresh one, and nothing left behind.

use crate::support::app::free_port;
use crate::support::docker::{Containers, IMAGE, docker};
use crate::support::{TestApp, json};

/// The shipped job, with the right to give a container the volume's folder: kernels of test machines mount no NFS.
fn agent_run() -> String {
    let shipped = include_str!("../../scripts/agent_run.lua");
    let write = "docker = { write =";
    assert!(shipped.contains(write));
    shipped.replace(write, "docker = { admin =")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_works_on_its_volume_and_reaches_nothing_else() {
    // Says that Docker and the image are there.
    let _containers = Containers::new();
    let app = TestApp::builder()
        .real_docker()
        .config("/nfs/listen", json!(format!("127.0.0.1:{}", free_port())))
        .script("agent_run.lua", agent_run())
        .start()
        .await;
    app.api.job_appears("agent_run").await;
    let owner = rustix::process::geteuid().as_raw().to_string();
    app.cli.ok(&["volume", "create", "agents/one", "--uid", &owner, "--gid", &owner]).await;
    app.cli.run_with_input(&["volume", "put", "agents/one", "count"], "").await.expect_code(0);
    let script = "echo x >> /workspace/count; grep CapEff /proc/self/status; touch /etc/x && echo writable; \
                  [ $(grep -c . /proc/net/dev) -le 3 ] && echo alone; [ $(wc -l < /workspace/count) = 3 ] && touch /workspace/done; \
                  echo '{\"answer\":42}'";
    let params = json!({
        "image": IMAGE, "command": ["sh", "-c", script], "volume": "agents/one",
        "iterations": 5, "done_file": "done", "mount": "folder",
    });
    let ended = app.api.run_to_end("agent_run", params).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!((&ended["result"]["iterations"], &ended["result"]["result"]), (&json!(3), &json!({ "answer": 42 })));
    let texts = app.api.log_texts(ended["id"].as_str().expect("an id")).await;
    assert!(texts.iter().any(|text| text == "CapEff:\t0000000000000000"), "{texts:?}");
    assert!(texts.iter().any(|text| text == "alone") && !texts.iter().any(|text| text == "writable"), "{texts:?}");
    let slow = json!({
        "image": IMAGE, "command": ["sh", "-c", "trap : TERM; while :; do sleep 1; done"], "volume": "agents/one",
        "timeout_secs": 1, "done_file": "never", "mount": "folder",
    });
    let ended = app.api.run_to_end("agent_run", slow).await;
    assert_eq!(ended["error"]["code"], "agent_run.not_done", "{ended}");
    assert!(ended["error"]["message"].as_str().is_some_and(|text| text.contains("ran out of time")), "{ended}");
    let id = ended["id"].as_str().expect("an id");
    let left = docker(&["ps", "-aq", "--filter", &format!("name=aegis-exec-{}", &id[id.len() - 12..])]);
    assert_eq!(left.as_deref().map(str::trim), Ok(""));
}
