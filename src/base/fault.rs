//! The one shape in which a failure reaches a person or a script.
//!
//! Components have error enums of their own; each converts into a [`Fault`] where it leaves the core: in a run's
//! result, in the HTTP error envelope, on the terminal and as the error object that a script catches.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What failed, on which object, and what to do about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Stable and dotted, such as `docker.not_found`. Programs match on this and on nothing else.
    pub code: Cow<'static, str>,
    /// One sentence that names the object.
    pub message: String,
    /// What the reader can do now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether the same call may succeed later without a change.
    #[serde(default)]
    pub retryable: bool,
    /// Machine-readable particulars; `null` when there are none.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub details: serde_json::Value,
    /// Where in a script it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<ScriptPosition>,
    /// The call chain, innermost first, one `file:line function` an entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
}

/// A line of a script, with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptPosition {
    /// Path relative to the scripts folder, `@std/…` for the shipped library.
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The line itself, without its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Fault {
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            hint: None,
            retryable: false,
            details: serde_json::Value::Null,
            at: None,
            trace: Vec::new(),
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    #[must_use]
    pub fn details(mut self, details: serde_json::Value) -> Self {
        self.details = details;
        self
    }

    #[must_use]
    pub fn at(mut self, position: ScriptPosition) -> Self {
        self.at = Some(position);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}
