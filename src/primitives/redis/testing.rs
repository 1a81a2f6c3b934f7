//! A real Redis on a free port of loopback, for tests.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::base::Clock;
use crate::primitives::notify::Setting;
use crate::primitives::redis::Source;

/// Runs until it is dropped; keeps nothing on disk.
pub struct Server {
    pub port: u16,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_on(free_port(), &[]).await
    }

    /// With further arguments of `redis-server`.
    pub async fn start_on(port: u16, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
            .arg(port.to_string())
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need a Redis server: apt-get install redis-server on Debian");
        for _ in 0..400 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Self { port, process, _folder: folder };
            }
            Clock::system().sleep(Duration::from_millis(25)).await;
        }
        process.kill().expect("it is ours");
        process.wait().expect("it ends");
        let mut said = String::new();
        process.stdout.take().expect("it is piped").read_to_string(&mut said).expect("its log");
        panic!("redis-server did not start: {said}");
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub fn source(&self) -> Source {
        source(&self.url())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().expect("it is ours");
        self.process.wait().expect("it ends");
    }
}

pub fn source(url: &str) -> Source {
    Source::new(Setting::parse(url.to_owned()).expect("a setting"))
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}
