//! A TCP connection that comes about.

use tokio::net::TcpStream;

use crate::primitives::net::resolve::Lookup;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpProbe {
    /// `host:port`.
    pub address: String,
}

/// Host and port of `host:port`.
pub(super) fn parts(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((host, port.parse().ok()?)).filter(|(host, port)| !host.is_empty() && *port > 0)
}

impl TcpProbe {
    /// Host and port, when the address is one.
    pub fn parts(&self) -> Option<(&str, u16)> {
        parts(&self.address)
    }

    pub(super) async fn probe(&self, lookup: &dyn Lookup) -> Result<(), String> {
        let (host, port) = self.parts().ok_or_else(|| format!("{:?} is not host:port", self.address))?;
        let found = lookup.lookup(host.to_owned()).await;
        let found = found.map_err(|error| format!("the name {host:?} has no address: {error}"))?;
        let mut problem = format!("the name {host:?} has no address");
        for address in found {
            match TcpStream::connect((address, port)).await {
                Ok(_) => return Ok(()),
                Err(error) => problem = format!("no connection to {address} port {port}: {error}"),
            }
        }
        Err(problem)
    }
}
