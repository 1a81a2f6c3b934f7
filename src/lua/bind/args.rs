//! Plain values between Lua and Rust: they are `Send`, so that a call can run away from its lane.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Number, Value};

use super::secrets::Handle;
use crate::base::{Fault, Masker, Timestamp};

/// A checked argument, or a result on its way back.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// As an argument inside `Json`: `aegis.null`. As a result: nil.
    Null,
    Bool(bool),
    Number(f64),
    /// `Type::Integer` and `Type::Size` arrive as this. A result beyond 2^53 becomes a string in Lua.
    Integer(i64),
    Text(String),
    /// `Type::Bytes`.
    Bytes(Vec<u8>),
    /// `Type::Duration`; as a result it becomes seconds.
    Duration(Duration),
    /// `Type::Time`; as a result it becomes RFC 3339 text.
    Time(Timestamp),
    List(Vec<Datum>),
    /// `Type::Map` and `Type::Record`; absent options have no entry.
    Map(BTreeMap<String, Datum>),
    /// A result alone: rows with a value for each column, where null stays `aegis.null`.
    Rows {
        columns: Arc<[String]>,
        rows: Vec<Vec<Datum>>,
    },
    /// A result alone: a map whose keys may be of any bytes.
    Pairs(Vec<(Vec<u8>, Datum)>),
    /// A result alone: a secret that the script may hand on.
    Secret(Handle),
    /// `Type::Json`: null stays `aegis.null` in tables, and at the top too.
    Json(Value),
}

impl Datum {
    /// A result record. Entries that are [`Datum::Null`] are left out in Lua, as nil is.
    pub fn record<const N: usize>(entries: [(&str, Datum); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// One row of [`Self::Rows`], where null stays `aegis.null`.
    pub fn row(columns: &[String], values: Vec<Self>) -> Self {
        let kept = |value| if value == Self::Null { Self::Json(Value::Null) } else { value };
        Self::Map(columns.iter().cloned().zip(values.into_iter().map(kept)).collect())
    }

    /// As JSON: durations in milliseconds, times as RFC 3339, bytes as text where they are UTF-8 and lossy elsewhere.
    pub fn into_json(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Number(value) => number(value),
            Self::Integer(value) => Value::from(value),
            Self::Text(value) => Value::String(value),
            Self::Bytes(value) => Value::String(String::from_utf8_lossy(&value).into_owned()),
            Self::Duration(value) => Value::from(u64::try_from(value.as_millis()).unwrap_or(u64::MAX)),
            Self::Time(value) => Value::String(value.to_string()),
            Self::List(values) => values.into_iter().map(Self::into_json).collect(),
            Self::Map(values) => {
                Value::Object(values.into_iter().map(|(key, value)| (key, value.into_json())).collect::<Map<_, _>>())
            }
            Self::Rows { columns, rows } => {
                let named = |row: Vec<Self>| columns.iter().cloned().zip(row.into_iter().map(Self::into_json));
                rows.into_iter().map(|row| Value::Object(named(row).collect())).collect()
            }
            Self::Pairs(pairs) => {
                let text = |key: Vec<u8>| String::from_utf8_lossy(&key).into_owned();
                pairs.into_iter().map(|(key, value)| (text(key), value.into_json())).collect::<Map<_, _>>().into()
            }
            Self::Secret(handle) => Value::String(handle.to_string()),
            Self::Json(value) => value,
        }
    }

    /// Without the secrets that the masker knows.
    pub fn masked(self, masker: &Masker) -> Self {
        let text = |text: String| masker.text(&text).into_owned();
        let all = |values: Vec<Self>| values.into_iter().map(|value| value.masked(masker)).collect();
        match self {
            Self::Text(value) => Self::Text(text(value)),
            Self::Bytes(value) => Self::Bytes(masker.bytes(&value).into_owned()),
            Self::List(values) => Self::List(all(values)),
            Self::Map(values) => {
                Self::Map(values.into_iter().map(|(key, value)| (text(key), value.masked(masker))).collect())
            }
            Self::Rows { columns, rows } => Self::Rows { columns, rows: rows.into_iter().map(all).collect() },
            Self::Pairs(pairs) => {
                let pair = |(key, value): (Vec<u8>, Self)| (masker.bytes(&key).into_owned(), value.masked(masker));
                Self::Pairs(pairs.into_iter().map(pair).collect())
            }
            Self::Json(mut value) => {
                masker.json(&mut value);
                Self::Json(value)
            }
            other => other,
        }
    }
}

/// A double as JSON: whole numbers without a fraction, NaN and infinities as null.
pub fn number(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        Value::from(value as i64)
    } else {
        Number::from_f64(value).map_or(Value::Null, Value::Number)
    }
}

