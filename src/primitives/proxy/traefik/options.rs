//! What a script says about a set of services.

use serde::{Deserialize, Serialize};

use crate::primitives::option::Span;

/// One service of a set, and its part of the requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, counted from 1, unless said otherwise.
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub url: Option<String>,
    /// Several servers that share the entry's part evenly.
    #[serde(default)]
    pub urls: Vec<String>,
    #[serde(default = "one")]
    pub weight: i64,
}

fn one() -> i64 {
    1
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct SetOptions {
    #[serde(default)]
    pub services: Vec<Entry>,
    /// Without one there is no router: routers of other files name the set as `NAME@file`.
    #[serde(default)]
    pub rule: Option<String>,
    #[serde(default)]
    pub entry_points: Vec<String>,
    #[serde(default)]
    pub middlewares: Vec<String>,
    #[serde(default)]
    pub priority: Option<u32>,
    #[serde(default)]
    pub tls: bool,
    #[serde(default)]
    pub cert_resolver: Option<String>,
    #[serde(default)]
    pub sticky: Option<Sticky>,
    #[serde(default)]
    pub health: Option<Health>,
    #[serde(default)]
    pub routes: Vec<Route>,
}

/// A cookie that keeps a client with the entry that it had first.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Sticky {
    pub cookie: String,
    #[serde(default)]
    pub secure: bool,
    #[serde(default = "yes")]
    pub http_only: bool,
    /// `lax`, `strict` or `none`.
    #[serde(default)]
    pub same_site: Option<String>,
}

fn yes() -> bool {
    true
}

/// What Traefik asks the servers at intervals.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Health {
    pub path: String,
    #[serde(default)]
    pub interval: Option<Span>,
    #[serde(default)]
    pub timeout: Option<Span>,
}

/// Requests with this header or cookie go to one entry, whatever the weights.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Route {
    pub to: String,
    #[serde(default)]
    pub header: Option<String>,
    #[serde(default)]
    pub cookie: Option<String>,
    pub value: String,
}
