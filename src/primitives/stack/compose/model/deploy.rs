//! How many of a service run, with what, and how they are replaced.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::values::{bytes, device_count, is_empty, pairs, show_bytes};
use super::{Cpus, Extra, Span};

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Deploy {
    #[serde(skip_serializing_if = "is_empty")]
    pub mode: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub replicas: Option<u32>,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub update_config: Option<UpdatePolicy>,
    #[serde(skip_serializing_if = "is_empty")]
    pub rollback_config: Option<UpdatePolicy>,
    pub resources: Resources,
    #[serde(skip_serializing_if = "is_empty")]
    pub restart_policy: Option<RestartPolicy>,
    pub placement: Placement,
    #[serde(skip_serializing_if = "is_empty")]
    pub endpoint_mode: String,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct UpdatePolicy {
    #[serde(skip_serializing_if = "is_empty")]
    pub parallelism: Option<u64>,
    #[serde(skip_serializing_if = "is_empty")]
    pub delay: Span,
    #[serde(skip_serializing_if = "is_empty")]
    pub failure_action: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub monitor: Span,
    #[serde(skip_serializing_if = "is_empty")]
    pub max_failure_ratio: Cpus,
    /// `start-first` or `stop-first`.
    #[serde(skip_serializing_if = "is_empty")]
    pub order: String,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Resources {
    #[serde(skip_serializing_if = "is_empty")]
    pub limits: Option<Resource>,
    #[serde(skip_serializing_if = "is_empty")]
    pub reservations: Option<Resource>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Resource {
    #[serde(skip_serializing_if = "is_empty")]
    pub cpus: Cpus,
    #[serde(deserialize_with = "bytes", serialize_with = "show_bytes", skip_serializing_if = "is_empty")]
    pub memory: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub pids: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub devices: Vec<DeviceRequest>,
    #[serde(skip_serializing_if = "is_empty")]
    pub generic_resources: Vec<GenericResource>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// A device that a driver gives, such as a GPU.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct DeviceRequest {
    #[serde(skip_serializing_if = "is_empty")]
    pub capabilities: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub driver: String,
    /// -1 for all.
    #[serde(deserialize_with = "device_count", skip_serializing_if = "is_empty")]
    pub count: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub device_ids: Vec<String>,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub options: BTreeMap<String, String>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct GenericResource {
    #[serde(skip_serializing_if = "is_empty")]
    pub discrete_resource_spec: Option<DiscreteResource>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct DiscreteResource {
    pub kind: String,
    pub value: i64,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct RestartPolicy {
    #[serde(skip_serializing_if = "is_empty")]
    pub condition: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub delay: Option<Span>,
    #[serde(skip_serializing_if = "is_empty")]
    pub max_attempts: Option<u64>,
    #[serde(skip_serializing_if = "is_empty")]
    pub window: Option<Span>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Placement {
    #[serde(skip_serializing_if = "is_empty")]
    pub constraints: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub preferences: Vec<Preference>,
    #[serde(skip_serializing_if = "is_empty")]
    pub max_replicas_per_node: u64,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Preference {
    #[serde(skip_serializing_if = "is_empty")]
    pub spread: String,
    #[serde(flatten)]
    pub extra: Extra,
}
