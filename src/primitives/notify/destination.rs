//! Destinations as the configuration writes them: `{ discord: { webhook: "secret:NAME" }, min_severity: warning }`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::message::Severity;
use super::secrets::Secrets;
use crate::base::SecretString;

/// One place a route sends to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Destination {
    pub kind: Kind,
    /// Less severe messages are not sent here.
    pub min_severity: Severity,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Webhook(Webhook),
    Discord(Discord),
    Slack(Slack),
    Ntfy(Ntfy),
}

/// A URL of your own that takes the message as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    pub url: Reference,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Reference>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discord {
    pub webhook: Reference,
    /// Shown as the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// Slack, or what takes Slack's format: Mattermost, Rocket.Chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slack {
    pub webhook: Reference,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ntfy {
    /// The server: `https://ntfy.sh`.
    pub url: Reference,
    pub topic: Reference,
    /// Access token, for topics that need one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Reference>,
}

/// A value, or `secret:NAME` for one that is looked up when it is needed. A webhook's URL is a secret by itself, so a
/// plain one is not shown either.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reference(String);

impl Reference {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The name after `secret:`.
    pub fn secret_name(&self) -> Option<&str> {
        self.0.strip_prefix("secret:")
    }

    pub(super) fn resolve(&self, secrets: &dyn Secrets) -> Result<SecretString, String> {
        match self.secret_name() {
            None => Ok(SecretString::from(self.0.clone())),
            Some(name) => secrets.get(name).ok_or_else(|| format!("the secret {name} is not set")),
        }
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.secret_name() {
            Some(name) => write!(f, "secret:{name}"),
            None => f.write_str("<hidden>"),
        }
    }
}

impl Kind {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Discord(_) => "discord",
            Self::Slack(_) => "slack",
            Self::Ntfy(_) => "ntfy",
        }
    }

    pub(super) fn references(&self) -> Vec<&Reference> {
        match self {
            Self::Webhook(webhook) => std::iter::once(&webhook.url).chain(webhook.headers.values()).collect(),
            Self::Discord(discord) => vec![&discord.webhook],
            Self::Slack(slack) => vec![&slack.webhook],
            Self::Ntfy(ntfy) => [&ntfy.url, &ntfy.topic].into_iter().chain(&ntfy.token).collect(),
        }
    }
}

/// The form in the file, in which exactly one of the four must stand.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook: Option<Webhook>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    discord: Option<Discord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slack: Option<Slack>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ntfy: Option<Ntfy>,
    #[serde(default)]
    min_severity: Severity,
}

impl TryFrom<Written> for Destination {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let kinds = [
            written.webhook.map(Kind::Webhook),
            written.discord.map(Kind::Discord),
            written.slack.map(Kind::Slack),
            written.ntfy.map(Kind::Ntfy),
        ];
        let mut given = kinds.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(kind), None) => Ok(Self { kind, min_severity: written.min_severity }),
            _ => Err("a destination is exactly one of webhook, discord, slack and ntfy"),
        }
    }
}

impl From<Destination> for Written {
    fn from(destination: Destination) -> Self {
        let mut written = Self { min_severity: destination.min_severity, ..Self::default() };
        match destination.kind {
            Kind::Webhook(webhook) => written.webhook = Some(webhook),
            Kind::Discord(discord) => written.discord = Some(discord),
            Kind::Slack(slack) => written.slack = Some(slack),
            Kind::Ntfy(ntfy) => written.ntfy = Some(ntfy),
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Vec<Destination>, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn the_configuration_s_shape_is_read_and_written() {
        let yaml = "[ { discord: { webhook: \"secret:DISCORD_ALERTS\" }, min_severity: warning } ]";
        let list = read(yaml).expect("destinations");
        assert_eq!(list[0].min_severity, Severity::Warning);
        assert_eq!(list[0].kind.references()[0].secret_name(), Some("DISCORD_ALERTS"));
        let written = serde_json::to_value(&list).expect("JSON");
        assert_eq!(
            written[0],
            serde_json::json!({"discord": {"webhook": "secret:DISCORD_ALERTS"}, "min_severity": "warning"})
        );
        assert_eq!(serde_json::from_value::<Vec<Destination>>(written).expect("back"), list);
    }

    #[test]
    fn mistakes_are_named() {
        for (yaml, part) in [
            ("[ { discrod: { webhook: x } } ]", "discrod"),
            ("[ { discord: { url: x } } ]", "url"),
            ("[ { min_severity: warning } ]", "exactly one"),
            ("[ { discord: { webhook: x }, slack: { webhook: y } } ]", "exactly one"),
            ("[ { slack: { webhook: y }, min_severity: high } ]", "high"),
        ] {
            let refused = read(yaml).expect_err("refused");
            assert!(refused.contains(part), "{yaml}: {refused}");
        }
    }

    #[test]
    fn plain_urls_are_not_shown() {
        let list = read("[ { slack: { webhook: \"https://hooks.example.com/s3cret\" } } ]").expect("destinations");
        assert!(!format!("{list:?}").contains("s3cret"));
    }
}
