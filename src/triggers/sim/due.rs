//! What is due, who fires it, and what must hold.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::schedule::{Firing, Timetable, Verdict};
use super::world::{Happening, LEASE, World};
use crate::base::clock::{later, since};
use crate::base::{JobName, RunId, Timestamp};
use crate::jobs::Snapshot;
use crate::model::params::Params;
use crate::model::{Occurrence, OccurrenceState, Trigger, TriggerKind};
use crate::runner::sim::runs_alone;
use crate::runner::{Submission, SubmitRequest};

impl World {
    pub(super) fn hear_replies(&mut self, daemon: usize) {
        let Some(alive) = self.daemons[daemon].as_mut() else { return };
        let mut again = Vec::new();
        let mut kept = Vec::new();
        let mut settled = Vec::new();
        for (firing, mut answer) in std::mem::take(&mut alive.replies) {
            match answer.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => kept.push((firing, answer)),
                Ok(Ok(Submission::Accepted { run, .. })) => drop(self.acknowledged.insert(run)),
                Ok(Ok(Submission::AlreadySettled)) => {}
                Ok(Ok(Submission::Coalesced { run })) => {
                    settled.extend(firing.map(|firing| (firing, OccurrenceState::Coalesced, Some(run))));
                }
                Ok(Ok(Submission::Skipped { .. })) => {
                    settled.extend(firing.map(|firing| (firing, OccurrenceState::SkippedOverlap, None)));
                }
                Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => again.extend(firing),
            }
        }
        alive.replies = kept;
        for (firing, state, run) in settled {
            self.settle(&firing, state, run);
        }
        for firing in again {
            self.fire(daemon, firing);
        }
    }

    fn settle(&mut self, firing: &Firing, state: OccurrenceState, run: Option<RunId>) {
        let place = (firing.job.spec.name.clone(), firing.due.scheduled_for);
        let occurrence = self.occurrence(firing, state, run);
        self.books.occurrences.entry(place).or_insert(occurrence);
    }

    fn occurrence(&self, firing: &Firing, state: OccurrenceState, run: Option<RunId>) -> Occurrence {
        Occurrence {
            job: firing.job.spec.name.clone(),
            scheduled_for: firing.due.scheduled_for,
            state,
            reason: None,
            run,
            decided_at: self.now,
        }
    }

    /// The first daemon that is there keeps the timetable; each takes over from those that are gone.
    pub(super) fn tick(&mut self, daemon: usize, life: u64) {
        let gone = |other: usize| {
            let silent = self.died_at[other].or(self.paused[other]);
            other != daemon && silent.is_some_and(|moment| since(self.now, moment) > LEASE)
        };
        let orphans: HashSet<usize> = (0..self.daemons.len()).filter(|other| gone(*other)).collect();
        let leads = (0..daemon).all(|other| orphans.contains(&other));
        if !orphans.is_empty() {
            self.executing.retain(|_, (at, _)| !orphans.contains(at));
            self.take_over(daemon, orphans);
        }
        let firings = if leads { self.due(daemon) } else { self.step_down(daemon) };
        let until = self.until.unwrap_or(Timestamp::MAX);
        for firing in firings.into_iter().filter(|firing| firing.due.scheduled_for <= until) {
            self.dues.insert((firing.job.spec.name.clone(), firing.due.scheduled_for));
            self.fire(daemon, firing);
        }
        let wait = Duration::from_millis(200 + self.dice.below(300));
        self.at(later(self.now, wait), Happening::Tick(daemon, life));
        self.wake(daemon);
    }

    fn step_down(&mut self, daemon: usize) -> Vec<Firing> {
        if let Some(alive) = self.daemons[daemon].as_mut() {
            alive.timetable = None;
        }
        Vec::new()
    }

    fn due(&mut self, daemon: usize) -> Vec<Firing> {
        let (now, began) = (self.now, self.began);
        let knows = self.daemons[daemon].as_ref().is_some_and(|alive| alive.timetable.is_some());
        let jobs = self.jobs.keys().filter(|_| !knows);
        let marks: HashMap<JobName, Timestamp> =
            jobs.map(|job| (job.clone(), self.settled_until(job).unwrap_or(began))).collect();
        let snapshot = Snapshot { jobs: self.jobs.clone(), ..Snapshot::default() };
        let Some(alive) = self.daemons[daemon].as_mut() else { return Vec::new() };
        let timetable = alive.timetable.get_or_insert_with(|| {
            let mut fresh = Timetable::default();
            fresh.update(&snapshot, now, |job| marks[job]);
            fresh
        });
        timetable.take_due(now)
    }

    /// The last due time before which none is open.
    fn settled_until(&self, job: &JobName) -> Option<Timestamp> {
        let open =
            self.dues.iter().filter(|(of, at)| of == job && !self.books.occurrences.contains_key(&(of.clone(), *at)));
        let earliest_open = open.map(|(_, at)| *at).min();
        let settled =
            self.books.occurrences.keys().filter(|(of, at)| of == job && earliest_open.is_none_or(|open| *at < open));
        settled.map(|(_, at)| *at).max()
    }

    pub(super) fn fire(&mut self, daemon: usize, firing: Firing) {
        let state = match firing.verdict {
            Verdict::Miss { .. } => return self.settle(&firing, OccurrenceState::Missed, None),
            _ => OccurrenceState::Fired,
        };
        let mut trigger = Trigger::new(TriggerKind::Schedule, "schedule");
        trigger.scheduled_for = Some(firing.due.scheduled_for);
        let request = SubmitRequest {
            job: firing.job.spec.name.clone(),
            params: Params::new(),
            trigger,
            idempotency_key: None,
            dry_run: false,
            parent: None,
            occurrence: Some(self.occurrence(&firing, state, None)),
        };
        self.hand_in(daemon, request, Some(firing));
    }

    /// What must hold after every event.
    pub(super) fn check(&self) {
        let mut by_job: HashMap<&JobName, usize> = HashMap::new();
        let mut by_key: HashMap<&String, usize> = HashMap::new();
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
        self.until.get_or_insert(self.now);
    }

    pub fn is_over(&self) -> bool {
        self.books.unfinished().is_empty()
    }

    /// What must hold when all is over.
    pub fn check_end(&mut self) {
        for run in &self.acknowledged {
            assert!(self.books.rows.contains_key(run), "run {run} was acknowledged and is lost");
        }
        let left = self.books.unfinished();
        let show = |run: &RunId| {
            let row = &self.books.rows[run];
            let held = self.daemons[row.node].as_ref().map(|daemon| daemon.core.describe(*run));
            format!("{} {run} of daemon {}: {:?}, there {held:?}", row.run.job, row.node, row.run)
        };
        assert!(left.is_empty(), "not over: {:#?}", left.iter().map(show).collect::<Vec<_>>());
        for (job, due) in &self.dues {
            assert!(self.books.occurrences.contains_key(&(job.clone(), *due)), "{job}: nothing became of {due}");
        }
    }
}
