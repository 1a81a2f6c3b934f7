//! Rank 2: the safe primitives as plain services. No Lua, no axum, no store in them.
//!
//! Every privileged call takes a permit, and only [`permit`] makes permits, out of a run's grants.

pub mod docker;
pub mod http;
pub mod net;
pub mod notify;
pub mod option;
pub mod permit;
pub mod probe;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::{Clock, Fault};

/// Every primitive a script can reach, built once by the composition root.
#[derive(Debug, Clone)]
pub struct Primitives {
    pub docker: docker::Docker,
    pub http: http::Http,
    pub notify: notify::Notify,
    pub prober: probe::Prober,
}

/// As the configuration has it. The default reaches the local Docker Engine and has no notification route.
#[derive(Debug, Clone)]
pub struct Options {
    pub clock: Clock,
    /// `docker.host`; empty for the usual socket.
    pub docker_host: String,
    /// `outgoing.deny` and `outgoing.ca_file`.
    pub deny: Vec<String>,
    pub ca_file: Option<PathBuf>,
    /// `notify.routes`.
    pub routes: BTreeMap<String, Vec<notify::Destination>>,
    pub secrets: Arc<dyn notify::Secrets>,
    pub lookup: Arc<dyn net::resolve::Lookup>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            docker_host: String::new(),
            deny: Vec::new(),
            ca_file: None,
            routes: BTreeMap::new(),
            secrets: Arc::new(notify::ProcessSecrets),
            lookup: Arc::new(net::resolve::SystemLookup),
        }
    }
}

impl Primitives {
    /// Connects to nothing. Fails when the certificate file, a pattern or a route of the configuration cannot be used.
    pub fn new(options: Options) -> Result<Self, Fault> {
        let Options { clock, docker_host, deny, ca_file, routes, secrets, lookup } = options;
        let docker = docker::Docker::new(docker::Options { host: docker_host, clock: clock.clone() });
        let http = http::Http::with_lookup(&http::Options { deny, ca_file }, clock.clone(), lookup.clone())?;
        let prober = probe::Prober { http: http.clone(), docker: docker.clone(), lookup, clock: clock.clone() };
        let notify = notify::Notify::new(notify::Options { routes }, http.clone(), secrets, clock)?;
        Ok(Self { docker, http, notify, prober })
    }

    /// Services behind which there is nothing: for tests that never reach them.
    #[cfg(test)]
    pub fn unconnected() -> Self {
        let docker_host = "unix:///nonexistent/docker.sock".to_owned();
        Self::new(Options { docker_host, ..Options::default() }).expect("no option can be wrong")
    }
}
