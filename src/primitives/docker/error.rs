//! Everything that can go wrong between a script and the Docker Engine.

use std::io;
use std::time::Duration;

use super::client::{GetError, Unreached, WireError};
use crate::base::Fault;
use crate::base::quantity::show_duration;
use crate::primitives::fs::FsError;
use crate::primitives::permit::Denied;

/// What the kernel calls it when a disk is full, in whatever sentence of the engine.
const NO_SPACE: &str = "no space left on device";

#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    #[error("Docker at {host} cannot be reached: {cause}")]
    Unavailable { host: String, cause: Cause },
    #[error("{action}: {message}")]
    NotFound { action: String, message: String },
    #[error("{action}: {message}")]
    Conflict { action: String, message: String },
    #[error("{field}: {problem}")]
    Invalid { field: String, problem: String },
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("{action} took longer than {}", show_duration(*after))]
    Timeout { action: String, after: Duration, hint: Option<String> },
    #[error("{action}: Docker answered {status}: {message}")]
    Engine { action: String, status: u16, message: String },
    #[error("{action}: Docker's disk is full: {message}")]
    DiskFull { action: String, message: String },
    #[error("{action}: the connection to Docker was lost: {message}")]
    Lost { action: String, message: String },
    #[error("{action}: Docker's answer cannot be read: {problem}")]
    Unreadable { action: String, problem: String },
    #[error("pulling {image}: {message}")]
    Pull { image: String, message: String },
    #[error("pushing {image}: {message}")]
    Push { image: String, message: String },
    #[error("{action}: {message}")]
    Build { action: String, message: String },
    /// What a build was to be made of.
    #[error(transparent)]
    Context(FsError),
}

/// Why the engine's socket does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("the socket does not exist")]
    NoSocket,
    #[error("nothing listens on the socket")]
    NotRunning,
    #[error("this user may not open the socket")]
    Forbidden,
    #[error("it did not answer in time")]
    Silent,
    #[error("{0}")]
    Other(String),
}

impl Cause {
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NoSocket,
            io::ErrorKind::ConnectionRefused => Self::NotRunning,
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            io::ErrorKind::TimedOut => Self::Silent,
            _ => Self::Other(error.to_string()),
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::NoSocket => "start Docker (systemctl start docker), or set docker.host to where it listens",
            Self::NotRunning => "Docker is installed but not running: systemctl start docker",
            Self::Forbidden => {
                "add the user that runs Aegis to the group docker (usermod -aG docker <user>) and start it again"
            }
            Self::Silent => "look at Docker's own log (journalctl -u docker): it is there but hangs",
            Self::Other(_) => "check docker.host in the configuration and Docker's own log",
        }
    }
}

impl DockerError {
    pub(super) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), problem: problem.into() }
    }

    /// An error of the client library, in our terms.
    pub(super) fn of(host: &str, action: &str, error: bollard::errors::Error) -> Self {
        use bollard::errors::Error as E;
        let action = action.to_owned();
        match error {
            E::IOError { err } if err.get_ref().is_some_and(|inner| inner.is::<Unreached>()) => {
                Self::Unavailable { host: host.to_owned(), cause: Cause::of(&err) }
            }
            E::DockerResponseServerError { status_code, message } => Self::answered(action, status_code, message),
            E::DockerStreamError { error } => Self::answered(action, 200, error),
            E::RequestTimeoutError => Self::Timeout { action, after: super::client::HEADERS_TIMEOUT, hint: None },
            E::JsonDataError { message, .. } => Self::Unreadable { action, problem: message },
            E::JsonSerdeError { err } => Self::Unreadable { action, problem: err.to_string() },
            E::IOError { err } => Self::Lost { action, message: err.to_string() },
            other => Self::Lost { action, message: chain(&other) },
        }
    }

    /// An error of one of our own reads, in our terms.
    pub(super) fn of_get(host: &str, action: &str, error: GetError) -> Self {
        let action = action.to_owned();
        match error {
            GetError::Wire(WireError::Connect(error)) => {
                Self::Unavailable { host: host.to_owned(), cause: Cause::of(&error) }
            }
            GetError::Wire(WireError::Talk(error)) => Self::Lost { action, message: chain(&error) },
            GetError::Answered { status, message } => Self::answered(action, status, message),
            GetError::Unreadable(problem) => Self::Unreadable { action, problem },
        }
    }

    pub(super) fn answered(action: String, status: u16, message: String) -> Self {
        let message = message.trim().to_owned();
        match status {
            404 => Self::NotFound { action, message },
            409 => Self::Conflict { action, message },
            400 => Self::Invalid { field: action, problem: message },
            _ if message.contains(NO_SPACE) => Self::DiskFull { action, message },
            _ => Self::Engine { action, status, message },
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "docker.unavailable",
            Self::NotFound { .. } => "docker.not_found",
            Self::Conflict { .. } => "docker.conflict",
            Self::Invalid { .. } => "docker.invalid",
            Self::Denied(_) => "permission.denied",
            Self::Timeout { .. } => "docker.timeout",
            Self::Engine { .. } => "docker.engine",
            Self::DiskFull { .. } => "docker.disk_full",
            Self::Lost { .. } => "docker.lost",
            Self::Unreadable { .. } => "docker.unreadable",
            Self::Pull { .. } => "docker.pull_failed",
            Self::Push { .. } => "docker.push_failed",
            Self::Build { .. } => "docker.build_failed",
            Self::Context(_) => "docker.context",
        }
    }

    /// Whether the same call may succeed later without a change.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Lost { .. } | Self::Timeout { .. } => true,
            Self::Engine { status, .. } => *status >= 500,
            _ => false,
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

