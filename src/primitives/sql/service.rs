//! The service: sources by name, and statements for whoever has a permit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::mysql::MySqlConnection;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::cell::Rows;
use super::config::Source;
use super::driver::Trouble;
use super::error::SqlError;
use super::pool::Pool;
use super::session::{Purpose, Session};
use super::sink::Sink;
use super::statement::{Bounds, Statement};
use super::stream::Stream;
use super::text::Dialect;
use super::transaction::Transaction;
use crate::base::{Clock, limits};
use crate::primitives::notify::Secrets;
use crate::primitives::permit::SqlPermit;

/// As the configuration has it, in `sql`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub sources: BTreeMap<String, Source>,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sql(Arc<BTreeMap<String, Arc<Origin>>>);

/// A source and its connections.
#[derive(Debug)]
pub struct Origin {
    pub name: String,
    pub source: Source,
    pub clock: Clock,
    secrets: Arc<dyn Secrets>,
    pool: OnceCell<Pool>,
    is_mariadb: OnceCell<bool>,
}

/// What is told of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known<'a> {
    pub name: &'a str,
    /// None when only its secret says.
    pub dialect: Option<Dialect>,
}

impl Origin {
    pub async fn pool(&self) -> Result<&Pool, SqlError> {
        self.pool.get_or_try_init(|| async { Pool::new(&self.name, &self.source, &*self.secrets) }).await
    }

    /// One connection of its own, for what stays: the others come and go.
    pub fn channel(&self) -> Result<sqlx::PgPool, SqlError> {
        Pool::for_listening(&self.name, &self.source, &*self.secrets)
    }

    /// Whether the server is a MariaDB, whose setting for the time of statements has another name.
    pub async fn mysql_limit(&self, conn: &mut MySqlConnection) -> Result<bool, SqlError> {
        let ask = || async {
            let version: Result<String, _> = sqlx::query_scalar("SELECT VERSION()").fetch_one(conn).await;
            version.map(|version| version.contains("MariaDB"))
        };
        let known = self.is_mariadb.get_or_try_init(ask).await;
        known.copied().map_err(|error| Trouble::from(error).at::<sqlx::MySql>(&self.name))
    }

    /// Has the database check a statement that changes something, without carrying it out.
    pub async fn look_at(self: &Arc<Self>, statement: &Statement, writes: bool) -> Result<(), SqlError> {
        statement.check()?;
        if !writes {
            let problem = "what is executed changes data".to_owned();
            return Err(SqlError::ReadOnly { source_name: self.name.clone(), problem });
        }
        // MariaDB does not even look at a change in a session that only reads.
        let purpose = Purpose { writes, is_transaction: false, timeout: self.timeout(&statement.bounds) };
        let mut session = Session::open(self, purpose).await?;
        session.prepare(statement).await?;
        session.finish(false).await
    }

    fn timeout(&self, bounds: &Bounds) -> Duration {
        bounds.timeout.unwrap_or(self.source.statement_timeout)
    }
}

impl Sql {
    /// Connects to nothing: that is done when a source is first used.
    pub fn new(options: Options, secrets: &Arc<dyn Secrets>, clock: &Clock) -> Result<Self, SqlError> {
        let count = options.sources.len();
        if count > limits::SQL_SOURCES_MAX {
            return Err(SqlError::TooManySources(count));
        }
        let origin = |(name, source): (String, Source)| {
            let (secrets, clock, pool, is_mariadb) = (secrets.clone(), clock.clone(), OnceCell::new(), OnceCell::new());
            (name.clone(), Arc::new(Origin { name, source, clock, secrets, pool, is_mariadb }))
        };
        Ok(Self(Arc::new(options.sources.into_iter().map(origin).collect())))
    }

