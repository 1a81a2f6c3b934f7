//! Where a route sends to, as the configuration has it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::message::Severity;
use crate::base::ExposeSecret;
use crate::primitives::secrets::Setting;

/// One place a route sends to: a provider with its settings, and from which severity on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Destination {
    pub kind: Kind,
    pub min_severity: Severity,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Discord(Discord),
    Slack(Slack),
    Ntfy(Ntfy),
    Webhook(Webhook),
}

/// A channel's webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discord {
    pub webhook: Setting,
}

/// An incoming webhook of Slack, or of a service compatible with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slack {
    pub webhook: Setting,
}

/// A topic on an ntfy server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ntfy {
    /// Of the server.
    pub url: Setting,
    pub topic: Setting,
    /// An access token, sent as a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Setting>,
}

/// Any service that takes the message as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    pub url: Setting,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Setting>,
}

/// The shape on paper, where the provider is a key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    #[serde(skip_serializing_if = "Option::is_none")]
    discord: Option<Discord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slack: Option<Slack>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ntfy: Option<Ntfy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<Webhook>,
    min_severity: Severity,
}

impl TryFrom<Raw> for Destination {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let found = [
            raw.discord.map(Kind::Discord),
            raw.slack.map(Kind::Slack),
            raw.ntfy.map(Kind::Ntfy),
            raw.webhook.map(Kind::Webhook),
        ];
        let mut kinds = found.into_iter().flatten();
        let kind = kinds.next().ok_or("a destination needs one of discord, slack, ntfy and webhook")?;
        if let Some(second) = kinds.next() {
            return Err(format!(
                "a destination has one provider, and this has {} and {}: make it two",
                kind.name(),
                second.name()
            ));
        }
        kind.check().map_err(|problem| format!("{}.{problem}", kind.name()))?;
        Ok(Self { kind, min_severity: raw.min_severity })
    }
}

impl From<Destination> for Raw {
    fn from(destination: Destination) -> Self {
        let raw = Self { min_severity: destination.min_severity, ..Self::default() };
        match destination.kind {
            Kind::Discord(discord) => Self { discord: Some(discord), ..raw },
            Kind::Slack(slack) => Self { slack: Some(slack), ..raw },
            Kind::Ntfy(ntfy) => Self { ntfy: Some(ntfy), ..raw },
            Kind::Webhook(webhook) => Self { webhook: Some(webhook), ..raw },
        }
    }
}

impl Kind {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Discord(_) => "discord",
            Self::Slack(_) => "slack",
            Self::Ntfy(_) => "ntfy",
            Self::Webhook(_) => "webhook",
        }
    }

    /// What can be checked of settings that are no secrets. The messages do not repeat the values.
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Discord(Discord { webhook }) | Self::Slack(Slack { webhook }) => check_url("webhook", webhook),
            Self::Webhook(webhook) => check_url("url", &webhook.url),
            Self::Ntfy(ntfy) => {
                check_url("url", &ntfy.url)?;
                match &ntfy.topic {
                    Setting::Plain(topic) if !is_topic(topic.expose_secret()) => {
                        Err("topic: an ntfy topic has 1 to 64 of letters, digits, '-' and '_'".into())
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

fn check_url(key: &str, setting: &Setting) -> Result<(), String> {
    let Setting::Plain(text) = setting else { return Ok(()) };
    let web = |url: url::Url| matches!(url.scheme(), "http" | "https");
    if url::Url::parse(text.expose_secret()).is_ok_and(web) {
        Ok(())
    } else {
        Err(format!("{key}: this is not a URL: write https://host/path, or secret:NAME"))
    }
}

pub(super) fn is_topic(topic: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=64).contains(&topic.len()) && topic.chars().all(legal)
}
