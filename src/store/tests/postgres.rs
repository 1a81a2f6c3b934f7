//! A PostgreSQL of the tests' own: in a temporary folder, reachable by a socket in it and no other way, and gone when
//! the test process is.

use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::OnceCell;

use crate::base::RunId;
use server::Server;

#[path = "../../../tests/postgres/server.rs"]
mod server;

/// Names a server to use instead; its user must be allowed to create databases.
const URL_VARIABLE: &str = "AEGIS_TEST_POSTGRES_URL";

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

#[derive(Debug)]
struct Cluster {
    url: String,
    _server: Option<Server>,
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
            return Self { url, _server: None };
        }
        let options = ["listen_addresses=", "fsync=off", "max_connections=300", "shared_buffers=32MB"];
        let words: Vec<&str> = options.iter().flat_map(|option| ["-c", option]).collect();
        let server = Server::start(&words);
        let url = format!("postgres://aegis@localhost/postgres?host={}", server.folder.display());
        let server = server.answers(&url).await;
        Self { url, _server: Some(server) }
    }
}
