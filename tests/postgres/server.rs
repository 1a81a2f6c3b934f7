//! A PostgreSQL server in a temporary folder, gone when the process is that started it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

#[derive(Debug)]
pub struct Server {
    /// Its socket is in there.
    pub folder: PathBuf,
    /// Holds the keeper's input open; the keeper stops the server when it closes.
    keeper: Child,
}

impl Server {
    /// Starts one with these words of its command line, beside those for its folder.
    pub fn start(options: &[&str]) -> Self {
        let bin = server_programs();
        let folder = own_folder();
        let made = unprivileged(&bin.join("initdb"))
            .arg("--pgdata")
            .arg(folder.join("data"))
            .args(["--username=aegis", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .output()
            .expect("initdb starts");
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let keeper = keep(&bin.join("postgres"), &folder, options);
        Self { folder, keeper }
    }

    /// Waits until it takes connections at this address.
    pub async fn answers(mut self, url: &str) -> Self {
        for _ in 0..300 {
            if PgConnection::connect(url).await.is_ok() {
                return self;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        self.stop();
        panic!("the PostgreSQL of the tests did not start: {log}");
    }

    fn stop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A temporary folder that belongs to the server's user.
fn own_folder() -> PathBuf {
    let made = unprivileged(Path::new("mktemp")).args(["-d", "-t", "aegis-postgres-XXXXXXXX"]).output();
    let made = made.expect("mktemp starts");
    assert!(made.status.success(), "no temporary folder: {}", String::from_utf8_lossy(&made.stderr));
    PathBuf::from(String::from_utf8_lossy(&made.stdout).trim())
}

/// Starts the server under a shell that waits for the end of its input, which comes with the end of this process.
fn keep(postgres: &Path, folder: &Path, options: &[&str]) -> Child {
    const SCRIPT: &str = r#"
        server=$1 folder=$2
        shift 2
        "$server" -D "$folder/data" -k "$folder" "$@" </dev/null >"$folder/log" 2>&1 &
        cat >/dev/null
        kill -INT $!
        wait
        rm -rf "$folder""#;
    let mut shell = unprivileged(Path::new("/bin/sh"));
    shell.args(["-c", SCRIPT, "keeper"]).arg(postgres).arg(folder).args(options);
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
    found.expect("these tests need a PostgreSQL server: apt-get install postgresql on Debian")
}
