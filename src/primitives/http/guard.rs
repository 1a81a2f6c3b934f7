//! The check of what names resolve to. The client connects to what comes out here and asks nobody else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::primitives::net::Policy;
use crate::primitives::net::policy::Destination;
use crate::primitives::net::resolve::Lookup;

/// A resolver under one policy. Without a policy it resolves for the operator, whose own settings need no permission.
#[derive(Debug, Clone)]
pub struct Guard {
    pub policy: Option<Policy>,
    /// Stands for all ports on which the policy decides alike.
    pub port: u16,
    pub lookup: Arc<dyn Lookup>,
}

/// The name has no address, or nobody could be asked.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct LookupFailed {
    pub name: String,
    pub problem: io::Error,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let name = name.as_str().trim_end_matches('.').to_ascii_lowercase();
            let failed = |problem| LookupFailed { name: name.clone(), problem };
            let found = guard.lookup.lookup(name.clone()).await.map_err(failed)?;
            if found.is_empty() {
                return Err(failed(io::Error::new(io::ErrorKind::NotFound, "the name has no address")).into());
            }
            let host = Destination::Name(name);
            let mut allowed = Vec::with_capacity(found.len());
            let mut blocked = None;
            for ip in found {
                match guard.policy.as_ref().map_or(Ok(()), |policy| policy.check_address(&host, guard.port, ip)) {
                    // Port 0: the client puts the URL's in its place.
                    Ok(()) => allowed.push(SocketAddr::new(ip, 0)),
                    Err(reason) => blocked = Some(reason),
                }
            }
            match blocked {
                Some(reason) if allowed.is_empty() => Err(reason.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}
