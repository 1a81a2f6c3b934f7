//! Where the database is, and how connections to it are set up.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, SqliteConnection};

use super::StoreError;
use super::lock::FileLock;
use super::sql::{Conn, Readers};
use crate::base::RunId;
use crate::base::limits::{
    STORE_ANSWER_WAIT, STORE_BUSY_WAIT, STORE_CONNECT_WAIT, STORE_READERS_MAX, STORE_WAL_BYTES_MAX,
};

/// Statements of either side that stay prepared on a connection.
const STATEMENTS_KEPT: usize = 200;
/// SQLite moves the log into the database file after this many pages of 4 KiB.
const CHECKPOINT_PAGES: usize = 4_000;
const CACHE_KIB: usize = 16 * 1024;
const ROWS_BUFFERED: usize = 1_024;

#[derive(Debug, Clone)]
pub(super) struct Target {
    /// For messages: without a password.
    pub url: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Sqlite { file: PathBuf, scratch: Option<Arc<Scratch>> },
    Postgres(Box<PgConnectOptions>),
}

/// The folder of an in-memory database; it goes away with the last handle.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "the folder of an in-memory database stays behind");
        }
    }
}

impl Target {
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let shown = without_password(url);
        let refuse = |reason: String| StoreError::Open { url: shown.clone(), reason };
        let kind = if url == "sqlite::memory:" {
            let scratch = Scratch(std::env::temp_dir().join(format!("aegis-memory-{}", RunId::generate())));
            Kind::Sqlite { file: scratch.0.join("aegis.db"), scratch: Some(Arc::new(scratch)) }
        } else if let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
            if path.is_empty() {
                return Err(refuse("the path is missing; write sqlite://data/aegis.db".into()));
            }
            if let Some((file, query)) = path.split_once('?') {
                return Err(refuse(format!("options such as ?{query} are not for SQLite here; write sqlite://{file}")));
            }
            Kind::Sqlite { file: path.into(), scratch: None }
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url).map_err(|error| refuse(error.to_string()))?;
            let options = options.application_name("aegis").statement_cache_capacity(STATEMENTS_KEPT);
            Kind::Postgres(Box::new(options.disable_statement_logging()))
        } else {
            return Err(refuse("use sqlite://path/to/file.db or postgres://user@host/database".into()));
        };
        Ok(Self { url: shown, kind })
    }

    #[cfg(test)]
    pub fn scratch(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Sqlite { scratch, .. } => scratch.as_ref().map(|folder| folder.0.as_path()),
            Kind::Postgres(_) => None,
        }
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self.kind, Kind::Sqlite { .. })
    }

    /// Which file it is that has the database's name now, by device and number.
    pub fn identity(&self) -> Option<(u64, u64)> {
        let found = std::fs::metadata(self.file()?).ok()?;
        Some((found.dev(), found.ino()))
    }

    /// The file of a SQLite database.
    pub fn file(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Sqlite { file, .. } => Some(file),
            Kind::Postgres(_) => None,
        }
    }

    /// Makes the folder and the file of a SQLite database, readable by their owner only, and locks it.
    pub fn prepare(&self) -> Result<Option<FileLock>, StoreError> {
        let Kind::Sqlite { file, scratch } = &self.kind else { return Ok(None) };
        let refuse = |path: &Path, error: std::io::Error| StoreError::Open {
            url: self.url.clone(),
            reason: format!(
                "{} cannot be written ({error}); let the daemon's user own it, or set store.url to another place",
                path.display()
            ),
        };
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| refuse(folder, error))?;
        }
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(file);
        opened.map_err(|error| refuse(file, error))?;
        // Nobody else knows where a private one is.
        if scratch.is_some() { Ok(None) } else { FileLock::take(file, &self.url).map(Some) }
    }

    /// Opens the connection that writes.
    pub async fn connect(&self) -> Result<Conn, StoreError> {
        let connecting = async {
            match &self.kind {
                Kind::Sqlite { file, scratch } => {
                    let durable = if scratch.is_some() { SqliteSynchronous::Off } else { SqliteSynchronous::Full };
                    let options = sqlite(file).journal_mode(SqliteJournalMode::Wal).synchronous(durable);
                    Ok(Conn::sqlite(SqliteConnection::connect_with(&options).await?))
                }
                Kind::Postgres(options) => {
                    let mut conn = Conn::postgres(PgConnection::connect_with(options).await?);
                    conn.run(POSTGRES_WRITER).await?;
                    Ok(conn)
                }
            }
        };
        let Ok(connected) = tokio::time::timeout(STORE_CONNECT_WAIT, connecting).await else {
            return Err(StoreError::Unavailable { reason: format!("no connection within {STORE_CONNECT_WAIT:?}") });
        };
        connected
    }

    /// A connection of its own for something that reads for long.
    pub async fn connect_reader(&self) -> Result<Conn, StoreError> {
        Ok(match &self.kind {
            Kind::Sqlite { file, .. } => {
                Conn::sqlite(SqliteConnection::connect_with(&sqlite(file).read_only(true)).await?)
            }
            Kind::Postgres(options) => Conn::postgres(PgConnection::connect_with(options).await?),
        })
    }

    /// The connections of the listener: one that listens, one to look up what it has missed.
    pub fn listening(&self) -> Option<PgPool> {
        let Kind::Postgres(options) = &self.kind else { return None };
        let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(STORE_CONNECT_WAIT).max_lifetime(None);
        Some(pool.connect_lazy_with((**options).clone()))
    }

    /// The pool of readers; it connects when it is first used.
    pub fn readers(&self) -> Readers {
        match &self.kind {
            Kind::Sqlite { file, .. } => Readers::Sqlite(
                SqlitePoolOptions::new()
                    .max_connections(STORE_READERS_MAX)
                    .acquire_timeout(STORE_CONNECT_WAIT)
                    .test_before_acquire(false)
                    .max_lifetime(None)
                    .connect_lazy_with(sqlite(file).read_only(true)),
            ),
            Kind::Postgres(options) => Readers::Postgres {
                pool: PgPoolOptions::new()
                    .max_connections(STORE_READERS_MAX)
                    .acquire_timeout(STORE_CONNECT_WAIT)
                    .connect_lazy_with((**options).clone()),
                answer_wait: STORE_ANSWER_WAIT,
            },
        }
    }
}

