//! What the operator says of single hosts: how much is asked of them at once, and who we are to them.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::HttpError;
use crate::base::clock::later;
use crate::base::{Clock, Timestamp, limits};
use crate::primitives::net::policy::Destination;
use crate::primitives::net::{HostPattern, Target};

/// As the configuration has it, in `outgoing.hosts`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostOptions {
    /// Requests at once to one host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<usize>,
    /// Requests that begin in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
    /// PEM files with which we say who we are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// One entry, its pattern read and its certificate loaded.
pub(super) struct Rule {
    pattern: HostPattern,
    pub options: HostOptions,
    pub tls: Option<rustls::ClientConfig>,
}

/// The entries, those without a wildcard first.
#[derive(Default)]
pub(super) struct Rules(Vec<Rule>);

impl Rules {
    pub fn new(
        hosts: &BTreeMap<String, HostOptions>,
        tls: impl Fn(&PathBuf, &PathBuf) -> Result<rustls::ClientConfig, HttpError>,
    ) -> Result<Self, HttpError> {
        let mut rules = Vec::new();
        for (name, options) in hosts {
            let bad = |problem: String| HttpError::BadHost(format!("outgoing.hosts: {problem}"));
            let pattern: HostPattern = name.parse().map_err(|problem| bad(format!("{problem}")))?;
            if options.concurrency.is_some_and(|most| most == 0 || most > limits::HTTP_REQUESTS_AT_ONCE_MAX) {
                let max = limits::HTTP_REQUESTS_AT_ONCE_MAX;
                return Err(bad(format!("{name}: concurrency must be 1 to {max}")));
            }
            if options.per_second.is_some_and(|rate| !(limits::HTTP_RATE_MIN..=limits::HTTP_RATE_MAX).contains(&rate)) {
                let (min, max) = (limits::HTTP_RATE_MIN, limits::HTTP_RATE_MAX);
                return Err(bad(format!("{name}: per_second must be {min} to {max}")));
            }
            let tls = match (&options.certificate, &options.key) {
                (Some(certificate), Some(key)) => Some(tls(certificate, key)?),
                (None, None) => None,
                _ => return Err(bad(format!("{name}: a certificate needs its key, and a key its certificate"))),
            };
            rules.push(Rule { pattern, options: options.clone(), tls });
        }
        rules.sort_by_key(|rule| rule.pattern.to_string().contains('*'));
        Ok(Self(rules))
    }

    /// The first rule for a target, with its number.
    pub fn of(&self, target: &Target) -> Option<(usize, &Rule)> {
        self.0.iter().enumerate().find(|(_, rule)| {
            let covers = match &target.host {
                Destination::Name(name) => rule.pattern.covers_name(name),
                Destination::Address(ip) => rule.pattern.covers_address(*ip),
            };
            covers && rule.pattern.covers_port(target.port)
        })
    }
}

/// Lets so many requests to a host at once, and no more of them begin than its rate allows.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<String, Gate>>);

#[derive(Debug)]
struct Gate {
    slots: Arc<Semaphore>,
    most: usize,
    /// Before which none begins. Held by the one whose turn it is to wait for that moment: whoever gives up waiting
    /// takes nothing from those behind.
    next: Arc<tokio::sync::Mutex<Timestamp>>,
}

/// A place among a host's requests, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Gates {
    /// Waits for a turn. None when the gates are gone, which they never are.
    pub async fn pass(&self, target: &Target, options: Option<&HostOptions>, clock: &Clock) -> Option<Turn> {
        let most = options.and_then(|options| options.concurrency).unwrap_or(limits::HTTP_REQUESTS_PER_HOST_MAX);
        let key = format!("{}:{}", target.host, target.port);
        let (slots, next) = self.gate(&key, most, clock.now());
        let turn = Turn { _permit: slots.acquire_owned().await.ok()? };
        if let Some(rate) = options.and_then(|options| options.per_second) {
            let mut next = next.lock().await;
            clock.sleep_until(*next).await;
            *next = later((*next).max(clock.now()), Duration::from_secs_f64(1.0 / rate));
        }
        Some(turn)
    }

    fn gate(&self, key: &str, most: usize, now: Timestamp) -> (Arc<Semaphore>, Arc<tokio::sync::Mutex<Timestamp>>) {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(key) {
            return (gate.slots.clone(), gate.next.clone());
        }
        if gates.len() >= limits::HTTP_HOSTS_KEPT {
            // Of those that nobody passes or waits for, nothing has to be remembered.
            let waits = |gate: &Gate| gate.next.try_lock().map_or(true, |next| *next > now);
            gates.retain(|_, gate| waits(gate) || gate.slots.available_permits() < gate.most);
        }
        let (slots, next) = (Arc::new(Semaphore::new(most)), Arc::new(tokio::sync::Mutex::new(now)));
        gates.insert(key.to_owned(), Gate { slots: slots.clone(), most, next: next.clone() });
        (slots, next)
    }
}
