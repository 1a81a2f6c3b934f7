//! Whether something answers, asked in the operator's name: what `checks` of the configuration name.
//!
//! A kind of probe is one file here, with a type and its `probe`, and a variant of [`Probe`].

mod container;
mod dns;
mod http;
mod redis;
mod sql;
mod tcp;
mod tls;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use container::ContainerProbe;
pub use dns::DnsProbe;
pub use http::HttpProbe;
pub use redis::RedisProbe;
pub use sql::SqlProbe;
pub use tcp::TcpProbe;
pub use tls::TlsProbe;

use super::docker::Docker;
use super::http::Http;
use super::net::resolve::Lookup;
use super::redis::Redis;
use super::sql::Sql;
use crate::base::Clock;
use crate::base::clock::since;
use crate::base::quantity::show_duration;

#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    Http(HttpProbe),
    Tcp(TcpProbe),
    Dns(DnsProbe),
    Container(ContainerProbe),
    Tls(TlsProbe),
    Sql(SqlProbe),
    Redis(RedisProbe),
}

impl Probe {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Dns(_) => "dns",
            Self::Container(_) => "container",
            Self::Tls(_) => "tls",
            Self::Sql(_) => "sql",
            Self::Redis(_) => "redis",
        }
    }

    /// What is asked, for people and without secrets.
    pub fn target(&self) -> String {
        match self {
            Self::Http(probe) => probe.target(),
            Self::Tcp(probe) => probe.address.clone(),
            Self::Dns(probe) => probe.name.clone(),
            Self::Container(probe) => probe.name.clone(),
            Self::Tls(probe) => probe.address.clone(),
            Self::Sql(probe) => probe.source.clone(),
            Self::Redis(probe) => probe.source.clone(),
        }
    }
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// How long a good answer took, or what is wrong, as a sentence for people; being late is wrong too.
    pub outcome: Result<Duration, String>,
    /// Of an answer over HTTP.
    pub status: Option<u16>,
}

/// Asks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prober {
    pub(super) http: Http,
    pub(super) docker: Docker,
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) probe: super::probe::Probe,
    pub(super) sql: Sql,
    pub(super) redis: Redis,
    pub(super) clock: Clock,
}

impl Prober {
    pub async fn ask(&self, probe: &Probe, timeout: Duration) -> Answered {
        let (began, mut status) = (self.clock.now(), None);
        let asked = async {
            match probe {
                Probe::Http(probe) => probe.probe(&self.http, timeout, &mut status).await,
                Probe::Tcp(probe) => probe.probe(&*self.lookup).await,
                Probe::Dns(probe) => probe.probe(&*self.lookup).await,
                Probe::Container(probe) => probe.probe(&self.docker).await,
                Probe::Tls(probe) => probe.probe(&self.probe, timeout).await,
                Probe::Sql(probe) => probe.probe(&self.sql, timeout).await,
                Probe::Redis(probe) => probe.probe(&self.redis).await,
            }
        };
        let outcome = tokio::select! {
            answer = asked => answer.map(|()| since(self.clock.now(), began)),
            () = self.clock.sleep(timeout) => Err(format!("no answer within {}", show_duration(timeout))),
        };
        Answered { outcome, status }
    }
}
