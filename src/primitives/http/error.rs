//! How a request can fail. A response of whatever status is no failure.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::guard::LookupFailed;
use crate::base::quantity::{show_duration, show_size};
use crate::base::{Fault, limits};
use crate::primitives::fs::FsError;
use crate::primitives::net::Blocked;
use crate::primitives::permit::Denied;

/// What a request was doing when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Too many requests were under way.
    Queue,
    /// Resolving the name, opening the connection, agreeing on TLS.
    Connect,
    /// Waiting for the head of the response.
    Response,
    /// Receiving its body.
    Body,
    /// Waiting for the next piece of its body.
    Idle,
}

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
    #[error("the file of root certificates {} cannot be used: {problem}", path.display())]
    CaFile { path: PathBuf, problem: String },
    #[error("outgoing.deny: {0}")]
    BadDenyPattern(String),
    #[error("{0}")]
    BadUrl(String),
    #[error("{0}")]
    BadHost(String),
    #[error("the client certificate {} cannot be used: {problem}", path.display())]
    ClientCertificate { path: PathBuf, problem: String },
    #[error("the request cannot be sent: {0}")]
    BadRequest(String),
    #[error("the request's body has {}, more than {} are not sent", show_size(*bytes as u64), show_size(limits::HTTP_BODY_BYTES_MAX as u64))]
    RequestTooLarge { bytes: usize },
    #[error(transparent)]
    NotGranted(#[from] Denied),
    #[error("{what} was refused: {reason}")]
    DeniedAddress { what: String, reason: Blocked, denied: Option<Denied> },
    #[error("{target}: {} within {}", phase, show_duration(*after))]
    Timeout { target: String, phase: Phase, after: Duration },
    #[error("{target}: the name {name} cannot be resolved: {problem}")]
    Dns { target: String, name: String, problem: String },
    #[error("{target}: no connection: {problem}")]
    Connect { target: String, problem: String },
    #[error("{target}: no secure connection: {problem}")]
    Tls { target: String, problem: String },
    #[error("{target}: the connection was lost, or what came is not HTTP: {problem}")]
    Protocol { target: String, problem: String },
    #[error("{from} redirects to something that is not a URL")]
    BadRedirect { from: String },
    #[error("{target}: more than {max} redirects, the last to {last}")]
    Redirects { target: String, max: usize, last: String },
    #[error("{from} redirects to {to}, where everything could be read on the way")]
    Downgrade { from: String, to: String },
    #[error("{target}: the response's body is larger than {}", show_size(*max))]
    BodyTooLarge { target: String, max: u64 },
    #[error("{target}: a line or an event is longer than {}", show_size(limits::HTTP_LINE_BYTES_MAX as u64))]
    LineTooLong { target: String },
    #[error("{target}: the content's SHA-256 is {found}, and {expected} was expected")]
    Checksum { target: String, expected: String, found: String },
    #[error("{max} streams are open in this run, and no more may be", max = limits::HTTP_STREAMS_OPEN_MAX)]
    TooManyStreams,
    #[error("there is no open stream {0}: it was closed, or is at its end")]
    NoStream(i64),
    #[error("{0}")]
    File(Box<FsError>),
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "the request's turn did not come",
            Self::Connect => "no connection",
            Self::Response => "no response",
            Self::Body => "the response's body did not end",
            Self::Idle => "nothing more of the response's body came",
        })
    }
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Connect => "connect",
            Self::Response => "response",
            Self::Body => "body",
            Self::Idle => "idle",
        }
    }
}

