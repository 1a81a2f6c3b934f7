//! What can go wrong between a script and a database, in words that name the source and the remedy.

use std::time::Duration;

use serde_json::{Value, json};

use crate::base::quantity::{show_duration, show_size};
use crate::base::suggest::did_you_mean;
use crate::base::{Fault, limits};
use crate::primitives::permit::lua_key;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SqlError {
    #[error("sql: there are {0} sources, and at most {max} are kept", max = limits::SQL_SOURCES_MAX)]
    TooManySources(usize),
    #[error("there is no data source {source_name:?}{}", did_you_mean(source_name, known.iter().map(String::as_str)))]
    UnknownSource { source_name: String, known: Vec<String> },
    #[error("the data source {source_name:?} cannot be used: {problem}")]
    Setup { source_name: String, problem: String },
    #[error("the data source {source_name:?} cannot be reached: {problem}")]
    Unavailable { source_name: String, problem: String },
    #[error("no connection to the data source {source_name:?} became free within {}", show_duration(*waited))]
    Busy { source_name: String, waited: Duration },
    #[error("the statement on {source_name:?} took longer than {}", show_duration(*limit))]
    Timeout { source_name: String, limit: Duration },
    #[error("the statement cannot be sent: {problem}")]
    Statement { problem: String, hint: &'static str },
    #[error("{problem}, and the data source {source_name:?} may only be read here")]
    ReadOnly { source_name: String, problem: String },
    #[error("{0}")]
    Params(String),
    #[error("column {column:?} {problem}")]
    Column { column: String, problem: String },
    #[error("the result from {source_name:?} has more than {max} rows")]
    TooManyRows { source_name: String, max: usize },
    #[error("the result from {source_name:?} takes more than {}", show_size(limits::SQL_RESULT_BYTES_MAX as u64))]
    TooLarge { source_name: String },
    #[error("one row was expected from {0:?}, and there are more")]
    ManyRows(String),
    #[error("{0}")]
    Over(String),
    #[error("{source_name}: {}", failure.message)]
    Database { source_name: String, failure: Failure },
}

/// What a database said.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Of [`SqlError::Database`]'s fault: `sql.constraint` and so on.
    pub kind: &'static str,
    /// SQLSTATE, or the database's own number.
    pub code: String,
    pub message: String,
    pub hint: Option<String>,
    pub details: Value,
    pub retryable: bool,
}

impl SqlError {
    pub(super) fn wrong_count(wanted: usize, given: usize) -> Self {
        let problem = format!("the statement has {wanted} parameters, and {given} are given");
        Self::Params(format!("{problem}; nil ends a list: write aegis.null for a null"))
    }

    /// Whether the session is as it was: what was refused before it reached the database, or by the database.
    pub(super) fn spares_session(&self) -> bool {
        match self {
            Self::Statement { .. } | Self::ReadOnly { .. } | Self::Params(_) => true,
            // What a statement was prepared for has changed; sessions remember it.
            Self::Database { failure, .. } => !failure.is_stale(),
            _ => false,
        }
    }

    pub(super) fn is_stale(&self) -> bool {
        matches!(self, Self::Database { failure, .. } if failure.is_stale())
    }
}

impl Failure {
    /// A prepared statement is gone, or its result has another shape than when it was prepared.
    fn is_stale(&self) -> bool {
        self.code == "26000" || (self.code == "0A000" && self.message.contains("cached plan"))
    }
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Self {
        let message = error.to_string();
        let fault = |code: &'static str| Self::new(code, message.clone());
        let of = |name: &str| json!({ "source": name });
        match error {
            SqlError::TooManySources(_) => fault("sql.setup").hint("take some out of the configuration"),
            SqlError::UnknownSource { source_name, known } => {
                let hint = match known.as_slice() {
                    [] => format!("no source is configured: add sql.{source_name}.url to the configuration"),
                    known => format!("configured are: {}", known.join(", ")),
                };
                fault("sql.unknown_source").hint(hint).details(json!({ "sources": known }))
            }
            SqlError::Setup { source_name, .. } => {
                let hint = format!("the operator corrects sql.{source_name} in the configuration");
                fault("sql.setup").hint(hint).details(of(&source_name))
            }
            SqlError::Unavailable { source_name, .. } => {
                let hint = format!("is the server up, and is sql.{source_name}.url right? `aegis doctor` tries it");
                fault("sql.unavailable").hint(hint).details(of(&source_name)).retryable()
            }
            SqlError::Busy { source_name, .. } => {
                let hint = format!("do less at once, or raise sql.{source_name}.max_connections");
                fault("sql.busy").hint(hint).details(of(&source_name)).retryable()
            }
            SqlError::Timeout { source_name, .. } => {
                let hint = "make it quicker, or give the call { timeout = \"…\" }";
                fault("sql.timeout").hint(hint).details(of(&source_name))
            }
            SqlError::Statement { hint, .. } => fault("sql.statement").hint(hint),
            SqlError::ReadOnly { source_name, .. } => {
                let line = format!("sql = {{ {} = \"write\" }}", lua_key(&source_name));
                let hint =
                    format!("to change data, add to the job's table: permissions = {{ {line} }}; a dry run reads only");
                fault("sql.read_only").hint(hint).details(json!({ "source": source_name, "permission": line }))
            }
            SqlError::Params(_) => fault("sql.params"),
            SqlError::Column { ref column, .. } => {
                let hint = "name it otherwise, or cast it in the statement";
                fault("sql.column").hint(hint).details(json!({ "column": column }))
            }
            SqlError::TooManyRows { source_name, .. } => {
                let hint = "ask for fewer (LIMIT), raise { max_rows = … }, or go through them with aegis.sql.stream";
                fault("sql.too_many_rows").hint(hint).details(of(&source_name))
            }
            SqlError::TooLarge { source_name } => {
                let hint = "select less, or go through the rows with aegis.sql.stream";
                fault("sql.too_large").hint(hint).details(of(&source_name))
            }
            SqlError::ManyRows(source_name) => {
                fault("sql.many_rows").hint("add LIMIT 1, or use aegis.sql.query").details(of(&source_name))
            }
            SqlError::Over(_) => fault("sql.over"),
            SqlError::Database { source_name, failure } => {
                let Failure { kind, code, hint, mut details, retryable, .. } = failure;
                if let Value::Object(details) = &mut details {
                    details.insert("source".into(), source_name.into());
                    details.insert("code".into(), code.into());
                }
                Self { hint, retryable, ..fault(kind) }.details(details)
            }
        }
    }
}
