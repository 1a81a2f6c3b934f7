//! Where a route sends to, as the configuration has it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::message::Severity;
use crate::base::{ExposeSecret, limits};
use crate::primitives::option::{Span, Texts};
use crate::primitives::secrets::Setting;

/// One place a route sends to: a provider with its settings, and from which severity on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Destination {
    pub kind: Kind,
    pub min_severity: Severity,
    pub rate: Rate,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Discord(Discord),
    Slack(Slack),
    Ntfy(Ntfy),
    Webhook(Webhook),
    Telegram(Telegram),
    Whatsapp(Whatsapp),
    Resend(Resend),
    Smtp(Smtp),
}

/// How many messages a destination is sent within a time. What is more waits, and is told in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub messages: u32,
    pub per: Duration,
}

impl Default for Rate {
    fn default() -> Self {
        Self { messages: limits::NOTIFY_RATE_MESSAGES, per: limits::NOTIFY_RATE_PER }
    }
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

/// A chat, by a bot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telegram {
    pub token: Setting,
    /// A number, or `@channel`.
    pub chat: Setting,
    /// A topic of a forum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<i64>,
    /// Of the Bot API's server.
    #[serde(default = "telegram_url")]
    pub url: Setting,
}

/// A phone, through Vonage's Messages API, with an account's key and secret or an application's private key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whatsapp {
    pub from: Setting,
    pub to: Setting,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Setting>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Setting>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Setting>,
    /// PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Setting>,
    #[serde(default = "vonage_url")]
    pub url: Setting,
}

/// E-mail by Resend's API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resend {
    pub key: Setting,
    pub from: String,
    pub to: Texts,
    #[serde(default = "resend_url")]
    pub url: Setting,
}

/// E-mail by a server of one's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    pub host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(default)]
    pub tls: Security,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Setting>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Setting>,
    pub from: String,
    pub to: Texts,
}

/// How a connection to a mail server is secured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Begun in the open, and refused unless the server can secure it.
    #[default]
    Starttls,
    /// From the first byte.
    Implicit,
    /// For a server on this machine.
    None,
}

impl Smtp {
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            Security::Starttls => 587,
            Security::Implicit => 465,
            Security::None => 25,
        })
    }
}

fn telegram_url() -> Setting {
    Setting::Plain("https://api.telegram.org".to_owned().into())
}

fn vonage_url() -> Setting {
    Setting::Plain("https://api.nexmo.com/v1/messages".to_owned().into())
}

fn resend_url() -> Setting {
    Setting::Plain("https://api.resend.com/emails".to_owned().into())
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
    #[serde(skip_serializing_if = "Option::is_none")]
    telegram: Option<Telegram>,
    #[serde(skip_serializing_if = "Option::is_none")]
    whatsapp: Option<Whatsapp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resend: Option<Resend>,
    #[serde(skip_serializing_if = "Option::is_none")]
    smtp: Option<Smtp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_severity: Option<Severity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<RawRate>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRate {
    messages: u32,
    per: Span,
}

impl TryFrom<Raw> for Destination {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let found = [
            raw.discord.map(Kind::Discord),
            raw.slack.map(Kind::Slack),
            raw.ntfy.map(Kind::Ntfy),
            raw.webhook.map(Kind::Webhook),
            raw.telegram.map(Kind::Telegram),
            raw.whatsapp.map(Kind::Whatsapp),
            raw.resend.map(Kind::Resend),
            raw.smtp.map(Kind::Smtp),
        ];
        let mut kinds = found.into_iter().flatten();
        let kind = kinds
            .next()
            .ok_or("a destination needs one of discord, slack, ntfy, webhook, telegram, whatsapp, resend and smtp")?;
        if let Some(second) = kinds.next() {
            return Err(format!(
                "a destination has one provider, and this has {} and {}: make it two",
                kind.name(),
                second.name()
            ));
        }
        kind.check().map_err(|problem| format!("{}.{problem}", kind.name()))?;
        let rate = raw.rate.map_or_else(Rate::default, |raw| Rate { messages: raw.messages, per: raw.per.0 });
        if rate.messages == 0 || rate.per.is_zero() || rate.per > limits::NOTIFY_RATE_PER_MAX {
            return Err("rate: write messages of at least 1, and per of more than 0 and at most 24h".into());
        }
        let min_severity = raw.min_severity.unwrap_or_else(|| kind.usual_severity());
        Ok(Self { kind, min_severity, rate })
    }
}

