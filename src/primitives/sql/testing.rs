//! Real servers for tests: each in a temporary folder, reachable by a socket in it and no other way, and gone when the
//! test process is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection};
use tokio::sync::OnceCell;

use super::config::{Source, Url};
use crate::base::RunId;

/// Names a server to use instead; its user must be allowed to create databases.
const POSTGRES_VARIABLE: &str = "AEGIS_TEST_POSTGRES_URL";

static POSTGRES: OnceCell<Server> = OnceCell::const_new();
static MARIADB: OnceCell<Server> = OnceCell::const_new();

#[derive(Debug)]
struct Server {
    /// Of the administrator; `NAME` stands for the database.
    url: String,
    /// Holds the keeper's input open; the keeper stops the server when it closes.
    _keeper: Option<Child>,
}

pub fn source(url: &str) -> Source {
    Source::new(Url::parse(url.to_owned()).expect("a URL"))
}

/// One source under the name `main`.
pub fn main_source(url: &str) -> BTreeMap<String, Source> {
    BTreeMap::from([("main".to_owned(), source(url))])
}

fn name() -> String {
    format!("aegis_{}", RunId::generate()).to_lowercase().replace('-', "_")
}

/// A new database of PostgreSQL; its URL, and one for a user without rights beyond it.
pub async fn postgres() -> (String, String) {
    let server = POSTGRES.get_or_init(start_postgres).await;
    let name = name();
    let mut admin = PgConnection::connect(&server.url.replace("NAME", "postgres")).await.expect("the server accepts");
    for text in [
        format!("CREATE DATABASE {name}"),
        format!("CREATE ROLE {name} LOGIN PASSWORD 'p@ss'"),
        format!("GRANT ALL ON DATABASE {name} TO {name}"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut admin).await.expect("may create");
    }
    let url = server.url.replace("NAME", &name);
    let mut owner = PgConnection::connect(&url).await.expect("the server accepts");
    let grant = format!("GRANT ALL ON SCHEMA public TO {name}");
    sqlx::raw_sql(AssertSqlSafe(grant)).execute(&mut owner).await.expect("may grant");
    let mut plain = url::Url::parse(&url).expect("a URL");
    plain.set_username(&name).expect("a user");
    plain.set_password(Some("p@ss")).expect("a password");
    (url, plain.into())
}

/// Carries out one statement, as somebody else.
pub async fn execute(url: &str, text: &str) {
    let mut conn = PgConnection::connect(url).await.expect("the server accepts");
    sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&mut conn).await.expect("carried out");
}

/// A new database of MariaDB; its URL.
pub async fn mariadb() -> String {
    let server = MARIADB.get_or_init(start_mariadb).await;
    let name = name();
    let mut admin = MySqlConnection::connect(&server.url.replace("NAME", "mysql")).await.expect("the server accepts");
    let create = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut admin).await.expect("may create");
    server.url.replace("NAME", &name)
}

/// An empty SQLite file in a folder that goes away with what is returned.
pub fn sqlite() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("data.db");
    std::fs::write(&file, "").expect("a file");
    (folder, format!("sqlite://{}", file.display()))
}

async fn start_postgres() -> Server {
    if let Ok(url) = std::env::var(POSTGRES_VARIABLE) {
        let mut url = url::Url::parse(&url).expect("a URL");
        url.set_path("NAME");
        return Server { url: url.into(), _keeper: None };
    }
    let bin = postgres_programs();
    let folder = own_folder("postgres");
    let data = folder.join("data");
    let mut make = as_user("postgres", &bin.join("initdb"));
    make.arg("--pgdata").arg(&data);
    make.args(["--username=aegis", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
    done(&mut make);
    let url = format!("postgres://aegis@localhost/NAME?host={}", folder.display());
    let mut server = Command::new(bin.join("postgres"));
    server.arg("-D").arg(&data).arg("-k").arg(&folder);
    server.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=100"]);
    let keeper = keep("postgres", &server, &folder);
    let first = url.replace("NAME", "postgres");
    until("PostgreSQL", &folder, || async { PgConnection::connect(&first).await.is_ok() }).await;
    Server { url, _keeper: Some(keeper) }
}

async fn start_mariadb() -> Server {
    let folder = own_folder("mysql");
    let data = format!("--datadir={}", folder.join("data").display());
    let mut make = as_user("mysql", Path::new("mariadb-install-db"));
    make.args(["--no-defaults", &data, "--auth-root-authentication-method=normal", "--skip-test-db"]);
    done(&mut make);
    let socket = folder.join("socket");
    let url = format!("mysql://root@localhost/NAME?socket={}", socket.display());
    let mut server = Command::new(installed(&["/usr/sbin/mariadbd", "/usr/sbin/mysqld", "/usr/libexec/mariadbd"]));
    server.args(["--no-defaults", &data, &format!("--socket={}", socket.display()), "--skip-networking"]);
    server.args(["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M", "--local-infile=1"]);
    let keeper = keep("mysql", &server, &folder);
    let first = url.replace("NAME", "mysql");
    until("MariaDB", &folder, || async { MySqlConnection::connect(&first).await.is_ok() }).await;
    Server { url, _keeper: Some(keeper) }
}

fn done(command: &mut Command) {
    let made = command.output().unwrap_or_else(|problem| {
        panic!("{command:?}: {problem}; apt-get install postgresql mariadb-server on Debian")
    });
    assert!(made.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&made.stderr));
}

async fn until<F: Future<Output = bool>>(server: &str, folder: &Path, answers: impl Fn() -> F) {
    for _ in 0..300 {
        if answers().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the test's {server} did not start: {}", std::fs::read_to_string(folder.join("log")).unwrap_or_default());
}

/// Starts the server under a shell that waits for the end of its input, which comes with the end of this process.
fn keep(user: &str, server: &Command, folder: &Path) -> Child {
    const SCRIPT: &str = r#"
        folder=$1; shift
        "$@" </dev/null >"$folder/log" 2>&1 &
        cat >/dev/null
        kill -INT $! 2>/dev/null; kill -TERM $! 2>/dev/null
        wait
        rm -rf "$folder""#;
    let mut shell = as_user(user, Path::new("/bin/sh"));
    shell.args(["-c", SCRIPT, "keeper"]).arg(folder).arg(server.get_program()).args(server.get_args());
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell starts")
}

/// A temporary folder that belongs to the server's user.
fn own_folder(user: &str) -> PathBuf {
    let made = as_user(user, Path::new("mktemp")).args(["-d", "-t", "aegis-sql-XXXXXXXX"]).output();
    let made = made.expect("mktemp starts");
    assert!(made.status.success(), "no temporary folder: {}", String::from_utf8_lossy(&made.stderr));
    PathBuf::from(String::from_utf8_lossy(&made.stdout).trim())
}

/// Servers refuse to run as root; then they run as the user that their package made.
fn as_user(user: &str, program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups", "--"]).arg(program);
    command
}

fn installed(places: &[&str]) -> PathBuf {
    let found = places.iter().map(PathBuf::from).find(|place| place.exists());
    found.unwrap_or_else(|| panic!("these tests need MariaDB: apt-get install mariadb-server on Debian"))
}

/// The folder of the newest installed server.
fn postgres_programs() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let found = folders.into_iter().find(|bin| bin.join("initdb").exists());
    found.unwrap_or_else(|| {
        panic!("these tests need PostgreSQL: apt-get install postgresql, or set {POSTGRES_VARIABLE}")
    })
}
