//! What a container is made from, under the names of the Compose file.

use std::collections::BTreeMap;

use bollard::models::EndpointSettings;
use serde::Deserialize;

use super::mounts::VolumeEntry;
use crate::primitives::docker::networks::endpoint;
use crate::primitives::docker::ports::{PortEntry, table_or_short};
use crate::primitives::docker::pull::{PullPolicy, RegistryAuth};
use crate::primitives::option::{Argv, Pairs, Size, Span, Texts};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CreateOptions {
    /// Default: one that the engine makes up.
    pub name: Option<String>,
    pub image: String,
    /// Default: `missing`.
    pub pull_policy: Option<PullPolicy>,
    pub auth: Option<RegistryAuth>,
    pub platform: Option<String>,

    pub command: Option<Argv>,
    pub entrypoint: Option<Argv>,
    pub environment: Pairs,
    /// Files on the daemon's host with `NAME=value` lines; `environment` wins over them. Needs `admin`.
    pub env_file: Texts,
    pub user: Option<String>,
    pub group_add: Texts,
    pub working_dir: Option<String>,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub tty: bool,
    pub stdin_open: bool,
    pub init: Option<bool>,
    pub stop_signal: Option<String>,
    pub stop_grace_period: Option<Span>,
    pub labels: Pairs,
    pub annotations: Pairs,

    pub(in crate::primitives::docker) ports: Vec<PortEntry>,
    pub expose: Texts,
    pub(in crate::primitives::docker) volumes: Vec<VolumeEntry>,
    /// `/tmp`, or `/tmp:size=64m,mode=1777`.
    pub tmpfs: Texts,
    pub(in crate::primitives::docker) networks: Networks,
    /// `none`, `bridge`; `host` and `container:…` need `admin`.
    pub network_mode: Option<String>,
    pub(in crate::primitives::docker) extra_hosts: ExtraHosts,
    pub dns: Texts,
    pub dns_search: Texts,
    pub dns_opt: Texts,

    /// `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:5`.
    pub restart: Option<String>,
    pub(super) healthcheck: Option<HealthcheckOptions>,
    pub(super) logging: Option<LoggingOptions>,

    /// Limit, in CPUs.
    pub cpus: Option<f64>,
    /// Its share when CPUs are scarce, in CPUs.
    pub cpu_reservation: Option<f64>,
    pub cpuset: Option<String>,
    pub mem_limit: Option<Size>,
    pub mem_reservation: Option<Size>,
    /// Memory and swap together.
    pub memswap_limit: Option<Size>,
    pub pids_limit: Option<i64>,
    pub shm_size: Option<Size>,
    pub(in crate::primitives::docker) ulimits: BTreeMap<String, Ulimit>,
    pub oom_score_adj: Option<i64>,
    pub oom_kill_disable: Option<bool>,
    /// 0 to 100.
    pub mem_swappiness: Option<i64>,
    /// Its share when CPUs are scarce, in the kernel's terms; `cpu_reservation` says the same in CPUs.
    pub cpu_shares: Option<i64>,
    /// Microseconds, for limits in the kernel's terms; `cpus` says the same in CPUs.
    pub cpu_period: Option<i64>,
    pub cpu_quota: Option<i64>,

    pub read_only: bool,
    pub cap_drop: Texts,
    pub cap_add: Texts,
    pub security_opt: Texts,
    pub privileged: bool,
    pub devices: Texts,
    pub device_cgroup_rules: Texts,
    /// Devices that a driver of the engine gives, such as GPUs.
    pub(super) device_requests: Vec<DeviceRequestOptions>,
    /// Containers whose volumes it has too.
    pub volumes_from: Texts,
    pub storage_opt: Pairs,
    pub sysctls: Pairs,
    pub pid: Option<String>,
    pub ipc: Option<String>,
    pub uts: Option<String>,
    pub userns_mode: Option<String>,
    /// `private`; `host` needs `admin`.
    pub cgroup: Option<String>,
    pub cgroup_parent: Option<String>,
    pub runtime: Option<String>,

    /// Removes the container when it ends.
    pub auto_remove: bool,
    pub dry_run: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::primitives::docker) struct HealthcheckOptions {
    /// A text for the container's shell, or `{"CMD", …}`, `{"CMD-SHELL", text}`, `{"NONE"}`.
    pub(super) test: Option<Test>,
    pub interval: Option<Span>,
    pub timeout: Option<Span>,
    pub retries: Option<i64>,
    pub start_period: Option<Span>,
    pub start_interval: Option<Span>,
    pub disable: bool,
}

/// Unlike a command, a text is for a shell here: so Compose has it.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Shell(String),
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for Test {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        match value {
            serde_json::Value::String(text) => Ok(Self::Shell(text)),
            list => {
                serde_json::from_value::<Texts>(list).map(|list| Self::List(list.0)).map_err(serde::de::Error::custom)
            }
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::primitives::docker) struct DeviceRequestOptions {
    pub(super) driver: Option<String>,
    /// -1 for all.
    pub(super) count: Option<i64>,
    pub(super) device_ids: Texts,
    /// `gpu`, `compute`, …: all of them.
    pub(super) capabilities: Texts,
    pub(super) options: Pairs,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::primitives::docker) struct LoggingOptions {
    /// Default: `json-file`.
    #[serde(default)]
    pub driver: Option<String>,
    /// `max-size = "10m"`, `max-file = 3`.
    #[serde(default)]
    pub options: Pairs,
}

/// `{"front", "back"}` or `{ front = { aliases = {"api"} } }`; or a list of tables with `name`. In this order.
#[derive(Debug, Clone, Default)]
pub(in crate::primitives::docker) struct Networks(Vec<(String, NetworkSettings)>);

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::primitives::docker) struct NetworkSettings {
    pub(super) aliases: Texts,
    pub(super) ipv4_address: Option<String>,
    pub(super) ipv6_address: Option<String>,
    pub(super) link_local_ips: Texts,
    pub(super) mac_address: Option<String>,
    pub(super) driver_opts: Pairs,
}

