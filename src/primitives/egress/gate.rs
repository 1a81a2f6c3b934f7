//! One execution's way out: its network, its rules and its listeners, which come and go together.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::accept::{Places, accept};
use super::error::{EgressError, Firewall};
use super::firewall::{self, Fence};
use super::ledger::{Ledger, Reason, Tell, Wish};
use super::outbound::{Outbound, leads_here};
use super::pace::Pace;
use super::peers::Peers;
use super::rules::Rules;
use super::{Attempt, DNS_PORT, Egress, PROXY_PORT, Shared, dns, proxy};
use crate::base::{RunId, limits};
use crate::model::grants::Access;
use crate::primitives::docker::{ChangeOptions, CreateNetworkOptions, DockerError, EXECUTION_PREFIX, Network};
use crate::primitives::option::Pairs;
use crate::primitives::permit::{self, DockerPermit};

/// How many of the last characters of an id of a run, which are its random ones, make an id here.
const ID_CHARS: usize = 12;
/// Docker calls the interface of a network by the beginning of its id.
const BRIDGE_ID_CHARS: usize = 12;
const INTERFACES: &str = "/sys/class/net";

/// What containers are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub id: String,
    /// The network's name.
    pub network: String,
    /// Also where the name server is.
    pub gateway: Ipv4Addr,
    /// For the network's containers, besides those of the run.
    pub labels: BTreeMap<String, String>,
}

impl Opened {
    /// What tells programs in the container of their proxy. Only what is in the container itself is reached without.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let proxy = format!("http://{}:{PROXY_PORT}", self.gateway);
        let all = [("HTTP_PROXY", proxy.as_str()), ("HTTPS_PROXY", &proxy), ("NO_PROXY", "localhost,127.0.0.1")];
        // Some programs read the one, some the other.
        let both = all.into_iter().flat_map(|(name, value)| [(name.to_owned(), value), (name.to_lowercase(), value)]);
        both.map(|(name, value)| (name, value.to_owned())).collect()
    }
}

/// A way out that is open. Dropped, its listeners are closed; the network and the rules stay until they are taken away.
pub struct Gate {
    attempt: Attempt,
    pub ledger: Ledger,
    bridge: String,
    peers: Peers,
    _listeners: JoinSet<()>,
}

#[cfg(test)]
impl Gate {
    /// One whose rules no packet filter takes.
    pub fn that_cannot_be_held(attempt: Attempt, peers: Peers, clock: crate::base::Clock) -> Self {
        let (ledger, bridge) = (Ledger::new(clock, 1, None), "a\"; drop".to_owned());
        Self { attempt, ledger, bridge, peers, _listeners: JoinSet::new() }
    }
}

/// A place among those that are open.
pub enum Slot {
    Opening(Attempt),
    Open(Arc<Gate>),
}

impl Slot {
    /// None while it is being opened.
    pub fn gate(&self) -> Option<Arc<Gate>> {
        match self {
            Self::Opening(_) => None,
            Self::Open(gate) => Some(gate.clone()),
        }
    }

    pub fn attempt(&self) -> Attempt {
        match self {
            Self::Opening(attempt) => *attempt,
            Self::Open(gate) => gate.attempt,
        }
    }
}

/// A place that is being filled. Dropped before, it is free again, and what was made is swept away.
pub struct Place<'a> {
    egress: &'a Egress,
    pub id: String,
    filled: bool,
}

impl Place<'_> {
    pub fn fill(mut self, gate: Gate) {
        self.egress.gates().insert(self.id.clone(), Slot::Open(Arc::new(gate)));
        self.filled = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.filled {
            self.egress.gates().remove(&self.id);
        }
    }
}

/// In the order in which nothing is open in between: the network, which leads nowhere; its rules; its listeners.
pub async fn build(
    shared: &Shared,
    docker: &DockerPermit,
    (id, attempt, labels): (&str, Attempt, BTreeMap<String, String>),
    (rules, tell): (Rules, Option<Tell>),
) -> Result<(Gate, Opened), EgressError> {
    let name = network_name(id);
    let options =
        CreateNetworkOptions { internal: true, labels: Pairs(labels.clone()), ..CreateNetworkOptions::default() };
    docker.check(Access::Write, &name).map_err(DockerError::from)?;
    let own = permit::executions(&[EXECUTION_PREFIX]).map_err(DockerError::from)?;
    shared.docker.create_network(&own, &name, options).await?;
    let network = shared.docker.network(&own, &name).await?;
    let peers = peers(&network)?;
    let bridge = format!("br-{}", network.id.get(..BRIDGE_ID_CHARS).unwrap_or_default());
    if !tokio::fs::try_exists(Path::new(INTERFACES).join(&bridge)).await.unwrap_or(false) {
        return Err(EgressError::Elsewhere { network: name, bridge });
    }
    let fence = Fence { daemon: shared.daemon(), id, bridge: &bridge, peers };
    fence.raise(&shared.clock).await.map_err(EgressError::Firewall)?;

    let ledger = Ledger::counted(shared.clock.clone(), shared.options.bytes_max, tell, shared.counters.clone());
    let (names, clock) = (shared.names.of_another(), shared.clock.clone());
    let pace = Pace::new(&clock);
    let outbound = Outbound { rules, names, ledger: ledger.clone(), pace, clock, here: leads_here };
    let listeners = listen(peers, &outbound, &shared.connections).await?;
    let opened = Opened { id: id.to_owned(), network: name, gateway: peers.gateway, labels };
    Ok((Gate { attempt, ledger, bridge, peers, _listeners: listeners }, opened))
}

