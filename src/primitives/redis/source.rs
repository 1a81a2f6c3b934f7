//! A source as the configuration has it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::address::Address;
use crate::base::{ExposeSecret, limits};
use crate::primitives::notify::Setting;

/// Sources by name.
pub type Sources = BTreeMap<String, Source>;

/// A server that speaks Redis's protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Source {
    /// `redis://user:password@host:6379/0`, `rediss://…` for TLS, `unix:///path/to/socket`, or `secret:NAME`.
    pub url: Setting,
    /// Calls that are under way at once; more wait their turn.
    pub max_connections: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    url: Setting,
    #[serde(default = "connections")]
    max_connections: usize,
}

fn connections() -> usize {
    limits::REDIS_CONNECTIONS_DEFAULT
}

impl Source {
    /// With the default number of connections.
    pub fn new(url: Setting) -> Self {
        Self { url, max_connections: connections() }
    }
}

impl TryFrom<Raw> for Source {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let Raw { url, max_connections } = raw;
        if !(1..=limits::REDIS_CONNECTIONS_MAX).contains(&max_connections) {
            let max = limits::REDIS_CONNECTIONS_MAX;
            return Err(format!("max_connections: {max_connections} is out of range: write 1 to {max}"));
        }
        if let Setting::Plain(text) = &url {
            Address::parse(text.expose_secret()).map_err(|problem| format!("url: {problem}"))?;
        }
        Ok(Self { url, max_connections })
    }
}

impl From<Source> for Raw {
    fn from(source: Source) -> Self {
        Self { url: source.url, max_connections: source.max_connections }
    }
}
