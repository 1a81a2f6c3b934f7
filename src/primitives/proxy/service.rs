//! The service: permit, kind and names around every call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;

use super::error::{Problem, ProxyError};
use super::haproxy::{Backend, Client, Server};
use super::source::{Kind, Source, Sources};
use super::traefik::{Folder, Services, SetOptions, Written};
use crate::base::{Clock, Fault, limits};
use crate::model::grants::Access;
use crate::primitives::permit::SourcePermit;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Proxies {
    reached: Arc<BTreeMap<String, Reached>>,
    pub(super) clock: Clock,
}

#[derive(Debug)]
enum Reached {
    Haproxy(Client),
    Traefik(Folder),
}

/// How a call that changes something is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct How {
    pub timeout: Duration,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

/// What a load balancer says of itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Info {
    pub kind: Kind,
    pub version: Option<String>,
    pub node: Option<String>,
    pub pid: Option<u64>,
    pub uptime_seconds: Option<u64>,
    pub connections: Option<u64>,
    pub connections_max: Option<u64>,
    pub requests: Option<u64>,
    /// It was told to end, and does so with its last connection.
    pub stopping: Option<bool>,
    pub directory: Option<String>,
    /// Names of the services that Aegis has written.
    pub services: Option<Vec<String>>,
}

impl Info {
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            version: None,
            node: None,
            pid: None,
            uptime_seconds: None,
            connections: None,
            connections_max: None,
            requests: None,
            stopping: None,
            directory: None,
            services: None,
        }
    }

    /// In a few words.
    fn shown(&self) -> String {
        match (&self.version, &self.directory) {
            (Some(version), _) => format!("HAProxy {version} answers"),
            (None, Some(directory)) => format!("Traefik's {directory} can be written"),
            (None, None) => String::new(),
        }
    }
}

impl Proxies {
    /// Connects to nothing.
    pub fn new(sources: Sources, clock: &Clock) -> Self {
        let reached = |source| match source {
            Source::Haproxy(place) => Reached::Haproxy(Client::new(place, clock.clone())),
            Source::Traefik(directory) => Reached::Traefik(Folder::new(directory)),
        };
        let reached = sources.into_iter().map(|(name, source)| (name, reached(source))).collect();
        Self { reached: Arc::new(reached), clock: clock.clone() }
    }

    /// Names and kinds.
    pub fn list(&self) -> impl Iterator<Item = (&str, Kind)> {
        self.reached.iter().map(|(name, reached)| (name.as_str(), reached.kind()))
    }

    pub fn is_empty(&self) -> bool {
        self.reached.is_empty()
    }

    /// Each load balancer with what it says of itself, or what is wrong with it. All are asked at once.
    pub async fn check(&self) -> Vec<(&str, Result<String, Fault>)> {
        let answers = join_all(self.reached.iter().map(|(name, reached)| reached.check(name))).await;
        self.reached.keys().map(String::as_str).zip(answers).collect()
    }

    pub async fn info(&self, permit: &SourcePermit, timeout: Duration) -> Result<Info, ProxyError> {
        self.of(permit)?.info(timeout).await.map_err(|problem| failed(permit, problem))
    }

    pub async fn backends(&self, permit: &SourcePermit, timeout: Duration) -> Result<Vec<Backend>, ProxyError> {
        let client = self.haproxy(permit, "backends")?;
        client.backends(timeout).await.map_err(|problem| failed(permit, problem))
    }

    /// Of one backend, or of all.
    pub async fn servers(
        &self,
        permit: &SourcePermit,
        backend: Option<&str>,
        timeout: Duration,
    ) -> Result<Vec<Server>, ProxyError> {
        let client = self.haproxy(permit, "servers")?;
        if let Some(name) = backend {
            check_word(permit, "backend", name)?;
        }
        let servers = client.servers(backend, timeout).await.map_err(|problem| failed(permit, problem))?;
        match backend {
            Some(backend) if servers.is_empty() => self.without_servers(permit, client, backend, timeout).await,
            _ => Ok(servers),
        }
    }

