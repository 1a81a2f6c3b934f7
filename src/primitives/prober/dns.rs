//! A name that has an address, or the one that it should have.

use std::net::IpAddr;

use crate::primitives::net::resolve::Lookup;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsProbe {
    pub name: String,
    /// One of the addresses must be this.
    pub address: Option<IpAddr>,
}

impl DnsProbe {
    pub(super) async fn probe(&self, lookup: &dyn Lookup) -> Result<(), String> {
        let found = lookup.lookup(self.name.clone()).await.map_err(|error| format!("it has no address: {error}"))?;
        match self.address {
            _ if found.is_empty() => Err("it has no address".to_owned()),
            Some(wanted) if !found.contains(&wanted) => {
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                Err(format!("it is {} and not {wanted}", found.join(", ")))
            }
            _ => Ok(()),
        }
    }
}
