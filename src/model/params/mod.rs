//! A job's parameters: their declaration, and the one place where values are checked against it, whichever of the
//! ways in they came.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod check;
mod schema;
mod value;

pub use check::validate;
pub use schema::json_schema;
pub use value::{from_text, show};

/// How a parameter's value is typed. On the way in every type may come as text; kept and handed to the script is:
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    String,
    Number,
    /// Within ±2^53: a script's numbers are doubles.
    Integer,
    /// Also from `yes`, `no`, `on`, `off`, `1`, `0`.
    Boolean,
    /// Seconds, as every function that takes a duration reads a bare number; also from text such as `"5m"`.
    Duration,
    /// Bytes; also from text such as `"64MiB"`.
    Size,
    /// The name of a secret, never its value.
    Secret,
    /// Also from JSON text.
    List,
    /// Also from JSON text.
    Map,
}

impl ParamType {
    pub const ALL: [Self; 9] = [
        Self::String,
        Self::Number,
        Self::Integer,
        Self::Boolean,
        Self::Duration,
        Self::Size,
        Self::Secret,
        Self::List,
        Self::Map,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Duration => "duration",
            Self::Size => "size",
            Self::Secret => "secret",
            Self::List => "list",
            Self::Map => "map",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParamSpec {
    #[serde(rename = "type")]
    pub kind: ParamType,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default)]
    pub required: bool,
    /// In the form in which values are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// In the form in which values are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Value>,
    /// Least value of a number, seconds of a duration, bytes of a size; least length of a string, list or map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// A regular expression that the whole of a string must match. It is also the `pattern` attribute of the form's
    /// field, which browsers compile with the `v` flag: keep to what both know (`[a-z0-9\-]+`, no look-around).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

impl ParamSpec {
    /// An optional parameter without limits.
    pub fn of(kind: ParamType) -> Self {
        Self {
            kind,
            description: String::new(),
            required: false,
            default: None,
            choices: Vec::new(),
            min: None,
            max: None,
            pattern: None,
        }
    }

    /// The value in the form in which it is kept, or what was expected and what came.
    pub fn accept(&self, given: &Value) -> Result<Value, String> {
        check::accept(self, given)
    }
}

/// `pattern` as it is matched: anchored at both ends. None when it does not compile.
pub fn compile_pattern(pattern: &str) -> Option<regex_lite::Regex> {
    regex_lite::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(crate::base::limits::PARAM_PATTERN_COMPILED_BYTES_MAX)
        .build()
        .ok()
}

/// One parameter that does not fit its declaration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("parameter {name:?}: {problem}")]
pub struct BadParam {
    pub name: String,
    /// What was expected and what came.
    pub problem: String,
}

/// Parameters by name, as a run keeps them.
pub type Params = Map<String, Value>;
