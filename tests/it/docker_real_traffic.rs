//! Requests go on while a stack behind a real HAProxy gets its new version: none may fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::docker_real_rollout::Gone;
use crate::support::app::free_port;
use crate::support::docker::{Containers, IMAGE};
use crate::support::{TestApp, Value, eventually, json, settles};

const REQUESTS_PER_SECOND: u32 = 200;

/// Two containers that answer with their colour, or with an error of the server.
fn files(colour: &str) -> String {
    let serve = match colour {
        "broken" => {
            "printf 'HTTP/1.0 500 no\\r\\n\\r\\n' > /no; exec busybox nc -ll -p 8080 -e busybox cat /no".to_owned()
        }
        _ => format!("mkdir /www; echo {colour} > /www/index.html; exec busybox httpd -f -p 8080 -h /www"),
    };
    let serve = serde_json::to_string(&serve).expect("a text");
    format!(
        "services:\n  web:\n    image: {IMAGE}\n    command: [sh, -c, {serve}]\n    init: true\n    scale: 2\n    \
         stop_grace_period: 1s\n    healthcheck:\n      interval: 300ms\n      \
         test: [CMD-SHELL, 'busybox timeout 1 busybox nc 127.0.0.1 8080 < /dev/null']\n"
    )
}

/// HAProxy with servers for two colours that point nowhere yet, and the same for requests with a header.
struct Balancer {
    child: Child,
    port: u16,
    config: PathBuf,
    socket: PathBuf,
}

impl Balancer {
    async fn start(folder: &Path, socket: &Path) -> Self {
        let port = free_port();
        let server = |name: &str| format!("  server {name} 127.0.0.1:1 check inter 300ms disabled\n");
        let servers = ["blue1", "blue2", "green1", "green2"].map(server).concat();
        let text = format!(
            "global\n  stats socket {} mode 600 level admin\ndefaults\n  mode http\n  timeout connect 2s\n  timeout client \
             10s\n  timeout server 10s\nfrontend front\n  bind 127.0.0.1:{port}\n  use_backend beta if {{ \
             req.hdr(X-Beta) 1 }}\n  default_backend web\nbackend web\n{servers}backend beta\n{servers}",
            socket.display(),
        );
        let config = folder.join("haproxy.cfg");
        std::fs::write(&config, text).expect("written");
        let child = Self::listening(&config, socket).await;
        Self { child, port, config, socket: socket.to_owned() }
    }

    async fn listening(config: &Path, socket: &Path) -> Child {
        let child = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("haproxy is installed; tests/run does that");
        eventually("HAProxy listens", || async { socket.exists().then_some(()) }).await;
        child
    }

