//! The jobs that are live now. Readers take a snapshot; the loader swaps it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::policy::Policy;
use crate::base::{Fault, JobName, Timestamp, VersionHash};
use crate::lua::Bundle;
use crate::model::grants::{Cap, Origin};
use crate::model::{Grants, JobSpec, Right};

/// One live job: the last good version of its file.
#[derive(Debug, Clone)]
pub struct Job {
    pub spec: Arc<JobSpec>,
    pub bundle: Arc<Bundle>,
    /// Relative to the scripts folder.
    pub file: String,
    pub loaded_at: Timestamp,
    /// What `enable` or `disable` said; None leaves it to the script.
    pub enabled_override: Option<bool>,
    /// Rights of it wait for a person: its schedules do not fire.
    pub held: bool,
}

impl Job {
    /// The job of a file with this source, which nobody has enabled or disabled.
    #[cfg(test)]
    pub fn with(spec: JobSpec, source: &str) -> Arc<Self> {
        let file = format!("{}.lua", spec.name);
        let bundle = Arc::new(Bundle::new(vec![(file.clone(), source.to_owned())]));
        Arc::new(Self {
            spec: Arc::new(spec),
            bundle,
            file,
            loaded_at: Timestamp::UNIX_EPOCH,
            enabled_override: None,
            held: false,
        })
    }

    /// Whether its schedules fire. A disabled job can still be triggered by hand.
    pub fn is_enabled(&self) -> bool {
        !self.held && self.enabled_override.unwrap_or(self.spec.enabled)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// What is wrong with a file. `fault.at` has the line and its text, `fault.hint` the remedy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnostic {
    pub file: String,
    pub severity: Severity,
    #[serde(flatten)]
    pub fault: Fault,
    pub since: Timestamp,
    /// An earlier version of the file's job goes on running.
    pub last_good_kept: bool,
}

/// A version with rights that wait for a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    pub file: String,
    pub version: VersionHash,
    /// All rights of the version that have an effect: what an approval approves.
    pub rights: Vec<Right>,
    /// Those that wait.
    pub added: Vec<Right>,
    /// Rights of the version that goes on which this one does without.
    pub removed: Vec<Right>,
    /// Of `rights`: an approval is of these and of no others.
    pub hash: String,
    pub since: Timestamp,
    /// No earlier version goes on in its place: it is live itself, without what waits and without its schedules.
    pub held: bool,
}

/// The state of the registry at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Grows with each change.
    pub generation: u64,
    pub jobs: BTreeMap<JobName, Arc<Job>>,
    pub diagnostics: Vec<Diagnostic>,
    /// What the operator says of scripts.
    pub policy: Arc<Policy>,
    pub waiting: BTreeMap<JobName, Arc<Waiting>>,
}

impl Snapshot {
    /// What a run of this version may do: its manifest, within the policy, without what waits.
    pub fn grants(&self, job: &Job) -> Grants {
        let mut grants = job.spec.permissions.clone();
        grants.caps.extend(self.policy.cap(&job.file));
        let waiting = self.waiting.get(&job.spec.name).filter(|waiting| waiting.version == job.bundle.hash);
        if let Some(waiting) = waiting {
            let rights = job.spec.permissions.rights();
            let approved = Grants::of_rights(rights.iter().filter(|right| !waiting.added.contains(right)));
            let origin = Origin::Approval { job: job.spec.name.to_string() };
            grants.caps.push(Arc::new(Cap { grants: approved, origin }));
        }
        grants
    }
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    current: Arc<ArcSwap<Snapshot>>,
    changed: Arc<watch::Sender<u64>>,
    /// Held while a change is made, so that none is lost. Readers never wait for it.
    writing: Arc<Mutex<()>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            current: Arc::new(ArcSwap::from_pointee(Snapshot::default())),
            changed: Arc::new(watch::Sender::new(0)),
            writing: Arc::default(),
        }
    }
}

impl Registry {
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub fn job(&self, name: &JobName) -> Option<Arc<Job>> {
        self.current.load().jobs.get(name).cloned()
    }

    /// The generation, and a wake-up with each change of it.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Replaces the snapshot by `change` of it. Changes follow each other; `change` must be quick.
    pub fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.current.load());
        change(&mut next);
        next.generation += 1;
        let generation = next.generation;
        self.current.store(Arc::new(next));
        self.changed.send_replace(generation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_change_is_lost_and_each_is_seen() {
        let registry = Registry::default();
        let changes = registry.changes();
        let note = |number: u32| Diagnostic {
            file: format!("{number}.lua"),
            severity: Severity::Warning,
            fault: Fault::new("test", "x"),
            since: Timestamp::UNIX_EPOCH,
            last_good_kept: false,
        };
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let registry = &registry;
                scope.spawn(move || {
                    for number in 0..50 {
                        registry.update(|snapshot| snapshot.diagnostics.push(note(thread * 50 + number)));
                    }
                });
            }
        });
        let snapshot = registry.snapshot();
        assert_eq!((snapshot.generation, snapshot.diagnostics.len()), (200, 200));
        assert_eq!(*changes.borrow(), 200);
    }
}
