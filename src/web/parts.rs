//! What the web part is made of, and the state that requests share.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::assets::Assets;
use super::guard::{HostRules, Throttle};
use super::health::{self, Board, Probe};
use super::metrics::Metrics;
use super::read::containers::Inventory;
use crate::base::{Clock, JobName, Timestamp, limits};
use crate::events::Tail;
use crate::jobs::{self, Registry};
use crate::primitives::docker::Docker;
use crate::primitives::egress::Egress;
use crate::primitives::notify::Notify;
use crate::primitives::secrets::Vault;
use crate::primitives::stack::Stacks;
use crate::primitives::volumes::Volumes;
use crate::runner;
use crate::store::Store;

#[derive(Debug, Clone)]
pub struct Options {
    /// The address as bound: its host is one under which requests are answered.
    pub listen: SocketAddr,
    /// Further host names under which the dashboard is reached, with or without a port.
    pub allowed_hosts: Vec<String>,
}

/// Tells what the schedules will do. The composition root implements it over the schedule trigger.
pub trait Forecast: fmt::Debug + Send + Sync {
    /// Due times in `[from, to)` of one job or of all, soonest first, at most `limit` in all.
    fn due(&self, job: Option<&JobName>, from: Timestamp, to: Timestamp, limit: usize) -> Vec<Upcoming>;

    /// The first `count` due times of `job` after `from`, however far ahead; held ones included.
    fn next(&self, job: &JobName, from: Timestamp, count: usize) -> Vec<Upcoming>;
}

/// A due time that has not come yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upcoming {
    pub job: JobName,
    pub scheduled_for: Timestamp,
    /// With jitter.
    pub fire_at: Timestamp,
    /// The local time asked for does not exist; this is the moment the gap closes.
    pub dst_shifted: bool,
    /// Why it will not fire as things stand now: the job is disabled, a calendar says no.
    pub held: Option<String>,
}

/// What the composition root hands over.
#[derive(Debug, Clone)]
pub struct Parts {
    pub store: Store,
    pub tail: Tail,
    pub runner: runner::Handle,
    pub jobs: Registry,
    pub loader: jobs::Handle,
    pub docker: Docker,
    pub notify: Notify,
    pub stacks: Stacks,
    pub volumes: Volumes,
    pub egress: Egress,
    pub secrets: Vault,
    pub forecast: Arc<dyn Forecast>,
    /// Dependencies that readiness reports besides the database and Docker.
    pub probes: Vec<Probe>,
    pub metrics: Metrics,
    pub clock: Clock,
}

/// Cheap to clone; every request has one.
#[derive(Clone)]
pub struct Web(Arc<Inner>);

pub struct Inner {
    pub options: Options,
    pub parts: Parts,
    pub(super) assets: Assets,
    pub(super) hosts: HostRules,
    pub(super) throttle: Throttle,
    pub(super) health: Board,
    pub(super) inventory: Inventory,
    /// One permit for each open stream.
    pub(super) streams: Arc<Semaphore>,
    /// Cancelled when the listener closes: streams end, so that connections can.
    pub(super) closing: CancellationToken,
}

impl Deref for Web {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Web {
    pub fn new(options: Options, parts: Parts) -> Self {
        let mut probes = health::own_probes(&parts);
        probes.extend(parts.probes.iter().cloned());
        Self(Arc::new(Inner {
            assets: Assets::load(),
            hosts: HostRules::new(options.listen, &options.allowed_hosts),
            throttle: Throttle::new(parts.clock.clone()),
            health: Board::new(parts.clock.clone(), probes),
            inventory: Inventory::default(),
            streams: Arc::new(Semaphore::new(limits::API_STREAMS_MAX)),
            closing: CancellationToken::new(),
            options,
            parts,
        }))
    }

    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// Answers for callers whose identity a door has put into the request's extensions.
    pub fn router(&self) -> axum::Router {
        super::serve::router(self)
    }

    /// Ends every open stream and lets no new one stay open.
    pub(super) fn close_streams(&self) {
        self.closing.cancel();
    }

    /// The same for a TCP listener: it checks who calls, from where, and how often it fails.
    pub fn public_router(&self) -> axum::Router {
        super::guard::protect(self, self.router())
    }
}
