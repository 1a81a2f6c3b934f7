//! A connection while one call or one transaction has it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Connection, MySql, Postgres, Row, Sqlite};
use tokio_util::sync::CancellationToken;

use super::driver::{Trouble, prepare, pump};
use super::error::SqlError;
use super::service::Origin;
use super::sink::{Go, Sink};
use super::statement::Statement;
use super::text::{self, Dialect};
use super::{mysql, postgres};
use crate::base::limits;

/// SQLite looks up from its work after so many steps of its virtual machine.
const SQLITE_STEPS: i32 = 10_000;

pub enum Link {
    Postgres(PoolConnection<Postgres>),
    Sqlite(PoolConnection<Sqlite>),
    MySql(PoolConnection<MySql>),
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose {
    pub writes: bool,
    /// Several statements that take effect together.
    pub is_transaction: bool,
    /// Of one statement, for the server.
    pub timeout: Duration,
}

/// Goes back to its pool by [`Session::finish`] alone. Dropped before, it is closed: the server undoes what was open.
pub struct Session {
    link: Option<Link>,
    origin: Arc<Origin>,
    purpose: Purpose,
    /// Identifies the read-only transaction that must still be the current one.
    mark: Option<String>,
    /// The connection is not fit for another call.
    is_worn: bool,
    /// A statement failed, after which PostgreSQL takes back all of them.
    has_failed: bool,
    stop: CancellationToken,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

/// One expression for all three databases: `$conn` is the connection, `$db` its kind.
macro_rules! on_link {
    ($session:expr, $conn:ident, $db:ident => $body:expr) => {
        match $session.link.as_mut() {
            Some(Link::Postgres($conn)) => {
                type $db = Postgres;
                $body
            }
            Some(Link::Sqlite($conn)) => {
                type $db = Sqlite;
                $body
            }
            Some(Link::MySql($conn)) => {
                type $db = MySql;
                $body
            }
            None => Err(SqlError::Over("the session is closed".to_owned())),
        }
    };
}

impl Session {
    pub async fn open(origin: &Arc<Origin>, purpose: Purpose) -> Result<Self, SqlError> {
        let link = origin.pool().await?.acquire(&origin.name, &origin.source, purpose.writes).await?;
        let mut session = Self {
            link: Some(link),
            origin: origin.clone(),
            purpose,
            mark: None,
            is_worn: false,
            has_failed: false,
            stop: CancellationToken::new(),
        };
        let clock = origin.clock.clone();
        tokio::select! {
            begun = session.begin() => begun?,
            () = clock.sleep(purpose.timeout + limits::SQL_TIMEOUT_GRACE) => {
                return Err(SqlError::Timeout { source_name: origin.name.clone(), limit: purpose.timeout });
            }
        }
        Ok(session)
    }

    /// From here on the database keeps whoever may only read from writing.
    async fn begin(&mut self) -> Result<(), SqlError> {
        let Purpose { writes, is_transaction, timeout } = self.purpose;
        let name = self.origin.name.clone();
        let millis = timeout.as_millis();
        match self.link.as_mut() {
            Some(Link::Postgres(conn)) if writes => {
                let text = match is_transaction {
                    true => format!("BEGIN; SET LOCAL statement_timeout = {millis}"),
                    false => format!("SET statement_timeout = {millis}"),
                };
                sqlx::raw_sql(AssertSqlSafe(text))
                    .execute(&mut **conn)
                    .await
                    .map_err(|e| Trouble::from(e).at::<Postgres>(&name))?;
            }
            Some(Link::Postgres(conn)) => {
                // A query has been carried out: after that PostgreSQL lets nobody make the transaction a writing one.
                let text = format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {millis}; {MARK}");
                let row = sqlx::raw_sql(AssertSqlSafe(text)).fetch_one(&mut **conn).await;
                let row = row.map_err(|e| Trouble::from(e).at::<Postgres>(&name))?;
                self.mark = row.try_get(0).ok();
            }
            Some(Link::MySql(conn)) => {
                let begin = match (writes, is_transaction) {
                    (false, _) => "; START TRANSACTION READ ONLY",
                    (true, true) => "; START TRANSACTION",
                    (true, false) => "",
                };
                let limit = match self.origin.mysql_limit(conn).await? {
                    true => format!("max_statement_time = {}", timeout.as_secs_f64()),
                    false => format!("max_execution_time = {millis}"),
                };
                // Texts are looked at as they are written without that mode.
                let mode = "sql_mode = REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')";
                let text = format!("SET SESSION {limit}, {mode}{begin}");
                sqlx::raw_sql(AssertSqlSafe(text))
                    .execute(&mut **conn)
                    .await
                    .map_err(|e| Trouble::from(e).at::<MySql>(&name))?;
            }
            Some(Link::Sqlite(conn)) => {
                let at = |problem| Trouble::from(problem).at::<Sqlite>(&name);
                let stop = self.stop.clone();
                let mut handle = conn.lock_handle().await.map_err(at)?;
                handle.set_progress_handler(SQLITE_STEPS, move || !stop.is_cancelled());
                drop(handle);
                if is_transaction {
                    let begin = if writes { "BEGIN IMMEDIATE" } else { "BEGIN" };
                    sqlx::raw_sql(begin).execute(&mut **conn).await.map_err(at)?;
                }
            }
            None => {}
        }
        Ok(())
    }

