//! A statement with its arguments.

use std::borrow::Cow;

use serde::Serialize;

use super::Dialect;
use crate::base::{JobName, RunId, Timestamp, VersionHash};
use crate::store::StoreError;

/// One argument: the two types that the schema is made of.
#[derive(Debug, Clone)]
pub enum Arg {
    Int(Option<i64>),
    Text(Option<String>),
}

/// A statement that can run on either database.
#[derive(Debug, Clone)]
pub struct Query {
    text: Cow<'static, str>,
    pub(super) args: Vec<Arg>,
}

pub fn query(text: impl Into<Cow<'static, str>>) -> Query {
    Query { text: text.into(), args: Vec::new() }
}

impl Query {
    #[must_use]
    pub fn bind(mut self, value: impl Into<Arg>) -> Self {
        self.args.push(value.into());
        self
    }

    /// Several statements as one text, their arguments numbered through. For SQLite, which takes such a text apart.
    pub(super) fn chain(queries: Vec<Self>) -> Self {
        let mut all = query(String::with_capacity(queries.iter().map(|query| query.text.len() + 8).sum()));
        for query in queries {
            let text = all.text.to_mut();
            if !text.is_empty() {
                text.push_str(";\n");
            }
            push_renumbered(text, &query.text_for(Dialect::Sqlite), all.args.len());
            all.args.extend(query.args);
        }
        all
    }

    /// Asks SQLite how it would go about the statement.
    #[cfg(test)]
    pub fn explained(self) -> Self {
        Self { text: format!("EXPLAIN QUERY PLAN {}", self.text).into(), ..self }
    }

    /// The text in the words of `dialect`.
    pub(super) fn text_for(&self, dialect: Dialect) -> Cow<'static, str> {
        if self.text.contains('{') {
            Cow::Owned(self.text.replace("{rows}", dialect.rows()).replace("{skip_locked}", dialect.skip_locked()))
        } else {
            self.text.clone()
        }
    }
}

/// Appends `statement` with `$1` written as `$` and `1 + offset`, and so on.
fn push_renumbered(text: &mut String, statement: &str, offset: usize) {
    let mut parts = statement.split('$');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        text.push('$');
        match part[..digits].parse::<usize>() {
            Ok(number) => text.push_str(&(number + offset).to_string()),
            Err(_) => text.push_str(&part[..digits]),
        }
        text.push_str(&part[digits..]);
    }
}

/// Rows on their way into one statement, as the JSON text that `{rows}` takes apart.
#[derive(Debug)]
pub struct Rows {
    json: Vec<u8>,
    len: usize,
}

impl Rows {
    pub fn new() -> Self {
        Self { json: vec![b'['], len: 0 }
    }

    /// Adds a row; `row` must serialise as a sequence of integers, texts and nulls.
    pub fn push(&mut self, row: &impl Serialize) -> Result<(), StoreError> {
        if self.len > 0 {
            self.json.push(b',');
        }
        self.len += 1;
        serde_json::to_writer(&mut self.json, row)
            .map_err(|error| StoreError::Refused { reason: format!("a value has no JSON form: {error}") })
    }

    pub fn of<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Result<Self, StoreError> {
        let mut list = Self::new();
        for row in rows {
            list.push(&row)?;
        }
        Ok(list)
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn bytes(&self) -> usize {
        self.json.len()
    }
}

impl From<Rows> for Arg {
    fn from(mut rows: Rows) -> Self {
        rows.json.push(b']');
        // serde_json writes UTF-8 only.
        Self::Text(Some(String::from_utf8(rows.json).unwrap_or_default()))
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Arg {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<usize> for Arg {
    fn from(value: usize) -> Self {
        Self::Int(Some(i64::try_from(value).unwrap_or(i64::MAX)))
    }
}

impl From<u64> for Arg {
    fn from(value: u64) -> Self {
        Self::Int(Some(i64::try_from(value).unwrap_or(i64::MAX)))
    }
}

impl From<Timestamp> for Arg {
    fn from(value: Timestamp) -> Self {
        Self::Int(Some(value.as_microsecond()))
    }
}

impl From<Option<Timestamp>> for Arg {
    fn from(value: Option<Timestamp>) -> Self {
        Self::Int(value.map(Timestamp::as_microsecond))
    }
}

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<String>> for Arg {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<RunId> for Arg {
    fn from(value: RunId) -> Self {
        Self::Text(Some(value.to_string()))
    }
}

impl From<&JobName> for Arg {
    fn from(value: &JobName) -> Self {
        Self::Text(Some(value.as_str().to_owned()))
    }
}

impl From<VersionHash> for Arg {
    fn from(value: VersionHash) -> Self {
        Self::Text(Some(value.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_one_json_array() {
        let rows = Rows::of([(1, "a\"b", None::<i64>), (2, "c", Some(3))]).expect("plain values");
        let Arg::Text(Some(text)) = Arg::from(rows) else { panic!("rows are text") };
        assert_eq!(text, r#"[[1,"a\"b",null],[2,"c",3]]"#);
    }

    #[test]
    fn chained_statements_number_their_arguments_through() {
        let rows = || Rows::of([("a", 1)]).expect("plain values");
        let first = query("UPDATE t SET x = $2 WHERE y = $1 AND z = '$.path'").bind(1_i64).bind("x");
        let second = query("INSERT INTO u SELECT value->>0 FROM {rows}").bind(rows());
        let chain = Query::chain(vec![first, second, query("DELETE FROM v WHERE w = $1").bind(7_i64)]);
        let text = "UPDATE t SET x = $2 WHERE y = $1 AND z = '$.path';\nINSERT INTO u SELECT value->>0 FROM jsonb_each($3);\n\
                    DELETE FROM v WHERE w = $4";
        assert_eq!((chain.text_for(Dialect::Sqlite).as_ref(), chain.args.len()), (text, 4));
    }

    #[test]
    fn each_dialect_has_its_own_row_source() {
        let statement = query("DELETE FROM logs WHERE run IN (SELECT value->>0 FROM {rows})");
        assert!(statement.text_for(Dialect::Sqlite).contains("jsonb_each($1)"));
        assert!(statement.text_for(Dialect::Postgres).contains("jsonb_array_elements($1::jsonb)"));
    }
}