    /// It forgets what it was told.
    async fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        std::fs::remove_file(&self.socket).expect("the socket is there");
        self.child = Self::listening(&self.config, &self.socket).await;
    }

    /// What somebody gets, with the header or without it.
    async fn answer(&self, is_marked: bool) -> String {
        let client = reqwest::Client::new();
        let request = client.get(format!("http://127.0.0.1:{}/", self.port));
        let request = if is_marked { request.header("X-Beta", "1") } else { request };
        match request.send().await {
            Ok(answer) if answer.status() == 200 => answer.text().await.unwrap_or_default().trim().to_owned(),
            Ok(answer) => answer.status().as_u16().to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// So many requests a second, each on a connection of its own, for as long as it lives.
struct Load {
    seen: Arc<Mutex<BTreeMap<String, usize>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    fn start(port: u16) -> Self {
        let seen: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let counted = seen.clone();
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).no_proxy().build().expect("a client");
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(1) / REQUESTS_PER_SECOND);
            let mut asked = JoinSet::new();
            loop {
                tick.tick().await;
                let (client, counted) = (client.clone(), counted.clone());
                asked.spawn(async move {
                    let told = match client.get(format!("http://127.0.0.1:{port}/")).send().await {
                        Err(error) => format!("no answer: {error:?}"),
                        Ok(answer) if answer.status() != 200 => format!("status {}", answer.status().as_u16()),
                        Ok(answer) => match answer.text().await {
                            Ok(text) => text.trim().to_owned(),
                            Err(error) => format!("half an answer: {error:?}"),
                        },
                    };
                    *counted.lock().expect("not poisoned").entry(told).or_default() += 1;
                });
                while asked.try_join_next().is_some() {}
            }
        });
        Self { seen, task }
    }

    /// What was answered so far, and how often; counts from anew.
    fn take(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut *self.seen.lock().expect("not poisoned"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Site {
    app: TestApp,
    balancer: Balancer,
    folder: PathBuf,
    stack: String,
    _gone: Gone,
}

impl Site {
    async fn open() -> Self {
        let stack = Containers::new().prefix.clone();
        let builder = TestApp::builder().real_docker().shipped("deploy", &[]);
        let (folder, socket) = (builder.dir().join("shop"), builder.dir().join("ha.sock"));
        std::fs::create_dir(&folder).expect("a folder");
        let gone = Gone(stack.clone());
        let balancer = Balancer::start(builder.dir(), &socket).await;
        let builder = builder
            .config(&format!("/stacks/{stack}/folder"), json!(folder))
            .config("/proxies/edge", json!({ "kind": "haproxy", "socket": socket }));
        let site = Self { app: builder.start().await, balancer, folder, stack, _gone: gone };
        site.app.api.job_appears("deploy").await;
        site
    }

    /// Deploys a colour, and gives the run at its end.
    async fn deploy(&self, strategy: &str, colour: &str) -> Value {
        let run = self.begin(strategy, colour, json!({})).await;
        self.ended(&run).await
    }

    async fn begin(&self, strategy: &str, colour: &str, more: Value) -> String {
        std::fs::write(self.folder.join("compose.yaml"), files(colour)).expect("written");
        let mut params = json!({
            "stack": self.stack, "strategy": strategy, "proxy": "edge",
            "places": { "web": { "backend": "web", "match_backend": "beta", "port": 8080 } },
            "steps": ["20:2s", "60:2s"], "interval": "1s", "soak": "1s", "min_healthy": "1s",
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            params[key] = value.clone();
        }
        self.app.api.trigger("deploy", params).await
    }

    async fn ended(&self, run: &str) -> Value {
        settles(Duration::from_secs(180), "the deployment has ended", || async {
            let found = self.app.api.run(run).await;
            found["finished_at"].is_string().then_some(found)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_versions_change_and_a_bad_one_gets_its_share_only() {
    let site = Site::open().await;
    let first = site.deploy("rolling", "white").await;
    assert_eq!(first["state"], "succeeded", "{first:#}");
    let load = Load::start(site.balancer.port);
    for (strategy, colour, before) in
        [("rolling", "red", "white"), ("blue-green", "blue", "red"), ("canary", "green", "blue")]
    {
        let ended = site.deploy(strategy, colour).await;
        assert_eq!(ended["state"], "succeeded", "{ended:#}");
        tokio::time::sleep(Duration::from_millis(500)).await;
        let seen = load.take();
        println!("{strategy}: {seen:?}");
        assert!(seen.keys().all(|answer| answer == before || answer == colour), "{strategy}: {seen:?}");
        assert!(seen.len() == 2 || strategy == "rolling", "both colours answered: {strategy}: {seen:?}");
    }

    let ended = site.deploy("canary", "broken").await;
    assert_eq!((&ended["state"], &ended["error"]["code"]), (&json!("failed"), &json!("rollout.analysis")), "{ended:#}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let seen = load.take();
    println!("broken canary: {seen:?}");
    let (good, bad) = (seen.get("green").copied().unwrap_or_default(), seen.get("status 500").copied().unwrap_or(0));
    assert!(bad > 0 && bad * 3 < good && seen.len() == 2, "only the canary's share failed: {seen:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = load.take();
    assert_eq!(after.keys().collect::<Vec<_>>(), ["green"], "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_header_gets_the_new_version_first() {
    let site = Site::open().await;
    let first = site.deploy("rolling", "white").await;
    assert_eq!(first["state"], "succeeded", "{first:#}");
    assert_eq!((site.balancer.answer(false).await, site.balancer.answer(true).await), ("white".into(), "white".into()));
    let split = json!({ "match": { "header": "X-Beta", "value": "1" }, "steps": ["0:6s"], "min_requests": 0 });
    let run = site.begin("ab", "red", split).await;
    settles(Duration::from_secs(60), "the new version answers those with the header", || async {
        (site.balancer.answer(true).await == "red").then_some(())
    })
    .await;
    assert_eq!(site.balancer.answer(false).await, "white", "nobody else gets it");
    let ended = site.ended(&run).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    assert_eq!((site.balancer.answer(false).await, site.balancer.answer(true).await), ("red".into(), "red".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_has_forgotten_its_servers_is_told_again() {
    let mut site = Site::open().await;
    let first = site.deploy("rolling", "white").await;
    assert_eq!(first["state"], "succeeded", "{first:#}");
    site.balancer.restart().await;
    assert_eq!(site.balancer.answer(false).await, "503");
    let params = json!({ "stack": site.stack });
    let again = site.ended(&site.app.api.trigger("deploy", params).await).await;
    assert_eq!(
        (&again["result"]["changed"], &again["result"]["readmitted"]),
        (&json!(false), &json!(["web"])),
        "{again:#}"
    );
    assert_eq!((site.balancer.answer(false).await, site.balancer.answer(true).await), ("white".into(), "white".into()));
}
