//! The connections of one source, made when they are first needed.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection, Database, MySqlPool, PgPool, Pool as Connections, SqlitePool};

use super::config::Source;
use super::driver::{Driver, Trouble};
use super::error::SqlError;
use super::session::Link;
use super::text::Dialect;
use crate::base::{ExposeSecret, limits};
use crate::primitives::notify::Secrets;

/// A connection that was idle for longer is tried before it is used.
const IDLE_UNTRIED: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub enum Pool {
    Postgres(PgPool),
    /// A file opened for reading cannot be written through, whatever a statement says.
    Sqlite {
        reading: SqlitePool,
        writing: SqlitePool,
    },
    MySql(MySqlPool),
}

impl Pool {
    /// Connects to nothing yet.
    pub fn new(name: &str, source: &Source, secrets: &dyn Secrets) -> Result<Self, SqlError> {
        let setup = |problem: String| SqlError::Setup { source_name: name.to_owned(), problem };
        let (dialect, url) = source.url.resolve(secrets).map_err(setup)?;
        let url = url.expose_secret();
        // A driver may repeat a part of the address that it does not understand, which may be the password.
        let unread = |_: sqlx::Error| setup("its url cannot be read".to_owned());
        Ok(match dialect {
            Dialect::Postgres => {
                let options = PgConnectOptions::from_str(url).map_err(unread)?;
                let options = options.application_name("aegis").statement_cache_capacity(limits::SQL_STATEMENTS_KEPT);
                Self::Postgres(
                    shared(PgPoolOptions::new(), source).connect_lazy_with(options.disable_statement_logging()),
                )
            }
            Dialect::MySql => {
                let options = MySqlConnectOptions::from_str(url).map_err(unread)?;
                Self::MySql(
                    shared(MySqlPoolOptions::new(), source).connect_lazy_with(options.disable_statement_logging()),
                )
            }
            Dialect::Sqlite => {
                let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
                if path.is_empty() || path.contains(['?', ':']) {
                    return Err(setup("write sqlite://path/to/file.db, without options".to_owned()));
                }
                let options = SqliteConnectOptions::new().filename(Path::new(path)).create_if_missing(false);
                let options = options.busy_timeout(source.acquire_timeout);
                let options = options.statement_cache_capacity(limits::SQL_STATEMENTS_KEPT).disable_statement_logging();
                let pool = |options| shared(SqlitePoolOptions::new(), source).connect_lazy_with(options);
                Self::Sqlite { reading: pool(options.clone().read_only(true)), writing: pool(options) }
            }
        })
    }

    /// A single connection that is never given back. Connects to nothing yet.
    pub fn for_listening(name: &str, source: &Source, secrets: &dyn Secrets) -> Result<PgPool, SqlError> {
        let setup = |problem: String| SqlError::Setup { source_name: name.to_owned(), problem };
        let (dialect, url) = source.url.resolve(secrets).map_err(setup)?;
        if dialect != Dialect::Postgres {
            return Err(setup("only PostgreSQL tells what it was notified of".to_owned()));
        }
        let options = PgConnectOptions::from_str(url.expose_secret())
            .map_err(|_| setup("its url cannot be read".to_owned()))?
            .application_name("aegis")
            .disable_statement_logging();
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(source.acquire_timeout);
        Ok(pool.max_lifetime(None).idle_timeout(None).connect_lazy_with(options))
    }

    pub async fn acquire(&self, name: &str, source: &Source, writes: bool) -> Result<Link, SqlError> {
        Ok(match self {
            Self::Postgres(pool) => Link::Postgres(acquire(pool, name, source).await?),
            Self::MySql(pool) => Link::MySql(acquire(pool, name, source).await?),
            Self::Sqlite { reading, writing } => {
                Link::Sqlite(acquire(if writes { writing } else { reading }, name, source).await?)
            }
        })
    }
}

fn shared<D: Database>(options: PoolOptions<D>, source: &Source) -> PoolOptions<D> {
    options
        .max_connections(source.max_connections)
        .acquire_timeout(source.acquire_timeout)
        .idle_timeout(limits::SQL_IDLE_CONNECTION_MAX)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > IDLE_UNTRIED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}

async fn acquire<D: Driver>(
    pool: &Connections<D>,
    name: &str,
    source: &Source,
) -> Result<sqlx::pool::PoolConnection<D>, SqlError> {
    pool.acquire().await.map_err(|problem| match problem {
        sqlx::Error::PoolTimedOut if pool.size() >= source.max_connections => {
            SqlError::Busy { source_name: name.to_owned(), waited: source.acquire_timeout }
        }
        sqlx::Error::PoolTimedOut => {
            let problem = format!("no connection was made within {:?}", source.acquire_timeout);
            SqlError::Unavailable { source_name: name.to_owned(), problem }
        }
        problem => Trouble::from(problem).at::<D>(name),
    })
}
