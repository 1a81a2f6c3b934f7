//! A real FalkorDB in a container, for tests.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::base::Clock;

/// See `tests/falkordb_image`.
const IMAGE: &str = "falkordb/falkordb:latest";

/// Runs until it is dropped; keeps nothing on disk.
pub struct Server {
    container: String,
    port: u16,
}

impl Server {
    pub async fn start() -> Self {
        let container = docker(&["run", "-d", "--rm", "--label", "aegis-test", "-p", "127.0.0.1::6379", IMAGE]);
        let container = container.unwrap_or_else(|problem| {
            panic!("these tests need Docker and the image {IMAGE}, which tests/falkordb_image makes: {problem}")
        });
        let published = docker(&["port", &container, "6379/tcp"]).expect("a published port");
        let port = published.lines().next().and_then(|line| line.rsplit(':').next()).and_then(|port| port.parse().ok());
        let server = Self { container, port: port.expect("a port") };
        for _ in 0..400 {
            if server.answers().await {
                return server;
            }
            Clock::system().sleep(Duration::from_millis(50)).await;
        }
        panic!("FalkorDB did not start: {:?}", docker(&["logs", &server.container]));
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Docker's own proxy takes connections before there is anybody behind it.
    async fn answers(&self) -> bool {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let Ok(mut stream) = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await else { return false };
        let mut answer = [0; 5];
        stream.write_all(b"PING\r\n").await.is_ok()
            && stream.read_exact(&mut answer).await.is_ok()
            && answer == *b"+PONG"
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = docker(&["kill", &self.container]);
    }
}

fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().map_err(|bad| bad.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
