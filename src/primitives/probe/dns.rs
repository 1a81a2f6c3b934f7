//! What a name server says of a name, asked afresh.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use serde::Serialize;

use super::Probe;
use super::error::ProbeError;
use crate::base::clock::since;
use crate::base::limits;
use crate::primitives::permit::ProbePermit;

pub const RECORD_TYPES: &[&str] = &["A", "AAAA", "CNAME", "MX", "TXT", "NS", "SRV", "PTR", "SOA", "CAA"];
const DNS_PORT: u16 = 53;

#[derive(Debug, Clone)]
pub struct DnsQuery {
    pub name: String,
    /// One of [`RECORD_TYPES`].
    pub kind: String,
    /// An address with or without a port; the system's when left out.
    pub server: Option<String>,
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// Whether the name exists, if only with records of other types. A server that keeps that to itself says yes.
    pub exists: bool,
    pub records: Vec<DnsRecord>,
    pub took_ms: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DnsRecord {
    pub name: String,
    pub r#type: String,
    pub ttl: u32,
    /// The address, name or text.
    pub value: String,
    /// Of MX and SRV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Of SRV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Of CAA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Of SOA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
}

impl Probe {
    /// Asks for one type of records. That there are none is an answer.
    pub async fn dns(&self, permit: &ProbePermit, query: &DnsQuery) -> Result<Answer, ProbeError> {
        let what = format!("asking for {}", query.name);
        let bad = || ProbeError::BadHost { host: query.name.clone() };
        let port = self.some_port(permit, &query.name);
        let target = super::target(&query.name, port).ok_or_else(bad)?;
        let refused = |reason| ProbeError::refused(&what, permit.http(), reason);
        self.policy(permit).check(&target).map_err(refused)?;
        let resolver = self.resolver(permit, query).await?;
        let kind: RecordType = query.kind.parse().map_err(|_| bad())?;
        let asked = match (kind, query.name.parse::<IpAddr>()) {
            (RecordType::PTR, Ok(ip)) => reverse(ip),
            _ => format!("{}.", query.name.trim_end_matches('.')),
        };
        let started = self.0.clock.now();
        let answered = tokio::select! {
            answered = resolver.lookup(asked, kind) => answered,
            () = self.0.clock.sleep(query.timeout) => {
                return Err(ProbeError::Timeout { target: format!("the name server, asked for {},", query.name), after: query.timeout });
            }
        };
        let took_ms = since(self.0.clock.now(), started).as_secs_f64() * 1_000.0;
        match answered {
            Ok(found) => {
                let records = found.answers().iter().take(limits::PROBE_RECORDS_MAX).map(record).collect();
                Ok(Answer { exists: true, records, took_ms })
            }
            Err(none) if none.is_no_records_found() => {
                Ok(Answer { exists: !none.is_nx_domain(), records: Vec::new(), took_ms })
            }
            Err(NetError::Timeout) => {
                let target = format!("the name server, asked for {},", query.name);
                Err(ProbeError::Timeout { target, after: query.timeout })
            }
            Err(problem) => Err(ProbeError::Dns { name: query.name.clone(), problem: problem.to_string() }),
        }
    }

    async fn resolver(&self, permit: &ProbePermit, query: &DnsQuery) -> Result<TokioResolver, ProbeError> {
        let failed = |problem: NetError| ProbeError::Dns { name: query.name.clone(), problem: problem.to_string() };
        let mut builder = match &query.server {
            None => TokioResolver::builder_tokio().map_err(failed)?,
            Some(text) => {
                let at = server(text).ok_or_else(|| ProbeError::BadServer { server: text.clone() })?;
                let host = at.ip().to_string();
                self.addresses(permit, "asking the name server", &host, at.port()).await?;
                let mut server = NameServerConfig::udp_and_tcp(at.ip());
                for connection in &mut server.connections {
                    connection.port = at.port();
                }
                let config = ResolverConfig::from_name_servers(vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        options.timeout = query.timeout;
        options.attempts = 1;
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        builder.build().map_err(failed)
    }
}

fn server(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    text.parse().ok().or_else(|| bare.parse().ok().map(|ip| SocketAddr::new(ip, DNS_PORT)))
}

fn reverse(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().flat_map(|byte| [byte & 0xf, byte >> 4]);
            format!("{}ip6.arpa.", nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>())
        }
    }
}

fn record(record: &Record) -> DnsRecord {
    let plain = |name: String| name.strip_suffix('.').unwrap_or(&name).to_owned();
    let base = DnsRecord {
        name: plain(record.name.to_string()),
        r#type: record.record_type().to_string(),
        ttl: record.ttl,
        ..DnsRecord::default()
    };
    match &record.data {
        RData::MX(mx) => DnsRecord { value: plain(mx.exchange.to_string()), priority: Some(mx.preference), ..base },
        RData::SRV(srv) => DnsRecord {
            value: plain(srv.target.to_string()),
            priority: Some(srv.priority),
            weight: Some(srv.weight),
            port: Some(srv.port),
            ..base
        },
        RData::TXT(txt) => {
            let text: Vec<u8> = txt.txt_data.iter().flat_map(|piece| piece.iter().copied()).collect();
            DnsRecord { value: String::from_utf8_lossy(&text).into_owned(), ..base }
        }
        RData::CAA(caa) => {
            DnsRecord { value: String::from_utf8_lossy(&caa.value).into_owned(), tag: Some(caa.tag.clone()), ..base }
        }
        RData::SOA(soa) => DnsRecord { value: plain(soa.mname.to_string()), serial: Some(soa.serial), ..base },
        RData::CNAME(_) | RData::NS(_) | RData::PTR(_) => DnsRecord { value: plain(record.data.to_string()), ..base },
        other => DnsRecord { value: other.to_string(), ..base },
    }
}
