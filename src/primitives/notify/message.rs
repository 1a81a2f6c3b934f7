//! What is sent, and what became of it.

use serde::{Deserialize, Serialize};

use super::NotifyError;
use super::destination::Destination;
use crate::base::limits;
use crate::primitives::option::Pairs;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    #[default]
    Info,
    Warning,
    Error,
    Critical,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// Longer texts than a provider takes are cut there, and say so.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Message {
    pub title: String,
    pub text: String,
    pub severity: Severity,
    /// Shown beside the text, sorted by name.
    pub fields: Pairs,
    /// Where to read on.
    pub url: Option<String>,
    pub dry_run: bool,
}

impl Message {
    pub(super) fn check(&self) -> Result<(), NotifyError> {
        let invalid = |field, problem: String| Err(NotifyError::Invalid { field, problem });
        if self.title.trim().is_empty() && self.text.trim().is_empty() {
            return invalid("text", "there is neither a title nor a text".into());
        }
        if self.fields.0.len() > limits::NOTIFY_FIELDS_MAX {
            return invalid("fields", format!("at most {} are possible", limits::NOTIFY_FIELDS_MAX));
        }
        if let Some(url) = &self.url
            && !url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        {
            return invalid("url", "it is not an http or https URL".into());
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub route: String,
    pub dry_run: bool,
    /// In the order of the configuration.
    pub deliveries: Vec<Delivery>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Delivery {
    /// `discord`, `slack`, `ntfy` or `webhook`.
    pub destination: &'static str,
    pub state: DeliveryState,
    pub attempts: u32,
    /// The provider's last answer.
    pub status: Option<u16>,
    pub problem: Option<String>,
    /// On a dry run: the request's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    Sent,
    /// The destination takes more severe messages only.
    Skipped,
    Failed,
    /// Would be sent.
    Planned,
}

impl Delivery {
    pub(super) fn new(destination: &Destination, state: DeliveryState) -> Self {
        Self { destination: destination.kind.name(), state, attempts: 0, status: None, problem: None, body: None }
    }

    pub(super) fn skipped(destination: &Destination) -> Self {
        Self::new(destination, DeliveryState::Skipped)
    }
}
