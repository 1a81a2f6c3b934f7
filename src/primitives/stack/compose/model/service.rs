//! A service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::values::{bytes, command, hosts, is_empty, pairs, show_bytes, texts, variables};
use super::{
    Blkio, Build, Cpus, Credentials, Dependency, Deploy, Develop, Device, DeviceRequest, EnvFile, Extra, FileMount,
    HealthCheck, Hook, HostsList, Logging, Mount, Port, ServiceNetwork, Span, Ulimit,
};

/// A service as it is to run: every default is filled in, every path is absolute.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Service {
    #[serde(skip_serializing_if = "is_empty")]
    pub profiles: Vec<String>,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub attach: Option<bool>,
    #[serde(skip_serializing_if = "is_empty")]
    pub build: Option<Build>,
    #[serde(skip_serializing_if = "is_empty")]
    pub develop: Option<Develop>,
    #[serde(skip_serializing_if = "is_empty")]
    pub blkio_config: Option<Blkio>,
    #[serde(skip_serializing_if = "is_empty")]
    pub cap_add: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub cap_drop: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub cgroup_parent: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub cgroup: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub cpu_count: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub cpu_percent: Cpus,
    /// Microseconds.
    #[serde(skip_serializing_if = "is_empty")]
    pub cpu_period: i64,
    /// Microseconds.
    #[serde(skip_serializing_if = "is_empty")]
    pub cpu_quota: i64,
    /// Microseconds.
    #[serde(skip_serializing_if = "is_empty")]
    pub cpu_rt_period: i64,
    /// Microseconds.
    #[serde(skip_serializing_if = "is_empty")]
    pub cpu_rt_runtime: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub cpus: Cpus,
    #[serde(skip_serializing_if = "is_empty")]
    pub cpuset: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub cpu_shares: i64,
    /// `None` leaves the image's; an empty one takes it away.
    #[serde(deserialize_with = "command")]
    pub command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_empty")]
    pub configs: Vec<FileMount>,
    #[serde(skip_serializing_if = "is_empty")]
    pub container_name: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub credential_spec: Option<Credentials>,
    #[serde(skip_serializing_if = "is_empty")]
    pub depends_on: BTreeMap<String, Dependency>,
    #[serde(skip_serializing_if = "is_empty")]
    pub deploy: Option<Deploy>,
    #[serde(skip_serializing_if = "is_empty")]
    pub device_cgroup_rules: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub devices: Vec<Device>,
    #[serde(deserialize_with = "texts", skip_serializing_if = "is_empty")]
    pub dns: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub dns_opt: Vec<String>,
    #[serde(deserialize_with = "texts", skip_serializing_if = "is_empty")]
    pub dns_search: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub domainname: String,
    /// `None` leaves the image's; an empty one takes it away.
    #[serde(deserialize_with = "command")]
    pub entrypoint: Option<Vec<String>>,
    /// Those of environment files among them. A variable without a value is to be taken away.
    #[serde(deserialize_with = "variables", skip_serializing_if = "is_empty")]
    pub environment: BTreeMap<String, Option<String>>,
    #[serde(skip_serializing_if = "is_empty")]
    pub env_file: Vec<EnvFile>,
    #[serde(deserialize_with = "texts", skip_serializing_if = "is_empty")]
    pub expose: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub external_links: Vec<String>,
    /// Addresses by name.
    #[serde(deserialize_with = "hosts", skip_serializing_if = "is_empty")]
    pub extra_hosts: HostsList,
    #[serde(deserialize_with = "texts", skip_serializing_if = "is_empty")]
    pub group_add: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub gpus: Vec<DeviceRequest>,
    #[serde(skip_serializing_if = "is_empty")]
    pub hostname: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub healthcheck: Option<HealthCheck>,
    #[serde(skip_serializing_if = "is_empty")]
    pub image: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub init: Option<bool>,
    #[serde(skip_serializing_if = "is_empty")]
    pub ipc: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub isolation: String,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub label_file: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub links: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub logging: Option<Logging>,
    #[serde(deserialize_with = "bytes", serialize_with = "show_bytes", skip_serializing_if = "is_empty")]
    pub mem_limit: i64,
    #[serde(deserialize_with = "bytes", serialize_with = "show_bytes", skip_serializing_if = "is_empty")]
    pub mem_reservation: i64,
    #[serde(deserialize_with = "bytes", serialize_with = "show_bytes", skip_serializing_if = "is_empty")]
    pub memswap_limit: i64,
    #[serde(deserialize_with = "bytes", serialize_with = "show_bytes", skip_serializing_if = "is_empty")]
    pub mem_swappiness: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub mac_address: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub network_mode: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub networks: BTreeMap<String, Option<ServiceNetwork>>,
    #[serde(skip_serializing_if = "is_empty")]
    pub oom_kill_disable: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub oom_score_adj: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub pid: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub pids_limit: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub platform: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub ports: Vec<Port>,
    #[serde(skip_serializing_if = "is_empty")]
    pub privileged: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub pull_policy: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub read_only: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub restart: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub runtime: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub scale: Option<u32>,
    #[serde(skip_serializing_if = "is_empty")]
    pub secrets: Vec<FileMount>,
    #[serde(skip_serializing_if = "is_empty")]
    pub security_opt: Vec<String>,
    #[serde(deserialize_with = "bytes", serialize_with = "show_bytes", skip_serializing_if = "is_empty")]
    pub shm_size: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub stdin_open: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub stop_grace_period: Option<Span>,
    #[serde(skip_serializing_if = "is_empty")]
    pub stop_signal: String,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub storage_opt: BTreeMap<String, String>,
    #[serde(deserialize_with = "pairs", skip_serializing_if = "is_empty")]
    pub sysctls: BTreeMap<String, String>,
    #[serde(deserialize_with = "texts", skip_serializing_if = "is_empty")]
    pub tmpfs: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub tty: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub ulimits: BTreeMap<String, Ulimit>,
    #[serde(skip_serializing_if = "is_empty")]
    pub user: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub userns_mode: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub uts: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub volumes: Vec<Mount>,
    #[serde(skip_serializing_if = "is_empty")]
    pub volumes_from: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub working_dir: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub post_start: Vec<Hook>,
    #[serde(skip_serializing_if = "is_empty")]
    pub pre_stop: Vec<Hook>,
    #[serde(flatten)]
    pub extra: Extra,
}
