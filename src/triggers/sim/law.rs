//! What must hold: after every event, whenever something begins or is answered, and when all is over.

use std::collections::{BTreeMap, BTreeSet};

use super::world::World;
use crate::base::{JobName, RunId, Timestamp};
use crate::model::job::Overlap;
use crate::model::{JobSpec, Run};
use crate::runner::sim::{Execution, runs_alone};

/// What was promised, and what was seen, beyond what stands in the books.
#[derive(Debug, Default)]
pub struct Law {
    acknowledged: BTreeSet<RunId>,
    /// The run that answered the first submission of a job with an idempotency key.
    keyed: BTreeMap<(JobName, String), RunId>,
    /// Runs of which a due time was told that they stand for it.
    stands_for: BTreeSet<RunId>,
    /// Runs on their way in that replace others.
    pub replaces: BTreeMap<RunId, Vec<RunId>>,
    /// Runs that a daemon has promised to end, by daemon and life.
    pub cancelled: BTreeMap<RunId, (usize, u64)>,
    /// Who executes which run now, as far as the daemons themselves know.
    executing: BTreeMap<RunId, (usize, i64)>,
    /// Attempts of runs that do not resume.
    executed: BTreeSet<(RunId, u32)>,
    /// Due times that a timetable gave out.
    pub dues: BTreeSet<(JobName, Timestamp)>,
}

impl Law {
    pub fn acknowledge(&mut self, run: RunId, key: Option<(JobName, String)>) {
        self.acknowledged.insert(run);
        if let Some(key) = key {
            let first = *self.keyed.entry(key).or_insert(run);
            assert_eq!(first, run, "two runs for one idempotency key");
        }
    }

    pub fn coalesce(&mut self, run: RunId) {
        self.stands_for.insert(run);
    }

    pub fn comes_in(&mut self, spec: &JobSpec, run: RunId, mut going_on: Vec<RunId>) {
        if spec.overlap == Overlap::Replace {
            going_on.retain(|other| *other != run);
            self.replaces.insert(run, going_on);
        }
    }

    /// A lane is given a run, by a daemon that `may` execute it.
    pub fn begins(&mut self, daemon: usize, execution: &Execution, may: bool) {
        assert!(may, "daemon {daemon} executes {}, which asks for other labels", execution.run.job);
        let (run, spec) = (&execution.run, &execution.job.spec);
        let (id, place) = (run.id, (daemon, run.fence));
        let before = self.executing.insert(id, place);
        assert!(before != Some(place), "run {id} is given to a lane twice at fence {}", run.fence);
        assert!(
            run.attempt <= spec.retry.attempts,
            "run {id} makes attempt {} of {}",
            run.attempt,
            spec.retry.attempts
        );
        let first = spec.resume || self.executed.insert((id, run.attempt));
        assert!(first, "attempt {} of run {id} is made twice", run.attempt);
        let promised = self.cancelled.get(&id).is_some_and(|(by, _)| *by == daemon);
        assert!(!promised || execution.stop.why().is_some(), "run {id} begins although it was cancelled");
    }

    pub fn ends(&mut self, daemon: usize, run: RunId, fence: i64) {
        if self.executing.get(&run) == Some(&(daemon, fence)) {
            self.executing.remove(&run);
        }
    }

    /// The daemon is dead, or has given up all that it had: it keeps no promises.
    pub fn daemon_is_gone(&mut self, daemon: usize) {
        self.executing.retain(|_, (at, _)| *at != daemon);
        self.cancelled.retain(|_, (by, _)| *by != daemon);
        self.replaces.clear();
    }

    /// Another daemon has the run.
    pub fn forget_if(&mut self, is_lost: bool, run: RunId) {
        if is_lost {
            self.cancelled.remove(&run);
        }
    }
}

impl World {
    /// What must hold after every event.
    pub(super) fn check(&self) {
        let (mut by_job, mut by_key) = (BTreeMap::<&JobName, usize>::new(), BTreeMap::<&String, usize>::new());
        for run in self.books.running() {
            *by_job.entry(&run.job).or_default() += 1;
            if let Some(key) = &run.concurrency_key {
                *by_key.entry(key).or_default() += 1;
            }
        }
        for (job, running) in by_job {
            let alone = runs_alone(&self.jobs[job].spec);
            assert!(!alone || running <= 1, "{running} runs of {job} at once");
        }
        for (key, running) in by_key {
            assert!(running <= 2, "{running} runs of {key} at once");
        }
    }

    /// Nothing new is due from now on, so that what is left can come to its end.
    pub fn quiet(&mut self) {
        let shown = (0..self.daemons.len()).map(|daemon| self.wall(daemon));
        // A clock that was ahead may have given out later ones.
        let given_out = self.law.dues.iter().map(|(_, at)| *at);
        let latest = shown.chain(given_out).max();
        self.until = self.until.or(latest);
    }

    /// The due times since the beginning, as the schedules have them, that nothing became of.
    fn unsettled(&self) -> Vec<(JobName, Timestamp)> {
        let until = self.until.unwrap_or(self.began);
        let mut open = Vec::new();
        for (name, job) in &self.jobs {
            let plans = job.spec.schedules.iter().map(|spec| spec.plan(name).expect("a good schedule"));
            let dues = plans.flat_map(|plan| {
                plan.iter(self.began).map(|due| due.scheduled_for).take_while(|at| *at <= until).collect::<Vec<_>>()
            });
            open.extend(
                dues.map(|due| (name.clone(), due)).filter(|place| !self.books.occurrences.contains_key(place)),
            );
        }
        open
    }

    pub fn is_over(&self) -> bool {
        self.books.unfinished().is_empty() && self.unsettled().is_empty()
    }

    /// What must hold when all is over.
    pub fn check_end(&self) {
        for run in &self.law.acknowledged {
            assert!(self.books.rows.contains_key(run), "run {run} was acknowledged and is lost");
        }
        for run in &self.law.stands_for {
            assert!(self.books.rows.contains_key(run), "run {run} stands for a due time and is lost");
        }
        let show = |run: &Run| {
            let held = self.daemons[self.books.rows[&run.id].node].as_ref().map(|daemon| daemon.core.describe(run.id));
            format!("{} {}: {run:?}, there {held:?}", run.job, run.id)
        };
        let left: Vec<String> = self.books.unfinished().iter().map(|id| show(&self.books.rows[id].run)).collect();
        assert!(left.is_empty(), "not over: {left:#?}");
        let mut open: BTreeSet<(JobName, Timestamp)> = self.unsettled().into_iter().collect();
        let lost = self.law.dues.iter().filter(|place| !self.books.occurrences.contains_key(place));
        open.extend(lost.cloned());
        assert!(open.is_empty(), "nothing became of {open:?}");
    }
}
