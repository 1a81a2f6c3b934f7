//! Everything that can go wrong on the way to an answer. An answer of any status is none of it.

use std::time::Duration;

use crate::base::Fault;
use crate::base::quantity::{show_duration, show_size};
use crate::primitives::net::Blocked;
use crate::primitives::permit::{Denied, HttpPermit};

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("{field}: {problem}")]
    Invalid { field: String, problem: String },
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Closed to everybody, or no target at all.
    #[error("{url}: {reason}")]
    Blocked { url: String, reason: String },
    #[error("{url}: the name {host} cannot be resolved: {problem}")]
    Resolve { url: String, host: String, problem: String },
    #[error("{url}: no connection: {problem}")]
    Connect { url: String, problem: String },
    #[error("{url}: no trusted connection: {problem}")]
    Tls { url: String, problem: String },
    #[error("{url}: no answer within {}", show_duration(*after))]
    Timeout { url: String, after: Duration },
    #[error("{url}: the connection was lost: {problem}")]
    Lost { url: String, problem: String },
    #[error("{url}: the answer is larger than {}", show_size(*limit))]
    TooLarge { url: String, limit: u64 },
    #[error("{url}: more than {limit} redirects")]
    Redirects { url: String, limit: usize },
    #[error("{url}: the answer is not JSON: {problem}")]
    NotJson { url: String, problem: String },
}

impl HttpError {
    pub(super) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), problem: problem.into() }
    }

    /// What the address policy said, as the script hears it.
    pub(super) fn blocked(permit: &HttpPermit, url: &str, blocked: Blocked) -> Self {
        match blocked {
            Blocked::NotNamed { target, add } => Self::Denied(permit.denied(format!("the request to {target}"), &add)),
            Blocked::NotPublic { target, kind, add } => {
                Self::Denied(permit.denied(format!("the request to {target}, {kind},"), &add))
            }
            other => Self::Blocked { url: url.to_owned(), reason: other.to_string() },
        }
    }

    /// An error of the client library. The policy's own verdict may lie at its bottom.
    pub(super) fn of(permit: &HttpPermit, url: &str, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut texts = Vec::new();
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        let (mut is_tls, mut resolving) = (false, None);
        while let Some(inner) = cause {
            if let Some(blocked) = inner.downcast_ref::<Blocked>() {
                return Self::blocked(permit, url, blocked.clone());
            }
            if let Some(failed) = inner.downcast_ref::<super::pool::Unresolved>() {
                resolving = Some(failed.clone());
            }
            is_tls |= is_of_tls(inner);
            let text = inner.to_string();
            if texts.last() != Some(&text) {
                texts.push(text);
            }
            cause = inner.source();
        }
        let (url, problem) = (url.to_owned(), texts.split_off(1.min(texts.len() - 1)).join(": "));
        match resolving {
            Some(failed) => Self::Resolve { url, host: failed.host, problem: failed.problem },
            None if is_tls => Self::Tls { url, problem },
            None if error.is_timeout() => Self::Timeout { url, after: crate::base::limits::HTTP_CONNECT_TIMEOUT },
            None if error.is_connect() => Self::Connect { url, problem },
            None if error.is_builder() => Self::Invalid { field: "url".into(), problem },
            None => Self::Lost { url, problem },
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "http.invalid",
            Self::Denied(_) => "permission.denied",
            Self::Blocked { .. } => "http.blocked",
            Self::Resolve { .. } => "http.resolve",
            Self::Connect { .. } => "http.connect",
            Self::Tls { .. } => "http.tls",
            Self::Timeout { .. } => "http.timeout",
            Self::Lost { .. } => "http.lost",
            Self::TooLarge { .. } => "http.too_large",
            Self::Redirects { .. } => "http.redirects",
            Self::NotJson { .. } => "http.not_json",
        }
    }

    /// Whether the same request may succeed later without a change.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Resolve { .. } | Self::Connect { .. } | Self::Timeout { .. } | Self::Lost { .. })
    }
}

/// rustls hides in I/O errors within I/O errors, whose sources skip what they wrap.
fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().is_some_and(|wrapped| is_of_tls(wrapped)),
        None => error.is::<rustls::Error>(),
    }
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        let fault = match &error {
            HttpError::Denied(denied) => return denied.clone().into(),
            HttpError::TooLarge { .. } => {
                Fault::new(error.code(), error.to_string()).hint("raise max_bytes, or ask for less")
            }
            HttpError::Tls { .. } => Fault::new(error.code(), error.to_string())
                .hint("if the server's certificate comes from an authority of your own, set outgoing.ca_file"),
            _ => Fault::new(error.code(), error.to_string()),
        };
        if error.is_retryable() { fault.retryable() } else { fault }
    }
}
