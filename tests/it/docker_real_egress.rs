//! Executions that are let out, by the shipped job in a real daemon; and many of them while the daemon is killed.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::app::free_port;
use crate::support::docker::{Containers, IMAGE, docker};
use crate::support::{TestApp, Value, json, settles};

/// How many executions; 100 for the full measure.
const EXECUTIONS: &str = "AEGIS_TEST_EXECUTIONS";
const EXECUTIONS_USUAL: usize = 8;
const AT_ONCE: usize = 8;
const ITERATIONS: usize = 3;
const SWEPT_WITHIN: Duration = Duration::from_secs(120);

/// Answers every connection on this machine's loopback, as a service beside it would.
fn service() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        }
    });
    port
}

/// What a container does to ask its proxy for `url`.
fn asks(url: &str) -> String {
    format!("p=${{HTTP_PROXY#http://}}; printf 'GET {url} HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${{p%:*}} ${{p#*:}}; echo")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_let_out_reaches_what_is_named_and_its_run_tells_of_all_it_asked_for() {
    let _containers = Containers::new();
    let port = service();
    let shipped = include_str!("../../scripts/agent_run.lua");
    let script = shipped
        .replace("docker = { write =", "docker = { admin =")
        .replace("volumes = { [", &format!("egress = {{ \"api.test:{port}\" }},\n    volumes = {{ ["));
    let app = TestApp::builder()
        .real_docker()
        .config("/nfs/listen", json!(format!("127.0.0.1:{}", free_port())))
        .config("/egress", json!({ "enabled": true, "hosts": { "api.test": "127.0.0.1" } }))
        .script("agent_run.lua", script)
        .start()
        .await;
    app.api.job_appears("agent_run").await;
    let owner = rustix::process::geteuid().as_raw().to_string();
    app.cli.ok(&["volume", "create", "agents/out", "--uid", &owner, "--gid", &owner]).await;
    let commands = [
        asks(&format!("http://api.test:{port}/")),
        asks("http://169.254.169.254/"),
        asks("http://other.test/"),
        "nslookup api.test | grep -c 127.0.0.1$".to_owned(),
        "nslookup secret.other.test | tail -n 2".to_owned(),
        // The API of this very daemon.
        format!("nc -w 1 ${{p%:*}} {} </dev/null && echo OPEN", app.api.base.rsplit(':').next().unwrap_or_default()),
        "true".to_owned(),
    ];
    let params = json!({
        "image": IMAGE, "command": ["sh", "-c", commands.join("; ")], "volume": "agents/out", "mount": "folder",
        "network": "allow", "names": [format!("api.test:{port}")],
    });
    let ended = app.api.run_to_end("agent_run", params).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let id = ended["id"].as_str().expect("an id").to_owned();
    let texts = app.api.log_texts(&id).await;
    let has = |part: &str| texts.iter().any(|text| text.contains(part));
    assert!(has("hello") && !has("OPEN"), "{texts:?}");
    // With their heads, of which the request's is the proxy's own.
    let received = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello".len();
    let moved = texts.iter().find(|text| text.starts_with(&format!("egress: allowed http api.test:{port}, ")));
    let moved = moved.unwrap_or_else(|| panic!("{texts:?}"));
    assert!(moved.ends_with(&format!("{received} B received")) && !moved.contains(" 0 B sent"), "{moved}");
    assert!(has("egress: refused http 169.254.169.254:80: an address in place of a name"), "{texts:?}");
    assert!(has("egress: refused http other.test:80: it is not on the execution's list"), "{texts:?}");
    assert!(has("egress: refused dns secret.other.test: it is not on"), "{texts:?}");
    assert!(ended["result"]["network"]["refused"].as_u64() >= Some(3), "{ended}");
    let records = app.cli.ok(&["audit", "tail", "--json"]).await;
    let permission = format!("egress = {{ \\\"api.test:{port}\\\" }}");
    assert!(records.contains("aegis.egress.open") && records.contains(&permission), "{records}");
    let denied = json!({ "image": IMAGE, "volume": "agents/out", "network": "allow", "names": ["evil.test"] });
    let ended = app.api.run_to_end("agent_run", denied).await;
    assert_eq!(ended["error"]["code"], "permission.denied", "{ended}");
    let runs = [id, ended["id"].as_str().expect("an id").to_owned()].into();
    settles(SWEPT_WITHIN, "nothing is left", || async { left(&runs).is_empty().then_some(()) }).await;
}

const OPENS: &str = r#"
return aegis.job {
  permissions = { docker = { write = { "aegis-exec-*" } }, egress = { "api.test" } },
  run = function()
    return aegis.egress.open({ mode = "allow", names = { "api.test" } }).network
  end,
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_the_packet_filter_nobody_is_let_out() {
    let _containers = Containers::new();
    let app = TestApp::builder()
        .real_docker()
        .wrapped(&["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"])
        .config("/egress", json!({ "enabled": true }))
        .script("opens.lua", OPENS)
        .start()
        .await;
    app.api.job_appears("opens").await;
    let ended = app.api.run_to_end("opens", json!({})).await;
    assert_eq!((&ended["state"], &ended["error"]["code"]), (&json!("failed"), &json!("egress.firewall")), "{ended}");
    assert!(ended["error"]["hint"].as_str().is_some_and(|hint| hint.contains("CAP_NET_ADMIN")), "{ended}");
    assert_eq!(
        docker(&[
            "network",
            "ls",
            "-q",
            "--filter",
            &format!("label=aegis.run={}", ended["id"].as_str().expect("an id"))
        ]),
        Ok(String::new())
    );
    let ready = app.api.get("/health/ready").await;
    assert!(ready.text.contains("nft may not change the packet filter"), "{}", ready.text);
}

const CROWD: &str = r#"
local execution = require("@std/execution")

return aegis.job {
  timeout = "10m",
  overlap = "parallel",
  permissions = {
    docker = { admin = { "aegis-exec-*", "aegis-quarantine-*" } },
    egress = { "api.test" },
    volumes = { ["agents/*"] = "read" },
  },
  params = { image = { type = "string", required = true }, volume = { type = "string", default = "" } },
  run = function(ctx)
    local began, took = aegis.time.now(), {}
    execution.run({
      image = ctx.params.image,
      command = { "sh", "-c", "nslookup api.test >/dev/null; true" },
      network_policy = { mode = "allow", names = { "api.test" } },
      volumes = if ctx.params.volume ~= "" then { { name = ctx.params.volume, target = "/workspace" } } else nil,
      timeout_secs = 120,
    }, {
      iterations = 3,
      id = ctx.run_id,
      live = false,
      check = function()
        local now = aegis.time.now()
        table.insert(took, aegis.time.diff(now, began))
        began = now
        return false
      end,
    })
    return took
  end,
}
"#;

/// Containers, networks and volumes of these runs, and rules without a network.
fn left(runs: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for (kind, list) in
        [("container", &["ps", "-a"][..]), ("network", &["network", "ls"]), ("volume", &["volume", "ls"])]
    {
        let format = ["--filter", "label=aegis.run", "--format", "{{.Label \"aegis.run\"}}"];
        let listed = docker(&[list, &format].concat()).expect("listed");
        found.extend(listed.lines().filter(|run| runs.contains(*run)).map(|run| format!("{kind} of {run}")));
    }
    let networks = docker(&["network", "ls", "--format", "{{.Name}}"]).expect("listed");
    let tables = Command::new("nft").args(["list", "tables"]).output().expect("nft").stdout;
    let tables = String::from_utf8_lossy(&tables).into_owned();
    let named = tables.lines().filter_map(|line| line.strip_prefix("table inet aegis_"));
    let ids = named.filter_map(|daemon_and_id| Some(daemon_and_id.rsplit_once('_')?.1));
    let lost = ids.filter(|id| !networks.lines().any(|name| name.strip_prefix("aegis-exec-") == Some(id)));
    found.extend(lost.map(|id| format!("rules of {id}")));
    found
}

/// The middle and the 95th of a hundred, in milliseconds.
fn spread(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    let at = |part: f64| seconds.get((seconds.len() as f64 * part) as usize).map_or(0.0, |found| found * 1000.0);
    format!("{:.0} ms in the middle, {:.0} ms at 95 % of {}", at(0.5), at(0.95), seconds.len())
}

/// Waits until all have ended, and gives what those that succeeded returned.
async fn ended(app: &TestApp, runs: &BTreeSet<String>) -> Vec<Value> {
    let mut results = Vec::new();
    for run in runs {
        let ended = settles(Duration::from_secs(900), "the run ends", || async {
            let run = app.api.run(run).await;
            ["succeeded", "failed", "interrupted", "timed_out"].contains(&run["state"].as_str()?).then_some(run)
        })
        .await;
        match ended["state"].as_str() {
            Some("succeeded") => results.push(ended["result"].clone()),
            Some("interrupted") => {}
            _ => panic!("{ended}"),
        }
    }
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn many_executions_leave_nothing_behind_though_the_daemon_is_killed() {
    let containers = Containers::new();
    let count = std::env::var(EXECUTIONS).ok().and_then(|count| count.parse().ok()).unwrap_or(EXECUTIONS_USUAL);
    let mut app = TestApp::builder()
        .real_docker()
        .config("/nfs/listen", json!(format!("127.0.0.1:{}", free_port())))
        .config("/egress", json!({ "enabled": true, "hosts": { "api.test": "127.0.0.1" } }))
        .config("/runner/max_running", json!(AT_ONCE))
        .script("crowd.lua", CROWD)
        .start()
        .await;
    app.api.job_appears("crowd").await;
    app.cli.ok(&["volume", "create", "agents/crowd"]).await;
    let (mut runs, mut results) = (BTreeSet::new(), Vec::new());
    // The last part runs undisturbed.
    for part in 0..4 {
        let mut those = BTreeSet::new();
        for number in 0..count / 4 {
            let volume = if number % 4 == 0 && part < 3 { "agents/crowd" } else { "" };
            those.insert(app.api.trigger("crowd", json!({ "image": IMAGE, "volume": volume })).await);
        }
        if part < 3 {
            settles(Duration::from_secs(300), "an execution is under way", || async {
                let listed =
                    docker(&["ps", "--filter", "label=aegis.run", "--format", "{{.Label \"aegis.run\"}}"]).ok()?;
                listed.lines().any(|run| those.contains(run)).then_some(())
            })
            .await;
            // At another place of what it does each time.
            tokio::time::sleep(Duration::from_millis(200 + 450 * part)).await;
            app.kill().await;
            app.restart().await;
            ended(&app, &those).await;
        } else {
            results = ended(&app, &those).await;
        }
        runs.extend(those);
    }
    settles(SWEPT_WITHIN, "everything is gone", || async { left(&runs).is_empty().then_some(()) }).await;
    let took = |result: &Value| result.as_array().into_iter().flatten().filter_map(Value::as_f64).collect::<Vec<_>>();
    let took: Vec<Vec<f64>> = results.iter().map(took).collect();
    assert!(took.len() == count / 4 && took.iter().all(|all| all.len() == ITERATIONS), "{results:?}");
    println!("{} executions, {} at once, 3 kills: nothing is left", runs.len(), AT_ONCE);
    println!("the first iteration, with its network: {}", spread(took.iter().map(|all| all[0]).collect()));
    println!("a further iteration: {}", spread(took.iter().flat_map(|all| all[1..].to_vec()).collect()));
    let network = containers.name("plain");
    docker(&["network", "create", "--internal", &network]).expect("a network");
    let plain = plain_runs(count / 4 * ITERATIONS, &network);
    docker(&["network", "rm", &network]).expect("removed");
    println!("docker run: {}", spread(plain));
}

/// How long a container by hand takes on a network that is there, as many at once.
fn plain_runs(count: usize, network: &str) -> Vec<f64> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut took = Vec::new();
        while next.fetch_add(1, Ordering::Relaxed) < count {
            let began = Instant::now();
            let options = ["run", "--rm", "--init", "--read-only", "--cap-drop", "ALL", "--network", network];
            docker(&[&options[..], &[IMAGE, "true"]].concat()).expect("it runs");
            took.push(began.elapsed().as_secs_f64());
        }
        took
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE.min(count)).map(|_| scope.spawn(run)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect()
    })
}
