//! Whether a port takes connections.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpStream;

use super::Probe;
use super::error::ProbeError;
use crate::base::clock::since;
use crate::primitives::permit::ProbePermit;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reached {
    pub reachable: bool,
    /// That was reached, or tried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Of opening the connection, without resolving the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// `refused`, `timeout`, `unreachable`, `unresolved` or `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Reached {
    fn not(address: Option<String>, reason: &'static str, problem: String) -> Self {
        Self { reachable: false, address, latency_ms: None, reason: Some(reason), problem: Some(problem) }
    }
}

impl Probe {
    /// Opens a connection and closes it. `timeout` is for all of it.
    pub async fn tcp(
        &self,
        permit: &ProbePermit,
        host: &str,
        port: u16,
        timeout: Duration,
    ) -> Result<Reached, ProbeError> {
        let mut last = None;
        let attempt = async {
            let addresses = match self.addresses(permit, "connecting to", host, port).await {
                Err(ProbeError::Unresolved { problem, .. }) => return Ok(Reached::not(None, "unresolved", problem)),
                outcome => outcome?,
            };
            let mut outcome = Reached::not(None, "unresolved", "the name has no address".into());
            for address in addresses {
                last = Some(address.to_string());
                outcome = self.open(address).await;
                if outcome.reachable {
                    break;
                }
            }
            Ok(outcome)
        };
        tokio::select! {
            outcome = attempt => outcome,
            () = self.0.clock.sleep(timeout) => Ok(Reached::not(last, "timeout", "it did not answer in time".into())),
        }
    }

    async fn open(&self, address: SocketAddr) -> Reached {
        let started = self.0.clock.now();
        let opened = TcpStream::connect(address).await;
        let took = since(self.0.clock.now(), started);
        let shown = Some(address.to_string());
        match opened {
            Ok(_) => Reached {
                reachable: true,
                address: shown,
                latency_ms: Some(took.as_secs_f64() * 1_000.0),
                reason: None,
                problem: None,
            },
            Err(problem) => Reached::not(shown, reason(problem.kind()), problem.to_string()),
        }
    }
}

pub(super) fn reason(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ConnectionRefused => "refused",
        ErrorKind::TimedOut => "timeout",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "unreachable",
        _ => "failed",
    }
}
