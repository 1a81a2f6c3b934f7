//! A PostgreSQL of the tests' own: in a temporary folder, reachable by a socket in it and no other way, and gone when
//! the test process is.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::OnceCell;

use crate::base::RunId;

/// Names a server to use instead; its user must be allowed to create databases.
const URL_VARIABLE: &str = "AEGIS_TEST_POSTGRES_URL";

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

#[derive(Debug)]
struct Cluster {
    url: String,
    /// Holds the keeper's input open; the keeper stops the server when it closes.
    _keeper: Option<Child>,
}

/// A new, empty database; returns its URL.
pub async fn create_database() -> String {
    let cluster = CLUSTER.get_or_init(Cluster::start).await;
    let name = format!("aegis_{}", RunId::generate());
    let mut admin = PgConnection::connect(&cluster.url).await.expect("the test server accepts connections");
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut admin)
        .await
        .expect("may create databases");
    let mut url = url::Url::parse(&cluster.url).expect("a URL");
    url.set_path(&name);
    url.into()
}

pub async fn drop_database(url: &str) {
    let cluster = CLUSTER.get_or_init(Cluster::start).await;
    let name = url::Url::parse(url).expect("a URL").path().trim_start_matches('/').to_owned();
    let mut admin = PgConnection::connect(&cluster.url).await.expect("the test server accepts connections");
    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    sqlx::query(AssertSqlSafe(drop)).execute(&mut admin).await.expect("may drop its database");
}

/// Ends all connections to the database from the server's side, as a restart would.
pub async fn cut_connections(url: &str) {
    let cluster = CLUSTER.get_or_init(Cluster::start).await;
    let name = url::Url::parse(url).expect("a URL").path().trim_start_matches('/').to_owned();
    let mut admin = PgConnection::connect(&cluster.url).await.expect("the test server accepts connections");
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
    sqlx::query(cut).bind(name).execute(&mut admin).await.expect("may end connections");
}

/// The road to the server, which can fall silent: what is sent is taken, and nothing comes back.
pub struct Road {
    pub url: String,
    pub silent: tokio::sync::watch::Sender<bool>,
    _folder: tempfile::TempDir,
    _tasks: tokio::task::JoinSet<()>,
}

impl Road {
    pub async fn to(url: &str) -> Self {
        let server = PgConnectOptions::from_str(url).expect("a URL");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).expect("a socket");
        let mut own = url::Url::parse(url).expect("a URL");
        own.set_query(Some(&format!("host={}", folder.path().display())));
        let (silent, heard) = tokio::sync::watch::channel(false);
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let heard = heard.clone();
                match server.get_socket() {
                    Some(folder) => {
                        let socket = folder.join(format!(".s.PGSQL.{}", server.get_port()));
                        open.spawn(carry(
                            client,
                            UnixStream::connect(socket).await.expect("the server is there"),
                            heard,
                        ));
                    }
                    None => {
                        let address = (server.get_host(), server.get_port());
                        open.spawn(carry(
                            client,
                            TcpStream::connect(address).await.expect("the server is there"),
                            heard,
                        ));
                    }
                }
            }
        });
        Self { url: own.into(), silent, _folder: folder, _tasks: tasks }
    }
}

/// Both ways, until one side ends.
async fn carry(client: UnixStream, server: impl AsyncRead + AsyncWrite, heard: tokio::sync::watch::Receiver<bool>) {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    tokio::select! {
        () = pump(from_client, to_server, heard.clone()) => {}
        () = pump(from_server, to_client, heard) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut heard: tokio::sync::watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if heard.wait_for(|silent| !silent).await.is_err() || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

impl Cluster {
    async fn start() -> Self {
        if let Ok(url) = std::env::var(URL_VARIABLE) {
            return Self { url, _keeper: None };
        }
        let bin = server_programs();
        let folder = own_folder();
        let data = folder.join("data");
        let made = unprivileged(&bin.join("initdb"))
            .arg("--pgdata")
            .arg(&data)
            .args(["--username=aegis", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .output()
            .expect("initdb starts");
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let mut keeper = keep_server(&bin.join("postgres"), &folder, &data);
        let url = format!("postgres://aegis@localhost/postgres?host={}", folder.display());
        for _ in 0..200 {
            if PgConnection::connect(&url).await.is_ok() {
                return Self { url, _keeper: Some(keeper) };
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        drop(keeper.stdin.take());
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        keeper.wait().expect("the shell ends");
        panic!("the test's PostgreSQL did not start: {log}");
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
fn keep_server(postgres: &Path, folder: &Path, data: &Path) -> Child {
    const SCRIPT: &str = r#"
        "$1" -D "$3" -k "$2" -c listen_addresses= -c fsync=off -c max_connections=300 -c shared_buffers=32MB \
            </dev/null >"$2/log" 2>&1 &
        cat >/dev/null
        kill -INT $!
        wait
        rm -rf "$2""#;
    let mut shell = unprivileged(Path::new("/bin/sh"));
    shell.args(["-c", SCRIPT, "keeper"]).arg(postgres).arg(folder).arg(data);
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a shell starts");
    child.stdin.as_mut().expect("it is piped").flush().expect("it is open");
    child
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
    found.unwrap_or_else(|| {
        panic!("these tests need a PostgreSQL server: apt-get install postgresql on Debian, or set {URL_VARIABLE}")
    })
}
