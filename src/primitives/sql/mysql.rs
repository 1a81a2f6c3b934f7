//! MySQL and MariaDB.

use serde_json::{Map, Value};
use sqlx::error::DatabaseError;
use sqlx::mysql::types::MySqlTime;
use sqlx::mysql::{MySqlArguments, MySqlDatabaseError, MySqlQueryResult, MySqlRow, MySqlValueRef};
use sqlx::types::time::{Date, OffsetDateTime, PrimitiveDateTime};
use sqlx::{
    Arguments, AssertSqlSafe, Decode, Either, Executor, MySql, MySqlConnection, Row, SqlSafeStr, Statement as _,
    TypeInfo, ValueRef,
};

use super::cell::Cell;
use super::driver::{Driver, Trouble};
use super::error::{Failure, SqlError};
use super::statement::Statement;
use crate::base::Timestamp;

impl Driver for MySql {
    fn affected(done: &MySqlQueryResult) -> u64 {
        done.rows_affected()
    }

    fn cell(row: &MySqlRow, index: usize) -> Result<Cell, String> {
        let value = row.try_get_raw(index).map_err(|problem| format!("cannot be read: {problem}"))?;
        if value.is_null() {
            return Ok(Cell::Null);
        }
        let kind = value.type_info().name().to_owned();
        decoded(&kind, value).map_err(|problem| {
            format!("holds a {kind} that scripts have no form for ({problem}): select it as text, with CAST(… AS CHAR)")
        })
    }

    fn failure(error: &(dyn DatabaseError + 'static)) -> Failure {
        let number = error.try_downcast_ref::<MySqlDatabaseError>().map_or(0, MySqlDatabaseError::number);
        let kind = kind(number, &error.code().unwrap_or_default());
        Failure {
            kind,
            code: number.to_string(),
            message: error.message().to_owned(),
            hint: (number == 1292).then(|| "write times without a zone, such as \"2027-01-31 13:45:00\"".to_owned()),
            details: Value::Object(Map::new()),
            retryable: matches!(kind, "sql.conflict" | "sql.unavailable"),
        }
    }

    async fn arguments(conn: &mut MySqlConnection, statement: &Statement) -> Result<MySqlArguments, Trouble> {
        let text = AssertSqlSafe(statement.text.as_str()).into_sql_str();
        let prepared = Executor::prepare(&mut *conn, text).await?;
        let (wanted, given) = (prepared.parameters().and_then(Either::right).unwrap_or(0), statement.params.len());
        if wanted != given {
            return Err(SqlError::wrong_count(wanted, given).into());
        }
        let mut arguments = MySqlArguments::default();
        for cell in &statement.params {
            let added = match cell {
                Cell::Null => arguments.add(None::<i64>),
                Cell::Bool(value) => arguments.add(*value),
                Cell::Integer(number) => arguments.add(*number),
                Cell::Number(number) => arguments.add(*number),
                Cell::Text(text) => arguments.add(text.clone()),
                Cell::Bytes(bytes) => arguments.add(bytes.clone()),
                Cell::Json(value) => arguments.add(value.to_string()),
                Cell::List(_) => Err("MySQL has no arrays".into()),
            };
            added.map_err(|problem| SqlError::Params(problem.to_string()))?;
        }
        Ok(arguments)
    }
}

/// The statement with times as these servers read them, when they refused one with a zone: they do not say which types
/// parameters have, so that nothing is changed which may be meant as text.
pub fn repaired(error: &SqlError, statement: &Statement) -> Option<Statement> {
    let SqlError::Database { failure, .. } = error else { return None };
    let value = failure.message.split('\'').nth(1).filter(|_| failure.code == INCORRECT_VALUE)?;
    let at = value.parse::<Timestamp>().ok()?;
    let plain = at.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string();
    let mut repaired = statement.clone();
    let refused = repaired.params.iter_mut().filter(|cell| matches!(cell, Cell::Text(text) if text == value));
    let count = refused.map(|cell| *cell = Cell::Text(plain.clone())).count();
    (count > 0).then_some(repaired)
}

/// `ER_TRUNCATED_WRONG_VALUE`
const INCORRECT_VALUE: &str = "1292";

type Undecodable = sqlx::error::BoxDynError;

fn get<'r, T: Decode<'r, MySql>>(value: MySqlValueRef<'r>) -> Result<T, Undecodable> {
    T::decode(value)
}

fn decoded(kind: &str, value: MySqlValueRef<'_>) -> Result<Cell, Undecodable> {
    Ok(match kind {
        "BOOLEAN" => Cell::Bool(get::<i64>(value)? != 0),
        "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => Cell::Integer(get(value)?),
        "YEAR" | "BIT" => unsigned(get(value)?),
        kind if kind.ends_with(" UNSIGNED") => unsigned(get(value)?),
        // The shortest text that means the number: as a double it would grow digits.
        "FLOAT" => Cell::Number(get::<f32>(value)?.to_string().parse()?),
        "DOUBLE" => Cell::Number(get(value)?),
        "JSON" => Cell::Json(serde_json::from_str(get(value)?)?),
        "DATE" => Cell::Text(date(get(value)?)),
        "TIME" => Cell::Text(get::<MySqlTime>(value)?.to_string()),
        "DATETIME" => Cell::Text(moment(get(value)?)),
        "TIMESTAMP" => {
            let moment_at = get::<OffsetDateTime>(value)?;
            Cell::Text(format!("{}Z", moment(PrimitiveDateTime::new(moment_at.date(), moment_at.time()))))
        }
        "BINARY" | "VARBINARY" | "TINYBLOB" | "BLOB" | "MEDIUMBLOB" | "LONGBLOB" | "GEOMETRY" => {
            Cell::Bytes(get(value)?)
        }
        _ => {
            let bytes: Vec<u8> = get(value)?;
            String::from_utf8(bytes).map_or_else(|problem| Cell::Bytes(problem.into_bytes()), Cell::Text)
        }
    })
}

fn unsigned(number: u64) -> Cell {
    i64::try_from(number).map_or_else(|_| Cell::Text(number.to_string()), Cell::Integer)
}

fn date(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

fn moment(moment: PrimitiveDateTime) -> String {
    let (hour, minute, second, micros) = moment.time().as_hms_micro();
    let text = format!("{}T{hour:02}:{minute:02}:{second:02}", date(moment.date()));
    if micros == 0 { text } else { format!("{text}.{micros:06}").trim_end_matches('0').to_owned() }
}

/// By the server's error numbers, which MySQL and MariaDB share below 1900, and by SQLSTATE.
fn kind(number: u16, state: &str) -> &'static str {
    match number {
        1792 | 1290 | 1836 => "sql.read_only",
        1969 | 3024 | 1317 => "sql.timeout",
        1205 | 1213 => "sql.conflict",
        1044 | 1045 | 1142 | 1143 | 1227 | 1370 | 1698 => "sql.denied",
        1049 | 1054 | 1146 | 1305 => "sql.missing",
        1040 | 1053 | 1203 => "sql.unavailable",
        1064 | 1149 => "sql.syntax",
        1048 | 3819 | 4025 => "sql.constraint",
        _ => match state.get(..2) {
            Some("22") => "sql.value",
            Some("23") => "sql.constraint",
            Some("42") => "sql.syntax",
            Some("08") => "sql.unavailable",
            _ => "sql.failed",
        },
    }
}
