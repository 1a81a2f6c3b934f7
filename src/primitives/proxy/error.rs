//! How a call of a load balancer can fail.

use std::fmt;
use std::time::Duration;

use serde_json::json;

use super::source::Kind;
use crate::base::Fault;
use crate::base::quantity::{show_duration, show_size};
use crate::base::suggest::did_you_mean;
use crate::primitives::permit::Denied;

/// What a call was waiting for when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Turn,
    Connect,
    Answer,
}

/// What can happen between us and the load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    Timeout {
        phase: Phase,
        after: Duration,
    },
    Connect {
        to: String,
        problem: String,
        /// We may not open the socket.
        forbidden: bool,
    },
    Lost(String),
    TooLarge {
        bytes_max: usize,
    },
    Protocol(String),
    /// HAProxy's own word on why it did nothing.
    Refused(String),
    /// The socket is there for looking only.
    Level,
    Disk {
        what: &'static str,
        path: String,
        problem: String,
    },
    /// A file of ours that is not as we write it.
    Foreign {
        path: String,
        problem: String,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("there is no proxy {proxy:?}{}", near(proxy, known))]
    Unknown { proxy: String, known: Vec<String> },
    #[error(transparent)]
    NotGranted(#[from] Denied),
    #[error("proxies.{proxy} is of the kind {}, which cannot do {call}", kind.as_str())]
    WrongKind { proxy: String, kind: Kind, call: &'static str },
    #[error("proxies.{proxy} has no backend {backend:?}{}", near(backend, known))]
    UnknownBackend { proxy: String, backend: String, known: Vec<String> },
    #[error("proxies.{proxy} has no server {server:?} in the backend {backend}{}", near(server, known))]
    UnknownServer { proxy: String, backend: String, server: String, known: Vec<String> },
    #[error("proxies.{proxy} has no services {name:?} of ours{}", near(name, known))]
    UnknownServices { proxy: String, name: String, known: Vec<String> },
    #[error("proxies.{proxy}: {problem}")]
    BadCall { proxy: String, problem: String, hint: String },
    #[error("proxies.{proxy}: {place} has {} after {}", busy(*sessions, *queue), show_duration(*after))]
    NotDrained { proxy: String, place: String, sessions: u64, queue: u64, after: Duration },
    #[error("proxies.{proxy}: {}{problem}", about(place))]
    Failed { proxy: String, place: Option<String>, problem: Problem },
}

fn near(name: &str, known: &[String]) -> String {
    did_you_mean(name, known.iter().map(String::as_str))
}

fn about(place: &Option<String>) -> String {
    place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default()
}

fn busy(sessions: u64, queue: u64) -> String {
    match queue {
        0 => format!("{sessions} sessions left"),
        queue => format!("{sessions} sessions left and {queue} waiting"),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { phase, after } => {
                let what = match phase {
                    Phase::Turn => "the call's turn did not come",
                    Phase::Connect => "no connection",
                    Phase::Answer => "no answer",
                };
                write!(f, "{what} within {}", show_duration(*after))
            }
            Self::Connect { to, problem, .. } => write!(f, "no connection to {to}: {problem}"),
            Self::Lost(problem) => write!(f, "the connection was lost: {problem}"),
            Self::TooLarge { bytes_max } => write!(f, "the answer has more than {}", show_size(*bytes_max as u64)),
            Self::Protocol(problem) => write!(f, "the answer cannot be read: {problem}"),
            Self::Refused(text) => write!(f, "HAProxy refused: {text}"),
            Self::Level => f.write_str("HAProxy refused: the socket may only be asked, not told"),
            Self::Disk { what, path, problem } => write!(f, "cannot {what} {path}: {problem}"),
            Self::Foreign { path, problem } => write!(f, "{path} is not as it was written: {problem}"),
        }
    }
}

