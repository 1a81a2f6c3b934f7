//! What the simulation drives, and what it sees of it.

use std::sync::Arc;

use super::core::NewId;
pub use super::core::{Comeback, Core, Effect, Execution, Finished};
use super::handle::LiveTable;
use super::live::{Entry, Phase};
use super::logs::Flusher;
pub use super::recovery::plan;
pub use super::settle::{change, runs_alone};
pub use super::stop::Stopped;
use crate::base::{Clock, JobName, RunId};

/// A core without anything around it, of a daemon with these labels.
pub fn new_core(
    clock: Clock,
    running_max: usize,
    shares: bool,
    labels: Vec<String>,
    new_id: Box<dyn FnMut() -> RunId + Send>,
) -> Core {
    let mut core = Core::new(
        clock,
        Arc::default(),
        LiveTable::default(),
        Flusher::new(crate::base::Masker::default()).0,
        running_max,
        shares,
    );
    core.live.labels = labels;
    core.new_id = NewId(new_id);
    core
}

impl Core {
    /// A parked run that the store knows of.
    pub fn count_parked(&mut self, job: JobName, key: Option<String>) {
        self.live.count_parked(job, 1);
        if let Some(key) = key {
            self.live.count_key(key, 1);
        }
    }

    pub fn holds(&self, run: RunId) -> bool {
        self.live.contains(run)
    }

    /// How many more runs may begin.
    pub fn free(&self) -> usize {
        self.live.free()
    }

    /// Runs that wait here for a daemon with other labels.
    pub fn misplaced(&self) -> Vec<RunId> {
        let waits = |entry: &&Entry| entry.phase == Phase::Waiting && !self.live.fits(&entry.job.spec);
        let mut runs: Vec<RunId> = self.live.all().filter(waits).map(|entry| entry.run.id).collect();
        runs.sort();
        runs
    }

    /// The runs of a job that nobody has stopped and that have not come to their end.
    pub fn going_on(&self, job: &JobName) -> Vec<RunId> {
        let of_job = self.live.all().filter(|entry| entry.run.job == *job);
        let going_on = of_job.filter(|entry| entry.phase != Phase::Settling && entry.stop.why().is_none());
        let mut runs: Vec<RunId> = going_on.map(|entry| entry.run.id).collect();
        runs.sort();
        runs
    }

    /// Where a run stands here, for the simulation's complaints.
    pub fn describe(&self, run: RunId) -> String {
        let entry = self.live.all().find(|entry| entry.run.id == run);
        let entry =
            entry.map(|entry| (entry.phase, entry.holds_slot, entry.holds_key, entry.resumes, entry.stop.why()));
        format!("{entry:?}")
    }
}