impl From<Destination> for Raw {
    fn from(destination: Destination) -> Self {
        let Destination { kind, min_severity, rate } = destination;
        let rate = (rate != Rate::default()).then_some(RawRate { messages: rate.messages, per: Span(rate.per) });
        let raw = Self { min_severity: Some(min_severity), rate, ..Self::default() };
        match kind {
            Kind::Discord(discord) => Self { discord: Some(discord), ..raw },
            Kind::Slack(slack) => Self { slack: Some(slack), ..raw },
            Kind::Ntfy(ntfy) => Self { ntfy: Some(ntfy), ..raw },
            Kind::Webhook(webhook) => Self { webhook: Some(webhook), ..raw },
            Kind::Telegram(telegram) => Self { telegram: Some(telegram), ..raw },
            Kind::Whatsapp(whatsapp) => Self { whatsapp: Some(whatsapp), ..raw },
            Kind::Resend(resend) => Self { resend: Some(resend), ..raw },
            Kind::Smtp(smtp) => Self { smtp: Some(smtp), ..raw },
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
            Self::Telegram(_) => "telegram",
            Self::Whatsapp(_) => "whatsapp",
            Self::Resend(_) => "resend",
            Self::Smtp(_) => "smtp",
        }
    }

    /// A phone is for what cannot wait.
    fn usual_severity(&self) -> Severity {
        if matches!(self, Self::Whatsapp(_)) { Severity::Critical } else { Severity::Info }
    }

    /// Where its service is, and the key of that setting; None for a mail server.
    pub(super) fn address(&self) -> Option<(&'static str, &Setting)> {
        Some(match self {
            Self::Discord(Discord { webhook }) | Self::Slack(Slack { webhook }) => ("webhook", webhook),
            Self::Ntfy(ntfy) => ("url", &ntfy.url),
            Self::Webhook(webhook) => ("url", &webhook.url),
            Self::Telegram(telegram) => ("url", &telegram.url),
            Self::Whatsapp(whatsapp) => ("url", &whatsapp.url),
            Self::Resend(resend) => ("url", &resend.url),
            Self::Smtp(_) => return None,
        })
    }

    /// What can be checked of settings that are no secrets. The messages do not repeat the values.
    fn check(&self) -> Result<(), String> {
        if let Some((key, url)) = self.address() {
            check_url(key, url)?;
        }
        match self {
            Self::Ntfy(Ntfy { topic: Setting::Plain(topic), .. }) if !is_topic(topic.expose_secret()) => {
                Err("topic: an ntfy topic has 1 to 64 of letters, digits, '-' and '_'".into())
            }
            Self::Whatsapp(one) => match (&one.key, &one.secret, &one.application, &one.private_key) {
                (Some(_), Some(_), None, None) | (None, None, Some(_), Some(_)) => Ok(()),
                _ => Err("key: it needs either key and secret, or application and private_key".into()),
            },
            Self::Resend(Resend { from, to, .. }) => check_mail(from, to),
            Self::Smtp(smtp) => {
                if smtp.host.trim().is_empty() {
                    return Err("host: it is empty".into());
                }
                if smtp.user.is_some() != smtp.password.is_some() {
                    return Err("user: a user needs a password, and a password its user".into());
                }
                if smtp.user.is_some() && smtp.tls == Security::None {
                    return Err("tls: a password is not sent in the open: write starttls or implicit".into());
                }
                check_mail(&smtp.from, &smtp.to)
            }
            _ => Ok(()),
        }
    }
}

fn check_mail(from: &str, to: &Texts) -> Result<(), String> {
    let is_address = |text: &str| text.parse::<lettre::message::Mailbox>().is_ok();
    if !is_address(from) {
        return Err("from: this is not an address: write name@example.com, or Name <name@example.com>".into());
    }
    if to.0.is_empty() || to.0.len() > limits::NOTIFY_MAIL_RECIPIENTS_MAX || !to.0.iter().all(|to| is_address(to)) {
        return Err(format!("to: write 1 to {} addresses", limits::NOTIFY_MAIL_RECIPIENTS_MAX));
    }
    Ok(())
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
