//! A file of the file provider, as far as we write any: the part of Traefik's dynamic configuration for HTTP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Sections that would be empty are left out: Traefik refuses them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub http: Http,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Http {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub routers: BTreeMap<String, Router>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, Service>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Router {
    pub rule: String,
    pub service: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entry_points: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub middlewares: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// Its presence alone makes a router one for TLS.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_resolver: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Service {
    Weighted(Weighted),
    LoadBalancer(LoadBalancer),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Weighted {
    pub services: Vec<Part>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<StickyCookie>,
    /// Empty: a service whose servers are all ill gets nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    pub weight: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StickyCookie {
    pub cookie: Cookie,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    pub name: String,
    pub secure: bool,
    pub http_only: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_site: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    pub servers: Vec<Server>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    pub url: String,
}

/// Durations as Go writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthCheck {
    pub path: String,
    pub interval: String,
    pub timeout: String,
}

impl Document {
    /// The weighted service of a set.
    pub fn weighted(&self, name: &str) -> Option<&Weighted> {
        match self.http.services.get(name) {
            Some(Service::Weighted(weighted)) => Some(weighted),
            _ => None,
        }
    }

    pub fn weighted_mut(&mut self, name: &str) -> Option<&mut Weighted> {
        match self.http.services.get_mut(name) {
            Some(Service::Weighted(weighted)) => Some(weighted),
            _ => None,
        }
    }

    pub fn urls(&self, service: &str) -> Vec<String> {
        match self.http.services.get(service) {
            Some(Service::LoadBalancer(balancer)) => balancer.servers.iter().map(|server| server.url.clone()).collect(),
            _ => Vec::new(),
        }
    }
}
