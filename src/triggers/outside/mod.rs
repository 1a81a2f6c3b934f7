//! Runs that something else than a due time sets off: events of the Docker Engine, what PostgreSQL is told, files that
//! appear, runs of other jobs that end, and alerts. Requests of other services come in by the web part.
//!
//! Of several daemons on one database the leader listens. An event of the engine has a moment and an id, which make the
//! key under which it starts a run: what is heard twice runs once. The engine remembers its last 256 events, so that
//! what happened while the daemon was away, or restarted, is caught up on. PostgreSQL remembers nothing: what was told
//! while nobody listened is lost, and an event says from when to when that was.

mod budget;
mod desk;
mod docker;
mod files;
mod health;
mod listen;
mod log;
mod submit;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use budget::Budget;
pub use desk::EventDesk;
pub use health::Health;

use crate::base::{Clock, JobName, Timestamp, limits};
use crate::jobs::{Job, Registry};
use crate::model::Grants;
use crate::primitives::Primitives;
use crate::primitives::docker::Docker;
use crate::primitives::fs::Files;
use crate::primitives::sql::Sql;
use crate::store::Leadership;

/// Before something that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// From when on events are a job's.
type Beginnings = BTreeMap<JobName, Timestamp>;

/// The task; run it under the supervisor, after the registry was filled.
#[derive(Clone)]
pub struct Outside {
    pub registry: Registry,
    pub desk: Arc<dyn EventDesk>,
    pub docker: Docker,
    pub sql: Sql,
    pub files: Files,
    pub clock: Clock,
    pub health: Health,
    budgets: Arc<Mutex<BTreeMap<JobName, Budget>>>,
}

impl Outside {
    pub fn new(registry: Registry, desk: Arc<dyn EventDesk>, primitives: &Primitives, clock: Clock) -> Self {
        let Primitives { docker, sql, fs: files, .. } = primitives.clone();
        Self { registry, desk, docker, sql, files, clock, health: Health::default(), budgets: Arc::default() }
    }

    /// What a job may do: its manifest, within the operator's policy.
    fn grants(&self, job: &Job) -> Grants {
        self.registry.snapshot().grants(job)
    }

    /// As many of what is `wanted` as are served at most; that there are more is told under `what`.
    fn at_most<T: Ord>(
        &self,
        most: usize,
        what: &str,
        mut wanted: BTreeSet<T>,
        too_many: impl Fn(usize) -> String,
    ) -> BTreeSet<T> {
        if wanted.len() <= most {
            self.health.well(what);
            return wanted;
        }
        let problem = too_many(wanted.len());
        if self.health.wrong(what, problem.clone()) {
            warn!("{problem}");
        }
        while wanted.len() > most {
            wanted.pop_last();
        }
        wanted
    }

    /// Listens whenever this daemon leads, until `stop`.
    ///
    /// # Errors
    /// None: what fails is tried again.
    pub async fn serve(self, mut leadership: Leadership, stop: CancellationToken) -> Result<(), Infallible> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.term(&mut leadership) => self.health.forget(),
            }
        }
    }

    /// From when this daemon leads until it leads no more.
    async fn term(&self, leadership: &mut Leadership) {
        while !leadership.leads() {
            leadership.changed().await;
            if !leadership.leads() {
                // After the candidate's end nothing changes any more: this must not become a busy wait.
                self.clock.sleep(RETRY).await;
            }
        }
        let deposed = async { while leadership.changed().await {} };
        tokio::select! {
            () = deposed => {}
            () = self.listen() => {}
        }
    }

    /// Never returns.
    pub(super) async fn listen(&self) {
        let versions = loop {
            match self.desk.versions().await {
                Ok(versions) => break versions,
                Err(error) => {
                    warn!(%error, "since when jobs listen cannot be read yet; trying again");
                    self.clock.sleep(RETRY).await;
                }
            }
        };
        tokio::join!(
            self.follow_docker(versions.clone()),
            self.listen_to_sql(),
            self.watch_files(versions.clone()),
            self.follow_log(versions),
        );
    }
}

/// The latest events whose runs were asked for, by which a repetition is known.
#[derive(Debug)]
struct Seen<K>(VecDeque<K>);

impl<K: PartialEq> Seen<K> {
    fn new() -> Self {
        Self(VecDeque::new())
    }

    fn has(&self, key: &K) -> bool {
        self.0.contains(key)
    }

    fn note(&mut self, key: K) {
        self.0.push_back(key);
        if self.0.len() > limits::TRIGGER_EVENTS_SEEN_MAX {
            self.0.pop_front();
        }
    }
}

/// Keeps a task for each of what is `wanted`, begun and ended as jobs come and go. Never returns.
async fn task_for_each<K, F>(
    registry: &Registry,
    wanted: impl Fn() -> BTreeSet<K>,
    follow: impl Fn(K) -> F,
    forget: impl Fn(&K),
) where
    K: Ord + Clone,
    F: Future<Output = ()> + Send + 'static,
{
    let mut changes = registry.changes();
    let mut tasks = JoinSet::new();
    let mut open: BTreeMap<K, CancellationToken> = BTreeMap::new();
    loop {
        changes.borrow_and_update();
        let wanted = wanted();
        open.retain(|key, stop| {
            let stays = wanted.contains(key);
            if !stays {
                stop.cancel();
                forget(key);
            }
            stays
        });
        for key in wanted {
            open.entry(key.clone()).or_insert_with(|| {
                let (following, stop) = (follow(key), CancellationToken::new());
                let end = stop.clone();
                tasks.spawn(async move {
                    tokio::select! {
                        () = end.cancelled() => {}
                        () = following => {}
                    }
                });
                stop
            });
        }
        tokio::select! {
            _ = changes.changed() => {}
            Some(_) = tasks.join_next() => {}
        }
    }
}

/// The triggers of one kind that jobs have, with their jobs. What was stored by another release and cannot be read is
/// none.
fn declared<T: DeserializeOwned>(registry: &Registry, kind: &str) -> Vec<(Arc<Job>, T)> {
    let snapshot = registry.snapshot();
    let of_job = |job: &Arc<Job>| {
        let own = job.spec.on.iter().filter(|trigger| trigger.kind == kind);
        let read = own.filter_map(|trigger| serde_json::from_value(trigger.options.clone()).ok());
        read.map(|trigger| (job.clone(), trigger)).collect::<Vec<_>>()
    };
    snapshot.jobs.values().filter(|job| job.is_enabled()).flat_map(of_job).collect()
}
