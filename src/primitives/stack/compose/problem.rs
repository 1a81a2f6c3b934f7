//! What is wrong with a file: where, at which key, and what to do about it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::path::Path;
use crate::base::fault::Fault;
use crate::base::limits::COMPOSE_WARNINGS_MAX;

/// A place in a file. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl Place {
    /// The beginning of a file.
    pub fn start(file: &str) -> Self {
        Self { file: Arc::from(file), line: 1, column: 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Why a stack cannot be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A file is missing or cannot be read.
    Unreadable,
    /// A file is no YAML, or no environment file.
    Syntax,
    /// A bound was reached.
    TooLarge,
    /// A variable is written wrongly, or is required and missing.
    Variable,
    /// A value has another type than its key wants.
    Shape,
    /// A value has the right type and makes no sense.
    Value,
    /// Something is named that is declared nowhere.
    Undefined,
    /// Two declarations exclude each other.
    Conflict,
    /// Files, services or dependencies lead back to themselves.
    Cycle,
    /// Compose knows it and this loader does not.
    Unsupported,
}

impl Kind {
    /// The code under which programs know it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "stack.unreadable",
            Self::Syntax => "stack.syntax",
            Self::TooLarge => "stack.too_large",
            Self::Variable => "stack.variable",
            Self::Shape => "stack.shape",
            Self::Value => "stack.value",
            Self::Undefined => "stack.undefined",
            Self::Conflict => "stack.conflict",
            Self::Cycle => "stack.cycle",
            Self::Unsupported => "stack.unsupported",
        }
    }
}

/// A failure to load, with its place, its key and its remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {}{message}; {remedy}", shown_key(.key))]
pub struct Problem {
    pub kind: Kind,
    pub place: Place,
    /// Such as `services.web.ports[0]`; empty for the file as a whole.
    pub key: String,
    pub message: String,
    pub remedy: String,
}

impl Problem {
    pub(super) fn new(
        kind: Kind,
        place: &Place,
        path: &Path<'_>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { kind, place: place.clone(), key: path.to_string(), message: message.into(), remedy: remedy.into() }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let message = format!("{}: {}{}", problem.place, shown_key(&problem.key), problem.message);
        let details = serde_json::json!({ "place": problem.place, "key": problem.key });
        Fault::new(problem.kind.code(), message).hint(problem.remedy).details(details)
    }
}

/// Something that loads and that the reader should know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Warning {
    pub place: Place,
    pub key: String,
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", self.place, shown_key(&self.key), self.message)
    }
}

/// The warnings of a load: each once, by place.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    kept: BTreeSet<Warning>,
    dropped: usize,
}

impl Warnings {
    pub fn add(&mut self, place: &Place, path: &Path<'_>, message: impl Into<String>) {
        let warning = Warning { place: place.clone(), key: path.to_string(), message: message.into() };
        if self.kept.len() < COMPOSE_WARNINGS_MAX {
            self.kept.insert(warning);
        } else if !self.kept.contains(&warning) {
            self.dropped += 1;
        }
    }

    pub fn into_list(self) -> Vec<Warning> {
        let mut list: Vec<Warning> = self.kept.into_iter().collect();
        if let (Some(last), true) = (list.last().cloned(), self.dropped > 0) {
            list.push(Warning { message: format!("{} more warnings are not shown", self.dropped), ..last });
        }
        list
    }
}

fn shown_key(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("{key}: ") }
}
