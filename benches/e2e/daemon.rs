//! The release binary in a folder of its own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

const START_TIMEOUT: Duration = Duration::from_secs(120);

pub struct Daemon {
    dir: tempfile::TempDir,
    child: Child,
    base: String,
    client: Client,
    token: String,
}

/// A daemon that was stopped, with its folder.
pub struct Stopped {
    dir: tempfile::TempDir,
    base: String,
    client: Client,
    token: String,
}

impl Daemon {
    /// Writes the scripts, starts the daemon, and tells how long it took until it answered.
    pub async fn start(scripts: impl IntoIterator<Item = (String, String)>) -> (Self, Duration) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::Builder::new().prefix("aegis-bench-").tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("scripts")).expect("a folder");
        for (name, source) in scripts {
            std::fs::write(dir.path().join("scripts").join(format!("{name}.lua")), source).expect("a script");
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let config = json!({
            "http": { "listen": format!("127.0.0.1:{port}") },
            "docker": { "host": "unix:///nonexistent/docker.sock" },
            "log": { "level": "warn" },
        });
        std::fs::write(dir.path().join("aegis.yaml"), config.to_string()).expect("a configuration");
        let client = Client::builder().no_proxy().build().expect("a client");
        let base = format!("http://127.0.0.1:{port}");
        let (mut daemon, ready) = Stopped { dir, base, client, token: String::new() }.start().await;
        let output =
            aegis(&daemon.dir.path().to_owned(), &["token", "create", "bench", "--role", "admin"]).output().await;
        daemon.token = String::from_utf8(output.expect("a token").stdout).expect("text").trim().to_owned();
        (daemon, ready)
    }

    async fn await_answer(&self, began: Instant) -> Duration {
        while began.elapsed() < START_TIMEOUT {
            if self.client.get(format!("{}/health/live", self.base)).send().await.is_ok_and(|a| a.status().is_success())
            {
                return began.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("not ready: {}", std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default());
    }

    pub fn script(&self, name: &str) -> PathBuf {
        self.dir.path().join("scripts").join(format!("{name}.lua"))
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.request(Method::GET, path).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap_or_default());
        answer.json().await.expect("JSON")
    }

    /// Submits a run and gives its id.
    pub async fn trigger(&self, job: &str) -> String {
        let request = self.request(Method::POST, &format!("/api/v1/jobs/{job}/runs")).json(&json!({}));
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{job}: {}", answer.text().await.unwrap_or_default());
        let body: Value = answer.json().await.expect("JSON");
        body["run_id"].as_str().expect("a run_id").to_owned()
    }

    /// Waits until so many jobs are live, and tells how long that took.
    pub async fn await_jobs(&self, count: usize) -> Duration {
        let began = Instant::now();
        loop {
            let live = self.get("/api/v1/jobs").await["jobs"].as_array().map_or(0, Vec::len);
            if live >= count {
                return began.elapsed();
            }
            assert!(began.elapsed() < START_TIMEOUT, "only {live} of {count} jobs are live");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Resident memory after the start's work has settled.
    pub async fn settled_memory(&self) -> String {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let pid = self.child.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let value = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
            line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1_024.0
        };
        format!("{:.1} MiB (of which private {:.1} MiB)", value("VmRSS:"), value("RssAnon:"))
    }

    /// Resident memory at this moment, in MiB.
    pub fn memory_mib(&self) -> f64 {
        let pid = self.child.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1_024.0
    }

    pub async fn stop(self) {
        drop(self.pause().await);
    }

    /// Stops it, to start it again later on the same folder.
    pub async fn pause(mut self) -> Stopped {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        assert!(!log.contains("panicked"), "{log}");
        Stopped { dir: self.dir, base: self.base, client: self.client, token: self.token }
    }
}

impl Stopped {
    /// Its database.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("data/aegis.db")
    }

    /// Starts it and tells how long it took until it answered.
    pub async fn start(self) -> (Daemon, Duration) {
        let Self { dir, base, client, token } = self;
        let log = std::fs::File::create(dir.path().join("log")).expect("a log");
        let began = Instant::now();
        let child = aegis(&dir.path().to_owned(), &["daemon", "--config", "aegis.yaml"])
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("the daemon starts");
        let daemon = Daemon { dir, child, base, client, token };
        let ready = daemon.await_answer(began).await;
        (daemon, ready)
    }
}

fn aegis(dir: &PathBuf, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aegis"));
    command.args(arguments).current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
    command.env("AEGIS_SOCKET", dir.join("run/aegis.sock"));
    command
}
