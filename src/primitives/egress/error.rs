//! How letting an execution out can fail.

use std::io;
use std::net::SocketAddr;

use crate::base::{Fault, limits};
use crate::primitives::docker::DockerError;

#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("executions cannot be let out: the configuration has no egress.enabled: true")]
    Off,
    #[error("executions are let out by the daemon alone, and this is none")]
    NoDaemon,
    #[error("the names to be let out to cannot be used: {0}")]
    Names(String),
    #[error("{most} executions are let out already", most = limits::EGRESS_GATES_MAX)]
    TooMany,
    #[error("this run lets {most} executions out already", most = limits::EGRESS_GATES_OF_RUN_MAX)]
    TooManyOfRun,
    #[error("no execution is let out under the id {0:?}")]
    Unknown(String),
    #[error("the rules that hold an execution in cannot be made: {0}")]
    Firewall(Firewall),
    #[error("the network {network} of the execution is not on this machine: there is no interface {bridge}")]
    Elsewhere { network: String, bridge: String },
    #[error("the network {network} of the execution has no IPv4 gateway that could be used: {problem}")]
    Network { network: String, problem: String },
    #[error("cannot listen on {address} for an execution: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Docker(#[from] DockerError),
}

/// What is wrong with the packet filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Firewall {
    #[error("there is no nft")]
    Missing,
    #[error("nft may not change the packet filter")]
    Rights,
    #[error("nft did not answer in time")]
    Silent,
    #[error("nft says: {0}")]
    Refused(String),
}

impl EgressError {
    fn code(&self) -> &'static str {
        match self {
            Self::Off => "egress.off",
            Self::NoDaemon => "egress.no_daemon",
            Self::Names(_) => "egress.names",
            Self::TooMany | Self::TooManyOfRun => "egress.too_many",
            Self::Unknown(_) => "egress.unknown",
            Self::Firewall(_) => "egress.firewall",
            Self::Elsewhere { .. } => "egress.elsewhere",
            Self::Network { .. } => "egress.network",
            Self::Listen { .. } => "egress.listen",
            Self::Docker(_) => "egress.docker",
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Off => "set it, or run the execution with network_policy = { mode = \"none\" }",
            Self::NoDaemon => "start the job through the daemon: aegis trigger",
            Self::Names(_) => "write names such as \"api.example.com\", \"*.example.com:8443\" or \"10.0.0.5:5432\"",
            Self::TooManyOfRun => "close those that are over: aegis.egress.close(gate.id)",
            Self::TooMany => "let fewer executions run at once, or close those that are over",
            Self::Unknown(_) => "it was closed, or its run is over",
            Self::Firewall(problem) => problem.remedy(),
            Self::Elsewhere { .. } => "Docker has to run on the daemon's machine, in the same network namespace",
            Self::Network { .. } => "see docker network inspect, and Docker's default-address-pools",
            Self::Listen { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "give the daemon CAP_NET_BIND_SERVICE: AmbientCapabilities= in its systemd unit"
                }
                io::ErrorKind::AddrInUse => {
                    "another program listens on all addresses: bind that name server or proxy to its own address"
                }
                _ => "is Docker on this machine, in the daemon's network namespace?",
            },
            Self::Docker(_) => "is Docker running?",
        }
    }
}

impl Firewall {
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Missing => "install it: apt-get install nftables",
            Self::Rights => "give the daemon CAP_NET_ADMIN: AmbientCapabilities= in its systemd unit",
            Self::Silent => "look at the machine's load, and at who holds the packet filter's lock",
            Self::Refused(_) => "does this kernel have nf_tables? try: nft list tables",
        }
    }
}

impl From<EgressError> for Fault {
    fn from(error: EgressError) -> Self {
        let (code, hint) = (error.code(), error.hint());
        match error {
            EgressError::Docker(error) => error.into(),
            other => Self::new(code, other.to_string()).hint(hint),
        }
    }
}
