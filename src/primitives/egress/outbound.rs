//! From a wish to a connection: the lists, the name's addresses, the lists again, and the very address that was checked.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::ledger::{Flow, Ledger, Reason, Wish};
use super::rules::Rules;
use crate::base::{Clock, limits};
use crate::primitives::net::Target;
use crate::primitives::net::policy::Destination;
use crate::primitives::net::resolve::Lookup;

/// How names become addresses: those of the configuration, then the machine's own way.
#[derive(Debug, Clone)]
pub struct Names {
    pub hosts: Arc<BTreeMap<String, IpAddr>>,
    pub lookup: Arc<dyn Lookup>,
}

/// One execution's way out.
#[derive(Debug, Clone)]
pub struct Outbound {
    pub rules: Rules,
    pub names: Names,
    pub ledger: Ledger,
    pub clock: Clock,
}

impl Outbound {
    /// Connects to what was asked for, or says why not. Either way it is in the ledger.
    pub async fn dial(&self, wish: Wish, target: &Target) -> Result<(TcpStream, Flow), Reason> {
        let reached = self.reach(target).await;
        match reached {
            Ok((stream, address)) => Ok((stream, self.ledger.begin(wish, target, address))),
            Err(reason) => {
                self.ledger.refuse(wish, &target.host.to_string(), Some(target.port), reason);
                Err(reason)
            }
        }
    }

    async fn reach(&self, target: &Target) -> Result<(TcpStream, IpAddr), Reason> {
        if self.ledger.is_spent() {
            return Err(Reason::Spent);
        }
        self.rules.check(target)?;
        let found = match &target.host {
            Destination::Address(ip) => vec![*ip],
            Destination::Name(name) => self.resolve(name).await?,
        };
        let allowed = self.allowed(target, &found)?;
        let connect = async {
            for ip in allowed {
                if let Ok(stream) = TcpStream::connect(SocketAddr::new(ip, target.port)).await {
                    return Some((stream, ip));
                }
            }
            None
        };
        let connected = within(&self.clock, limits::EGRESS_CONNECT_WAIT, connect).await.flatten();
        let (stream, ip) = connected.ok_or(Reason::Unreachable)?;
        let _ = stream.set_nodelay(true);
        Ok((stream, ip))
    }

    /// The addresses of a name that may be asked for; which of them may be reached, on any of its ports.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Reason> {
        let ports = self.rules.ports(name);
        if ports.is_empty() {
            let usual = Target { host: Destination::Name(name.to_owned()), port: 443 };
            return Err(self.rules.check(&usual).err().unwrap_or(Reason::NotListed));
        }
        let found = self.resolve(name).await?;
        let mut outcome = Err(Reason::Unresolved);
        for port in ports {
            let target = Target { host: Destination::Name(name.to_owned()), port };
            outcome = self.allowed(&target, &found);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// Those that may be reached, a few; why not when there are none.
    fn allowed(&self, target: &Target, found: &[IpAddr]) -> Result<Vec<IpAddr>, Reason> {
        let mut refused = Reason::Unresolved;
        let mut allowed = Vec::new();
        for ip in found {
            match self.rules.check_address(target, *ip) {
                Ok(()) => allowed.push(*ip),
                Err(reason) => refused = reason,
            }
        }
        allowed.truncate(limits::EGRESS_ADDRESSES_MAX);
        if allowed.is_empty() { Err(refused) } else { Ok(allowed) }
    }

    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Reason> {
        if let Some(ip) = self.names.hosts.get(name) {
            return Ok(vec![*ip]);
        }
        let asked = within(&self.clock, limits::EGRESS_RESOLVE_WAIT, self.names.lookup.lookup(name.to_owned())).await;
        match asked {
            Some(Ok(found)) if !found.is_empty() => Ok(found),
            _ => Err(Reason::Unresolved),
        }
    }
}

/// What comes of `work` in time.
pub async fn within<T>(clock: &Clock, wait: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = clock.sleep(wait) => None,
    }
}
