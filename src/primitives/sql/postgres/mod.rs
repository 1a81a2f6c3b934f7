//! PostgreSQL. Values travel in its binary format, by the types that it says a statement's parameters have.

mod arrays;
mod decode;
mod encode;
mod moments;
mod numeric;

use serde_json::{Map, Value};
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgArguments, PgDatabaseError, PgQueryResult, PgRow, PgTypeInfo};
use sqlx::{Arguments, AssertSqlSafe, Either, Executor, PgConnection, Postgres, Row, SqlSafeStr, Statement as _};

use super::cell::Cell;
use super::driver::{Driver, Trouble};
use super::error::{Failure, SqlError};
use super::statement::Statement;

/// Puts a session back to what it was, for the next call that gets it.
pub const RESET: &str = "RESET SESSION AUTHORIZATION; RESET ALL; CLOSE ALL; UNLISTEN *; \
                         SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";
pub const ROLLBACK_AND_RESET: &str = "ROLLBACK; RESET SESSION AUTHORIZATION; RESET ALL; CLOSE ALL; UNLISTEN *; \
                                      SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

impl Driver for Postgres {
    fn affected(done: &PgQueryResult) -> u64 {
        done.rows_affected()
    }

    fn cell(row: &PgRow, index: usize) -> Result<Cell, String> {
        let value = row.try_get_raw(index).map_err(|problem| format!("cannot be read: {problem}"))?;
        decode::cell(&value)
    }

    fn failure(error: &(dyn DatabaseError + 'static)) -> Failure {
        let Some(error) = error.try_downcast_ref::<PgDatabaseError>() else { return unknown(error.message()) };
        let mut details = Map::new();
        let mut add = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                details.insert(key.to_owned(), Value::from(value));
            }
        };
        add("table", error.table());
        add("column", error.column());
        add("constraint", error.constraint());
        add("detail", error.detail());
        let code = error.code();
        let kind = kind(code);
        Failure {
            kind,
            code: code.to_owned(),
            message: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
            details: Value::Object(details),
            retryable: matches!(kind, "sql.conflict" | "sql.unavailable"),
        }
    }

    async fn arguments(conn: &mut PgConnection, statement: &Statement) -> Result<PgArguments, Trouble> {
        let text = AssertSqlSafe(statement.text.as_str()).into_sql_str();
        let prepared = Executor::prepare(&mut *conn, text).await?;
        let types: &[PgTypeInfo] = match prepared.parameters() {
            Some(Either::Left(types)) => types,
            _ => &[],
        };
        let given = statement.params.len();
        if types.len() != given {
            return Err(SqlError::wrong_count(types.len(), given).into());
        }
        let mut arguments = PgArguments::default();
        for (index, (info, cell)) in types.iter().zip(&statement.params).enumerate() {
            let number = index + 1;
            let value = encode::Parameter::new(info, cell).map_err(|problem| {
                let kind = cell.kind();
                SqlError::Params(format!("parameter ${number} is {kind}: {problem}"))
            })?;
            arguments.add(value).map_err(|problem| SqlError::Params(format!("parameter ${number}: {problem}")))?;
        }
        Ok(arguments)
    }
}

fn unknown(message: &str) -> Failure {
    Failure {
        kind: "sql.failed",
        code: String::new(),
        message: message.to_owned(),
        hint: None,
        details: Value::Object(Map::new()),
        retryable: false,
    }
}

/// By SQLSTATE; see appendix A of PostgreSQL's manual.
fn kind(code: &str) -> &'static str {
    match code {
        "25006" => "sql.read_only",
        "57014" => "sql.timeout",
        "42501" => "sql.denied",
        "42P01" | "42703" | "42883" | "42704" | "3F000" | "3D000" => "sql.missing",
        "40001" | "40P01" | "55P03" => "sql.conflict",
        "53300" => "sql.unavailable",
        _ => match code.get(..2) {
            Some("22") => "sql.value",
            Some("23") => "sql.constraint",
            Some("28") => "sql.denied",
            Some("42") => "sql.syntax",
            Some("08" | "57") => "sql.unavailable",
            _ => "sql.failed",
        },
    }
}
