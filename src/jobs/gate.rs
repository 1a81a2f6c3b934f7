//! Between the files and the registry: which versions may go live with which rights, as the operator's policy and the
//! approvals of people have it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compile::Version;
use super::files::{Desired, Notes};
use super::policy::{Policy, When};
use super::registry::{Snapshot, Waiting};
use crate::base::{Fault, JobName, Timestamp};
use crate::lua::Bundle;
use crate::model::Right;
use crate::model::rights::{beyond, fingerprint};
use crate::store::{JobRow, RightsRow, Store, StoreError};

/// The policy's file, and what it said last that could be understood.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    path: Option<PathBuf>,
    pub policy: Arc<Policy>,
    /// What is wrong with the file as it is now; `policy` goes on meanwhile.
    pub faults: Vec<Fault>,
    was_there: bool,
}

/// What people have approved, and what was live when a daemon last ran.
struct Known {
    approved: BTreeMap<JobName, RightsRow>,
    rows: BTreeMap<JobName, JobRow>,
}

impl Gate {
    /// # Errors
    /// The file cannot be read or is wrong: there is no last good one to go on with.
    pub fn open(path: &Path) -> Result<Self, Vec<Fault>> {
        let policy = Arc::new(Policy::load(path)?);
        Ok(Self { path: Some(path.to_owned()), was_there: path.exists(), policy, faults: Vec::new() })
    }

    /// The policy's file, as it is shown.
    pub fn file(&self) -> String {
        self.path.as_ref().map_or_else(String::new, |path| path.display().to_string())
    }

    /// Reads the file again. A mistake, or its absence after it was there, keeps what held before.
    pub async fn look(&mut self) {
        let Some(path) = self.path.clone() else { return };
        let looked = tokio::task::spawn_blocking(move || (path.exists(), Policy::load(&path))).await;
        match looked {
            Ok((false, Ok(_))) if self.was_there => {
                let message = format!("the policy {} is gone; what it said goes on", self.file());
                let hint = "put it back; a file that says \"rules: []\" bounds nothing";
                self.faults = vec![Fault::new("policy.gone", message).hint(hint)];
            }
            Ok((is_there, Ok(policy))) => {
                (self.was_there, self.faults) = (is_there, Vec::new());
                if policy != *self.policy {
                    self.policy = Arc::new(policy);
                }
            }
            Ok((_, Err(faults))) => self.faults = faults,
            Err(failure) => {
                let message = format!("cannot look at the policy {}: {failure}", self.file());
                self.faults = vec![Fault::new("policy.unreadable", message)];
            }
        }
    }

    /// Leaves in `desired` what may go live, notes what is bounded, and gives what waits for a person.
    pub async fn admit(
        &self,
        store: &Store,
        live: &Snapshot,
        desired: &mut Desired,
        now: Timestamp,
    ) -> BTreeMap<JobName, Arc<Waiting>> {
        let mut note = Notes { earlier: &live.diagnostics, now, made: Vec::new() };
        for fault in &self.faults {
            note.error(&self.file(), fault.clone(), true);
        }
        for (file, version) in desired.jobs.values().filter(|_| !self.policy.is_empty()) {
            for fault in self.policy.report(file, &version.spec.permissions).warnings() {
                note.warning(file, fault);
            }
        }
        let waiting = match self.held_back(store, live, desired, now).await {
            Ok(waiting) => waiting,
            Err(error) => {
                let message = format!("it is not known what people have approved: {error}");
                let fault = Fault::new("rights.unknown", message)
                    .hint("the earlier version goes on until the database answers");
                for (file, _) in self.keep_back_all(live, desired) {
                    note.error(&file, fault.clone(), true);
                }
                live.waiting.clone()
            }
        };
        for one in waiting.values() {
            note.warning(&one.file, waits(one));
        }
        desired.diagnostics.append(&mut note.made);
        waiting
    }

    /// Jobs that may have to be approved stay as they are.
    fn keep_back_all(&self, live: &Snapshot, desired: &mut Desired) -> Vec<(String, JobName)> {
        let asked = desired.jobs.iter().filter(|(name, (file, version))| {
            let is_live = live.jobs.get(*name).is_some_and(|job| job.bundle.hash == version.bundle.hash);
            self.policy.asks_about(file) && !is_live
        });
        let asked: Vec<_> = asked.map(|(name, (file, _))| (file.clone(), name.clone())).collect();
        for (_, name) in &asked {
            match live.jobs.get(name) {
                Some(job) => {
                    let (spec, bundle) = (job.spec.clone(), job.bundle.clone());
                    desired.jobs.insert(name.clone(), (job.file.clone(), Version { spec, bundle }));
                }
                None => drop(desired.jobs.remove(name)),
            }
        }
        asked
    }

