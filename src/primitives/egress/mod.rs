//! The way out of executions: each has a network of its own, out of which nothing leads but a proxy and a name server of
//! the daemon's on that network's gateway.
//!
//! ```text
//! rules      what may be reached: the execution's list, within its job's grant and under the operator's deny list
//! outbound   from a wish to a connection; the address that was checked is connected to; names: addresses of names
//! proxy      tunnels and plain HTTP for the execution; dns and message: addresses of names that it may reach
//! hello      the name that TLS in a tunnel asks for, which is the one that the tunnel was opened to
//! ledger     what was asked for and decided, for the run's trace; counters: of all executions, for the daemon's metrics
//! firewall   a table of nftables: of the whole machine only those two ports are reached
//! gate       one execution: network, rules and listeners together; sweep: what nobody waits for any more
//! ```
//!
//! What holds an execution in is the kernel's: an internal network and the rules of the packet filter. Both are there
//! before the first container is, outlive a daemon that is killed, and only then let nobody out.

mod accept;
mod body;
mod counters;
mod dns;
mod error;
mod firewall;
mod gate;
mod hello;
mod ledger;
mod message;
mod meter;
mod names;
mod open;
mod outbound;
mod pace;
mod peers;
mod proxy;
mod pulse;
mod rules;
mod sweep;
#[cfg(test)]
mod tests;
mod tunnel;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::process::Resource;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, Semaphore};

pub use counters::{Ended, Statistics};
pub use error::{EgressError, Firewall};
pub use gate::Opened;
pub use ledger::{Decision, Reason, Tell, Totals, Wish};
pub use open::Open;
pub use rules::{Mode, Request};
pub use sweep::{Runs, Standing};

use self::counters::Counters;
use self::gate::Slot;
use self::names::Names;
use self::rules::Rules;
use crate::base::{Clock, RunId, limits};
use crate::primitives::docker::{Docker, GATE_LABEL, RUN_LABEL};
use crate::primitives::net::HostPattern;
use crate::primitives::net::resolve::Lookup;
use crate::primitives::permit::{DockerPermit, EgressPermit};

/// Where an execution finds its proxy, on the gateway of its network.
pub const PROXY_PORT: u16 = 3128;
const DNS_PORT: u16 = 53;
/// Whose a network, a container or a volume is: a database's, so that daemons beside each other keep theirs apart.
const OWNER_LABEL: &str = "aegis.owner";
/// Which daemon's, of those that share the database.
const DAEMON_LABEL: &str = "aegis.daemon";
/// Which of the run's attempts.
const ATTEMPT_LABEL: &str = "aegis.attempt";

/// As the configuration has it, in `egress`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub enabled: bool,
    /// Addresses of names that are not asked for elsewhere.
    pub hosts: BTreeMap<String, IpAddr>,
    /// What one execution may send and receive.
    pub bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { enabled: false, hosts: BTreeMap::new(), bytes_max: limits::EGRESS_BYTES_DEFAULT }
    }
}

/// Whom what is made belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The same for all daemons that know of the same runs, and another for all others.
    pub store: String,
    /// The same for one daemon from start to start.
    pub daemon: String,
}

/// Who lets executions out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    pub run: RunId,
    pub number: u32,
}

/// The service. Cheap to clone; until [`Egress::begin`] nobody is let out.
#[derive(Clone)]
pub struct Egress(Arc<Shared>);

struct Shared {
    options: Options,
    closed: Arc<[HostPattern]>,
    docker: Docker,
    names: Names,
    clock: Clock,
    owner: OnceLock<Owner>,
    gates: Mutex<BTreeMap<String, Slot>>,
    /// Connections of all that is open.
    connections: Arc<Semaphore>,
    counters: Arc<Counters>,
    /// Whoever changes rules of what is open, or was, has it.
    fences: tokio::sync::Mutex<()>,
    /// That something was closed whose containers are still there.
    closed_early: Notify,
}

