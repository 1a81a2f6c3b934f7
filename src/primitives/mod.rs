//! Rank 2: the safe primitives as plain services. No Lua, no axum, no store in them.
//!
//! Every privileged call takes a permit, and only [`permit`] makes permits, out of a run's grants.

mod denied;
pub mod docker;
pub mod egress;
pub mod fs;
pub mod graph;
pub mod hook;
pub mod host;
pub mod http;
pub mod image;
pub mod llm;
pub mod net;
pub mod nfs;
pub mod notify;
pub mod option;
pub mod permit;
pub mod probe;
pub mod prober;
pub mod process;
pub mod proxy;
mod reach;
pub mod redis;
pub mod secrets;
mod source_permit;
pub mod sql;
pub mod stack;
pub mod template;
pub mod volumes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::{Clock, Fault, Masker};

/// Every primitive a script can reach, built once by the composition root.
#[derive(Debug, Clone)]
pub struct Primitives {
    pub docker: docker::Docker,
    pub http: http::Http,
    pub notify: notify::Notify,
    pub sql: sql::Sql,
    pub fs: fs::Files,
    pub process: process::Processes,
    pub host: host::Host,
    pub probe: probe::Probe,
    pub redis: redis::Redis,
    pub graph: graph::Graph,
    pub llm: llm::Llm,
    pub image: image::Images,
    pub prober: prober::Prober,
    pub secrets: secrets::Vault,
    pub stacks: stack::Stacks,
    pub volumes: volumes::Volumes,
    pub proxies: proxy::Proxies,
    pub egress: egress::Egress,
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
    /// `outgoing.hosts`.
    pub hosts: BTreeMap<String, http::HostOptions>,
    /// `notify.routes`.
    pub routes: BTreeMap<String, notify::Route>,
    /// `sql`.
    pub sql: BTreeMap<String, sql::Source>,
    /// `redis`, `graph` and `llm`, by name.
    pub redis: redis::Sources,
    pub graph: redis::Sources,
    pub llm: llm::Sources,
    pub secrets: secrets::Options,
    /// Told of every secret that is known.
    pub masker: Masker,
    /// `fs.roots`.
    pub roots: BTreeMap<String, PathBuf>,
    /// `stacks`, by name.
    pub stacks: stack::Sources,
    /// `process.programs`, and who keeps them.
    pub process: process::Options,
    pub lookup: Arc<dyn net::resolve::Lookup>,
    /// `nfs`.
    pub volumes: volumes::Options,
    /// `proxies`, by name.
    pub proxies: proxy::Sources,
    /// `egress`.
    pub egress: egress::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            docker_host: String::new(),
            deny: Vec::new(),
            ca_file: None,
            hosts: BTreeMap::new(),
            routes: BTreeMap::new(),
            sql: BTreeMap::new(),
            redis: BTreeMap::new(),
            graph: BTreeMap::new(),
            llm: BTreeMap::new(),
            secrets: secrets::Options::default(),
            masker: Masker::default(),
            roots: BTreeMap::new(),
            stacks: stack::Sources::new(),
            process: process::Options::default(),
            lookup: Arc::new(net::resolve::SystemLookup),
            volumes: volumes::Options::default(),
            proxies: proxy::Sources::new(),
            egress: egress::Options::default(),
        }
    }
}

impl Primitives {
    /// Connects to nothing. Fails when the certificate file, a pattern or a route of the configuration cannot be used.
    pub fn new(options: Options) -> Result<Self, Fault> {
        let Options {
            clock,
            docker_host,
            deny,
            ca_file,
            hosts,
            routes,
            sql,
            redis,
            graph,
            llm,
            secrets,
            masker,
            roots,
            stacks,
            process,
            lookup,
            volumes,
            proxies,
            egress,
        } = options;
        let docker = docker::Docker::new(docker::Options { host: docker_host, clock: clock.clone() });
        let tls = Arc::new(http::client_tls(ca_file.as_deref())?);
        let options = http::Options { deny, ca_file: ca_file.clone(), hosts };
        let http = http::Http::with_lookup(&options, clock.clone(), lookup.clone())?;
        let vault = secrets::Vault::open(secrets, http.clone(), masker, clock.clone())?;
        let secrets: Arc<dyn secrets::Secrets> = Arc::new(vault.clone());
        let probe = probe::Probe::new(clock.clone(), http.deny(), ca_file.clone(), lookup.clone());
        let sql = sql::Sql::new(sql::Options { sources: sql }, &secrets, &clock)?;
        let pools = redis::PoolOptions { secrets: secrets.clone(), tls, clock: clock.clone() };
        let redis = redis::Redis::new(redis, &pools);
        let egress = egress::Egress::new(egress, http.deny(), docker.clone(), lookup.clone(), clock.clone());
        let prober = prober::Prober {
            http: http.clone(),
            docker: docker.clone(),
            lookup,
            probe: probe.clone(),
            sql: sql.clone(),
            redis: redis.clone(),
            clock: clock.clone(),
        };
        let graph = graph::Graph::new(graph, &pools);
        let llm = llm::Llm::new(llm, http.clone(), secrets.clone(), clock.clone());
        let notify = notify::Notify::new(notify::Options { routes, ca_file }, http.clone(), secrets, clock.clone())?;
        let fs = fs::Files::new(fs::Options { roots })?;
        let process = process::Processes::new(process, fs.clone(), clock.clone(), vault.masker().clone())?;
        let stacks = stack::Stacks::new(stacks, docker.clone(), clock.clone());
        let volumes = volumes::Volumes::new(volumes, clock.clone());
        let proxies = proxy::Proxies::new(proxies, &clock);
        let host = host::Host::new(clock);
        Ok(Self {
            docker,
            http,
            notify,
            sql,
            redis,
            graph,
            llm,
            image: image::Images::default(),
            fs,
            process,
            host,
            probe,
            prober,
            secrets: vault,
            stacks,
            volumes,
            proxies,
            egress,
        })
    }

    /// Services behind which there is nothing: for tests that never reach them.
    #[cfg(test)]
    pub fn unconnected() -> Self {
        let docker_host = "unix:///nonexistent/docker.sock".to_owned();
        Self::new(Options { docker_host, ..Options::default() }).expect("no option can be wrong")
    }
}