impl Problem {
    /// What follows `proxy.` in the code.
    fn code(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "proxy.timeout",
            Self::Connect { .. } => "proxy.connect",
            Self::Lost(_) => "proxy.lost",
            Self::TooLarge { .. } => "proxy.too_large",
            Self::Protocol(_) => "proxy.protocol",
            Self::Refused(_) => "proxy.refused",
            Self::Level => "proxy.level",
            Self::Disk { .. } => "proxy.disk",
            Self::Foreign { .. } => "proxy.foreign",
        }
    }

    /// Whether the same call may succeed later. All that is asked of a load balancer may be asked twice.
    fn is_passing(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Connect { forbidden: false, .. } | Self::Lost(_))
    }

    fn hint(&self, proxy: &str) -> String {
        match self {
            Self::Timeout { phase: Phase::Turn, .. } => {
                "let fewer calls run at once, or raise the option timeout".into()
            }
            Self::Timeout { .. } => {
                "is HAProxy stopped or very busy? raise the option timeout if it may take longer".into()
            }
            Self::Connect { forbidden: true, .. } => format!(
                "the daemon's user may not open it: give it HAProxy's group, or the socket another one, and see \
                 proxies.{proxy}"
            ),
            Self::Connect { .. } => {
                format!("is HAProxy running, with that as its `stats socket`? it stands in proxies.{proxy}")
            }
            Self::Lost(_) => "HAProxy was restarted, or has too many connections to its socket; ask again".into(),
            Self::TooLarge { .. } => "ask for one backend".into(),
            Self::Protocol(_) => format!("is this the `stats socket` of HAProxy 2.0 or later? see proxies.{proxy}"),
            Self::Refused(_) => "the words are HAProxy's own; its management guide explains `set server`".into(),
            Self::Level => "write `level admin` behind `stats socket` in HAProxy's configuration and reload it".into(),
            Self::Disk { .. } => format!("may the daemon's user write there? the folder stands in proxies.{proxy}"),
            Self::Foreign { .. } => "write the services again with set_services, or remove the file".into(),
        }
    }

    pub fn fault(&self, proxy: &str, place: Option<&str>) -> Fault {
        let about = place.map(|place| format!("{place}: ")).unwrap_or_default();
        let fault = Fault::new(self.code(), format!("proxies.{proxy}: {about}{self}")).hint(self.hint(proxy));
        Fault { retryable: self.is_passing(), ..fault }
    }
}

/// `configured are: a, b`, or what to do where there is none.
fn known_or(known: &[String], none: String) -> String {
    match known {
        [] => none,
        known => format!("there are: {}", known.join(", ")),
    }
}

impl From<ProxyError> for Fault {
    fn from(error: ProxyError) -> Self {
        let message = error.to_string();
        match error {
            ProxyError::Unknown { proxy, known } => {
                let hint =
                    known_or(&known, format!("no proxy is configured: add proxies.{proxy} to the configuration"));
                Self::new("proxy.unknown", message).hint(hint).details(json!({ "proxies": known }))
            }
            ProxyError::NotGranted(denied) => denied.into(),
            ProxyError::WrongKind { kind, call, .. } => {
                let other = if kind == Kind::Haproxy { Kind::Traefik } else { Kind::Haproxy };
                Self::new("proxy.wrong_kind", message)
                    .hint(format!("{call} is for proxies of the kind {}", other.as_str()))
                    .details(json!({ "kind": kind.as_str(), "wants": other.as_str() }))
            }
            ProxyError::UnknownBackend { known, .. } => Self::new("proxy.unknown_backend", message)
                .hint(known_or(&known, "HAProxy's configuration has no backend with servers".into()))
                .details(json!({ "backends": known })),
            ProxyError::UnknownServer { known, .. } => Self::new("proxy.unknown_server", message)
                .hint(known_or(&known, "the backend has no servers".into()))
                .details(json!({ "servers": known })),
            ProxyError::UnknownServices { known, .. } => Self::new("proxy.unknown_services", message)
                .hint(known_or(&known, "set_services writes some".into()))
                .details(json!({ "services": known })),
            ProxyError::BadCall { hint, .. } => Self::new("proxy.bad_call", message).hint(hint),
            ProxyError::NotDrained { sessions, queue, .. } => Self::new("proxy.not_drained", message)
                .hint(
                    "it takes no new ones but from clients that a cookie binds to it; wait longer, or set it to maint",
                )
                .details(json!({ "sessions": sessions, "queue": queue }))
                .retryable(),
            ProxyError::Failed { proxy, place, problem } => problem.fault(&proxy, place.as_deref()),
        }
    }
}