impl HttpError {
    /// Stable and dotted.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setup(_)
            | Self::CaFile { .. }
            | Self::BadDenyPattern(_)
            | Self::BadHost(_)
            | Self::ClientCertificate { .. } => "http.setup",
            Self::BadUrl(_) => "http.bad_url",
            Self::BadRequest(_) => "http.bad_request",
            Self::RequestTooLarge { .. } => "http.request_too_large",
            Self::NotGranted(_) => "permission.denied",
            Self::DeniedAddress { .. } => "http.denied_address",
            Self::Timeout { .. } => "http.timeout",
            Self::Dns { .. } => "http.dns",
            Self::Connect { .. } => "http.connect",
            Self::Tls { .. } => "http.tls",
            Self::Protocol { .. } => "http.protocol",
            Self::BadRedirect { .. } | Self::Redirects { .. } | Self::Downgrade { .. } => "http.redirects",
            Self::BodyTooLarge { .. } => "http.body_too_large",
            Self::LineTooLong { .. } => "http.line_too_long",
            Self::Checksum { .. } => "http.checksum",
            Self::TooManyStreams | Self::NoStream(_) => "http.stream",
            Self::File(_) => "http.file",
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Dns { .. } | Self::Connect { .. } | Self::Protocol { .. })
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotGranted(_) => return None,
            Self::DeniedAddress { denied: Some(denied), .. } => {
                return Some(format!("if it is meant to be reached, {}", denied.remedy()));
            }
            Self::DeniedAddress { .. } => "only the operator can open it, in the configuration's outgoing.deny",
            Self::Setup(_) | Self::CaFile { .. } => "set outgoing.ca_file to a readable PEM file, or to null",
            Self::BadDenyPattern(_) => "write each entry as a host, an address or a range, with an optional port",
            Self::BadUrl(_) => "write it as https://host/path",
            Self::BadHost(_) => "write each entry as a host, an address or a range, with an optional port",
            Self::ClientCertificate { .. } => "name PEM files that the daemon can read: a chain, and its own key",
            Self::BadRequest(_) | Self::File(_) => return None,
            Self::RequestTooLarge { .. } => "send it in several requests",
            Self::Timeout { phase: Phase::Queue, .. } => "let fewer requests run at once",
            Self::Timeout { phase: Phase::Connect, .. } => "is the host up, and does a firewall drop the packets?",
            Self::Timeout { phase: Phase::Idle, .. } => "raise the option idle if the service may pause longer",
            Self::Timeout { .. } => "raise the option timeout if the service may take longer",
            Self::Dns { .. } => "is the name spelt right, and does this machine's resolver know it?",
            Self::Connect { .. } => "is the service running and listening on this port?",
            Self::Tls { .. } => {
                "does this port speak TLS, and is the certificate valid for this name? a private authority's \
                 certificate goes into the configuration's outgoing.ca_file"
            }
            Self::Protocol { .. } => "look at the service's own log; is this the port on which it speaks HTTP?",
            Self::BadRedirect { .. } | Self::Redirects { .. } => {
                "set the option redirects to 0 to see the response that redirects"
            }
            Self::Downgrade { .. } => "ask for the http:// URL itself if that is meant, without credentials",
            Self::BodyTooLarge { .. } => "raise the option that bounds it, or ask the service for less",
            Self::LineTooLong { .. } => "read it in chunks: by = \"chunks\"",
            Self::Checksum { .. } => "nothing was put in place; is it another version, or was it changed on the way?",
            Self::TooManyStreams => "close those that are read no further: stream:close()",
            Self::NoStream(_) => "open it again",
        };
        Some(text.to_owned())
    }
}

impl From<FsError> for HttpError {
    fn from(error: FsError) -> Self {
        Self::File(Box::new(error))
    }
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        let (code, message, hint, retryable) = (error.code(), error.to_string(), error.hint(), error.is_passing());
        let details = match &error {
            HttpError::Timeout { phase, after, .. } => {
                serde_json::json!({ "phase": phase.as_str(), "timeout_ms": u64::try_from(after.as_millis()).ok() })
            }
            HttpError::BodyTooLarge { max, .. } => serde_json::json!({ "max_body": max }),
            HttpError::DeniedAddress { denied: Some(denied), .. } => denied.details(),
            _ => serde_json::Value::Null,
        };
        match error {
            HttpError::NotGranted(denied) => denied.into(),
            HttpError::File(error) => (*error).into(),
            _ => Self { hint, retryable, ..Self::new(code, message).details(details) },
        }
    }
}

/// What the client library says, sorted by its cause. `target` names the request and holds no secret.
pub(super) enum Cause {
    Blocked(Blocked),
    Failed(HttpError),
}

pub(super) fn sort(error: &reqwest::Error, target: String, connect_timeout: Duration) -> Cause {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut innermost = String::new();
    while let Some(link) = cause {
        if let Some(blocked) = link.downcast_ref::<Blocked>() {
            return Cause::Blocked(blocked.clone());
        }
        if let Some(failed) = link.downcast_ref::<LookupFailed>() {
            let (name, problem) = (failed.name.clone(), failed.problem.to_string());
            return Cause::Failed(HttpError::Dns { target, name, problem });
        }
        if let Some(problem) = tls_problem(link) {
            return Cause::Failed(HttpError::Tls { target, problem });
        }
        // Its own text would repeat the URL, with whatever secret is in it.
        if !link.is::<reqwest::Error>() {
            innermost = link.to_string();
        }
        cause = link.source();
    }
    Cause::Failed(match error {
        _ if error.is_timeout() && error.is_connect() => {
            HttpError::Timeout { target, phase: Phase::Connect, after: connect_timeout }
        }
        _ if error.is_connect() => HttpError::Connect { target, problem: innermost },
        _ if error.is_builder() => HttpError::BadRequest(innermost),
        _ => HttpError::Protocol { target, problem: innermost },
    })
}

/// TLS errors arrive inside IO errors, at times several deep, which hide what they hold from `source`.
pub(in crate::primitives) fn tls_problem(link: &(dyn Error + 'static)) -> Option<String> {
    let mut link = link;
    while let Some(inner) = link.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        link = inner;
    }
    link.downcast_ref::<rustls::Error>().map(ToString::to_string)
}