impl From<DockerError> for Fault {
    fn from(error: DockerError) -> Self {
        let (code, retryable, message) = (error.code(), error.is_retryable(), error.to_string());
        let fault = match error {
            DockerError::Denied(denied) => return denied.into(),
            DockerError::Context(problem) => return problem.into(),
            DockerError::Unavailable { host, cause } => {
                Fault::new(code, message).hint(cause.remedy()).details(serde_json::json!({ "host": host }))
            }
            DockerError::Engine { status, .. } => {
                Fault::new(code, message).details(serde_json::json!({ "status": status }))
            }
            DockerError::DiskFull { .. } => Fault::new(code, message)
                .hint("remove images that nothing uses (aegis trigger image_cleanup), or give Docker more room"),
            DockerError::Timeout { hint: Some(hint), .. } => Fault::new(code, message).hint(hint),
            DockerError::Lost { .. } => Fault::new(code, message).hint("Docker may have been restarted; try again"),
            DockerError::Build { .. } => Fault::new(code, message).hint("the run's log has what the builder printed"),
            DockerError::Pull { .. } | DockerError::Push { .. } => {
                Fault::new(code, message).hint("check the image's name and tag, the registry and its credentials")
            }
            _ => Fault::new(code, message),
        };
        if retryable { fault.retryable() } else { fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_socket_says_what_to_do() {
        let fault = |kind: io::ErrorKind| {
            let cause = Cause::of(&io::Error::from(kind));
            Fault::from(DockerError::Unavailable { host: "unix:///run/x.sock".into(), cause })
        };
        let missing = fault(io::ErrorKind::NotFound);
        assert_eq!((missing.code.as_ref(), missing.retryable), ("docker.unavailable", true));
        assert!(missing.message.contains("unix:///run/x.sock"), "{}", missing.message);
        assert!(fault(io::ErrorKind::PermissionDenied).hint.is_some_and(|hint| hint.contains("group docker")));
        assert!(fault(io::ErrorKind::ConnectionRefused).hint.is_some_and(|hint| hint.contains("not running")));
    }

    #[test]
    fn statuses_become_codes() {
        let code = |status| DockerError::answered("stopping web".into(), status, "why\n".into()).code();
        assert_eq!(
            [code(404), code(409), code(400), code(500)],
            ["docker.not_found", "docker.conflict", "docker.invalid", "docker.engine"]
        );
        let message = "error creating overlay mount: mkdir /var/lib/docker/overlay2/x: no space left on device";
        let full = Fault::from(DockerError::answered("creating web".into(), 500, message.into()));
        assert_eq!((full.code.as_ref(), full.retryable), ("docker.disk_full", false));
        assert!(full.hint.is_some_and(|hint| hint.contains("image_cleanup")));
    }
}
