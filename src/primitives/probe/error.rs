//! Why a probe could not be made.

use std::time::Duration;

use crate::base::Fault;
use crate::base::quantity::show_duration;
use crate::primitives::http::HttpError;
use crate::primitives::net::Blocked;
use crate::primitives::permit::{Denied, HttpPermit};

#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error(transparent)]
    NotGranted(#[from] Denied),
    #[error("{what} was refused: {reason}")]
    DeniedAddress { what: String, reason: Blocked, denied: Option<Denied> },
    #[error("{host:?} is not a host")]
    BadHost { host: String },
    #[error("{server:?} is not the address of a name server")]
    BadServer { server: String },
    #[error("the name {host} cannot be resolved: {problem}")]
    Unresolved { host: String, problem: String },
    #[error("asking for {name} failed: {problem}")]
    Dns { name: String, problem: String },
    #[error("{target} cannot be reached: {problem}")]
    Unreachable { target: String, problem: String },
    #[error("{target} does not agree on TLS: {problem}")]
    Tls { target: String, problem: String },
    #[error("{target} did not answer within {}", show_duration(*after))]
    Timeout { target: String, after: Duration },
    #[error("this system does not let the daemon send echo requests to {host}")]
    NoPing { host: String },
    #[error(transparent)]
    Roots(#[from] HttpError),
}

impl ProbeError {
    pub(super) fn refused(what: &str, permit: &HttpPermit, reason: Blocked) -> Self {
        match &reason {
            Blocked::NotNamed { add, .. } => permit.denied(what.to_owned(), add).into(),
            Blocked::NotPublic { add, .. } => {
                let denied = Some(permit.denied(what.to_owned(), add));
                Self::DeniedAddress { what: what.to_owned(), reason, denied }
            }
            Blocked::BadTarget(_) | Blocked::Denied { .. } => {
                Self::DeniedAddress { what: what.to_owned(), reason, denied: None }
            }
        }
    }

    /// Stable and dotted.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotGranted(_) => "permission.denied",
            Self::DeniedAddress { .. } => "probe.denied_address",
            Self::BadHost { .. } => "probe.bad_host",
            Self::BadServer { .. } => "probe.bad_server",
            Self::Unresolved { .. } => "probe.unresolved",
            Self::Dns { .. } => "probe.dns",
            Self::Unreachable { .. } => "probe.unreachable",
            Self::Tls { .. } => "probe.tls",
            Self::Timeout { .. } => "probe.timeout",
            Self::NoPing { .. } => "probe.ping_not_permitted",
            Self::Roots(_) => "probe.setup",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::DeniedAddress { denied: Some(denied), .. } => {
                return format!("if it is meant to be reached, {}", denied.remedy());
            }
            Self::NotGranted(denied) => return denied.remedy(),
            Self::DeniedAddress { .. } => "only the operator can open it, in the configuration's outgoing.deny",
            Self::BadHost { .. } => "write a name or an address without a scheme, a port or a path",
            Self::BadServer { .. } => "write an address, with a port where it is not 53: 192.0.2.53 or [2001:db8::53]:5353",
            Self::Unresolved { .. } => "is the name spelt right, and does this machine's resolver know it?",
            Self::Dns { .. } => "does the name server answer? the option server asks another one",
            Self::Unreachable { .. } => "is the service running and listening on this port?",
            Self::Tls { .. } => "does this port speak TLS from the first byte?",
            Self::Timeout { .. } => "is the host up? raise the option timeout if it is slow",
            Self::NoPing { .. } => {
                "permit it with `sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"`, kept in /etc/sysctl.d, or probe a \
                 port with aegis.host.tcp"
            }
            Self::Roots(_) => "set outgoing.ca_file to a readable PEM file, or to null",
        }
        .to_owned()
    }
}

impl From<ProbeError> for Fault {
    fn from(error: ProbeError) -> Self {
        let is_passing = matches!(
            error,
            ProbeError::Unresolved { .. }
                | ProbeError::Dns { .. }
                | ProbeError::Unreachable { .. }
                | ProbeError::Timeout { .. }
        );
        let fault = Self::new(error.code(), error.to_string()).hint(error.hint());
        let fault = if is_passing { fault.retryable() } else { fault };
        match error {
            ProbeError::NotGranted(denied) | ProbeError::DeniedAddress { denied: Some(denied), .. } => {
                fault.details(denied.details())
            }
            _ => fault,
        }
    }
}
