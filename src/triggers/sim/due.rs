//! What is due, who fires it, and what is answered.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::schedule::{Firing, Timetable, Verdict, look_back};
use super::world::{Asked, Happening, LEASE, World};
use crate::base::clock::{earlier, later, since};
use crate::base::{JobName, RunId, Timestamp};
use crate::jobs::Snapshot;
use crate::model::params::Params;
use crate::model::{Occurrence, OccurrenceState, Trigger, TriggerKind};
use crate::runner::{Submission, SubmitRequest};

/// A clock that goes back by less is being adjusted, not set.
const STEP: Duration = Duration::from_millis(500);

impl World {
    pub(super) fn hear_replies(&mut self, daemon: usize) {
        let Some(alive) = self.daemons[daemon].as_mut() else { return };
        let (mut again, mut kept, mut answered) = (Vec::new(), Vec::new(), Vec::new());
        for mut asked in std::mem::take(&mut alive.asked) {
            match asked.answer.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => kept.push(asked),
                Ok(Ok(submission)) => answered.push((asked, submission)),
                Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => again.extend(asked.firing),
            }
        }
        alive.asked = kept;
        for (asked, submission) in answered {
            self.answered(daemon, asked, &submission);
        }
        for firing in again {
            self.fire(daemon, firing);
        }
    }

    fn answered(&mut self, daemon: usize, asked: Asked, submission: &Submission) {
        self.trace.line(self.now, || format!("daemon {daemon} answers {submission:?}"));
        let settled = match submission {
            Submission::Accepted { run, existing } => {
                self.trace.count("acknowledged");
                if *existing && asked.key.is_some() {
                    self.trace.count("repeated key");
                }
                return self.law.acknowledge(*run, asked.key);
            }
            Submission::AlreadySettled => return,
            Submission::Coalesced { run } => {
                self.trace.count("coalesced");
                self.law.coalesce(*run);
                (OccurrenceState::Coalesced, Some(*run))
            }
            Submission::Skipped { .. } => {
                self.trace.count("skipped");
                (OccurrenceState::SkippedOverlap, None)
            }
        };
        if let Some(firing) = asked.firing {
            self.settle(daemon, &firing, settled.0, settled.1);
        }
    }

    fn settle(&mut self, daemon: usize, firing: &Firing, state: OccurrenceState, run: Option<RunId>) {
        let place = (firing.job.spec.name.clone(), firing.due.scheduled_for);
        let occurrence = self.occurrence(daemon, firing, state, run);
        self.books.occurrences.entry(place).or_insert(occurrence);
    }

    fn occurrence(&self, daemon: usize, firing: &Firing, state: OccurrenceState, run: Option<RunId>) -> Occurrence {
        Occurrence {
            job: firing.job.spec.name.clone(),
            scheduled_for: firing.due.scheduled_for,
            state,
            reason: None,
            run,
            decided_at: self.wall(daemon),
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
        if self.shares() {
            self.see_to_leases(daemon, &orphans);
        }
        let firings = if leads { self.due(daemon) } else { self.step_down(daemon) };
        let until = self.until.unwrap_or(Timestamp::MAX);
        for firing in firings.into_iter().filter(|firing| firing.due.scheduled_for <= until) {
            self.law.dues.insert((firing.job.spec.name.clone(), firing.due.scheduled_for));
            self.fire(daemon, firing);
        }
        let wait = Duration::from_millis(200 + self.dice.below(300));
        self.at(later(self.now, wait), Happening::Tick(daemon, life));
        self.turn(daemon);
    }

    /// What the daemons that share a store do for each other now and then.
    fn see_to_leases(&mut self, daemon: usize, orphans: &HashSet<usize>) {
        self.take_over(daemon, orphans);
        self.heed_stops(daemon);
        self.give_up_misplaced(daemon);
        let strays_at = self.daemons[daemon].as_ref().map_or(self.now, |alive| alive.strays_at);
        match self.dice.below(10) {
            0..=2 => self.claim(daemon),
            // With its lease a daemon looks for parked runs that others left.
            3 => {
                let next = self.books.next_wake();
                self.wake_by(daemon, next);
            }
            _ if since(self.now, strays_at) > LEASE => self.take_up_strays(daemon, LEASE),
            _ => {}
        }
    }

    fn step_down(&mut self, daemon: usize) -> Vec<Firing> {
        if let Some(alive) = self.daemons[daemon].as_mut() {
            alive.timetable = None;
        }
        Vec::new()
    }

    fn due(&mut self, daemon: usize) -> Vec<Firing> {
        let (now, began) = (self.wall(daemon), self.began);
        let knows = self.daemons[daemon].as_ref().is_some_and(|alive| alive.timetable.is_some());
        if !knows {
            let begin = |job: &JobName| look_back(now, self.settled_until(job).unwrap_or(began));
            let marks: BTreeMap<JobName, Timestamp> = self.jobs.keys().map(|job| (job.clone(), begin(job))).collect();
            let snapshot = Snapshot { jobs: self.jobs.clone(), ..Snapshot::default() };
            if let Some(alive) = self.daemons[daemon].as_mut() {
                let fresh = alive.timetable.insert(Timetable::default());
                fresh.update(&snapshot, now, |job| marks[job]);
                alive.latest = now;
            }
        }
        let Some(alive) = self.daemons[daemon].as_mut() else { return Vec::new() };
        let Some(timetable) = &mut alive.timetable else { return Vec::new() };
        let stepped_back = since(alive.latest, now) > STEP;
        alive.latest = if stepped_back { now } else { now.max(alive.latest) };
        if stepped_back {
            timetable.restart(now);
        }
        timetable.take_due(now)
    }

    /// Just before the first due time that is open, or the last one of all.
    fn settled_until(&self, job: &JobName) -> Option<Timestamp> {
        let of_job = (job.clone(), Timestamp::MIN)..=(job.clone(), Timestamp::MAX);
        let mut open = self.law.dues.range(of_job.clone()).filter(|place| !self.books.occurrences.contains_key(place));
        let open = open.next().map(|(_, at)| earlier(*at, Duration::from_micros(1)));
        open.or_else(|| self.books.occurrences.range(of_job).next_back().map(|((_, at), _)| *at))
    }

    pub(super) fn fire(&mut self, daemon: usize, firing: Firing) {
        if let Verdict::Miss { .. } = firing.verdict {
            self.trace.count("missed");
            return self.settle(daemon, &firing, OccurrenceState::Missed, None);
        }
        let mut trigger = Trigger::new(TriggerKind::Schedule, "schedule");
        trigger.scheduled_for = Some(firing.due.scheduled_for);
        let request = SubmitRequest {
            job: firing.job.spec.name.clone(),
            params: Params::new(),
            trigger,
            idempotency_key: None,
            dry_run: false,
            parent: None,
            occurrence: Some(self.occurrence(daemon, &firing, OccurrenceState::Fired, None)),
        };
        self.hand_in(daemon, request, Some(firing));
    }
}
