//! One connection to either database.

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use super::query::{Arg, Query};
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
pub enum Conn {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
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
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement and returns how many rows it changed.
    pub async fn execute(&mut self, query: Query) -> Result<u64, StoreError> {
        Ok(match self {
            Self::Sqlite(conn) => prepared!(query, Dialect::Sqlite).execute(conn).await?.rows_affected(),
            Self::Postgres(conn) => prepared!(query, Dialect::Postgres).execute(conn).await?.rows_affected(),
        })
    }

    pub async fn fetch(&mut self, query: Query) -> Result<Vec<Row>, StoreError> {
        Ok(match self {
            Self::Sqlite(conn) => {
                prepared!(query, Dialect::Sqlite).fetch_all(conn).await?.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(conn) => {
                prepared!(query, Dialect::Postgres).fetch_all(conn).await?.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub async fn fetch_one(&mut self, query: Query) -> Result<Row, StoreError> {
        let first = self.fetch(query).await?.into_iter().next();
        first.ok_or_else(|| StoreError::Corrupt { reason: "a row that is always there is missing".into() })
    }

    /// Runs a statement that has no arguments and gives no rows, such as `COMMIT`, without preparing it.
    pub async fn run(&mut self, text: &'static str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(conn) => sqlx::raw_sql(text).execute(conn).await.map(drop)?,
            Self::Postgres(conn) => sqlx::raw_sql(text).execute(conn).await.map(drop)?,
        }
        Ok(())
    }

    pub async fn close(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(conn) => conn.close().await?,
            Self::Postgres(conn) => conn.close().await?,
        }
        Ok(())
    }
}
