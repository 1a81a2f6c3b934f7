//! A daemon of the test's own: the real binary in a temporary folder, with ports that nobody else has.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::api::Api;
use super::cli::{Cli, Output};
use super::wait::settles;

/// A debug build on a busy machine has to be ready by then.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// The daemon's grace is 20 s; a stop that takes longer than this is a hang.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// How the daemon is started.
pub struct Builder {
    config: Value,
    scripts: Vec<(String, String)>,
    wrapper: Vec<String>,
    dir: tempfile::TempDir,
}

/// A running daemon. Dropping it stops it, and fails the test when it does not stop or leaves processes behind.
pub struct TestApp {
    pub dir: tempfile::TempDir,
    pub api: Api,
    pub cli: Cli,
    /// Of the administrator.
    pub token: String,
    wrapper: Vec<String>,
    child: Option<Child>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Builder {
    pub fn new() -> Self {
        let config = json!({
            "scripts": { "dir": "scripts" },
            "store": { "url": "sqlite://data/aegis.db" },
            "admin": { "socket": "run/aegis.sock" },
            "http": { "listen": format!("127.0.0.1:{}", free_port()) },
            // Nobody's Docker, unless the test wants it.
            "docker": { "host": "unix:///nonexistent/docker.sock" },
            "log": { "level": "info", "format": "json" },
        });
        let dir = tempfile::Builder::new().prefix("aegis-it-").tempdir().expect("a temporary folder");
        fs::create_dir(dir.path().join("scripts")).expect("a scripts folder");
        Self { config, scripts: Vec::new(), wrapper: Vec::new(), dir }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Sets the key at a path such as `/runner/lanes`.
    #[must_use]
    pub fn config(mut self, pointer: &str, value: Value) -> Self {
        let mut at = &mut self.config;
        for key in pointer.split('/').skip(1) {
            if !at.is_object() {
                *at = json!({});
            }
            at = &mut at[key];
        }
        *at = value;
        self
    }

    #[must_use]
    pub fn real_docker(self) -> Self {
        self.config("/docker/host", json!("unix:///var/run/docker.sock"))
    }

    /// A file under `scripts/`, there before the daemon starts.
    #[must_use]
    pub fn script(mut self, path: &str, source: impl Into<String>) -> Self {
        self.scripts.push((path.to_owned(), source.into()));
        self
    }

    /// Runs the daemon by way of another program, which must `exec` it.
    #[must_use]
    pub fn wrapped(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
        self
    }

    pub async fn start(self) -> TestApp {
        let mut app = self.prepare();
        app.spawn();
        app.await_ready().await;
        // Before there is a token: with one, no link is made.
        app.login_link().await;
        app.token = app.cli.ok(&["token", "create", "integration-test", "--role", "admin"]).await.trim().to_owned();
        assert!(!app.token.is_empty(), "no token was printed");
        app.api = app.api.with_token(app.token.clone());
        app
    }

    /// Starts a daemon whose database knows this administrator's token already.
    #[allow(dead_code, reason = "the crash harness uses it")]
    pub async fn start_known(self, token: &str) -> TestApp {
        let mut app = self.prepare();
        app.spawn();
        app.await_ready().await;
        app.token = token.to_owned();
        app.api = app.api.with_token(token);
        app
    }

    /// Starts the daemon where it cannot run and gives what it said.
    pub async fn start_and_fail(self) -> Output {
        let app = self.prepare();
        app.cli.run(&["daemon", "--config", "aegis.yaml"]).await
    }

    fn prepare(self) -> TestApp {
        let dir = self.dir.path().to_owned();
        for (path, source) in &self.scripts {
            write_whole(&dir.join("scripts").join(path), source);
        }
        // JSON is YAML.
        fs::write(dir.join("aegis.yaml"), format!("{:#}\n", self.config)).expect("the configuration is written");
        let listen = self.config["http"]["listen"].as_str().unwrap_or_default().to_owned();
        let socket = dir.join(self.config["admin"]["socket"].as_str().unwrap_or_default());
        TestApp {
            api: Api::new(format!("http://{listen}")),
            cli: Cli { socket, dir },
            dir: self.dir,
            token: String::new(),
            wrapper: self.wrapper,
            child: None,
            log: Arc::default(),
        }
    }
}

impl TestApp {
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A daemon with nothing but defaults and no Docker.
    pub async fn start() -> Self {
        Builder::new().start().await
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    /// The same as the daemon sees it while it runs: its mounts may be its own.
    pub fn inside(&self, path: &str) -> PathBuf {
        let shown = self.path(path);
        let relative = shown.strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(self.pid().to_string()).join("root").join(relative)
    }

    /// Puts a file under `scripts/` in one step, as an editor does that writes beside and renames.
    pub fn write_script(&self, path: &str, source: &str) {
        write_whole(&self.path("scripts").join(path), source);
    }

    pub fn remove_script(&self, path: &str) {
        fs::remove_file(self.path("scripts").join(path)).expect("the script is removed");
    }

    /// Puts the file there and waits until its job is live.
    pub async fn add_job(&self, name: &str, source: &str) {
        self.write_script(&format!("{name}.lua"), source);
        self.api.job_appears(name).await;
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the daemon runs").id()
    }

    /// What the daemon has written on either stream so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("not poisoned").join("\n")
    }

    /// The link that the daemon printed at its first start.
    pub async fn login_link(&self) -> String {
        super::eventually("the daemon prints a login link", || async {
            let log = self.log();
            let start = log.find(&format!("{}/login", self.api.base))?;
            let is_part = |c: &char| !c.is_whitespace() && !matches!(c, '"' | '\\' | '<' | '>');
            Some(log[start..].chars().take_while(is_part).collect())
        })
        .await
    }

    /// The daemon's status after a stop.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.await_exit().await
    }

    /// As the kernel does when memory is out: no chance to tidy up.
    pub async fn kill(&mut self) {
        self.signal(rustix::process::Signal::KILL);
        let status = self.await_exit().await;
        assert_eq!(status.signal(), Some(9));
    }

    /// Starts it again on the same folder.
    pub async fn restart(&mut self) {
        assert!(self.child.is_none(), "it still runs");
        self.spawn();
        self.await_ready().await;
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().expect("the daemon runs"));
        rustix::process::kill_process(pid, signal).expect("the daemon can be signalled");
    }

