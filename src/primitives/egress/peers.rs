//! Who may use an execution's proxy and name server: its own network, and nobody on the machine or another network.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;

/// The network of one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peers {
    pub subnet: Ipv4Net,
    pub gateway: Ipv4Addr,
}

impl Peers {
    pub fn has(&self, peer: IpAddr) -> bool {
        // The machine itself would come from the gateway's address.
        matches!(peer.to_canonical(), IpAddr::V4(ip) if self.subnet.contains(&ip) && ip != self.gateway)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_execution_s_own_network_is_served() {
        let peers =
            Peers { subnet: "172.28.0.0/16".parse().expect("a network"), gateway: Ipv4Addr::new(172, 28, 0, 1) };
        for (peer, is_own) in [
            ("172.28.0.2", true),
            ("::ffff:172.28.0.2", true),
            ("172.28.0.1", false),
            ("172.29.0.2", false),
            ("127.0.0.1", false),
            ("::1", false),
        ] {
            assert_eq!(peers.has(peer.parse().expect("an address")), is_own, "{peer}");
        }
    }
}