    pub fn writes(&self) -> bool {
        self.purpose.writes
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(match self.link.as_ref()? {
            Link::Postgres(_) => Dialect::Postgres,
            Link::Sqlite(_) => Dialect::Sqlite,
            Link::MySql(_) => Dialect::MySql,
        })
    }

    /// Looks at the text before the database does.
    fn admit(&mut self, statement: &Statement) -> Result<(), SqlError> {
        let Some(dialect) = self.dialect() else { return Err(SqlError::Over("the session is closed".to_owned())) };
        statement.check()?;
        let shape = text::inspect(dialect, &statement.text)?;
        if !self.purpose.writes && !shape.reads() {
            let problem = format!("{} does not only read", shape.verb);
            return Err(SqlError::ReadOnly { source_name: self.origin.name.clone(), problem });
        }
        self.is_worn |= shape.lingers;
        Ok(())
    }

    /// Carries out one statement within `limit` and the grace that the server's own timeout is given.
    pub async fn run(&mut self, statement: &Statement, sink: &mut Sink, limit: Duration) -> Result<u64, SqlError> {
        self.admit(statement)?;
        self.still_reading().await?;
        let (clock, name, stop) = (self.origin.clock.clone(), self.origin.name.clone(), self.stop.clone());
        let work = async {
            let mut statement = Cow::Borrowed(statement);
            loop {
                let outcome = on_link!(self, conn, Db => {
                    let done = pump::<Db>(&mut **conn, &statement, sink, &name).await;
                    done.map_err(|trouble| trouble.at::<Db>(&name))
                });
                let repaired = outcome.as_ref().err().and_then(|error| mysql::repaired(error, &statement));
                match repaired {
                    Some(repaired) => statement = Cow::Owned(repaired),
                    None => break outcome,
                }
            }
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = clock.sleep(limit + limits::SQL_TIMEOUT_GRACE) => {
                stop.cancel();
                Err(SqlError::Timeout { source_name: name.clone(), limit })
            }
        };
        match outcome {
            Ok((affected, Go::On)) => Ok(affected),
            Ok((affected, Go::Stop)) => {
                self.close();
                Ok(affected)
            }
            Err(error) => Err(self.failed(error, limit)),
        }
    }

    /// Has the database check a statement without carrying it out.
    pub async fn prepare(&mut self, statement: &Statement) -> Result<(), SqlError> {
        let name = self.origin.name.clone();
        text::inspect(self.dialect().unwrap_or(Dialect::Postgres), &statement.text)?;
        statement.check()?;
        let done = on_link!(self, conn, Db => {
            prepare::<Db>(&mut **conn, statement).await.map_err(|trouble| trouble.at::<Db>(&name))
        });
        let limit = self.purpose.timeout;
        done.map_err(|error| self.failed(error, limit))
    }

    fn failed(&mut self, error: SqlError, limit: Duration) -> SqlError {
        self.has_failed = true;
        if !error.spares_session() {
            self.close();
        }
        match error {
            SqlError::Database { source_name, failure } if failure.kind == "sql.timeout" => {
                SqlError::Timeout { source_name, limit }
            }
            other => other,
        }
    }

