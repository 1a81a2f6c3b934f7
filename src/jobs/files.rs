//! What the loader knows of each file, and the registry's content that follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::compile::Version;
use super::declare::warnings;
use super::registry::{Diagnostic, Severity, Snapshot};
use super::scan::{Scan, Stamp, is_job};
use crate::base::{Fault, JobName, Timestamp};

/// One job file.
#[derive(Debug)]
pub struct FileState {
    /// Every path that was looked for when it was last loaded, with its stamp then; None where there was nothing.
    pub looked_for: BTreeMap<String, Option<Stamp>>,
    /// One of them was written so recently that it must be read again, whatever its stamp says.
    pub unsettled: bool,
    /// The last version without faults.
    pub good: Option<Version>,
    /// What is wrong with the file as it is now; empty when `good` is what the file says.
    pub faults: Vec<Fault>,
}

/// All job files, by path.
#[derive(Debug, Default)]
pub struct Files {
    pub known: BTreeMap<String, FileState>,
}

/// Which version each name stands for, and what is to be said about files.
#[derive(Debug, Default)]
pub struct Desired {
    pub jobs: BTreeMap<JobName, (String, Version)>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Files {
    /// Forgets files that are gone and names those that must be loaded.
    pub fn outdated(&mut self, scan: &Scan, touched: &BTreeSet<PathBuf>, root: &std::path::Path) -> Vec<String> {
        let vanished_for_a_reason: BTreeSet<&str> = scan.problems.iter().map(|(path, _)| path.as_str()).collect();
        let hidden = |path: &str| vanished_for_a_reason.iter().any(|problem| is_at_or_under(path, problem));
        self.known.retain(|path, _| scan.files.contains_key(path) || hidden(path));
        let is_outdated = |path: &str| {
            let Some(state) = self.known.get(path) else { return true };
            state.unsettled
                || state.looked_for.iter().any(|(dependency, stamp)| {
                    scan.files.get(dependency) != stamp.as_ref() || touched.contains(&root.join(dependency))
                })
        };
        scan.files.keys().filter(|path| is_job(path) && is_outdated(path)).cloned().collect()
    }

    /// Gives each name to one file: to the one that has it now, else to the first in the order of their paths.
    pub fn desired(&self, scan: &Scan, live: &Snapshot, now: Timestamp) -> Desired {
        let mut claims: BTreeMap<&JobName, Vec<(&str, &Version)>> = BTreeMap::new();
        for (path, state) in &self.known {
            if let Some(version) = &state.good {
                claims.entry(&version.spec.name).or_default().push((path, version));
            }
        }
        let mut desired = Desired::default();
        let mut note = Notes { earlier: &live.diagnostics, now, made: Vec::new() };
        for (path, fault) in &scan.problems {
            let kept = self.known.get(path).is_some_and(|state| state.good.is_some());
            note.error(path, fault.clone(), kept);
        }
        for (path, state) in &self.known {
            for fault in &state.faults {
                note.error(path, fault.clone(), state.good.is_some());
            }
        }
        for (name, claimants) in claims {
            let holder = live.jobs.get(name).map(|job| job.file.as_str());
            let held = claimants.iter().find(|(path, _)| Some(*path) == holder);
            let Some((winner, version)) = held.or(claimants.first()) else { continue };
            for (loser, _) in claimants.iter().filter(|(path, _)| path != winner) {
                note.error(loser, taken(name, winner), false);
                note.warning(winner, claimed(name, loser));
            }
            for fault in warnings(&version.spec) {
                note.warning(winner, fault);
            }
            desired.jobs.insert(name.clone(), ((*winner).to_owned(), (*version).clone()));
        }
        desired.diagnostics = note.made;
        desired
    }
}

fn is_at_or_under(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn taken(name: &JobName, winner: &str) -> Fault {
    Fault::new("job.name_taken", format!("the job name {name} belongs to {winner}"))
        .hint("give one of the two another name: name = \"…\"")
}

fn claimed(name: &JobName, loser: &str) -> Fault {
    Fault::new("job.name_claimed", format!("{loser} wants the job name {name}, too, and was not loaded"))
        .hint("give one of the two another name: name = \"…\"")
}

/// Diagnostics that keep the moment since when they are true.
pub struct Notes<'a> {
    pub earlier: &'a [Diagnostic],
    pub now: Timestamp,
    pub made: Vec<Diagnostic>,
}

impl Notes<'_> {
    pub fn error(&mut self, file: &str, fault: Fault, last_good_kept: bool) {
        self.add(Diagnostic {
            file: file.to_owned(),
            severity: Severity::Error,
            fault,
            since: self.now,
            last_good_kept,
        });
    }

    pub fn warning(&mut self, file: &str, fault: Fault) {
        let severity = Severity::Warning;
        self.add(Diagnostic { file: file.to_owned(), severity, fault, since: self.now, last_good_kept: false });
    }

    fn add(&mut self, mut diagnostic: Diagnostic) {
        let same = |known: &&Diagnostic| known.file == diagnostic.file && known.fault == diagnostic.fault;
        if let Some(known) = self.earlier.iter().find(same) {
            diagnostic.since = known.since;
        }
        self.made.push(diagnostic);
    }
}
