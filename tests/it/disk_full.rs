//! The disk of the database is full: submissions are refused with the reason, nothing acknowledged is lost, and work
//! goes on when there is room again.

use std::path::Path;

use crate::support::scripts::returning;
use crate::support::{TestApp, eventually, json};

/// Mounts a small disk at `data/`, in a mount namespace of the daemon's own: nothing is left to unmount.
const WITH_SMALL_DISK: &str = "mkdir -p data && mount -t tmpfs -o size=6m tmpfs data && exec \"$@\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_survived() {
    let rights = if rustix::process::getuid().is_root() { "-m" } else { "-Urm" };
    let app = TestApp::builder()
        .wrapped(&["unshare", rights, "sh", "-c", WITH_SMALL_DISK, "sh"])
        .script("job.lua", returning("'x'"))
        .start()
        .await;
    app.api.job_appears("job").await;
    let before = app.api.run_to_end("job", json!({})).await;
    assert_eq!(before["state"], "succeeded");

    let filler = app.inside("data/filler");
    fill(&filler);
    let mut accepted = Vec::new();
    let refusal = loop {
        let answer = app.api.post("/api/v1/jobs/job/runs", json!({})).await;
        if !answer.status.is_success() {
            break answer;
        }
        accepted.push(answer.body["run_id"].as_str().unwrap().to_owned());
        assert!(accepted.len() < 2_000, "a full disk takes everything");
    };
    assert_eq!(refusal.status, 503, "{}", refusal.text);
    refusal.expect_error(reqwest::StatusCode::SERVICE_UNAVAILABLE, &["disk"]);
    let ready = app.api.get("/health/ready").await;
    assert_eq!(ready.status, 503, "{}", ready.text);
    // Reading goes on.
    assert_eq!(app.api.run(before["id"].as_str().unwrap()).await["state"], "succeeded");

    std::fs::remove_file(&filler).unwrap();
    eventually("submissions are accepted again", || async {
        let answer = app.api.post("/api/v1/jobs/job/runs", json!({})).await;
        answer.status.is_success().then_some(())
    })
    .await;
    assert_eq!(app.api.run_to_end("job", json!({})).await["state"], "succeeded");
    for run in &accepted {
        app.api.ended(run).await;
    }
}

/// Writes until there is no room for another byte.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).expect("the small disk can be reached");
    for size in [1 << 16, 1 << 10, 1] {
        let chunk = vec![0_u8; size];
        let mut written = 0;
        while written < 64 << 20 && file.write_all(&chunk).is_ok() {
            written += size;
        }
        assert!(written < 64 << 20, "the disk is not small");
    }
}