/// The writer reaches rows by their keys only. While tables are small the planner would read them whole, keep that
/// plan, and go on with it when they have grown; so it may not. A transaction whose daemon is gone, or stands still, must
/// not hold the writers' lock for so long that the others lose their leases.
const POSTGRES_WRITER: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
    SET jit = off; SET synchronous_commit = on; SET idle_in_transaction_session_timeout = '5s'";

/// A SQLite file that is made in one go and thrown away if that fails.
pub(super) async fn connect_draft(file: &Path) -> Result<Conn, StoreError> {
    let options = sqlite(file).create_if_missing(true).foreign_keys(false);
    let options = options.journal_mode(SqliteJournalMode::Off).synchronous(SqliteSynchronous::Off);
    Ok(Conn::sqlite(SqliteConnection::connect_with(&options).await?))
}

/// A SQLite file that somebody hands in.
pub(super) async fn connect_source(file: &Path) -> Result<Conn, StoreError> {
    Ok(Conn::sqlite(SqliteConnection::connect_with(&sqlite(file).read_only(true)).await?))
}

fn sqlite(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(false)
        .foreign_keys(true)
        .busy_timeout(STORE_BUSY_WAIT)
        .statement_cache_capacity(STATEMENTS_KEPT)
        .row_buffer_size(ROWS_BUFFERED)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("journal_size_limit", STORE_WAL_BYTES_MAX.to_string())
        .pragma("cache_size", format!("-{CACHE_KIB}"))
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if url.starts_with("postgres") => {
            if parsed.password().is_some() {
                // Fails only for URLs without a host, which have no password either.
                let _ = parsed.set_password(Some("***"));
            }
            // Options may carry a password too.
            if parsed.query().is_some() {
                parsed.set_query(Some("…"));
            }
            parsed.to_string()
        }
        Ok(_) => url.to_owned(),
        Err(_) => url.chars().take_while(|letter| *letter != ':').chain("://…".chars()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_do_not_reach_messages() {
        for url in ["postgres://aegis:hunter2@db/aegis", "postgres:///x?password=hunter2", "postgres://a:hunter2@[/x"] {
            assert!(!without_password(url).contains("hunter2"), "{}", without_password(url));
        }
        assert_eq!(without_password("sqlite://data/aegis.db"), "sqlite://data/aegis.db");
    }

    #[test]
    fn an_unknown_scheme_says_what_is_known() {
        let error = Target::parse("mysql://x").expect_err("not supported").to_string();
        assert!(error.contains("sqlite://") && error.contains("postgres://"), "{error}");
        assert!(Target::parse("sqlite://").is_err());
        let error = Target::parse("sqlite://data/aegis.db?mode=rwc").expect_err("not a file's name").to_string();
        assert!(error.contains("write sqlite://data/aegis.db"), "{error}");
    }
}