    /// Whether a transaction that only reads is the one that was begun, before each statement that follows the first.
    async fn still_reading(&mut self) -> Result<(), SqlError> {
        let (Some(mark), true) = (&self.mark, self.purpose.is_transaction) else { return Ok(()) };
        let Some(Link::Postgres(conn)) = self.link.as_mut() else { return Ok(()) };
        let row = sqlx::raw_sql(MARK).fetch_one(&mut **conn).await;
        let found = row.and_then(|row| row.try_get::<String, _>(0));
        let name = &self.origin.name;
        match found {
            Ok(found) if found == *mark => Ok(()),
            Ok(_) => {
                self.close();
                Err(SqlError::Over("the transaction that only reads was left".to_owned()))
            }
            Err(error) => Err(Trouble::from(error).at::<Postgres>(name)),
        }
    }

    /// Ends what was begun, and gives the connection back if it is fit.
    pub async fn finish(mut self, commit: bool) -> Result<(), SqlError> {
        let name = self.origin.name.clone();
        let keeps = commit && self.purpose.writes && self.purpose.is_transaction;
        if keeps && self.has_failed && self.dialect() == Some(Dialect::Postgres) {
            let problem = "the transaction was rolled back, because a statement in it failed; let the error go up";
            self.clean().await;
            return Err(SqlError::Over(problem.to_owned()));
        }
        let committed = if keeps {
            on_link!(self, conn, Db => {
                let done = sqlx::raw_sql("COMMIT").execute(&mut **conn).await;
                done.map(drop).map_err(|error| Trouble::from(error).at::<Db>(&name))
            })
        } else {
            Ok(())
        };
        self.purpose.is_transaction &= !(keeps && committed.is_ok());
        self.is_worn |= committed.is_err();
        self.clean().await;
        committed
    }

    /// Leaves nothing of this call to the next one, or ends the connection.
    async fn clean(&mut self) {
        let clock = self.origin.clock.clone();
        let is_clean = tokio::select! {
            is_clean = self.reset() => is_clean,
            () = clock.sleep(limits::SQL_RESET_WAIT) => false,
        };
        if !is_clean || self.is_worn {
            self.close();
        }
        // Without a link there is nothing left to close: the connection goes back to its pool.
        self.link = None;
    }

    async fn reset(&mut self) -> bool {
        let is_open = self.purpose.is_transaction || !self.purpose.writes;
        let done = match self.link.as_mut() {
            Some(Link::Postgres(conn)) => {
                let text = if is_open { postgres::ROLLBACK_AND_RESET } else { postgres::RESET };
                sqlx::raw_sql(text).execute(&mut **conn).await.map(drop)
            }
            Some(Link::MySql(conn)) if is_open => sqlx::raw_sql("ROLLBACK").execute(&mut **conn).await.map(drop),
            Some(Link::Sqlite(conn)) => {
                // After COMMIT there is nothing to roll back, which SQLite calls an error.
                if self.purpose.is_transaction {
                    let _ = sqlx::raw_sql("ROLLBACK").execute(&mut **conn).await;
                }
                conn.lock_handle().await.map(|mut handle| handle.remove_progress_handler())
            }
            _ => Ok(()),
        };
        done.is_ok()
    }

    /// The connection ends with this session.
    fn close(&mut self) {
        self.stop.cancel();
        match self.link.take() {
            Some(Link::Postgres(mut conn)) => conn.close_on_drop(),
            Some(Link::Sqlite(mut conn)) => conn.close_on_drop(),
            Some(Link::MySql(mut conn)) => conn.close_on_drop(),
            None => {}
        }
    }

    pub async fn ping(mut self) -> Result<(), SqlError> {
        let name = self.origin.name.clone();
        let answered = on_link!(self, conn, Db => {
            conn.ping().await.map_err(|error| Trouble::from(error).at::<Db>(&name))
        });
        match answered {
            Ok(()) => self.finish(false).await,
            Err(error) => Err(error),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
}

const MARK: &str = "SELECT current_setting('transaction_read_only') || ' ' || transaction_timestamp()::text";
