//! What is told, before any provider's format.

use serde::{Deserialize, Serialize};

use super::error::NotifyError;
use crate::base::{Masker, limits};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    #[default]
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub const NAMES: &'static [&'static str] = &["info", "warning", "critical"];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Info => "ℹ️",
            Self::Warning => "⚠️",
            Self::Critical => "🚨",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Critical].into_iter().find(|severity| severity.as_str() == text)
    }
}

/// Title or text must be there. What a provider has no room for is cut off with an ellipsis; a URL is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    pub title: String,
    pub text: String,
    pub severity: Severity,
    /// Names with values, in order.
    pub fields: Vec<(String, String)>,
    /// Where more is to be seen.
    pub url: Option<String>,
    /// Where a route groups, messages of one key belong together; the title unless given.
    pub key: Option<String>,
}

impl Message {
    /// Without secrets.
    pub fn masked(&self, masker: &Masker) -> Self {
        let text = |text: &String| masker.text(text).into_owned();
        Self {
            title: text(&self.title),
            text: text(&self.text),
            severity: self.severity,
            fields: self.fields.iter().map(|(name, value)| (text(name), text(value))).collect(),
            url: self.url.as_ref().map(text),
            key: self.key.as_ref().map(text),
        }
    }

    pub(super) fn check(&self) -> Result<(), NotifyError> {
        if self.title.trim().is_empty() && self.text.trim().is_empty() {
            return Err(NotifyError::BadMessage("it has neither title nor text".into()));
        }
        if self.fields.len() > limits::NOTIFY_FIELDS_MAX {
            return Err(NotifyError::BadMessage(format!("it has more than {} fields", limits::NOTIFY_FIELDS_MAX)));
        }
        let fields: usize = self.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        let url = self.url.as_ref().map_or(0, String::len);
        let key = self.key.as_ref().map_or(0, String::len);
        let bytes = self.title.len() + self.text.len() + fields + url + key;
        if bytes > limits::NOTIFY_MESSAGE_BYTES_MAX {
            let max = limits::NOTIFY_MESSAGE_BYTES_MAX;
            return Err(NotifyError::BadMessage(format!("it has {bytes} bytes, and at most {max} are sent")));
        }
        let web = |url: &String| url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if self.url.as_ref().is_some_and(|url| !web(url)) {
            return Err(NotifyError::BadMessage("its url is not an http or https URL".into()));
        }
        Ok(())
    }

    /// The title, or what stands for one.
    pub fn headline(&self) -> &str {
        if self.title.trim().is_empty() { self.text.lines().next().unwrap_or_default() } else { &self.title }
    }

    /// All of it as plain text.
    pub(super) fn plain(&self) -> String {
        let text = format!("{} {}", self.severity.mark(), self.headline());
        let rest = self.body_with_fields();
        let text = if rest.is_empty() { text } else { format!("{text}\n{rest}") };
        self.url.as_ref().map_or_else(|| text.clone(), |url| format!("{text}\n{url}"))
    }

    /// What comes after the headline: the text unless it is the headline itself, and the fields, a line each.
    pub(super) fn body_with_fields(&self) -> String {
        let text = if self.title.trim().is_empty() {
            self.text.split_once('\n').map_or("", |(_, rest)| rest)
        } else {
            self.text.as_str()
        };
        let lines = self.fields.iter().map(|(name, value)| format!("{name}: {value}"));
        let all: Vec<String> =
            Some(text.to_owned()).filter(|text| !text.trim().is_empty()).into_iter().chain(lines).collect();
        all.join("\n")
    }
}
