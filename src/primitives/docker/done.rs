//! The answer to every call that changes something.

use serde::Serialize;
use serde_json::Value;

/// What was done, or with `dry_run` what would be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Done {
    /// `start`, `stop`, `create_network`, …
    pub action: &'static str,
    /// The name of what it is about.
    pub object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub dry_run: bool,
    /// False when the object was so already, or would have been.
    pub changed: bool,
    /// The particulars of the plan; `null` when the action says it all.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub details: Value,
    /// What the engine does not do as asked.
    pub warnings: Vec<String>,
}

impl Done {
    pub(super) fn new(action: &'static str, object: impl Into<String>, dry_run: bool) -> Self {
        Self {
            action,
            object: object.into(),
            id: None,
            dry_run,
            changed: true,
            details: Value::Null,
            warnings: Vec::new(),
        }
    }

    #[must_use]
    pub(super) fn id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    #[must_use]
    pub(super) fn changed(mut self, changed: bool) -> Self {
        self.changed = changed;
        self
    }

    #[must_use]
    pub(super) fn details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}