    pub fn sources(&self) -> impl Iterator<Item = Known<'_>> {
        self.0.values().map(|origin| Known { name: &origin.name, dialect: origin.source.url.dialect() })
    }

    /// The rows of one statement, all at once and within bounds. `dry` reads, whatever the permit allows.
    pub async fn query(&self, permit: &SqlPermit, statement: &Statement, dry: bool) -> Result<Rows, SqlError> {
        let (_, rows) = self.once(permit, statement, dry, true).await?;
        Ok(rows)
    }

    /// The number of rows that one statement changed. `dry` has the database look at it, and changes nothing.
    pub async fn execute(&self, permit: &SqlPermit, statement: &Statement, dry: bool) -> Result<u64, SqlError> {
        let origin = self.origin(permit)?;
        if dry {
            return origin.look_at(statement, permit.writes()).await.map(|()| 0);
        }
        let (affected, _) = self.once(permit, statement, false, false).await?;
        Ok(affected)
    }

    async fn once(
        &self,
        permit: &SqlPermit,
        statement: &Statement,
        dry: bool,
        wants_rows: bool,
    ) -> Result<(u64, Rows), SqlError> {
        let origin = self.origin(permit)?;
        statement.check()?;
        let purpose = self.purpose(origin, permit, statement, dry);
        let attempt = || async {
            let mut sink = if wants_rows { Sink::whole(statement.bounds.rows()) } else { Sink::Nothing };
            let mut session = Session::open(origin, purpose).await?;
            let outcome = session.run(statement, &mut sink, purpose.timeout).await;
            session.finish(false).await?;
            Ok((outcome?, sink.into_rows()))
        };
        match attempt().await {
            // Nothing was carried out; another session prepares it anew.
            Err(error) if SqlError::is_stale(&error) => attempt().await,
            other => other,
        }
    }

    /// Begins a transaction that its handle ends. Dropped or cancelled, it is rolled back.
    pub async fn begin(
        &self,
        permit: &SqlPermit,
        bounds: Bounds,
        dry: bool,
        cancel: CancellationToken,
    ) -> Result<Transaction, SqlError> {
        let origin = self.origin(permit)?;
        bounds.check()?;
        let limit = bounds.timeout.unwrap_or(limits::SQL_TRANSACTION_TIMEOUT_DEFAULT);
        let timeout = origin.source.statement_timeout.min(limit);
        let purpose = Purpose { writes: permit.writes() && !dry, is_transaction: true, timeout };
        let session = Session::open(origin, purpose).await?;
        Ok(Transaction::new(session, origin, limit, dry.then(|| permit.writes()), cancel))
    }

    /// Opens a stream of rows, which come in pages as they are asked for.
    pub async fn stream(
        &self,
        permit: &SqlPermit,
        statement: Statement,
        dry: bool,
        cancel: CancellationToken,
    ) -> Result<Stream, SqlError> {
        let origin = self.origin(permit)?;
        statement.check()?;
        let limit = statement.bounds.timeout.unwrap_or(limits::SQL_STREAM_TIMEOUT_DEFAULT);
        let purpose = Purpose { writes: permit.writes() && !dry, is_transaction: false, timeout: limit };
        let session = Session::open(origin, purpose).await?;
        Ok(Stream::new(session, statement, limit, cancel))
    }

    /// Whether every source answers; the sentence names those that do not.
    pub async fn ping(&self) -> Result<(), String> {
        let one = |origin: &Arc<Origin>| {
            let origin = origin.clone();
            async move {
                let timeout = limits::HEALTH_PROBE_TIMEOUT;
                let purpose = Purpose { writes: false, is_transaction: false, timeout };
                Session::open(&origin, purpose).await?.ping().await
            }
        };
        let answers = join_all(self.0.values().map(one)).await;
        let problems: Vec<String> =
            answers.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn origin(&self, permit: &SqlPermit) -> Result<&Arc<Origin>, SqlError> {
        self.0.get(permit.source()).ok_or_else(|| SqlError::UnknownSource {
            source_name: permit.source().to_owned(),
            known: self.0.keys().cloned().collect(),
        })
    }

    fn purpose(&self, origin: &Origin, permit: &SqlPermit, statement: &Statement, dry: bool) -> Purpose {
        let timeout = origin.timeout(&statement.bounds);
        Purpose { writes: permit.writes() && !dry, is_transaction: false, timeout }
    }
}