impl From<Value> for Datum {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

impl From<String> for Datum {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Datum {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<bool> for Datum {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Datum {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Datum {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl<T: Into<Datum>> From<Option<T>> for Datum {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Datum>> From<Vec<T>> for Datum {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

/// Arguments by name (or a record's options), already checked against their declaration. A getter for a name of
/// another type than was declared gives None, as for one that was left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Args(pub BTreeMap<String, Datum>);

impl Args {
    pub fn get(&self, name: &str) -> Option<&Datum> {
        self.0.get(name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A required string. The fault is for declarations that forgot to require it.
    pub fn need(&self, name: &str) -> Result<&str, Fault> {
        self.text(name).ok_or_else(|| Fault::new("args.missing", format!("argument \"{name}\" is missing")))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Datum::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        match self.get(name)? {
            Datum::Bytes(bytes) => Some(bytes),
            Datum::Text(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// False when left out.
    pub fn flag(&self, name: &str) -> bool {
        self.boolean(name).unwrap_or(false)
    }

    pub fn boolean(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Datum::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        match self.get(name)? {
            Datum::Number(value) => Some(*value),
            Datum::Integer(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// Of `Type::Integer` or `Type::Size`.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Datum::Integer(value) => Some(*value),
            _ => None,
        }
    }

    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.get(name)? {
            Datum::Duration(value) => Some(*value),
            _ => None,
        }
    }

    pub fn time(&self, name: &str) -> Option<Timestamp> {
        match self.get(name)? {
            Datum::Time(value) => Some(*value),
            _ => None,
        }
    }

    pub fn list(&self, name: &str) -> Option<&[Datum]> {
        match self.get(name)? {
            Datum::List(values) => Some(values),
            _ => None,
        }
    }

    /// A list of strings; None when left out.
    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        let text = |value: &Datum| match value {
            Datum::Text(text) => Some(text.clone()),
            _ => None,
        };
        self.list(name).map(|values| values.iter().filter_map(text).collect())
    }

    pub fn map(&self, name: &str) -> Option<&BTreeMap<String, Datum>> {
        match self.get(name)? {
            Datum::Map(values) => Some(values),
            _ => None,
        }
    }

    /// A map of strings to strings; None when left out.
    pub fn text_map(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let text = |(key, value): (&String, &Datum)| match value {
            Datum::Text(text) => Some((key.clone(), text.clone())),
            _ => None,
        };
        self.map(name).map(|values| values.iter().filter_map(text).collect())
    }

    /// The options of a record; none of them when it was left out.
    pub fn record(&self, name: &str) -> Args {
        self.map(name).cloned().map(Args).unwrap_or_default()
    }

    /// The argument as JSON, whatever its type; null when left out. See [`Datum::into_json`].
    pub fn json(&self, name: &str) -> Value {
        self.get(name).cloned().map_or(Value::Null, Datum::into_json)
    }

    /// All of them as one JSON object, for `serde_json::from_value`.
    pub fn into_json(self) -> Value {
        Datum::Map(self.0).into_json()
    }
}
