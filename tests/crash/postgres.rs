//! A PostgreSQL of the harness's own, in a temporary folder, with fsync as in production. It is gone when this process
//! is.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

#[derive(Debug)]
pub struct Postgres {
    pub port: u16,
    /// Holds the keeper's input open; the keeper stops the server when it closes.
    keeper: Child,
}

impl Postgres {
    pub async fn start() -> Self {
        let bin = server_programs();
        let folder = unprivileged(Path::new("mktemp")).args(["-d", "-t", "aegis-crash-XXXXXXXX"]).output();
        let folder = PathBuf::from(String::from_utf8_lossy(&folder.expect("mktemp starts").stdout).trim());
        let made = unprivileged(&bin.join("initdb"))
            .arg("--pgdata")
            .arg(folder.join("data"))
            .args(["--username=aegis", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .output()
            .expect("initdb starts");
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let mut server = Self { port, keeper: keep_server(&bin.join("postgres"), &folder, port) };
        for _ in 0..300 {
            if PgConnection::connect(&server.url()).await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        server.stop();
        panic!("the harness's PostgreSQL did not start: {log}");
    }

    pub fn url(&self) -> String {
        Self::url_by(self.port)
    }

    /// The database by way of another port, which leads to it.
    pub fn url_by(port: u16) -> String {
        format!("postgres://aegis@127.0.0.1:{port}/postgres")
    }

    fn stop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the server under a shell that waits for the end of its input, which comes with the end of this process.
fn keep_server(postgres: &Path, folder: &Path, port: u16) -> Child {
    const SCRIPT: &str = r#"
        "$1" -D "$2/data" -k "$2" -p "$3" -c listen_addresses=127.0.0.1 -c max_connections=100 \
            </dev/null >"$2/log" 2>&1 &
        cat >/dev/null
        kill -INT $!
        wait
        rm -rf "$2""#;
    let mut shell = unprivileged(Path::new("/bin/sh"));
    shell.args(["-c", SCRIPT, "keeper"]).arg(postgres).arg(folder).arg(port.to_string());
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a shell starts")
}

/// PostgreSQL refuses to run as root; then it runs as the user that its package made.
fn unprivileged(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

/// The folder of the newest installed server.
fn server_programs() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    let found = folders.into_iter().find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists());
    found.expect("the harness needs a PostgreSQL server: apt-get install postgresql on Debian")
}
