//! Whether something answers, asked in the operator's name: what `checks` of the configuration name.
//!
//! A kind of probe is one file here, with a type and its `probe`, and a variant of [`Probe`].

mod container;
mod dns;
mod http;
mod tcp;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use container::ContainerProbe;
pub use dns::DnsProbe;
pub use http::HttpProbe;
pub use tcp::TcpProbe;

use super::docker::Docker;
use super::http::Http;
use super::net::resolve::Lookup;
use crate::base::Clock;
use crate::base::clock::since;
use crate::base::quantity::show_duration;

#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    Http(HttpProbe),
    Tcp(TcpProbe),
    Dns(DnsProbe),
    Container(ContainerProbe),
}

impl Probe {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Dns(_) => "dns",
            Self::Container(_) => "container",
        }
    }

    /// What is asked, for people and without secrets.
    pub fn target(&self) -> String {
        match self {
            Self::Http(probe) => probe.target(),
            Self::Tcp(probe) => probe.address.clone(),
            Self::Dns(probe) => probe.name.clone(),
            Self::Container(probe) => probe.name.clone(),
        }
    }
}

/// Asks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prober {
    pub(super) http: Http,
    pub(super) docker: Docker,
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) clock: Clock,
}

impl Prober {
    /// How long a good answer took.
    ///
    /// # Errors
    /// What is wrong, as a sentence for people; being late is wrong too.
    pub async fn ask(&self, probe: &Probe, timeout: Duration) -> Result<Duration, String> {
        let began = self.clock.now();
        let asked = async {
            match probe {
                Probe::Http(probe) => probe.probe(&self.http, timeout).await,
                Probe::Tcp(probe) => probe.probe(&*self.lookup).await,
                Probe::Dns(probe) => probe.probe(&*self.lookup).await,
                Probe::Container(probe) => probe.probe(&self.docker).await,
            }
        };
        tokio::select! {
            answer = asked => answer.map(|()| since(self.clock.now(), began)),
            () = self.clock.sleep(timeout) => Err(format!("no answer within {}", show_duration(timeout))),
        }
    }
}