impl Gate {
    /// Puts the rules in place, whatever is there of them.
    pub async fn hold(&self, id: &str, shared: &Shared) -> Result<(), Firewall> {
        let fence = Fence { daemon: shared.daemon(), id, bridge: &self.bridge, peers: self.peers };
        fence.raise(&shared.clock).await
    }
}

/// The proxy, and the name server on both of its sockets; `all` are the places for connections of all executions.
async fn listen(peers: Peers, outbound: &Outbound, all: &Arc<Semaphore>) -> Result<JoinSet<()>, EgressError> {
    let at = |port| SocketAddr::from((peers.gateway, port));
    let failed = |address| move |source| EgressError::Listen { address, source };
    let proxies = TcpListener::bind(at(PROXY_PORT)).await.map_err(failed(at(PROXY_PORT)))?;
    let questions = UdpSocket::bind(at(DNS_PORT)).await.map_err(failed(at(DNS_PORT)))?;
    let streams = TcpListener::bind(at(DNS_PORT)).await.map_err(failed(at(DNS_PORT)))?;
    let mut listeners = JoinSet::new();
    let places = |own| Places { own, all: all.clone() };
    let (clock, out, refused) = (outbound.clock.clone(), outbound.clone(), outbound.clone());
    let serve = move |stream| proxy::serve(stream, out.clone());
    let refuse = move |stream| proxy::refuse(&stream, &refused);
    let most = places(limits::EGRESS_CONNECTIONS_MAX);
    listeners.spawn(accept(proxies, peers, most, clock.clone(), serve, refuse));
    let (out, refused) = (outbound.clone(), outbound.clone());
    let serve = move |stream| dns::serve_tcp(stream, out.clone());
    let refuse = move |_| refused.ledger.refuse(Wish::Dns, "", None, Reason::Crowded);
    let most = places(limits::EGRESS_DNS_CONNECTIONS_MAX);
    listeners.spawn(accept(streams, peers, most, clock, serve, refuse));
    listeners.spawn(dns::serve_udp(questions, peers, outbound.clone()));
    Ok(listeners)
}

/// The name of an execution's network.
pub fn network_name(id: &str) -> String {
    format!("{EXECUTION_PREFIX}{id}")
}

fn peers(network: &Network) -> Result<Peers, EgressError> {
    let subnet = network.subnets.iter().find_map(|subnet| subnet.parse().ok());
    let gateway = network.gateways.iter().find_map(|gateway| gateway.split('/').next()?.parse().ok());
    match (subnet, gateway) {
        (Some(subnet), Some(gateway)) => Ok(Peers { subnet, gateway }),
        _ => {
            let problem = format!("subnets {:?}, gateways {:?}", network.subnets, network.gateways);
            Err(EgressError::Network { network: network.name.clone(), problem })
        }
    }
}

impl Egress {
    pub(super) fn reserve(&self, attempt: Attempt) -> Result<Place<'_>, EgressError> {
        let made = RunId::generate().to_string();
        let id = made[made.len() - ID_CHARS..].to_owned();
        let mut gates = self.gates();
        if gates.len() >= limits::EGRESS_GATES_MAX {
            return Err(EgressError::TooMany);
        }
        if gates.values().filter(|slot| slot.attempt().run == attempt.run).count() >= limits::EGRESS_GATES_OF_RUN_MAX {
            return Err(EgressError::TooManyOfRun);
        }
        gates.insert(id.clone(), Slot::Opening(attempt));
        drop(gates);
        Ok(Place { egress: self, id, filled: false })
    }

    /// A run finds what it opened itself.
    pub(super) fn find(&self, run: RunId, id: &str) -> Result<Arc<Gate>, EgressError> {
        match self.gates().get(id) {
            Some(Slot::Open(gate)) if gate.attempt.run == run => Ok(gate.clone()),
            _ => Err(EgressError::Unknown(id.chars().take(ID_CHARS * 2).collect())),
        }
    }

    /// Removes a network, and its rules once nothing can be on it any more.
    pub(super) async fn tear(&self, docker: &DockerPermit, daemon: &str, id: &str) -> Result<(), EgressError> {
        match self.0.docker.remove_network(docker, &network_name(id), ChangeOptions::default()).await {
            Ok(_) | Err(DockerError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.lower(daemon, id).await
    }

    /// Not while rules are put in place, which would be those of one that is closed by now.
    pub(super) async fn lower(&self, daemon: &str, id: &str) -> Result<(), EgressError> {
        let _turn = self.0.fences.lock().await;
        firewall::lower(&self.0.clock, daemon, id).await.map_err(EgressError::Firewall)
    }
}
