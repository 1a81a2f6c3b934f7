//! Makes the registry what the files say: first on disk, then live, in one swap.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::files::{Desired, Notes};
use super::policy::Policy;
use super::registry::{Diagnostic, Job, Registry, Severity, Snapshot, Waiting};
use crate::base::{Fault, JobName, Timestamp, limits};
use crate::model::{NewAudit, NewEvent};
use crate::store::{JobRow, ScriptVersion, Store, StoreError};

/// What one pass changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub loaded: Vec<JobName>,
    pub removed: Vec<JobName>,
    /// Files with errors that they did not have before.
    pub rejected: Vec<String>,
    /// Names whose new version could not be stored; the earlier one goes on, and the next pass tries again.
    pub unsaved: Vec<JobName>,
}

#[derive(Debug)]
pub struct Publisher {
    pub registry: Registry,
    pub store: Store,
}

impl Publisher {
    /// Makes the policy and what waits the registry's own, before a version goes live that they bound.
    pub async fn bound(
        &self,
        (file, policy): (String, Arc<Policy>),
        waiting: BTreeMap<JobName, Arc<Waiting>>,
        now: Timestamp,
    ) {
        let live = self.registry.snapshot();
        let is_other = live.policy != policy;
        if !is_other && live.waiting == waiting {
            return;
        }
        let mut events = Vec::new();
        // At the start the policy is what it is; nobody has changed it then.
        if is_other && live.generation > 0 {
            warn!(%file, "the policy has changed");
            events.push(NewEvent::new(now, "policy.changed").data(json!({ "file": file })));
            self.record(NewAudit::new(now, "daemon", "policy.change", file));
        }
        for (name, one) in waiting.iter().filter(|(name, one)| live.waiting.get(*name).is_none_or(|was| was != *one)) {
            warn!(job = %name, rights = ?one.added, "new rights wait for approval");
            let data = json!({ "version": one.version, "rights": one.added, "hash": one.hash });
            events.push(NewEvent::new(now, "job.waiting").job(name).data(data.clone()));
            self.record(NewAudit::new(now, "daemon", "rights.wait", name.as_str()).job(name).data(data));
        }
        self.registry.update(|snapshot| {
            for (name, job) in &mut snapshot.jobs {
                let held = waiting.get(name).is_some_and(|one| one.held && one.version == job.bundle.hash);
                if job.held != held {
                    Arc::make_mut(job).held = held;
                }
            }
            (snapshot.policy, snapshot.waiting) = (policy, waiting);
        });
        if let Err(error) = self.store.append_events(events).await {
            warn!(%error, "the events of a change of rights could not be stored");
        }
    }

    fn record(&self, record: NewAudit) {
        if let Err(error) = self.store.queue_audit(record) {
            warn!(%error, "a change of scripts was not recorded in the audit log");
        }
    }

    /// Stores new versions with their events, then swaps the registry once, if anything is different.
    pub async fn publish(&self, mut desired: Desired, now: Timestamp) -> Changes {
        let live = self.registry.snapshot();
        let is_live = |name: &JobName, file: &str, hash| {
            live.jobs.get(name).is_some_and(|job| job.file == file && job.bundle.hash == hash)
        };
        let fresh: Vec<_> = desired
            .jobs
            .iter()
            .filter(|(name, (file, version))| !is_live(name, file, version.bundle.hash))
            .map(|(name, (file, version))| {
                let (spec, bundle) = (version.spec.clone(), version.bundle.clone());
                let held = live.waiting.get(name).is_some_and(|waiting| waiting.version == bundle.hash);
                let job = Job { spec, bundle, file: file.clone(), loaded_at: now, enabled_override: None, held };
                (name.clone(), job)
            })
            .collect();
        let (saved, unsaved) = self.save(fresh, &live, now).await;
        for (name, fault) in &unsaved {
            if let Some((file, _)) = desired.jobs.get(name) {
                let mut note = Notes { earlier: &live.diagnostics, now, made: Vec::new() };
                note.error(file, fault.clone(), live.jobs.contains_key(name));
                desired.diagnostics.append(&mut note.made);
            }
        }
        let removed: Vec<_> = live.jobs.keys().filter(|name| !desired.jobs.contains_key(*name)).cloned().collect();
        let rejected = newly_rejected(&live.diagnostics, &desired.diagnostics);
        let changes = Changes {
            loaded: saved.keys().cloned().collect(),
            removed,
            rejected,
            unsaved: unsaved.into_keys().collect(),
        };
        self.swap(saved, &changes, &live, desired.diagnostics.clone());
        self.tell(&changes, &desired.diagnostics, now).await;
        changes
    }

    fn swap(&self, saved: BTreeMap<JobName, Job>, changes: &Changes, live: &Snapshot, diagnostics: Vec<Diagnostic>) {
        if saved.is_empty() && changes.removed.is_empty() && live.diagnostics == diagnostics {
            return;
        }
        self.registry.update(|snapshot| {
            for name in &changes.removed {
                snapshot.jobs.remove(name);
            }
            for (name, mut job) in saved {
                // It may have been enabled or disabled while the new version was stored.
                if let Some(current) = snapshot.jobs.get(&name) {
                    job.enabled_override = current.enabled_override;
                }
                snapshot.jobs.insert(name, Arc::new(job));
            }
            snapshot.diagnostics = diagnostics;
        });
    }