    async fn held_back(
        &self,
        store: &Store,
        live: &Snapshot,
        desired: &mut Desired,
        now: Timestamp,
    ) -> Result<BTreeMap<JobName, Arc<Waiting>>, StoreError> {
        let asked: Vec<JobName> = desired
            .jobs
            .iter()
            .filter(|(_, (file, _))| self.policy.asks_about(file))
            .map(|(name, _)| name.clone())
            .collect();
        let mut waiting = BTreeMap::new();
        if asked.is_empty() {
            return Ok(waiting);
        }
        let approved = store.rights().await?.into_iter().map(|row| (row.job.clone(), row)).collect();
        let is_new = asked.iter().any(|name| !live.jobs.contains_key(name));
        let rows = if is_new { store.jobs().await? } else { Vec::new() };
        let known = Known { approved, rows: rows.into_iter().map(|row| (row.name.clone(), row)).collect() };
        for name in asked {
            let Some((file, version)) = desired.jobs.get(&name).cloned() else { continue };
            let before = before(store, live, &known, &name).await?;
            let approved = known.approved.get(&name).map_or(&[][..], |row| &row.rights);
            let added = self.added(&file, &version, approved, before.as_ref().map(|(_, version)| version));
            if added.is_empty() {
                continue;
            }
            let other = before.filter(|(_, before)| before.bundle.hash != version.bundle.hash);
            // What goes on must itself be approved; else the new version is as good, without what waits.
            let other = other.filter(|(file, before)| self.added(file, before, approved, Some(before)).is_empty());
            let rights = self.policy.report(&file, &version.spec.permissions).effective();
            let was = other.as_ref().map(|(_, before)| before.spec.permissions.rights()).unwrap_or_default();
            let removed = beyond(&was, &rights).into_iter().cloned().collect();
            let (hash, version) = (fingerprint(&rights), version.bundle.hash);
            let earlier = live.waiting.get(&name).filter(|known| known.version == version && known.hash == hash);
            let since = earlier.map_or(now, |known| known.since);
            let held = other.is_none();
            if let Some(goes_on) = other {
                desired.jobs.insert(name.clone(), goes_on);
            }
            waiting.insert(name, Arc::new(Waiting { file, version, rights, added, removed, hash, since, held }));
        }
        Ok(waiting)
    }

    /// The rights of a version that wait.
    fn added(&self, file: &str, version: &Version, approved: &[Right], before: Option<&Version>) -> Vec<Right> {
        let had = before.map(|version| version.spec.permissions.rights());
        let asked = self.policy.report(file, &version.spec.permissions).asked;
        let covers = |list: &[Right], right: &Right| list.iter().any(|known| known.covers(right));
        let waits = asked.into_iter().filter(|right| !covers(approved, right));
        let waits = waits.filter(|right| match (self.policy.when(file, right), &had) {
            (When::Never, _) | (When::Additions, None) => false,
            (When::Additions, Some(had)) => !covers(had, right),
            (When::Always, _) => true,
        });
        waits.collect()
    }
}

/// The version of a job that is live, or was when a daemon last ran.
async fn before(
    store: &Store,
    live: &Snapshot,
    known: &Known,
    name: &JobName,
) -> Result<Option<(String, Version)>, StoreError> {
    if let Some(job) = live.jobs.get(name) {
        return Ok(Some((job.file.clone(), Version { spec: job.spec.clone(), bundle: job.bundle.clone() })));
    }
    let Some(row) = known.rows.get(name) else { return Ok(None) };
    let Some(stored) = store.version(row.version).await? else { return Ok(None) };
    let file = stored.files.first().map(|(path, _)| path.clone()).unwrap_or_default();
    Ok(Some((file, Version { spec: Arc::new(stored.spec), bundle: Arc::new(Bundle::new(stored.files)) })))
}

fn waits(waiting: &Waiting) -> Fault {
    let added: Vec<String> = waiting.added.iter().map(ToString::to_string).collect();
    let goes_on = match waiting.held {
        true => "it is not scheduled, and has no more rights than were approved, until then",
        false => "the version that was live goes on until then",
    };
    Fault::new("rights.waiting", format!("new rights wait for a person's approval: {}; {goes_on}", added.join(", ")))
        .hint("approve them with `aegis job approve NAME` or on the job's page")
}
