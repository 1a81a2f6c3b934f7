//! SQLite. A value has the type that it was stored with; the column's declaration says which integers are booleans.

use serde_json::{Map, Value};
use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteArguments, SqliteQueryResult, SqliteRow};
use sqlx::{
    Arguments, AssertSqlSafe, Decode, Either, Executor, Row, SqlSafeStr, Sqlite, SqliteConnection, Statement as _,
    TypeInfo, ValueRef,
};

use super::cell::Cell;
use super::driver::{Driver, Trouble};
use super::error::{Failure, SqlError};
use super::statement::Statement;

impl Driver for Sqlite {
    fn affected(done: &SqliteQueryResult) -> u64 {
        done.rows_affected()
    }

    fn cell(row: &SqliteRow, index: usize) -> Result<Cell, String> {
        let unreadable = |problem: sqlx::error::BoxDynError| format!("cannot be read: {problem}");
        let value = row.try_get_raw(index).map_err(|problem| format!("cannot be read: {problem}"))?;
        if value.is_null() {
            return Ok(Cell::Null);
        }
        let declared_boolean = row.column_is_boolean(index);
        let kind = value.type_info().name().to_owned();
        Ok(match kind.as_str() {
            "INTEGER" | "INT4" | "INT8" | "BOOLEAN" => {
                let number = <i64 as Decode<Sqlite>>::decode(value).map_err(unreadable)?;
                match number {
                    0 | 1 if declared_boolean => Cell::Bool(number == 1),
                    number => Cell::Integer(number),
                }
            }
            "REAL" => Cell::Number(<f64 as Decode<Sqlite>>::decode(value).map_err(unreadable)?),
            "BLOB" => Cell::Bytes(<Vec<u8> as Decode<Sqlite>>::decode(value).map_err(unreadable)?),
            _ => {
                let bytes = <Vec<u8> as Decode<Sqlite>>::decode(value).map_err(unreadable)?;
                String::from_utf8(bytes).map_or_else(|problem| Cell::Bytes(problem.into_bytes()), Cell::Text)
            }
        })
    }

    fn failure(error: &(dyn DatabaseError + 'static)) -> Failure {
        let code: i32 = error.code().and_then(|code| code.parse().ok()).unwrap_or(0);
        let kind = kind(code, error.message());
        Failure {
            kind,
            code: code.to_string(),
            message: error.message().to_owned(),
            hint: None,
            details: Value::Object(Map::new()),
            retryable: kind == "sql.conflict",
        }
    }

    async fn arguments(conn: &mut SqliteConnection, statement: &Statement) -> Result<SqliteArguments, Trouble> {
        let text = AssertSqlSafe(statement.text.as_str()).into_sql_str();
        let prepared = Executor::prepare(&mut *conn, text).await?;
        // SQLite would take what is left out for null, and leave out what is too much.
        let (wanted, given) = (prepared.parameters().and_then(Either::right).unwrap_or(0), statement.params.len());
        if wanted != given {
            return Err(SqlError::wrong_count(wanted, given).into());
        }
        let mut arguments = SqliteArguments::default();
        for cell in &statement.params {
            let added = match cell {
                Cell::Null => arguments.add(None::<i64>),
                Cell::Bool(value) => arguments.add(*value),
                Cell::Integer(number) => arguments.add(*number),
                Cell::Number(number) => arguments.add(*number),
                Cell::Text(text) => arguments.add(text.clone()),
                Cell::Bytes(bytes) => arguments.add(bytes.clone()),
                Cell::Json(value) => arguments.add(value.to_string()),
                Cell::List(_) => Err("SQLite has no arrays".into()),
            };
            added.map_err(|problem| SqlError::Params(problem.to_string()))?;
        }
        Ok(arguments)
    }
}

/// What a declaration says and a value does not.
trait Declared {
    fn column_is_boolean(&self, index: usize) -> bool;
}

impl Declared for SqliteRow {
    fn column_is_boolean(&self, index: usize) -> bool {
        use sqlx::Column;
        self.columns().get(index).is_some_and(|column| column.type_info().name() == "BOOLEAN")
    }
}

/// By result code; see <https://www.sqlite.org/rescode.html>.
fn kind(code: i32, message: &str) -> &'static str {
    match code & 0xff {
        8 => "sql.read_only",
        9 => "sql.timeout",
        5 | 6 => "sql.conflict",
        19 => "sql.constraint",
        20 => "sql.value",
        14 | 26 | 10 => "sql.unavailable",
        23 => "sql.denied",
        1 if message.starts_with("no such") => "sql.missing",
        1 => "sql.syntax",
        _ => "sql.failed",
    }
}
