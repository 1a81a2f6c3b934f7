//! Programs that jobs run end with the run and with the daemon, whatever they have started and however it ends.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{TestApp, json};

/// Starts a child in a session of its own, which no signal to the program's group reaches, and waits.
const STRAYS: &str = r#"
return aegis.job {
  permissions = { process = { "sh" }, fs = { data = "read" } },
  run = function(ctx)
    local script = "trap '' TERM; setsid sleep 600 & sleep 600 & echo $$ $! $(pgrep -P $$) > new; mv new pids; wait"
    aegis.process.run("sh", { args = { "-c", script }, cwd = "data:", timeout = "10m" })
  end,
}
"#;

async fn started() -> (TestApp, String) {
    let builder = TestApp::builder();
    let data = builder.dir().join("data-of-jobs");
    std::fs::create_dir(&data).expect("a folder");
    let app = builder.config("/fs/roots", json!({ "data": data })).script("strays.lua", STRAYS).start().await;
    app.api.job_appears("strays").await;
    let run = app.api.trigger("strays", json!({})).await;
    (app, run)
}

/// Their process ids, once they run.
async fn strays(folder: &Path) -> Vec<u32> {
    for _ in 0..1_000 {
        if let Ok(text) = std::fs::read_to_string(folder.join("pids")) {
            let pids: Vec<u32> = text.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect();
            assert!(pids.len() >= 3, "{text}");
            return pids;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the program did not start");
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

async fn all_end(pids: &[u32]) {
    for _ in 0..1_000 {
        if !pids.iter().any(|pid| is_alive(*pid)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still alive: {:?}", pids.iter().filter(|pid| is_alive(**pid)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_survives_a_daemon_that_is_killed() {
    let (app, _run) = started().await;
    let pids = strays(&app.path("data-of-jobs")).await;
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    app.signal(Signal::KILL);
    all_end(&pids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_survives_a_run_that_is_cancelled() {
    let (app, run) = started().await;
    let pids = strays(&app.path("data-of-jobs")).await;
    app.api.post(&format!("/runs/{run}/cancel"), json!({})).await;
    app.api.reaches(&run, &["cancelled"]).await;
    all_end(&pids).await;
}

/// What it leaves behind is ended and gathered at once, whatever process group that is in.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_leaves_children_behind_ends_when_it_does() {
    const LEAVES: &str = r#"
return aegis.job {
  permissions = { process = { "sh" } },
  run = function(ctx)
    local script = "setsid sleep 600 & i=0; while [ $i -lt 200 ]; do sleep 600 & i=$((i+1)); done; echo done"
    local said = aegis.process.run("sh", { args = { "-c", script }, timeout = "20s", check = true })
    return { said = said.stdout }
  end,
}
"#;
    let app = TestApp::builder().script("leaves.lua", LEAVES).start().await;
    app.api.job_appears("leaves").await;
    let run = app.api.run_to_end("leaves", json!({})).await;
    assert_eq!((&run["state"], &run["result"]["said"]), (&json!("succeeded"), &json!("done\n")), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_and_signals_reach_the_script_as_they_were() {
    let script = r#"
return aegis.job {
  permissions = { process = { "sh" } },
  run = function()
    local ended = {}
    for _, line in { "exit 128", "exit 137", "kill -9 $$", "kill -TERM $$", "kill -SEGV $$" } do
      local result = aegis.process.run("sh", { args = { "-c", line }, check = false })
      table.insert(ended, `{result.code or "-"} {result.signal or "-"}`)
    end
    return ended
  end,
}
"#;
    let app = TestApp::builder().script("ends.lua", script).start().await;
    app.api.job_appears("ends").await;
    let run = app.api.run_to_end("ends", json!({})).await;
    assert_eq!(run["result"], json!(["128 -", "137 -", "- 9", "- 15", "- 11"]), "{run}");
}
