//! One connection to either database.

use futures_util::StreamExt;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

use super::query::{Arg, Query, query};
use super::row::Row;
use crate::store::StoreError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// What `{skip_locked}` stands for. SQLite locks no rows.
    pub(super) fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// What `{rows}` stands for.
    pub(super) fn rows(self) -> &'static str {
        match self {
            Self::Sqlite => "jsonb_each($1)",
            Self::Postgres => "jsonb_array_elements($1::jsonb)",
        }
    }
}

#[derive(Debug)]
pub struct Conn {
    pub raw: Raw,
    /// Statements whose answer nobody waits for; they go along with the next one, in their order.
    later: Vec<Query>,
}

#[derive(Debug)]
pub enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Why a transaction was not committed.
#[derive(Debug)]
pub enum Uncommitted {
    /// A statement failed that came before the commit.
    Before(StoreError),
    /// The commit itself, or nobody knows.
    During(StoreError),
}

/// The same three lines for the two drivers, whose types have no common trait that could be named shortly.
macro_rules! prepared {
    ($query:expr, $dialect:expr) => {{
        // Every text is a constant of this folder or put together from constants; values only ever travel as arguments.
        let mut statement = sqlx::query(AssertSqlSafe($query.text_for($dialect)));
        for arg in $query.args {
            statement = match arg {
                Arg::Int(value) => statement.bind(value),
                Arg::Text(value) => statement.bind(value),
            };
        }
        statement
    }};
}
pub(super) use prepared;

impl Conn {
    pub fn sqlite(conn: SqliteConnection) -> Self {
        Self { raw: Raw::Sqlite(conn), later: Vec::new() }
    }

    pub fn postgres(conn: PgConnection) -> Self {
        Self { raw: Raw::Postgres(conn), later: Vec::new() }
    }

    pub fn dialect(&self) -> Dialect {
        match self.raw {
            Raw::Sqlite(_) => Dialect::Sqlite,
            Raw::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement and returns how many rows it changed.
    pub async fn execute(&mut self, query: Query) -> Result<u64, StoreError> {
        self.flush().await?;
        self.execute_now(query).await
    }

    async fn execute_now(&mut self, query: Query) -> Result<u64, StoreError> {
        Ok(match &mut self.raw {
            Raw::Sqlite(conn) => prepared!(query, Dialect::Sqlite).execute(conn).await?.rows_affected(),
            Raw::Postgres(conn) => prepared!(query, Dialect::Postgres).execute(conn).await?.rows_affected(),
        })
    }

    /// A statement that gives no rows and whose count does not matter. SQLite gets it with the next statement, for each
    /// call there is a way to another thread and back; PostgreSQL at once. An error of it comes from whatever is called
    /// next, which a transaction survives no more than its own.
    pub async fn later(&mut self, query: Query) -> Result<(), StoreError> {
        match self.dialect() {
            Dialect::Sqlite => self.later.push(query),
            Dialect::Postgres => drop(self.execute_now(query).await?),
        }
        Ok(())
    }

    /// Runs what was left for later.
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        if self.later.is_empty() {
            return Ok(());
        }
        let waiting = Query::chain(std::mem::take(&mut self.later));
        self.execute_now(waiting).await.map(drop)
    }

    pub async fn fetch(&mut self, query: Query) -> Result<Vec<Row>, StoreError> {
        let query = if self.later.is_empty() {
            query
        } else {
            self.later.push(query);
            Query::chain(std::mem::take(&mut self.later))
        };
        Ok(match &mut self.raw {
            Raw::Sqlite(conn) => {
                prepared!(query, Dialect::Sqlite).fetch_all(conn).await?.into_iter().map(Row::Sqlite).collect()
            }
            Raw::Postgres(conn) => {
                prepared!(query, Dialect::Postgres).fetch_all(conn).await?.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub async fn fetch_one(&mut self, query: Query) -> Result<Row, StoreError> {
        let first = self.fetch(query).await?.into_iter().next();
        first.ok_or_else(|| StoreError::Corrupt { reason: "a row that is always there is missing".into() })
    }

    /// Runs a statement that has no arguments and gives no rows, such as `SAVEPOINT x`, without preparing it.
    pub async fn run(&mut self, text: &'static str) -> Result<(), StoreError> {
        self.flush().await?;
        self.run_now(text).await
    }

    /// Commits, together with what was left for later.
    pub async fn commit(&mut self) -> Result<(), Uncommitted> {
        const COMMIT: &str = "COMMIT";
        let before = self.later.len();
        let Raw::Sqlite(conn) = &mut self.raw else {
            return self.run_now(COMMIT).await.map_err(Uncommitted::During);
        };
        self.later.push(query(COMMIT));
        let chain = Query::chain(std::mem::take(&mut self.later));
        let mut outcomes = conn.fetch_many(prepared!(chain, Dialect::Sqlite));
        let mut done = 0;
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Ok(either) => done += usize::from(either.is_left()),
                Err(error) if done < before => return Err(Uncommitted::Before(error.into())),
                Err(error) => return Err(Uncommitted::During(error.into())),
            }
        }
        Ok(())
    }

    /// Runs `ROLLBACK` or `ROLLBACK TO …`: what was left for later is of no interest any more.
    pub async fn roll_back(&mut self, text: &'static str) -> Result<(), StoreError> {
        self.later.clear();
        self.run_now(text).await
    }

    async fn run_now(&mut self, text: &'static str) -> Result<(), StoreError> {
        match &mut self.raw {
            Raw::Sqlite(conn) => sqlx::raw_sql(text).execute(conn).await.map(drop)?,
            Raw::Postgres(conn) => sqlx::raw_sql(text).execute(conn).await.map(drop)?,
        }
        Ok(())
    }

    pub async fn close(self) -> Result<(), StoreError> {
        match self.raw {
            Raw::Sqlite(conn) => conn.close().await?,
            Raw::Postgres(conn) => conn.close().await?,
        }
        Ok(())
    }
}