    /// A backend may be there and have no servers.
    async fn without_servers(
        &self,
        permit: &SourcePermit,
        client: &Client,
        backend: &str,
        timeout: Duration,
    ) -> Result<Vec<Server>, ProxyError> {
        let backends = client.backends(timeout).await.map_err(|problem| failed(permit, problem))?;
        let known: Vec<String> = backends.into_iter().map(|backend| backend.name).collect();
        match known.iter().any(|name| name == backend) {
            true => Ok(Vec::new()),
            false => Err(ProxyError::UnknownBackend {
                proxy: permit.source().to_owned(),
                backend: backend.to_owned(),
                known,
            }),
        }
    }

    /// Writes services for Traefik, in place of those of that name.
    pub async fn set_services(
        &self,
        permit: &SourcePermit,
        name: &str,
        options: SetOptions,
        dry_run: bool,
    ) -> Result<Written, ProxyError> {
        let folder = self.traefik(permit, "set_services")?;
        permit.check(Access::Write, &changing(permit))?;
        folder.set(permit.source(), name, options, dry_run).await
    }

    /// The services that Aegis has written.
    pub async fn services(&self, permit: &SourcePermit) -> Result<Vec<Services>, ProxyError> {
        self.traefik(permit, "services")?.list().await.map_err(|problem| failed(permit, problem))
    }

    /// Takes services away; false when there are none of that name.
    pub async fn remove_services(&self, permit: &SourcePermit, name: &str, dry_run: bool) -> Result<bool, ProxyError> {
        let folder = self.traefik(permit, "remove_services")?;
        permit.check(Access::Write, &changing(permit))?;
        folder.remove(permit.source(), name, dry_run).await
    }

    fn of(&self, permit: &SourcePermit) -> Result<&Reached, ProxyError> {
        self.reached.get(permit.source()).ok_or_else(|| ProxyError::Unknown {
            proxy: permit.source().to_owned(),
            known: self.reached.keys().cloned().collect(),
        })
    }

    pub(super) fn kind(&self, permit: &SourcePermit) -> Result<Kind, ProxyError> {
        self.of(permit).map(Reached::kind)
    }

    pub(super) fn haproxy(&self, permit: &SourcePermit, call: &'static str) -> Result<&Client, ProxyError> {
        match self.of(permit)? {
            Reached::Haproxy(client) => Ok(client),
            other => Err(other.cannot(permit, call)),
        }
    }

    pub(super) fn traefik(&self, permit: &SourcePermit, call: &'static str) -> Result<&Folder, ProxyError> {
        match self.of(permit)? {
            Reached::Traefik(folder) => Ok(folder),
            other => Err(other.cannot(permit, call)),
        }
    }
}

impl Reached {
    fn kind(&self) -> Kind {
        match self {
            Self::Haproxy(_) => Kind::Haproxy,
            Self::Traefik(_) => Kind::Traefik,
        }
    }

    async fn info(&self, timeout: Duration) -> Result<Info, Problem> {
        match self {
            Self::Haproxy(client) => client.info(timeout).await,
            Self::Traefik(folder) => folder.info().await,
        }
    }

    async fn check(&self, name: &str) -> Result<String, Fault> {
        let info = self.info(limits::HEALTH_PROBE_TIMEOUT).await;
        info.map(|info| info.shown()).map_err(|problem| problem.fault(name, None))
    }

    fn cannot(&self, permit: &SourcePermit, call: &'static str) -> ProxyError {
        ProxyError::WrongKind { proxy: permit.source().to_owned(), kind: self.kind(), call }
    }
}

pub(super) fn changing(permit: &SourcePermit) -> String {
    format!("changing the proxy {:?}", permit.source())
}

pub(super) fn failed(permit: &SourcePermit, problem: Problem) -> ProxyError {
    ProxyError::Failed { proxy: permit.source().to_owned(), place: None, problem }
}

/// Whether HAProxy lets a backend or a server have this name; anything else could end the command that it is put into.
pub(super) fn check_word(permit: &SourcePermit, what: &str, name: &str) -> Result<(), ProxyError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if !name.is_empty() && name.len() <= limits::PROXY_NAME_BYTES_MAX && name.chars().all(legal) {
        return Ok(());
    }
    let shown: String = name.chars().filter(|c| !c.is_control()).take(limits::PROXY_NAME_BYTES_MAX).collect();
    Err(ProxyError::BadCall {
        proxy: permit.source().to_owned(),
        problem: format!("{shown:?} is not a name of a {what}"),
        hint: format!("names have up to {} letters, digits, '-', '_', '.' and ':'", limits::PROXY_NAME_BYTES_MAX),
    })
}
