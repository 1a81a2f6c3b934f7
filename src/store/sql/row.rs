//! A row of either database, read by column name.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::base::Timestamp;
use crate::store::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub fn maybe_int(&self, column: &str) -> Result<Option<i64>> {
        let value = match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        };
        value.map_err(|error| corrupt(column, &error))
    }

    pub fn maybe_text(&self, column: &str) -> Result<Option<String>> {
        let value = match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        };
        value.map_err(|error| corrupt(column, &error))
    }

    pub fn int(&self, column: &str) -> Result<i64> {
        self.maybe_int(column)?.ok_or_else(|| corrupt(column, &"it is NULL"))
    }

    pub fn text(&self, column: &str) -> Result<String> {
        self.maybe_text(column)?.ok_or_else(|| corrupt(column, &"it is NULL"))
    }

    /// An integer that fits the narrower type.
    pub fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T> {
        let value = self.int(column)?;
        T::try_from(value).map_err(|_| corrupt(column, &format_args!("{value} is out of range")))
    }

    pub fn flag(&self, column: &str) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }

    pub fn time(&self, column: &str) -> Result<Timestamp> {
        self.maybe_time(column)?.ok_or_else(|| corrupt(column, &"it is NULL"))
    }

    pub fn maybe_time(&self, column: &str) -> Result<Option<Timestamp>> {
        let micros = self.maybe_int(column)?;
        micros.map(Timestamp::from_microsecond).transpose().map_err(|error| corrupt(column, &error))
    }

    /// A text that parses as `T`: an id, a name, a hash.
    pub fn parsed<T: FromStr<Err: std::fmt::Display>>(&self, column: &str) -> Result<T> {
        self.text(column)?.parse().map_err(|error| corrupt(column, &error))
    }

    pub fn maybe_parsed<T: FromStr<Err: std::fmt::Display>>(&self, column: &str) -> Result<Option<T>> {
        self.maybe_text(column)?.map(|text| text.parse()).transpose().map_err(|error| corrupt(column, &error))
    }

    /// One of the words of an enum, by its `parse`.
    pub fn word<T>(&self, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
        let text = self.text(column)?;
        parse(&text).ok_or_else(|| corrupt(column, &format_args!("unknown word {text:?}")))
    }

    pub fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        serde_json::from_str(&self.text(column)?).map_err(|error| corrupt(column, &error))
    }

    pub fn maybe_json<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>> {
        let text = self.maybe_text(column)?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| corrupt(column, &error))
    }

    /// A JSON value for which NULL stands for `null`.
    pub fn value(&self, column: &str) -> Result<Value> {
        Ok(self.maybe_json(column)?.unwrap_or_default())
    }
}

fn corrupt(column: &str, problem: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt { reason: format!("column {column}: {problem}") }
}
