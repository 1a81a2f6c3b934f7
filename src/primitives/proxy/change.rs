//! What is changed about one server while traffic flows.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::error::{Problem, ProxyError};
use super::haproxy::{Client, Mode, Server, State};
use super::service::{How, Proxies, changing, check_word};
use super::source::Kind;
use crate::base::clock::{later, since};
use crate::base::limits;
use crate::model::grants::Access;
use crate::primitives::permit::SourcePermit;

/// A server of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot<'a> {
    pub backend: &'a str,
    pub server: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Weight(u16),
    Mode(Mode),
    Address(IpAddr, u16),
}

/// How it was and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    pub backend: String,
    pub server: String,
    pub before: String,
    pub after: String,
    pub changed: bool,
    /// Of a dry run: what would have been done.
    pub plan: Option<String>,
}

/// A server that has nothing to do any more.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drained {
    pub backend: String,
    pub server: String,
    pub waited_ms: u64,
    /// Sessions that it had when it took its last new one.
    pub sessions_before: u64,
    pub plan: Option<String>,
}

impl Change {
    fn call(self) -> &'static str {
        match self {
            Self::Weight(_) => "set_weight",
            Self::Mode(_) => "set_state",
            Self::Address(..) => "set_address",
        }
    }

    /// What follows `set server BACKEND/SERVER`.
    fn command(self) -> String {
        match self {
            Self::Weight(weight) => format!("weight {weight}"),
            Self::Mode(mode) => format!("state {}", mode.as_str()),
            Self::Address(address, port) => format!("addr {address} port {port}"),
        }
    }

    fn wanted(self) -> String {
        match self {
            Self::Weight(weight) => weight.to_string(),
            Self::Mode(mode) => mode.as_str().to_owned(),
            Self::Address(address, port) => format!("{address} port {port}"),
        }
    }

    fn now(self, state: &State) -> String {
        match self {
            Self::Weight(_) => state.weight.to_string(),
            Self::Mode(_) => state.mode.as_str().to_owned(),
            Self::Address(..) => {
                let address = state.address.as_deref().unwrap_or("nowhere");
                state.port.map_or_else(|| address.to_owned(), |port| format!("{address} port {port}"))
            }
        }
    }

    fn check(self, permit: &SourcePermit) -> Result<(), ProxyError> {
        match self {
            Self::Weight(weight) if weight > limits::PROXY_WEIGHT_MAX => Err(ProxyError::BadCall {
                proxy: permit.source().to_owned(),
                problem: format!("{weight} is no weight"),
                hint: format!("HAProxy takes 0 to {}", limits::PROXY_WEIGHT_MAX),
            }),
            _ => Ok(()),
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Weight(_) => "weight",
            Self::Mode(_) => "state",
            Self::Address(..) => "address",
        }
    }
}

impl Changed {
    fn new(spot: Spot<'_>, change: Change, before: String, dry_run: bool) -> Self {
        let after = change.wanted();
        let changed = before != after;
        let plan = dry_run.then(|| match changed {
            true => format!("set the {} of {} from {before} to {after}", change.noun(), spot.shown()),
            false => format!("nothing: the {} of {} is {after}", change.noun(), spot.shown()),
        });
        Self { backend: spot.backend.to_owned(), server: spot.server.to_owned(), before, after, changed, plan }
    }
}

impl Spot<'_> {
    fn shown(self) -> String {
        format!("{}/{}", self.backend, self.server)
    }
}

impl Proxies {
    /// Changes one thing about a server of HAProxy, and sees that it is so.
    ///
    /// # Errors
    /// The server is as before, unless the answer was lost.
    pub async fn change(
        &self,
        permit: &SourcePermit,
        spot: Spot<'_>,
        change: Change,
        how: How,
    ) -> Result<Changed, ProxyError> {
        let client = match change {
            Change::Weight(weight) if self.kind(permit)? == Kind::Traefik => {
                return self.weigh(permit, spot, weight, how.dry_run).await;
            }
            _ => self.haproxy(permit, change.call())?,
        };
        permit.check(Access::Write, &changing(permit))?;
        change.check(permit)?;
        let deadline = later(self.clock.now(), how.timeout);
        let server = self.server(permit, spot, how.timeout).await?;
        let changed = Changed::new(spot, change, change.now(&server.state), how.dry_run);
        if changed.changed && !how.dry_run {
            let left = since(deadline, self.clock.now());
            tell(client, spot, change, left).await.map_err(|problem| at(permit, spot, problem))?;
        }
        Ok(changed)
    }