impl Shared {
    fn daemon(&self) -> &str {
        self.owner.get().map_or("", |owner| &owner.daemon)
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Egress {
    /// `closed` is what the operator keeps out of reach of everybody.
    pub fn new(
        options: Options,
        closed: Arc<[HostPattern]>,
        docker: Docker,
        lookup: Arc<dyn Lookup>,
        clock: Clock,
    ) -> Self {
        let names = Names::new(Arc::new(options.hosts.clone()), lookup, clock.clone());
        Self(Arc::new(Shared {
            options,
            closed,
            docker,
            names,
            clock,
            owner: OnceLock::new(),
            gates: Mutex::default(),
            connections: Arc::new(Semaphore::new(accept::all_connections(open_files_max()))),
            counters: Arc::default(),
            fences: tokio::sync::Mutex::default(),
            closed_early: Notify::new(),
        }))
    }

    pub fn is_enabled(&self) -> bool {
        self.0.options.enabled
    }

    /// From now on executions are let out.
    pub fn begin(&self, owner: Owner) {
        let _ = self.0.owner.set(owner);
    }

    /// What tells an attempt's containers and volumes from others', so that they go when it is over.
    pub fn labels(&self, attempt: Attempt) -> BTreeMap<String, String> {
        let own = [(RUN_LABEL, attempt.run.to_string()), (ATTEMPT_LABEL, attempt.number.to_string())];
        // By these they go, where there is who takes them away.
        let owner = self.0.owner.get();
        let owned = owner.map(|owner| [(OWNER_LABEL, owner.store.clone()), (DAEMON_LABEL, owner.daemon.clone())]);
        own.into_iter().chain(owned.into_iter().flatten()).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Whether a request can be meant and is granted; makes nothing.
    pub fn plan(&self, permit: &EgressPermit, request: &Request) -> Result<(), EgressError> {
        self.owner()?;
        Rules::new(request, permit, &self.0.closed).map(drop)
    }

    /// What the lists say of `host:port`, without asking what the name leads to.
    pub fn check(
        &self,
        permit: &EgressPermit,
        request: &Request,
        authority: &str,
    ) -> Result<Result<(), Reason>, EgressError> {
        let rules = Rules::new(request, permit, &self.0.closed)?;
        Ok(rules::target(authority).ok_or(Reason::Malformed).and_then(|target| rules.check(&target)))
    }

    /// Makes a network that leads nowhere but to where the request says, for the containers of an attempt.
    pub async fn open(
        &self,
        permit: &EgressPermit,
        docker: &DockerPermit,
        request: &Request,
        (attempt, tell): (Attempt, Option<Tell>),
    ) -> Result<Opened, EgressError> {
        self.owner()?;
        let rules = Rules::new(request, permit, &self.0.closed)?;
        let place = self.reserve(attempt)?;
        let labels = self.labels(attempt).into_iter().chain([(GATE_LABEL.to_owned(), place.id.clone())]).collect();
        tracing::debug!(id = place.id, run = %attempt.run, "letting an execution out");
        match gate::build(&self.0, docker, (&place.id, attempt, labels), (rules, tell)).await {
            Ok((gate, opened)) => {
                place.fill(gate);
                Ok(opened)
            }
            Err(error) => {
                let torn = self.tear(docker, self.0.daemon(), &place.id).await;
                if let Err(left) = torn {
                    tracing::warn!(id = place.id, %left, "a half-made way out stays behind for now");
                }
                Err(error)
            }
        }
    }

    /// What an execution of `run` asked for behind a number, and the counts of all.
    pub fn decisions(&self, run: RunId, id: &str, after: u64) -> Result<(Vec<Decision>, Totals), EgressError> {
        let gate = self.find(run, id)?;
        Ok((gate.ledger.decisions(after), gate.ledger.totals()))
    }

    /// Closes an execution's way out and removes its network. Its containers are to be gone.
    pub async fn close(&self, docker: &DockerPermit, run: RunId, id: &str) -> Result<Totals, EgressError> {
        let gate = self.find(run, id)?;
        self.gates().remove(id);
        let totals = gate.ledger.totals();
        drop(gate);
        self.tear(docker, self.0.daemon(), id).await?;
        Ok(totals)
    }

    /// Notes how an iteration of an execution ended, whether it was let out or not.
    pub fn ended(&self, how: Ended) {
        self.0.counters.ended(how);
    }

    /// None where nobody is let out and no execution has ended.
    pub fn statistics(&self) -> Option<Statistics> {
        let connections =
            accept::all_connections(open_files_max()).saturating_sub(self.0.connections.available_permits());
        let found = self.0.counters.read(self.gates().len(), connections);
        (self.is_enabled() || !found.ended.is_empty()).then_some(found)
    }

    /// Whether executions could be let out now.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub async fn health(&self) -> Result<(), String> {
        check(&self.0.clock).await
    }

    fn owner(&self) -> Result<&Owner, EgressError> {
        match self.0.owner.get() {
            _ if !self.is_enabled() => Err(EgressError::Off),
            Some(owner) => Ok(owner),
            None => Err(EgressError::NoDaemon),
        }
    }

    fn gates(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.0.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many files this process may have open; None where there is no bound.
fn open_files_max() -> Option<u64> {
    rustix::process::getrlimit(Resource::Nofile).current
}

/// Whether the packet filter can be changed from here.
///
/// # Errors
/// What is wrong and what to do, in words.
pub async fn check(clock: &Clock) -> Result<(), String> {
    firewall::fenced(clock, "").await.map_err(|problem| format!("{problem}: {}", problem.remedy()))?;
    // An address of this machine that nobody has: whether it is taken is not the question.
    match UdpSocket::bind((Ipv4Addr::new(127, 53, 53, 53), DNS_PORT)).await {
        Err(failure) if failure.kind() == io::ErrorKind::PermissionDenied => {
            Err(format!("port {DNS_PORT} cannot be listened on: give the daemon CAP_NET_BIND_SERVICE"))
        }
        _ => Ok(()),
    }
}
