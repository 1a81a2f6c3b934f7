//! What a service publishes and mounts, and the networks it is on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Extra;
use super::values::{bytes, is_empty, pairs, show_bytes, text};

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Port {
    #[serde(skip_serializing_if = "is_empty")]
    pub name: String,
    /// `ingress` or `host`.
    #[serde(skip_serializing_if = "is_empty")]
    pub mode: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub host_ip: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub target: u16,
    /// A port, a range to choose from, or empty: the engine chooses.
    #[serde(deserialize_with = "text", skip_serializing_if = "is_empty")]
    pub published: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub protocol: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub app_protocol: String,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs`, `npipe` or `cluster`.
    #[serde(rename = "type", skip_serializing_if = "is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub source: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub target: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub read_only: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub consistency: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub bind: Option<BindOptions>,
    #[serde(skip_serializing_if = "is_empty")]
    pub volume: Option<VolumeOptions>,
    #[serde(skip_serializing_if = "is_empty")]
    pub tmpfs: Option<TmpfsOptions>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct BindOptions {
    #[serde(skip_serializing_if = "is_empty")]
    pub selinux: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub propagation: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub create_host_path: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub recursive: String,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct VolumeOptions {
    #[serde(skip_serializing_if = "is_empty")]
    pub nocopy: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub subpath: String,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct TmpfsOptions {
    #[serde(deserialize_with = "bytes", serialize_with = "show_bytes", skip_serializing_if = "is_empty")]
    pub size: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub mode: u32,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct ServiceNetwork {
    #[serde(skip_serializing_if = "is_empty")]
    pub priority: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub gw_priority: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub aliases: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub ipv4_address: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub ipv6_address: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub link_local_ips: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub mac_address: String,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub driver_opts: BTreeMap<String, String>,
    #[serde(flatten)]
    pub extra: Extra,
}
