//! Networks, volumes, configs and secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::values::{is_empty, pairs};
use super::{Extra, Hidden};

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Network {
    #[serde(skip_serializing_if = "is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub driver: String,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub driver_opts: BTreeMap<String, String>,
    pub ipam: Ipam,
    /// Made elsewhere: must be there, and is left alone.
    #[serde(skip_serializing_if = "is_empty")]
    pub external: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub internal: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub attachable: bool,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub enable_ipv4: Option<bool>,
    #[serde(skip_serializing_if = "is_empty")]
    pub enable_ipv6: Option<bool>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Ipam {
    #[serde(skip_serializing_if = "is_empty")]
    pub driver: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub config: Vec<Pool>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// Addresses of a network.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Pool {
    #[serde(skip_serializing_if = "is_empty")]
    pub subnet: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub gateway: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub ip_range: String,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub aux_addresses: BTreeMap<String, String>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Volume {
    #[serde(skip_serializing_if = "is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub driver: String,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub driver_opts: BTreeMap<String, String>,
    /// Made elsewhere: must be there, and is left alone.
    #[serde(skip_serializing_if = "is_empty")]
    pub external: bool,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// A config or a secret.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct FileObject {
    #[serde(skip_serializing_if = "is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub file: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub environment: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub content: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub external: bool,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub driver: String,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub driver_opts: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub template_driver: String,
    /// What the variable of `environment` holds. It is never shown.
    #[serde(skip)]
    pub from_environment: Option<Hidden>,
    #[serde(flatten)]
    pub extra: Extra,
}
