//! How a service's image is built.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::values::{bytes, hosts, is_empty, pairs, show_bytes, ssh, texts, variables};
use super::{Extra, FileMount, HostsList, Ulimit};

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Build {
    /// An absolute path, a URL, or `service:` and a name.
    #[serde(skip_serializing_if = "is_empty")]
    pub context: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub dockerfile: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub dockerfile_inline: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub entitlements: Vec<String>,
    #[serde(deserialize_with = "variables", skip_serializing_if = "is_empty")]
    pub args: BTreeMap<String, Option<String>>,
    /// `id` or `id=path`.
    #[serde(deserialize_with = "ssh", skip_serializing_if = "is_empty")]
    pub ssh: Vec<String>,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "texts", skip_serializing_if = "is_empty")]
    pub cache_from: Vec<String>,
    #[serde(deserialize_with = "texts", skip_serializing_if = "is_empty")]
    pub cache_to: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub no_cache: bool,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub additional_contexts: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub pull: bool,
    #[serde(deserialize_with = "hosts", skip_serializing_if = "is_empty")]
    pub extra_hosts: HostsList,
    #[serde(skip_serializing_if = "is_empty")]
    pub isolation: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub network: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub target: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub secrets: Vec<FileMount>,
    #[serde(deserialize_with = "bytes", serialize_with = "show_bytes", skip_serializing_if = "is_empty")]
    pub shm_size: i64,
    #[serde(deserialize_with = "texts", skip_serializing_if = "is_empty")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub ulimits: BTreeMap<String, Ulimit>,
    #[serde(deserialize_with = "texts", skip_serializing_if = "is_empty")]
    pub platforms: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub privileged: bool,
    #[serde(flatten)]
    pub extra: Extra,
}