    /// Stores versions, many in one commit; gives the jobs that may go live, and the faults of the others.
    async fn save(
        &self,
        fresh: Vec<(JobName, Job)>,
        live: &Snapshot,
        now: Timestamp,
    ) -> (BTreeMap<JobName, Job>, BTreeMap<JobName, Fault>) {
        let mut saved = BTreeMap::new();
        let mut unsaved = BTreeMap::new();
        let appears = fresh.iter().any(|(name, _)| !live.jobs.contains_key(name));
        let rows = match if appears { self.store.jobs().await } else { Ok(Vec::new()) } {
            Ok(rows) => rows.into_iter().map(|row| (row.name.clone(), row)).collect::<BTreeMap<_, _>>(),
            Err(error) => {
                let fault = unsaved_fault(&error);
                return (saved, fresh.into_iter().map(|(name, _)| (name, fault.clone())).collect());
            }
        };
        let mut waiting = fresh.into_iter();
        let mut writing = JoinSet::new();
        loop {
            while writing.len() < limits::RELOAD_SAVES_IN_FLIGHT_MAX
                && let Some((name, mut job)) = waiting.next()
            {
                let row = rows.get(&name);
                job.enabled_override = row.and_then(|row| row.enabled);
                writing.spawn(save_one(self.store.clone(), row.cloned(), name, job, now));
            }
            match writing.join_next().await {
                Some(Ok((name, job, Ok(())))) => drop(saved.insert(name, job)),
                Some(Ok((name, _, Err(error)))) => drop(unsaved.insert(name, unsaved_fault(&error))),
                Some(Err(panicked)) => warn!(%panicked, "storing a version failed"),
                None => return (saved, unsaved),
            }
        }
    }

    /// Events that belong to no stored version, and the daemon's own log.
    async fn tell(&self, changes: &Changes, diagnostics: &[Diagnostic], now: Timestamp) {
        let mut events = Vec::new();
        for name in &changes.removed {
            info!(job = %name, "removed");
            self.record(NewAudit::new(now, "daemon", "job.remove", name.as_str()).job(name));
            events.push(NewEvent::new(now, "job.removed").job(name));
        }
        for file in &changes.rejected {
            let of_file = || diagnostics.iter().filter(|note| note.file == *file && note.severity == Severity::Error);
            for note in of_file() {
                let line = note.fault.at.as_ref().map(|at| format!("{}:{}", at.file, at.line));
                warn!(%file, at = line, problem = %note.fault, kept = note.last_good_kept, "rejected");
            }
            let faults: Vec<_> = of_file().take(limits::RELOAD_FAULTS_TOLD_MAX).map(|note| &note.fault).collect();
            events.push(NewEvent::new(now, "job.rejected").data(json!({ "file": file, "faults": faults })));
        }
        for name in &changes.loaded {
            info!(job = %name, "loaded");
        }
        if !events.is_empty()
            && let Err(error) = self.store.append_events(events).await
        {
            warn!(%error, "the events of a reload could not be stored");
        }
    }
}

async fn save_one(
    store: Store,
    row: Option<JobRow>,
    name: JobName,
    job: Job,
    now: Timestamp,
) -> (JobName, Job, Result<(), StoreError>) {
    let hash = job.bundle.hash;
    if row.is_some_and(|row| row.version == hash) {
        // Known from before a restart: nothing happened.
        return (name, job, Ok(()));
    }
    let version = ScriptVersion {
        hash,
        job: name.clone(),
        spec: JobSpec::clone(&job.spec),
        files: job.bundle.files.to_vec(),
        created_at: now,
    };
    let event = NewEvent::new(now, "job.loaded").job(&name).data(json!({ "file": job.file, "version": hash }));
    let record = NewAudit::new(now, "daemon", "job.load", name.as_str()).job(&name);
    let record = record.data(json!({ "file": job.file, "version": hash }));
    if let Err(error) = store.queue_audit(record) {
        warn!(%error, job = %name, "a new version was not recorded in the audit log");
    }
    let stored = store.put_version(version, vec![event]).await;
    (name, job, stored)
}

use crate::model::JobSpec;

fn unsaved_fault(error: &StoreError) -> Fault {
    Fault::new("job.unsaved", format!("the new version could not be stored: {error}"))
        .hint("it goes live once the database can be written; nothing else has to be done")
        .retryable()
}

/// Files whose errors are not the ones that they had.
fn newly_rejected(earlier: &[Diagnostic], now: &[Diagnostic]) -> Vec<String> {
    let is_new = |note: &&Diagnostic| {
        note.severity == Severity::Error
            && !earlier.iter().any(|known| known.file == note.file && known.fault == note.fault)
    };
    let mut files: Vec<_> = now.iter().filter(is_new).map(|note| note.file.clone()).collect();
    files.dedup();
    files
}