impl NetworkSettings {
    pub(super) fn endpoint(&self) -> EndpointSettings {
        let addresses = &self.link_local_ips.0;
        let mut endpoint = endpoint(&self.aliases.0, self.ipv4_address.clone(), self.ipv6_address.clone());
        if !addresses.is_empty() {
            endpoint.ipam_config.get_or_insert_default().link_local_ips = Some(addresses.clone());
        }
        endpoint.mac_address = self.mac_address.clone();
        let pairs = &self.driver_opts.0;
        endpoint.driver_opts = (!pairs.is_empty()).then(|| pairs.clone().into_iter().collect());
        endpoint
    }
}

/// A network in a list: its name alone, or with how the container sits on it.
#[derive(Debug, Clone)]
struct NamedNetwork(String, NetworkSettings);

impl<'de> Deserialize<'de> for NamedNetwork {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Long {
            name: String,
            #[serde(flatten)]
            settings: serde_json::Map<String, serde_json::Value>,
        }
        let long = |long: Long| {
            let settings = serde_json::from_value(serde_json::Value::Object(long.settings));
            settings.map(|settings| Self(long.name, settings)).map_err(serde::de::Error::custom)
        };
        table_or_short(deserializer, long, |name: String| Ok(Self(name, NetworkSettings::default())))?
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let long = |map: BTreeMap<String, Option<NetworkSettings>>| {
            Self(map.into_iter().map(|(name, settings)| (name, settings.unwrap_or_default())).collect())
        };
        let short = |list: Vec<NamedNetwork>| Self(list.into_iter().map(|NamedNetwork(name, of)| (name, of)).collect());
        table_or_short(deserializer, long, short)
    }
}

impl Networks {
    pub(in crate::primitives::docker) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn have_driver_options(&self) -> bool {
        self.0.iter().any(|(_, settings)| !settings.driver_opts.0.is_empty())
    }

    pub(super) fn have_mac_addresses(&self) -> bool {
        self.0.iter().any(|(_, settings)| settings.mac_address.is_some())
    }

    pub(super) fn first(&self) -> Option<&(String, NetworkSettings)> {
        self.0.first()
    }

    /// All but the one that the container is created on.
    pub(super) fn further(&self) -> impl Iterator<Item = (&str, &NetworkSettings)> {
        self.0.iter().skip(1).map(|(name, settings)| (name.as_str(), settings))
    }
}

/// `{"db:10.0.0.5"}` or `{ db = "10.0.0.5" }`.
#[derive(Debug, Clone, Default)]
pub(in crate::primitives::docker) struct ExtraHosts(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for ExtraHosts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let long = |map: BTreeMap<String, String>| Self(map.iter().map(|(name, ip)| format!("{name}:{ip}")).collect());
        table_or_short(deserializer, long, |list: Texts| Self(list.0))
    }
}

/// One number for both, or each.
#[derive(Debug, Clone, Copy)]
pub(in crate::primitives::docker) struct Ulimit {
    pub(super) soft: i64,
    pub(super) hard: i64,
}

impl<'de> Deserialize<'de> for Ulimit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Both {
            soft: i64,
            hard: i64,
        }
        let long = |both: Both| Self { soft: both.soft, hard: both.hard };
        table_or_short(deserializer, long, |both: i64| Self { soft: both, hard: both })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_options_are_named() {
        let wrong = serde_json::from_value::<CreateOptions>(json!({"image": "web", "memory": "1g"}));
        assert!(wrong.is_err_and(|error| error.to_string().contains("unknown field `memory`")));
        let nested =
            serde_json::from_value::<CreateOptions>(json!({"image": "web", "networks": {"a": {"alias": "x"}}}));
        assert!(nested.is_err_and(|error| error.to_string().contains("unknown field `alias`")));
    }

    #[test]
    fn both_spellings_of_networks_and_hosts_are_read() {
        let read = |value| serde_json::from_value::<CreateOptions>(value).expect("options");
        let list = read(json!({"image": "web", "networks": ["front", "back"], "extra_hosts": ["a:10.0.0.1"]}));
        assert_eq!(list.networks.names().collect::<Vec<_>>(), ["front", "back"]);
        assert_eq!(list.networks.further().map(|(name, _)| name).collect::<Vec<_>>(), ["back"]);
        let map = read(json!({"image": "web", "networks": {"front": {"aliases": ["api"]}, "x": null},
            "extra_hosts": {"host.docker.internal": "host-gateway"}}));
        assert_eq!(map.networks.first().map(|(_, settings)| settings.aliases.0.clone()), Some(vec!["api".into()]));
        assert_eq!(map.extra_hosts.0, ["host.docker.internal:host-gateway"]);
        let tables = read(json!({"image": "web", "networks": [{"name": "z", "aliases": ["api"]}, {"name": "a"}]}));
        assert_eq!(tables.networks.names().collect::<Vec<_>>(), ["z", "a"], "a list keeps its order");
        let wrong =
            serde_json::from_value::<CreateOptions>(json!({"image": "web", "networks": [{"name": "z", "ip": 1}]}));
        assert!(wrong.is_err_and(|error| error.to_string().contains("unknown field `ip`")));
    }
}
