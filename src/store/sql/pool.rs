//! The connections that only read.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgPool, SqlitePool};

use super::conn::{Dialect, prepared};
use super::query::{Arg, Query};
use super::row::Row;
use crate::store::StoreError;

#[derive(Debug, Clone)]
pub enum Readers {
    Sqlite(SqlitePool),
    Postgres {
        pool: PgPool,
        /// A server that has not answered within this is taken for gone.
        answer_wait: Duration,
    },
}

impl Readers {
    /// Reads once more on a fresh connection when the first one turns out to be broken.
    pub async fn fetch(&self, query: Query) -> Result<Vec<Row>, StoreError> {
        match self.fetch_once(query.clone()).await {
            Err(StoreError::Unavailable { reason }) => {
                tracing::debug!(%reason, "a read is repeated");
                self.fetch_once(query).await
            }
            other => other,
        }
    }

    pub async fn fetch_first(&self, query: Query) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch(query).await?.into_iter().next())
    }

    #[cfg(test)]
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }

    async fn fetch_once(&self, query: Query) -> Result<Vec<Row>, StoreError> {
        Ok(match self {
            Self::Sqlite(pool) => {
                prepared!(query, Dialect::Sqlite).fetch_all(pool).await?.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres { pool, answer_wait } => {
                let mut conn = pool.acquire().await?;
                let reading = prepared!(query, Dialect::Postgres).fetch_all(&mut *conn);
                let Ok(rows) = tokio::time::timeout(*answer_wait, reading).await else {
                    // Its place in the pool is free at once, instead of when the system gives the connection up.
                    drop(conn.detach());
                    return Err(StoreError::Unavailable { reason: format!("no answer within {answer_wait:?}") });
                };
                rows?.into_iter().map(Row::Postgres).collect()
            }
        })
    }
}
