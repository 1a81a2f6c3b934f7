//! The smaller parts of a service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::values::{bytes, command, health_test, is_empty, pairs, show_bytes, text, variables};
use super::{Extra, Span};

/// A service that must be there before another one starts.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Dependency {
    /// `service_started`, `service_healthy` or `service_completed_successfully`.
    #[serde(skip_serializing_if = "is_empty")]
    pub condition: String,
    /// Whether it is restarted with the service that it depends on.
    #[serde(skip_serializing_if = "is_empty")]
    pub restart: bool,
    /// Without it, a service that is not there is left out of account.
    pub required: bool,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct HealthCheck {
    /// Begins with `CMD`, `CMD-SHELL` or `NONE`.
    #[serde(deserialize_with = "health_test", skip_serializing_if = "is_empty")]
    pub test: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub timeout: Option<Span>,
    #[serde(skip_serializing_if = "is_empty")]
    pub interval: Option<Span>,
    #[serde(skip_serializing_if = "is_empty")]
    pub retries: Option<u64>,
    #[serde(skip_serializing_if = "is_empty")]
    pub start_period: Option<Span>,
    #[serde(skip_serializing_if = "is_empty")]
    pub start_interval: Option<Span>,
    #[serde(skip_serializing_if = "is_empty")]
    pub disable: bool,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Logging {
    #[serde(skip_serializing_if = "is_empty")]
    pub driver: String,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub options: BTreeMap<String, String>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct EnvFile {
    #[serde(skip_serializing_if = "is_empty")]
    pub path: String,
    pub required: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub format: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Device {
    #[serde(skip_serializing_if = "is_empty")]
    pub source: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub target: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub permissions: String,
    #[serde(flatten)]
    pub extra: Extra,
}

/// A config or a secret as a file in the container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct FileMount {
    #[serde(skip_serializing_if = "is_empty")]
    pub source: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub target: String,
    #[serde(deserialize_with = "text", skip_serializing_if = "is_empty")]
    pub uid: String,
    #[serde(deserialize_with = "text", skip_serializing_if = "is_empty")]
    pub gid: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub mode: Option<u32>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Credentials {
    #[serde(skip_serializing_if = "is_empty")]
    pub config: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub file: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub registry: String,
    #[serde(flatten)]
    pub extra: Extra,
}

/// A command that runs in a container after its start or before its stop.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Hook {
    #[serde(deserialize_with = "command")]
    pub command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_empty")]
    pub user: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub privileged: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub working_dir: String,
    #[serde(deserialize_with = "variables", skip_serializing_if = "is_empty")]
    pub environment: BTreeMap<String, Option<String>>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Develop {
    #[serde(skip_serializing_if = "is_empty")]
    pub watch: Vec<Watch>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// What happens when files change while somebody works on the service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Watch {
    pub path: String,
    pub action: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub target: String,
    pub exec: Hook,
    #[serde(skip_serializing_if = "is_empty")]
    pub ignore: Vec<String>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Blkio {
    #[serde(skip_serializing_if = "is_empty")]
    pub weight: u16,
    #[serde(skip_serializing_if = "is_empty")]
    pub weight_device: Vec<DeviceWeight>,
    #[serde(skip_serializing_if = "is_empty")]
    pub device_read_bps: Vec<DeviceRate>,
    #[serde(skip_serializing_if = "is_empty")]
    pub device_read_iops: Vec<DeviceRate>,
    #[serde(skip_serializing_if = "is_empty")]
    pub device_write_bps: Vec<DeviceRate>,
    #[serde(skip_serializing_if = "is_empty")]
    pub device_write_iops: Vec<DeviceRate>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct DeviceWeight {
    #[serde(rename(serialize = "Path"))]
    pub path: String,
    #[serde(rename(serialize = "Weight"))]
    pub weight: u16,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct DeviceRate {
    #[serde(rename(serialize = "Path"))]
    pub path: String,
    #[serde(deserialize_with = "bytes", serialize_with = "show_bytes", rename(serialize = "Rate"))]
    pub rate: i64,
    #[serde(flatten)]
    pub extra: Extra,
}
