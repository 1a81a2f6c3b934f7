//! Outgoing HTTP requests, to where the grant allows and nowhere else.

mod error;
mod pool;
mod request;
mod response;
pub(in crate::primitives) mod retry;
mod send;
#[cfg(test)]
mod tests;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;

pub use error::HttpError;
pub use request::{Auth, Body, Part, Request};
pub use response::Response;

use self::pool::Pools;
use super::net::HostPattern;
use super::net::resolve::{Lookup, SystemLookup};
use crate::base::Clock;

/// As the configuration has it.
#[derive(Debug, Clone)]
pub struct Options {
    pub clock: Clock,
    /// Hosts, addresses and ranges that are out of reach whatever a script was granted.
    pub deny: Vec<String>,
    /// PEM file of root certificates, besides the system's and Mozilla's.
    pub ca_file: Option<PathBuf>,
    pub lookup: Arc<dyn Lookup>,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Clock::system(), deny: Vec::new(), ca_file: None, lookup: Arc::new(SystemLookup) }
    }
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    deny: Arc<[HostPattern]>,
    pools: Pools,
}

impl Http {
    /// Fails when the certificate file or a pattern of the deny list cannot be read.
    pub fn new(options: Options) -> Result<Self, HttpError> {
        let parse = |text: &String| {
            text.parse::<HostPattern>().map_err(|problem| HttpError::invalid("outgoing.deny", problem.to_string()))
        };
        let deny = options.deny.iter().map(parse).collect::<Result<Arc<[_]>, _>>()?;
        let pools = Pools::new(tls::client_config(options.ca_file.as_deref())?, options.lookup);
        Ok(Self { shared: Arc::new(Shared { clock: options.clock, deny, pools }) })
    }

    /// A client for addresses that the operator wrote into the configuration: no policy stands between.
    pub(in crate::primitives) fn operator_client(&self) -> Result<reqwest::Client, HttpError> {
        self.shared.pools.unrestricted()
    }
}