    pub async fn await_exit(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the daemon runs");
        let group = child.id();
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("the daemon can be waited for") {
                break status;
            }
            if began.elapsed() > STOP_TIMEOUT {
                let _ = child.kill();
                panic!("the daemon did not stop within {STOP_TIMEOUT:?}\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(leftovers(group), Vec::<String>::new(), "the daemon left processes behind");
        status
    }

    /// Starts the process and waits for nothing.
    pub fn spawn(&mut self) {
        let mut words = self.wrapper.clone();
        words.extend([env!("CARGO_BIN_EXE_aegis"), "daemon", "--config", "aegis.yaml"].map(str::to_owned));
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that what it leaves behind can be found.
            .process_group(0)
            .spawn()
            .expect("the daemon starts");
        capture(child.stdout.take().expect("stdout is piped"), &self.log);
        capture(child.stderr.take().expect("stderr is piped"), &self.log);
        self.child = Some(child);
    }

    pub async fn await_ready(&mut self) {
        let api = self.api.without_token();
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().expect("can be asked")) {
                self.child = None;
                panic!("the daemon ended with {status} instead of becoming ready\n{}", self.log());
            }
            // Without Docker it serves and says what is missing: that is ready enough.
            let answer = api.request(reqwest::Method::GET, "/health/ready").send().await;
            if answer.is_ok_and(|answer| matches!(answer.status().as_u16(), 200 | 503)) {
                break;
            }
            assert!(began.elapsed() < START_TIMEOUT, "the daemon is not ready\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        settles(START_TIMEOUT, "the admin socket is there", || async { self.cli.socket.exists().then_some(()) }).await;
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let group = child.id();
        let pid = rustix::process::Pid::from_child(&child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let began = Instant::now();
        let stopped = loop {
            match child.try_wait() {
                Ok(None) if began.elapsed() < STOP_TIMEOUT => std::thread::sleep(Duration::from_millis(10)),
                Ok(Some(_)) => break true,
                _ => break false,
            }
        };
        if !stopped {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            println!("--- the daemon's log\n{}", self.log());
            return;
        }
        let log = self.log();
        assert!(stopped, "the daemon did not stop within {STOP_TIMEOUT:?}\n{log}");
        assert_eq!(leftovers(group), Vec::<String>::new(), "the daemon left processes behind");
        assert!(!log.contains("panicked at"), "the daemon panicked\n{log}");
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn write_whole(path: &Path, source: &str) {
    let folder = path.parent().expect("a file is in a folder");
    fs::create_dir_all(folder).expect("the folder is made");
    let beside = folder.join(format!(".{}.new", path.file_name().expect("a name").to_string_lossy()));
    fs::write(&beside, source).expect("the script is written");
    fs::rename(&beside, path).expect("the script is put in place");
}

fn capture(stream: impl std::io::Read + Send + 'static, into: &Arc<Mutex<Vec<String>>>) {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        for line in std::io::BufRead::lines(std::io::BufReader::new(stream)).map_while(Result::ok) {
            into.lock().expect("not poisoned").push(line);
        }
    });
}

/// Processes that still belong to the group, by `/proc`.
fn leftovers(group: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let belongs = |entry: fs::DirEntry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name in parentheses may hold anything; state, parent and group come after it.
        let after = stat.rsplit_once(')')?.1;
        let mut fields = after.split_whitespace();
        let state = fields.next()?;
        (fields.nth(1)?.parse() == Ok(group) && state != "Z").then_some(stat)
    };
    entries.flatten().filter_map(belongs).collect()
}
