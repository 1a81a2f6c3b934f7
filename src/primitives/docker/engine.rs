//! The handle, and what is known of the engine behind it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::client::{self, Address};
use super::cpu::Sample;
use super::error::{Cause, DockerError};
use crate::base::{Clock, Fault, Timestamp, limits};

/// As the configuration has it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `unix:///var/run/docker.sock` or `tcp://host:2375`; empty stands for the former.
    pub host: String,
    pub clock: Clock,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Docker {
    pub(super) shared: Arc<Shared>,
    /// Overrides the deadline of each call.
    deadline: Option<Duration>,
}

pub(super) struct Shared {
    pub(super) host: String,
    pub(super) address: Result<Address, String>,
    pub(super) clock: Clock,
    known: Mutex<Known>,
    /// The last CPU reading of each container, by its id.
    pub(super) samples: Mutex<HashMap<String, Sample>>,
}

struct Known {
    client: Option<Connected>,
    health: Health,
}

#[derive(Clone)]
pub(super) struct Connected {
    pub(super) bollard: bollard::Docker,
    pub(super) api: ApiVersion,
}

/// `1.41` of the engine's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ApiVersion(pub(super) u32, pub(super) u32);

impl ApiVersion {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Whether the engine answers, and since when that has been so.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Health {
    #[serde(flatten)]
    pub state: HealthState,
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum HealthState {
    /// Nobody has asked yet.
    Unknown,
    Up {
        api_version: String,
        engine_version: String,
    },
    Down {
        fault: Fault,
    },
}

impl fmt::Debug for Docker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Docker").field("host", &self.shared.host).finish_non_exhaustive()
    }
}

impl Docker {
    pub fn new(options: Options) -> Self {
        let host = if options.host.is_empty() { "unix:///var/run/docker.sock".to_owned() } else { options.host };
        let health = Health { state: HealthState::Unknown, since: options.clock.now() };
        Self {
            shared: Arc::new(Shared {
                address: Address::parse(&host),
                host,
                clock: options.clock,
                known: Mutex::new(Known { client: None, health }),
                samples: Mutex::new(HashMap::new()),
            }),
            deadline: None,
        }
    }

    /// The same engine, with `deadline` for every call instead of the calls' own.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { shared: self.shared.clone(), deadline: Some(deadline) }
    }

    pub fn host(&self) -> &str {
        &self.shared.host
    }

    /// Asks the engine now. Takes two seconds at most.
    pub async fn health(&self) -> Health {
        let probe = self.with_deadline(limits::DOCKER_HEALTH_TIMEOUT);
        // The outcome is noted by the call itself.
        let _ = probe.connect_anew().await;
        self.last_health()
    }

    /// What the latest call found, without asking.
    pub fn last_health(&self) -> Health {
        self.known().health.clone()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    pub(super) fn deadline_or(&self, usual: Duration) -> Duration {
        self.deadline.unwrap_or(usual)
    }

    pub(super) fn address(&self) -> Result<&Address, DockerError> {
        self.shared.address.as_ref().map_err(|problem| self.unavailable(Cause::Other(problem.clone())))
    }

    pub(super) fn unavailable(&self, cause: Cause) -> DockerError {
        DockerError::Unavailable { host: self.shared.host.clone(), cause }
    }

    /// The client, once the engine has said which API it speaks.
    pub(super) async fn connected(&self) -> Result<Connected, DockerError> {
        let known = self.known().client.clone();
        match known {
            Some(client) => Ok(client),
            None => self.connect_anew().await,
        }
    }

    async fn connect_anew(&self) -> Result<Connected, DockerError> {
        let outcome = self.handshake().await;
        if let Err(error) = &outcome {
            self.note_failure(error);
        }
        outcome
    }

    async fn handshake(&self) -> Result<Connected, DockerError> {
        let address = self.address()?.clone();
        let limit = self.deadline_or(limits::DOCKER_CONNECT_TIMEOUT).min(limits::DOCKER_CONNECT_TIMEOUT);
        let action = "asking Docker for its version";
        let ask = async {
            let answer = client::get(&address, "/version", &[]).await?;
            client::collect(answer).await
        };
        let body = tokio::select! {
            body = ask => body.map_err(|error| DockerError::of_get(&self.shared.host, action, error))?,
            () = self.clock().sleep(limit) => return Err(self.unavailable(Cause::Silent)),
        };
        let version: Value = serde_json::from_slice(&body)
            .map_err(|error| DockerError::Unreadable { action: action.into(), problem: error.to_string() })?;
        let text = |key: &str| version.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let api = ApiVersion::parse(&text("ApiVersion")).ok_or_else(|| DockerError::Unreadable {
            action: action.into(),
            problem: "it names no API version".into(),
        })?;
        let bollard = client::bollard(address).map_err(|error| DockerError::of(&self.shared.host, action, error))?;
        // bollard 0.21 keeps the result to itself, later ones put it into each path.
        let negotiated = tokio::select! {
            client = bollard.negotiate_version() => client.map_err(|error| DockerError::of(&self.shared.host, action, error))?,
            () = self.clock().sleep(limit) => return Err(self.unavailable(Cause::Silent)),
        };
        let client = Connected { bollard: negotiated, api };
        let mut known = self.known();
        known.client = Some(client.clone());
        let state = HealthState::Up { api_version: api.to_string(), engine_version: text("Version") };
        known.note(state, self.clock().now());
        Ok(client)
    }

    /// Keeps the engine's state of health, and forgets what was negotiated with an engine that has gone.
    pub(super) fn note_failure(&self, error: &DockerError) {
        if let DockerError::Unavailable { host, cause } = error {
            let fault = DockerError::Unavailable { host: host.clone(), cause: cause.clone() }.into();
            let now = self.clock().now();
            let mut known = self.known();
            known.client = None;
            known.note(HealthState::Down { fault }, now);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// `since` moves only when up turns to down or back.
    fn note(&mut self, state: HealthState, now: Timestamp) {
        if std::mem::discriminant(&state) != std::mem::discriminant(&self.health.state) {
            self.health.since = now;
        }
        self.health.state = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_versions_compare_by_number() {
        assert!(ApiVersion::parse("1.9") < ApiVersion::parse("1.41"));
        assert_eq!(ApiVersion::parse("1.x"), None);
    }

    #[tokio::test]
    async fn a_missing_socket_is_a_state_not_a_failure() {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let host = format!("unix://{}/docker.sock", folder.path().display());
        let docker = Docker::new(Options { host: host.clone(), clock });
        assert_eq!(docker.last_health().state, HealthState::Unknown);
        hand.advance(Duration::from_secs(5));
        let down = docker.health().await;
        assert_eq!(down.since.as_second(), 5);
        let HealthState::Down { fault } = down.state else { panic!("{down:?}") };
        assert!(fault.message.contains(&host) && fault.code == "docker.unavailable");
        hand.advance(Duration::from_secs(5));
        assert_eq!(docker.health().await.since.as_second(), 5, "still down since the first time");
    }

    #[tokio::test]
    async fn a_host_that_cannot_be_read_is_named() {
        let docker = Docker::new(Options { host: "docker".into(), clock: Clock::system() });
        let HealthState::Down { fault } = docker.health().await.state else { panic!("up") };
        assert!(fault.message.contains("docker.host \"docker\" is not usable"), "{}", fault.message);
    }
}
