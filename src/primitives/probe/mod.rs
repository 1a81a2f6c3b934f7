//! Looking from this machine at others: names, ports, certificates, round trips.
//!
//! A probe tells whether something is there, which is worth knowing to whoever should not: it needs `host = "read"`, a
//! pattern of `http` that covers the target, and goes through the same address policy as requests do. That a target
//! does not answer is a result; that it may not be asked is an error.

mod certificate;
mod dns;
mod error;
mod ping;
mod tcp;
mod tls;

#[cfg(test)]
pub(in crate::primitives) mod tests;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

pub use certificate::Certificate;
pub use dns::{Answer, DnsQuery, DnsRecord, RECORD_TYPES};
pub use error::ProbeError;
pub use ping::{Ping, PingQuery};
pub use tcp::Reached;
pub use tls::{Chain, TlsQuery};

use crate::base::Clock;
use crate::primitives::net::policy::Destination;
use crate::primitives::net::resolve::Lookup;
use crate::primitives::net::{HostPattern, Policy, Target};
use crate::primitives::permit::ProbePermit;

/// The service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Probe(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    deny: Arc<[HostPattern]>,
    ca_file: Option<PathBuf>,
    lookup: Arc<dyn Lookup>,
}

impl Probe {
    pub fn new(clock: Clock, deny: Arc<[HostPattern]>, ca_file: Option<PathBuf>, lookup: Arc<dyn Lookup>) -> Self {
        Self(Arc::new(Shared { clock, deny, ca_file, lookup }))
    }

    fn policy(&self, permit: &ProbePermit) -> Policy {
        permit.http().policy().denying(self.0.deny.clone())
    }

    /// The addresses of `host` that may be probed on `port`: at least one.
    async fn addresses(
        &self,
        permit: &ProbePermit,
        doing: &str,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, ProbeError> {
        let what = format!("{doing} {host}");
        let refused = |reason| ProbeError::refused(&what, permit.http(), reason);
        let policy = self.policy(permit);
        let target = target(host, port).ok_or_else(|| ProbeError::BadHost { host: host.to_owned() })?;
        policy.check(&target).map_err(refused)?;
        let Destination::Name(name) = &target.host else {
            return match target.host {
                Destination::Address(ip) => Ok(vec![SocketAddr::new(ip, port)]),
                Destination::Name(_) => Ok(Vec::new()),
            };
        };
        let unknown = |problem: String| ProbeError::Unresolved { host: host.to_owned(), problem };
        let found = self.0.lookup.lookup(name.clone()).await.map_err(|problem| unknown(problem.to_string()))?;
        let mut blocked = None;
        let mut allowed = Vec::new();
        for ip in found {
            match policy.check_address(&target.host, port, ip) {
                Ok(()) => allowed.push(SocketAddr::new(ip, port)),
                Err(reason) => blocked = Some(reason),
            }
        }
        match blocked {
            Some(reason) if allowed.is_empty() => Err(refused(reason)),
            None if allowed.is_empty() => Err(unknown("the name has no address".into())),
            _ => Ok(allowed),
        }
    }

    /// A port under which `host` may be probed by what has none, such as an echo: any that a pattern names will do.
    fn some_port(&self, permit: &ProbePermit, host: &str) -> u16 {
        const ANY: u16 = 0;
        let policy = self.policy(permit);
        let ports = policy.patterns().iter().filter_map(|pattern| pattern.port).collect::<Vec<_>>();
        let fits = |port: &u16| target(host, *port).is_some_and(|target| policy.check(&target).is_ok());
        [ANY].into_iter().chain(ports).find(fits).unwrap_or(ANY)
    }
}

/// Read the way a URL's host is read, so that every notation of an address is known for what it is.
fn target(host: &str, port: u16) -> Option<Target> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let shown = match bare.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        _ if host.contains(['/', '@', '?', '#', ':', '\\']) => return None,
        _ => host.to_owned(),
    };
    let url = Url::parse(&format!("http://{shown}/")).ok()?;
    let target = Target::of(&url).ok()?;
    Some(Target { port, ..target })
}
