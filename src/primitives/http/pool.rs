//! Connections are shared by requests under the same policy only: a connection that one script may use must not serve
//! another that may not.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::error::HttpError;
use crate::base::limits;
use crate::primitives::net::policy::Destination;
use crate::primitives::net::resolve::Lookup;
use crate::primitives::net::{Blocked, Policy};

#[derive(Debug)]
pub(super) struct Pools {
    tls: rustls::ClientConfig,
    lookup: Arc<dyn Lookup>,
    /// By fingerprint of the policy, the latest used last.
    clients: Mutex<VecDeque<(String, reqwest::Client)>>,
}

/// A name without an address.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{problem}")]
pub(super) struct Unresolved {
    pub(super) host: String,
    pub(super) problem: String,
}

impl Pools {
    pub(super) fn new(tls: rustls::ClientConfig, lookup: Arc<dyn Lookup>) -> Self {
        Self { tls, lookup, clients: Mutex::new(VecDeque::new()) }
    }

    /// The client for requests to `port` under `policy`.
    pub(super) fn client(&self, policy: &Policy, port: u16) -> Result<reqwest::Client, HttpError> {
        let key = policy.fingerprint(port);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = clients.iter().position(|(known, _)| *known == key)
            && let Some(entry) = clients.remove(found)
        {
            let client = entry.1.clone();
            clients.push_back(entry);
            return Ok(client);
        }
        let client = self.build(policy, port)?;
        if clients.len() >= limits::HTTP_POOLS_MAX {
            clients.pop_front();
        }
        clients.push_back((key, client.clone()));
        Ok(client)
    }

    fn build(&self, policy: &Policy, port: u16) -> Result<reqwest::Client, HttpError> {
        let resolver = Filter { lookup: self.lookup.clone(), policy: policy.clone(), port };
        built(self.builder().dns_resolver(Arc::new(resolver)))
    }

    /// A client without a policy.
    pub(super) fn unrestricted(&self) -> Result<reqwest::Client, HttpError> {
        built(self.builder())
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            // A proxy would resolve and connect in our place, unseen.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(limits::HTTP_CONNECT_TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(4)
            .user_agent(concat!("aegis/", env!("CARGO_PKG_VERSION")))
    }
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, HttpError> {
    builder.build().map_err(|error| HttpError::invalid("http", error.to_string()))
}

/// Resolves, and lets through what the policy allows. Asked for names only: addresses in URLs are checked before.
struct Filter {
    lookup: Arc<dyn Lookup>,
    policy: Policy,
    port: u16,
}

impl Resolve for Filter {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().trim_end_matches('.').to_ascii_lowercase();
        let (found, policy, port) = (self.lookup.lookup(host.clone()), self.policy.clone(), self.port);
        Box::pin(async move {
            let unresolved = |problem: String| Unresolved { host: host.clone(), problem };
            let found = found.await.map_err(|error| unresolved(error.to_string()))?;
            let destination = Destination::Name(host.clone());
            let mut refused: Option<Blocked> = None;
            let mut allowed = Vec::new();
            for ip in found {
                match policy.check_address(&destination, port, ip) {
                    Ok(()) => allowed.push(SocketAddr::new(ip, 0)),
                    Err(blocked) => refused = refused.or(Some(blocked)),
                }
            }
            match refused {
                Some(blocked) if allowed.is_empty() => Err(blocked.into()),
                None if allowed.is_empty() => Err(unresolved("it has no address".into()).into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}
