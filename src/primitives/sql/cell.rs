//! Values on their way between a script and a database.

use std::sync::Arc;

use serde_json::Value;

/// One value. What Lua's numbers cannot hold without loss is text: large integers, decimals, times.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// A `json` value; as a parameter also what becomes an array.
    Json(Value),
    /// An array of the database's.
    List(Vec<Cell>),
}

impl Cell {
    /// About what it takes in memory.
    pub fn bytes(&self) -> usize {
        let held = match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Json(value) => json_bytes(value),
            Self::List(cells) => cells.iter().map(Self::bytes).sum(),
            _ => 0,
        };
        held + size_of::<Self>()
    }

    /// A part of a JSON value, as a parameter.
    pub fn of_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Self::Integer(whole),
                (None, Some(number)) => Self::Number(number),
                (None, None) => Self::Text(number.to_string()),
            },
            Value::String(text) => Self::Text(text.clone()),
            other => Self::Json(other.clone()),
        }
    }

    /// A double, as an integer where it is a whole number that doubles hold exactly.
    pub fn of_number(number: f64) -> Self {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let is_whole = number.fract() == 0.0 && number.abs() <= EXACT;
        if is_whole { Self::Integer(number as i64) } else { Self::Number(number) }
    }

    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "a whole number",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::Json(_) | Self::List(_) => "a table",
        }
    }
}

fn json_bytes(value: &Value) -> usize {
    let held = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(json_bytes).sum(),
        Value::Object(values) => values.iter().map(|(key, value)| key.len() + json_bytes(value)).sum(),
        _ => 0,
    };
    held + size_of::<Value>()
}

/// A result: every row has one cell for each column.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    pub columns: Arc<[String]>,
    pub rows: Vec<Vec<Cell>>,
}

impl Default for Rows {
    fn default() -> Self {
        Self { columns: Arc::from([]), rows: Vec::new() }
    }
}
