//! A source as the configuration has it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{ExposeSecret, limits};
use crate::primitives::notify::Setting;
use crate::primitives::option::Span;

/// Sources by name.
pub type Sources = BTreeMap<String, Source>;

/// Whose format is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Openai,
    Anthropic,
    Ollama,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Ollama => "ollama",
        }
    }
}

/// A model behind an address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Source {
    pub kind: Kind,
    /// Of the API, as the provider's own clients take it: with `/v1` or what stands for it where there is one.
    pub url: Setting,
    pub key: Option<Setting>,
    /// Unless a call names another.
    pub model: Option<String>,
    /// Of one attempt, unless a call says otherwise.
    pub timeout: Duration,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    kind: Kind,
    url: Setting,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Setting>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default = "timeout")]
    timeout: Span,
}

fn timeout() -> Span {
    Span(limits::LLM_TIMEOUT_DEFAULT)
}

impl TryFrom<Raw> for Source {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let Raw { kind, url, key, model, timeout: Span(timeout) } = raw;
        if let Setting::Plain(text) = &url {
            let web = |url: url::Url| matches!(url.scheme(), "http" | "https");
            if !url::Url::parse(text.expose_secret()).is_ok_and(web) {
                return Err("url: this is not a URL: write https://host/path, or secret:NAME".into());
            }
        }
        if timeout.is_zero() || timeout > limits::LLM_TIMEOUT_MAX {
            return Err(format!("timeout: more than 0 and at most {:?} is allowed", limits::LLM_TIMEOUT_MAX));
        }
        Ok(Self { kind, url, key, model, timeout })
    }
}

impl From<Source> for Raw {
    fn from(source: Source) -> Self {
        let Source { kind, url, key, model, timeout } = source;
        Self { kind, url, key, model, timeout: Span(timeout) }
    }
}
