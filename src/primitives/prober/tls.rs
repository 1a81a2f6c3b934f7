//! A certificate that is trusted, is for the name, and does not expire soon.

use std::time::Duration;

use super::tcp::parts;
use crate::primitives::probe::{Probe, TlsQuery};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsProbe {
    /// `host:port`, or a host alone for port 443.
    pub address: String,
    /// That the certificate is to be for, where it is not the host.
    pub server_name: Option<String>,
    /// So long it must be valid still.
    pub days: u32,
}

impl TlsProbe {
    const PORT: u16 = 443;

    /// Host and port, when the address is one.
    pub fn parts(&self) -> Option<(&str, u16)> {
        let is_bare = !self.address.is_empty() && !self.address.contains([':', '/']);
        if is_bare { Some((&self.address, Self::PORT)) } else { parts(&self.address) }
    }

    pub(super) async fn probe(&self, prober: &Probe, timeout: Duration) -> Result<(), String> {
        let (host, port) = self.parts().ok_or_else(|| format!("{:?} is not host:port", self.address))?;
        let query = TlsQuery { host: host.to_owned(), port, server_name: self.server_name.clone(), timeout };
        let found = prober.tls_for_operator(&query).await.map_err(|error| error.to_string())?;
        if !found.trusted {
            let problem = found.problem.unwrap_or_else(|| "nobody knows why".to_owned());
            return Err(format!("its certificate is not trusted: {problem}"));
        }
        if found.days_left < f64::from(self.days) {
            return Err(format!(
                "its certificate expires in {:.1} days, and {} are wanted",
                found.days_left, self.days
            ));
        }
        Ok(())
    }
}
