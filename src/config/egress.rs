//! The section `egress`: the way out of executions.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::de::{Deserialize, Deserializer, Error};
use serde::{Deserialize as Derive, Serialize};

use super::values;
use crate::base::{limits, quantity};
use crate::primitives::egress::Options;
use crate::primitives::net::HostPattern;
use crate::primitives::net::pattern::HostPart;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Derive)]
#[serde(default, deny_unknown_fields)]
pub struct Egress {
    /// Whether executions may be let out at all.
    pub enabled: bool,
    /// Addresses of names that are not asked for elsewhere.
    #[serde(deserialize_with = "hosts")]
    pub hosts: BTreeMap<String, IpAddr>,
    /// What one execution may send and receive.
    #[serde(deserialize_with = "size")]
    pub max_bytes: u64,
}

impl Default for Egress {
    fn default() -> Self {
        let Options { enabled, hosts, bytes_max } = Options::default();
        Self { enabled, hosts, max_bytes: bytes_max }
    }
}

impl Egress {
    pub fn options(&self) -> Options {
        Options { enabled: self.enabled, hosts: self.hosts.clone(), bytes_max: self.max_bytes }
    }
}

fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, IpAddr>, D::Error> {
    struct Address(IpAddr);
    impl<'de> Deserialize<'de> for Address {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let parse = |text: &str| text.parse().map_err(|_| format!("{text:?} is no address: write 10.0.0.5"));
            values::text(deserializer, parse).map(Self)
        }
    }
    let hosts: BTreeMap<String, Address> = values::maybe_map(deserializer)?;
    if hosts.len() > limits::EGRESS_HOSTS_MAX {
        return Err(D::Error::custom(format!("write at most {} names", limits::EGRESS_HOSTS_MAX)));
    }
    let named = |(name, Address(address)): (String, Address)| match name.parse() {
        Ok(HostPattern { host: HostPart::Name(read), port: None }) if !read.contains('*') => Ok((read, address)),
        _ => Err(D::Error::custom(format!("{name:?} is no name of a host: write it as \"mirror.internal\""))),
    };
    hosts.into_iter().map(named).collect()
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    values::text(deserializer, parse_size)
}

pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    match quantity::parse_size(text).map_err(|bad| bad.to_string())? {
        0 => Err(format!("{text:?} lets nothing out: write more than 0")),
        bytes => Ok(bytes),
    }
}
