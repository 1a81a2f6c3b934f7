//! What the three databases have in common, behind one trait.

use futures_util::TryStreamExt;
use sqlx::database::HasStatementCache;
use sqlx::{AssertSqlSafe, Column, Database, Either, Executor, IntoArguments, Row, SqlSafeStr};

use super::cell::Cell;
use super::error::{Failure, SqlError};
use super::sink::{Go, Sink};
use super::statement::Statement;

/// One kind of database.
pub trait Driver: Database + HasStatementCache {
    fn affected(done: &Self::QueryResult) -> u64;
    /// The cell at `index`; the problem is the end of a sentence about the column.
    fn cell(row: &Self::Row, index: usize) -> Result<Cell, String>;
    /// What the database said of a statement.
    fn failure(error: &(dyn sqlx::error::DatabaseError + 'static)) -> Failure;
    /// The values of a statement as this database wants them.
    fn arguments(
        conn: &mut Self::Connection,
        statement: &Statement,
    ) -> impl Future<Output = Result<Self::Arguments, Trouble>> + Send;
}

/// What goes wrong while a statement is carried out, before it is known on which source.
#[derive(Debug)]
pub enum Trouble {
    Driver(sqlx::Error),
    Sql(SqlError),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<SqlError> for Trouble {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

impl Trouble {
    pub fn at<D: Driver>(self, source: &str) -> SqlError {
        let source_name = source.to_owned();
        match self {
            Self::Sql(error) => error,
            Self::Driver(sqlx::Error::Database(error)) => {
                let failure = D::failure(&*error);
                match failure.kind {
                    "sql.unavailable" => SqlError::Unavailable { source_name, problem: failure.message },
                    "sql.read_only" => SqlError::ReadOnly { source_name, problem: failure.message },
                    _ => SqlError::Database { source_name, failure },
                }
            }
            Self::Driver(sqlx::Error::Encode(error)) => SqlError::Params(error.to_string()),
            Self::Driver(sqlx::Error::Configuration(error)) => {
                SqlError::Setup { source_name, problem: error.to_string() }
            }
            Self::Driver(error) => SqlError::Unavailable { source_name, problem: error.to_string() },
        }
    }
}

/// Carries a statement out, its rows into `sink`; the number of rows that it changed. `Go::Stop` when rows were left.
pub async fn pump<D: Driver>(
    conn: &mut D::Connection,
    statement: &Statement,
    sink: &mut Sink,
    source: &str,
) -> Result<(u64, Go), Trouble>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
{
    let arguments = D::arguments(conn, statement).await?;
    let text = AssertSqlSafe(statement.text.as_str()).into_sql_str();
    let query = sqlx::query_with(text, arguments).persistent(true);
    let mut results = Executor::fetch_many(conn, query);
    let mut affected = 0;
    while let Some(item) = results.try_next().await? {
        match item {
            Either::Left(done) => affected += D::affected(&done),
            Either::Right(row) if sink.wants_rows() => {
                if !sink.has_columns() {
                    sink.set_columns(row.columns().iter().map(|column| column.name().to_owned()).collect())?;
                }
                let mut cells = Vec::with_capacity(row.len());
                for (index, column) in row.columns().iter().enumerate() {
                    let named = |problem| SqlError::Column { column: column.name().to_owned(), problem };
                    cells.push(D::cell(&row, index).map_err(named)?);
                }
                if sink.push(cells, source).await? == Go::Stop {
                    return Ok((affected, Go::Stop));
                }
            }
            Either::Right(_) => {}
        }
    }
    Ok((affected, sink.flush().await?))
}

/// Has the database look at a statement without carrying it out.
pub async fn prepare<D: Driver>(conn: &mut D::Connection, statement: &Statement) -> Result<(), Trouble>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
{
    let text = AssertSqlSafe(statement.text.as_str()).into_sql_str();
    Executor::prepare(&mut *conn, text).await?;
    D::arguments(conn, statement).await?;
    Ok(())
}