    /// The same for the weight of an entry of a set of Traefik's services.
    async fn weigh(
        &self,
        permit: &SourcePermit,
        spot: Spot<'_>,
        weight: u16,
        dry_run: bool,
    ) -> Result<Changed, ProxyError> {
        let folder = self.traefik(permit, "set_weight")?;
        permit.check(Access::Write, &changing(permit))?;
        let place = (spot.backend, spot.server);
        let before = folder.weigh(permit.source(), place, u32::from(weight), dry_run).await?;
        Ok(Changed::new(spot, Change::Weight(weight), before.to_string(), dry_run))
    }

    /// Lets a server of HAProxy take no new requests, and waits until it has none.
    ///
    /// # Errors
    /// A server that still has some when the time is over stays in `drain`.
    pub async fn drain(&self, permit: &SourcePermit, spot: Spot<'_>, how: How) -> Result<Drained, ProxyError> {
        self.haproxy(permit, "drain")?;
        let began = self.clock.now();
        let deadline = later(began, how.timeout);
        let patience = || limits::PROXY_TIMEOUT_DEFAULT.min(since(deadline, self.clock.now()));
        let told = How { timeout: patience(), ..how };
        let changed = self.change(permit, spot, Change::Mode(Mode::Drain), told).await?;
        let mut sessions_before = None;
        loop {
            let Server { sessions, queue, .. } = self.server(permit, spot, limits::PROXY_TIMEOUT_DEFAULT).await?;
            let before = *sessions_before.get_or_insert(sessions);
            let waited = since(self.clock.now(), began);
            if (sessions, queue) == (0, 0) || how.dry_run {
                let (backend, server) = (spot.backend.to_owned(), spot.server.to_owned());
                let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
                let plan = changed.plan.map(|plan| format!("{plan}, and wait for {sessions} sessions"));
                return Ok(Drained { backend, server, waited_ms, sessions_before: before, plan });
            }
            if waited >= how.timeout {
                let (proxy, after) = (permit.source().to_owned(), how.timeout);
                return Err(ProxyError::NotDrained { proxy, place: spot.shown(), sessions, queue, after });
            }
            self.clock.sleep(limits::PROXY_DRAIN_LOOKS.min(how.timeout.saturating_sub(waited))).await;
        }
    }

    async fn server(&self, permit: &SourcePermit, spot: Spot<'_>, timeout: Duration) -> Result<Server, ProxyError> {
        check_word(permit, "backend", spot.backend)?;
        check_word(permit, "server", spot.server)?;
        let servers = self.servers(permit, Some(spot.backend), timeout).await?;
        let known = servers.iter().map(|server| server.name.clone()).collect();
        servers.into_iter().find(|server| server.name == spot.server).ok_or_else(|| ProxyError::UnknownServer {
            proxy: permit.source().to_owned(),
            backend: spot.backend.to_owned(),
            server: spot.server.to_owned(),
            known,
        })
    }
}

/// HAProxy says little about what it does, so that the outcome is looked at.
async fn tell(client: &Client, spot: Spot<'_>, change: Change, timeout: Duration) -> Result<(), Problem> {
    let (word, state) = client.set((spot.backend, spot.server), &change.command(), timeout).await?;
    let now = state.as_ref().map(|state| change.now(state));
    if now.as_deref() == Some(&change.wanted()) {
        return Ok(());
    }
    let now = now.unwrap_or_else(|| "unknown: the server is gone".into());
    let word = if word.is_empty() { String::new() } else { format!("{word}; ") };
    Err(Problem::Refused(format!("{word}the {} is {now}", change.noun())))
}

fn at(permit: &SourcePermit, spot: Spot<'_>, problem: Problem) -> ProxyError {
    ProxyError::Failed { proxy: permit.source().to_owned(), place: Some(spot.shown()), problem }
}
