//! The section `nfs`: volumes and the gateway that serves them.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer};
use serde::{Deserialize as Derive, Serialize};

use super::values;
use crate::base::{limits, quantity, suggest};
use crate::primitives::volumes::{AuditMode, Options};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Derive)]
#[serde(default, deny_unknown_fields)]
pub struct Nfs {
    /// Where clients connect; no volumes without it.
    #[serde(deserialize_with = "address")]
    pub listen: Option<SocketAddr>,
    /// Where volumes lie.
    pub root: PathBuf,
    /// Networks that may mount volumes that say nothing about it.
    #[serde(deserialize_with = "networks")]
    pub clients: Vec<IpNet>,
    /// Whose the files of new volumes are.
    pub uid: u32,
    pub gid: u32,
    /// What a new volume may hold.
    #[serde(deserialize_with = "size")]
    pub quota_bytes: u64,
    #[serde(deserialize_with = "count")]
    pub quota_inodes: u64,
    /// How long a deleted volume can come back.
    #[serde(serialize_with = "values::duration::serialize", deserialize_with = "grace")]
    pub delete_grace: Duration,
    /// Makes every change of a directory wait for the disk.
    pub sync_names: bool,
    /// `none`, `changes` or `all`.
    #[serde(serialize_with = "audit_text", deserialize_with = "audit")]
    pub audit: AuditMode,
}

impl Default for Nfs {
    fn default() -> Self {
        let Options { listen, root, clients, uid, gid, quota_bytes, quota_inodes, grace, sync_names, audit } =
            Options::default();
        Self { listen, root, clients, uid, gid, quota_bytes, quota_inodes, delete_grace: grace, sync_names, audit }
    }
}

impl Nfs {
    pub fn options(&self) -> Options {
        Options {
            listen: self.listen,
            root: self.root.clone(),
            clients: self.clients.clone(),
            uid: self.uid,
            gid: self.gid,
            quota_bytes: self.quota_bytes,
            quota_inodes: self.quota_inodes,
            grace: self.delete_grace,
            sync_names: self.sync_names,
            audit: self.audit,
        }
    }
}

const MODES: [(&str, AuditMode); 3] =
    [("none", AuditMode::None), ("changes", AuditMode::Changes), ("all", AuditMode::All)];

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    match Option::<Text>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Text(text)) => parse_address(&text).map_err(serde::de::Error::custom),
    }
}

/// A scalar as it is written.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        values::text(deserializer, |text| Ok(Self(text.to_owned())))
    }
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    struct Network(IpNet);
    impl<'de> Deserialize<'de> for Network {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            values::text(deserializer, |text| parse_network(text).map(Self))
        }
    }
    let networks = Vec::<Network>::deserialize(deserializer)?;
    check_networks(networks.into_iter().map(|Network(network)| network).collect()).map_err(serde::de::Error::custom)
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    values::text(deserializer, parse_quota)
}

fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    values::text(deserializer, parse_count)
}

fn grace<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    values::text(deserializer, parse_grace)
}

fn audit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AuditMode, D::Error> {
    values::text(deserializer, parse_audit)
}

fn audit_text<S: serde::Serializer>(mode: &AuditMode, serializer: S) -> Result<S::Ok, S::Error> {
    let (text, _) = MODES.iter().find(|(_, known)| known == mode).unwrap_or(&MODES[0]);
    serializer.serialize_str(text)
}

/// Nothing and `null` are no address.
pub(super) fn parse_address(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        "" | "null" => Ok(None),
        text => values::parse_address(text).map(Some),
    }
}

pub(super) fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| format!("{text:?} is no network: write it as \"10.0.0.0/8\" or as an address"))
}

pub(super) fn check_networks(networks: Vec<IpNet>) -> Result<Vec<IpNet>, String> {
    let most = limits::VOLUME_CLIENTS_MAX;
    if networks.len() > most { Err(format!("write at most {most} networks")) } else { Ok(networks) }
}

pub(super) fn parse_quota(text: &str) -> Result<u64, String> {
    let least = limits::VOLUME_COPY_BYTES as u64;
    match quantity::parse_size(text).map_err(|bad| bad.to_string())? {
        bytes if bytes < least => Err(format!("{text:?} is too small: write at least {}", quantity::show_size(least))),
        bytes => Ok(bytes),
    }
}

pub(super) fn parse_count(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| format!("{text:?} is not a number of files: write a whole number above 0"))
}

pub(super) fn parse_grace(text: &str) -> Result<Duration, String> {
    let most = limits::VOLUME_LIFE_MAX;
    match quantity::parse_duration(text).map_err(|bad| bad.to_string())? {
        grace if grace > most => Err(format!("{text:?} is too long: write at most {}", quantity::show_duration(most))),
        grace => Ok(grace),
    }
}

pub(super) fn parse_audit(text: &str) -> Result<AuditMode, String> {
    let found = MODES.iter().find(|(known, _)| *known == text).map(|(_, mode)| *mode);
    found.ok_or_else(|| {
        let near = suggest::did_you_mean(text, MODES.map(|(known, _)| known));
        format!("{text:?} is no audit of volumes: write none, changes or all{near}")
    })
}

pub(super) fn parse_id(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number of a user or a group"))
}
