//! From a wish to a connection: the lists, the name's addresses, the lists again, and the very address that was checked.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::TcpStream;

use super::ledger::{Flow, Ledger, Reason, Way, Wish};
use super::names::Names;
use super::pace::Pace;
use super::rules::Rules;
use crate::base::{Clock, limits};
use crate::primitives::net::address::kind;
use crate::primitives::net::policy::Destination;
use crate::primitives::net::{Kind, Target};

/// One execution's way out.
#[derive(Debug, Clone)]
pub struct Outbound {
    pub rules: Rules,
    pub names: Names,
    pub ledger: Ledger,
    /// Of questions for names.
    pub pace: Pace,
    pub clock: Clock,
    /// Whether an address is this machine's own: [`leads_here`].
    pub here: fn(IpAddr) -> bool,
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
            Destination::Name(name) => {
                // The question goes out, whatever comes of it.
                self.ledger.moved(Way::Out, name.len());
                self.resolve(name).await?
            }
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
                Ok(()) if self.is_machine(target, *ip) => refused = Reason::Machine,
                Ok(()) => allowed.push(*ip),
                Err(reason) => refused = reason,
            }
        }
        allowed.truncate(limits::EGRESS_ADDRESSES_MAX);
        if allowed.is_empty() { Err(refused) } else { Ok(allowed) }
    }

    /// Whether a name of the outside has led to the machine itself.
    fn is_machine(&self, target: &Target, ip: IpAddr) -> bool {
        kind(ip) == Kind::Public && !self.rules.lists(target.port, ip) && (self.here)(ip.to_canonical())
    }

    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Reason> {
        self.names.resolve(name).await.ok_or(Reason::Unresolved)
    }
}

/// Whether an address is one of this machine's own, which a public one may be as well. What comes from the machine itself
/// is let past most packet filters. Nothing is sent.
pub fn leads_here(ip: IpAddr) -> bool {
    let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let Ok(socket) = UdpSocket::bind((any, 0)) else { return true };
    // Where no way leads to, nothing is reached.
    socket.connect((ip, 9)).and_then(|()| socket.local_addr()).is_ok_and(|own| own.ip() == ip || own.ip().is_loopback())
}

/// What comes of `work` in time.
pub async fn within<T>(clock: &Clock, wait: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = clock.sleep(wait) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_are_told_from_others() {
        for (ip, is_own) in [("127.0.0.1", true), ("127.9.9.9", true), ("192.0.2.1", false), ("2001:db8::1", false)] {
            assert_eq!(leads_here(ip.parse().expect("an address")), is_own, "{ip}");
        }
    }
}
