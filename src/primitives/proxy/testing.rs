//! A real HAProxy on free ports of loopback, and servers behind it, for tests.

use std::fmt::Write as _;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::source::Source;
use crate::base::Clock;
use crate::primitives::redis::testing::free_port;

/// A server that answers with its name. `/slow` waits until it is let go.
pub struct Web {
    pub address: SocketAddr,
    answered: Arc<AtomicUsize>,
    /// Requests for `/slow` that arrived.
    slow: watch::Sender<usize>,
    go: watch::Sender<bool>,
    task: AbortHandle,
}

impl Web {
    pub async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (answered, slow, go) = (Arc::<AtomicUsize>::default(), watch::Sender::new(0), watch::Sender::new(false));
        let (count, arrived, gate) = (answered.clone(), slow.clone(), go.clone());
        let mut tasks = JoinSet::new();
        let task = tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(answer(stream, name, count.clone(), arrived.clone(), gate.subscribe()));
            }
        });
        tasks.detach_all();
        Self { address, answered, slow, go, task }
    }

    /// Requests that were answered, those of `/health` not among them.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    pub async fn has_a_slow_request(&self) {
        self.slow.subscribe().wait_for(|count| *count > 0).await.expect("the sender is here");
    }

    pub fn let_go(&self) {
        self.go.send_replace(true);
    }

    /// Nobody answers there from now on.
    pub fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers requests of one connection, one after the other.
async fn answer(
    mut stream: TcpStream,
    name: &str,
    count: Arc<AtomicUsize>,
    arrived: watch::Sender<usize>,
    mut gate: watch::Receiver<bool>,
) {
    let mut kept = Vec::new();
    loop {
        while !kept.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read_buf(&mut kept).await {
                Ok(1..) => {}
                _ => return,
            }
        }
        let path = String::from_utf8_lossy(&kept).split(' ').nth(1).unwrap_or_default().to_owned();
        kept.clear();
        if path == "/slow" {
            arrived.send_modify(|count| *count += 1);
            if gate.wait_for(|open| *open).await.is_err() {
                return;
            }
        }
        if path != "/health" {
            count.fetch_add(1, Ordering::SeqCst);
        }
        let status = if path == "/broken" { "500 Internal Server Error" } else { "200 OK" };
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{name}", name.len());
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Runs until it is dropped. The backend `web` has a server for each [`Web`], called `a`, `b` and so on.
pub struct HaProxy {
    /// Where requests go to.
    pub entry: SocketAddr,
    folder: tempfile::TempDir,
    process: Child,
}

impl HaProxy {
    pub async fn start(servers: &[&Web]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let entry = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let place = |name: &str| folder.path().join(name).display().to_string();
        let mut text = format!(
            "global\n  stats socket {} mode 600 level admin\n  stats socket {} mode 600 level user\n\
             defaults\n  mode http\n  timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n\
             frontend in\n  bind {entry}\n  default_backend web\n\
             backend empty\n\
             backend web\n  balance roundrobin\n  option httpchk GET /health\n\
             \x20 default-server check inter 50ms fall 2 rise 1 weight 100\n",
            place("admin.sock"),
            place("user.sock"),
        );
        for (letter, web) in ('a'..).zip(servers) {
            writeln!(text, "  server {letter} {}", web.address).expect("a text");
        }
        let config = folder.path().join("haproxy.cfg");
        std::fs::write(&config, text).expect("the configuration");
        let mut process = Command::new("/usr/sbin/haproxy")
            .args(["-db", "-f"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("these tests need HAProxy: apt-get install haproxy on Debian");
        for _ in 0..400 {
            if TcpStream::connect(entry).await.is_ok() {
                return Self { entry, folder, process };
            }
            Clock::system().sleep(Duration::from_millis(25)).await;
        }
        process.kill().expect("it is ours");
        process.wait().expect("it ends");
        let mut said = String::new();
        process.stderr.take().expect("it is piped").read_to_string(&mut said).expect("its log");
        panic!("haproxy did not start: {said}");
    }

    pub fn socket(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The socket that everything can be told.
    pub fn source(&self) -> Source {
        haproxy(&self.socket("admin.sock"))
    }

    /// A request on a connection of its own: the status and the text, or what went wrong.
    pub async fn get(&self, path: &str) -> Result<(u16, String), String> {
        get(self.entry, path).await
    }
}

pub async fn get(entry: SocketAddr, path: &str) -> Result<(u16, String), String> {
    Client::connect(entry).await?.get(path).await
}

/// A client that stays connected between its requests.
pub struct Client(TcpStream);

impl Client {
    pub async fn connect(entry: SocketAddr) -> Result<Self, String> {
        TcpStream::connect(entry).await.map(Self).map_err(|problem| problem.to_string())
    }

    pub async fn get(&mut self, path: &str) -> Result<(u16, String), String> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: shop.example.com\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.map_err(|problem| problem.to_string())?;
        let mut answer = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let field = |before: &str, after: &str| head.split(before).nth(1)?.split(after).next()?.parse().ok();
                let (status, length) = (field(" ", " "), field("content-length: ", "\r"));
                let length = length.ok_or_else(|| format!("no length: {head:?}"))?;
                if body.len() >= usize::from(length) {
                    return Ok((status.ok_or_else(|| format!("no status: {head:?}"))?, body.to_owned()));
                }
            }
            match self.0.read_buf(&mut answer).await {
                Ok(1..) => {}
                Ok(_) => return Err(format!("no answer: {text:?}")),
                Err(problem) => return Err(problem.to_string()),
            }
        }
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        self.process.kill().expect("it is ours");
        self.process.wait().expect("it ends");
    }
}

pub fn haproxy(socket: &std::path::Path) -> Source {
    source(&format!("{{ kind: haproxy, socket: {} }}", socket.display()))
}

pub fn traefik(directory: &std::path::Path) -> Source {
    source(&format!("{{ kind: traefik, directory: {} }}", directory.display()))
}

/// As the configuration writes it.
pub fn source(text: &str) -> Source {
    serde_saphyr::from_str(text).expect("a source")
}
