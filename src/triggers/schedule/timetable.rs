//! Which due time of which job comes next. Pure: reloads and the time go in, due times come out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use super::catch_up::{Verdict, judge};
use super::overdue::{Passed, due_until};
use crate::base::clock::earlier;
use crate::base::{JobName, Timestamp};
use crate::jobs::{Job, Snapshot};
use crate::model::schedule::{Due, Plan, ScheduleSpec};
use crate::model::{AbsenceCause, Calendars, JobSpec};

/// A due time whose moment has come, and what becomes of it.
#[derive(Debug, Clone)]
pub struct Firing {
    pub job: Arc<Job>,
    pub due: Due,
    pub verdict: Verdict,
    /// Why it was not fired in time, if it is late.
    pub cause: AbsenceCause,
    /// The first due time that passed with it, if more passed than get a row each.
    pub unlisted_since: Option<Timestamp>,
}

/// The next due time of each schedule of each job.
#[derive(Debug, Default)]
pub struct Timetable {
    calendars: Arc<Calendars>,
    jobs: BTreeMap<JobName, Entry>,
    heap: BinaryHeap<Reverse<Next>>,
    /// Tells entries of the heap that belong to a replaced timetable of a job.
    edition: u64,
}

#[derive(Debug)]
struct Entry {
    job: Arc<Job>,
    plans: Vec<(ScheduleSpec, Plan)>,
    /// What fires later than this was kept in mind when it was due.
    since: Timestamp,
    edition: u64,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    fire_at: Timestamp,
    due: Due,
    job: JobName,
    plan: usize,
    edition: u64,
}

impl Timetable {
    /// One without jobs, which holds what falls into the closed times of `calendars` that its schedule names.
    pub fn new(calendars: Arc<Calendars>) -> Self {
        Self { calendars, ..Self::default() }
    }

    /// Takes over the jobs of `snapshot`. A job whose schedules are unchanged keeps its place; a new one begins after
    /// `begin(job)`; a changed one begins after `now`.
    pub fn update(&mut self, snapshot: &Snapshot, now: Timestamp, mut begin: impl FnMut(&JobName) -> Timestamp) {
        let waiting = self.waiting(now);
        self.jobs.retain(|name, _| snapshot.jobs.contains_key(name));
        for (name, job) in &snapshot.jobs {
            match self.jobs.get_mut(name) {
                Some(entry) if same_schedules(&entry.job.spec, &job.spec) => entry.job = job.clone(),
                Some(_) => self.enter(name, job, (now, now), waiting.get(name)),
                None => self.enter(name, job, (begin(name), now), None),
            }
        }
    }

    /// Forgets every due time and begins anew after `now`: the clock was set back.
    pub fn restart(&mut self, now: Timestamp) {
        let waiting = self.waiting(now);
        let jobs: Vec<(JobName, Arc<Job>)> =
            self.jobs.iter().map(|(name, entry)| (name.clone(), entry.job.clone())).collect();
        self.heap.clear();
        jobs.iter().for_each(|(name, job)| self.enter(name, job, (now, now), waiting.get(name)));
    }

    /// Due times whose moment has passed, and which wait for their jitter only.
    fn waiting(&self, now: Timestamp) -> BTreeMap<JobName, Vec<Timestamp>> {
        let mut waiting: BTreeMap<JobName, Vec<Timestamp>> = BTreeMap::new();
        for next in self.pending().filter(|next| next.due.scheduled_for <= now) {
            waiting.entry(next.job.clone()).or_default().push(next.due.scheduled_for);
        }
        waiting
    }

    /// Each schedule begins after `begin`, or with the first of `waiting` that it has, too.
    fn enter(
        &mut self,
        name: &JobName,
        job: &Arc<Job>,
        (begin, since): (Timestamp, Timestamp),
        waiting: Option<&Vec<Timestamp>>,
    ) {
        self.edition += 1;
        let edition = self.edition;
        let ready = job.spec.schedules.iter().filter_map(|spec| Some((spec.clone(), spec.plan(name).ok()?)));
        let plans: Vec<(ScheduleSpec, Plan)> = ready.collect();
        for (plan, (_, ready)) in plans.iter().enumerate() {
            let kept = waiting.into_iter().flatten().filter_map(|moment| due_at(ready, *moment)).min();
            if let Some(due) = kept.or_else(|| ready.next_after(begin)) {
                self.heap.push(Reverse(Next { fire_at: due.fire_at, due, job: name.clone(), plan, edition }));
            }
        }
        self.jobs.insert(name.clone(), Entry { job: job.clone(), plans, since, edition });
    }

    /// What is to come, without what belongs to a replaced timetable of a job.
    fn pending(&self) -> impl Iterator<Item = &Next> {
        let is_current = |next: &&Next| self.jobs.get(&next.job).is_some_and(|entry| entry.edition == next.edition);
        self.heap.iter().map(|Reverse(next)| next).filter(is_current)
    }

    /// The earliest due time of each scheduled job that was not taken yet; None when none is to come.
    pub fn earliest(&self) -> BTreeMap<&JobName, Option<Timestamp>> {
        let scheduled = self.jobs.iter().filter(|(_, entry)| !entry.plans.is_empty());
        let mut earliest: BTreeMap<&JobName, Option<Timestamp>> = scheduled.map(|(name, _)| (name, None)).collect();
        for next in self.pending() {
            if let Some(known) = earliest.get_mut(&next.job) {
                *known = Some(known.map_or(next.due.scheduled_for, |known| known.min(next.due.scheduled_for)));
            }
        }
        earliest
    }

    /// When there is something to do next.
    pub fn next_at(&mut self) -> Option<Timestamp> {
        while let Some(Reverse(next)) = self.heap.peek() {
            if self.jobs.get(&next.job).is_some_and(|entry| entry.edition == next.edition) {
                return Some(next.fire_at);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes what is due at `now`, soonest first, each judged by its schedule's rule for late ones. A moment at which
    /// several schedules of a job are due is one due time.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<Firing> {
        let mut firings: BTreeMap<(JobName, Timestamp), Firing> = BTreeMap::new();
        while self.next_at().is_some_and(|moment| moment <= now) {
            let Some(Reverse(next)) = self.heap.pop() else { break };
            let Some(entry) = self.jobs.get(&next.job) else { continue };
            let (spec, plan) = &entry.plans[next.plan];
            let Passed { dues, unlisted, next: following } = due_until(plan, spec.jitter, next.due, now);
            let verdicts = judge(spec, &dues, now, |due| held(&entry.job, spec, due, &self.calendars));
            for (due, verdict) in dues.iter().zip(verdicts) {
                let kept = due.fire_at > entry.since;
                let firing = Firing {
                    job: entry.job.clone(),
                    due: *due,
                    verdict,
                    cause: if kept { AbsenceCause::StoodStill } else { AbsenceCause::NoDaemon },
                    unlisted_since: unlisted.then_some(next.due.scheduled_for),
                };
                let known = firings.entry((next.job.clone(), due.scheduled_for)).or_insert_with(|| firing.clone());
                if known.verdict.strength() < firing.verdict.strength() {
                    *known = firing;
                }
            }
            if let Some(due) = following {
                self.heap.push(Reverse(Next { fire_at: due.fire_at, due, ..next }));
            }
        }
        let mut firings: Vec<Firing> =
            firings.into_values().filter(|firing| !self.is_left_to_another(firing, now)).collect();
        firings.sort_by_key(|firing| firing.due.fire_at);
        firings
    }

    /// Whether one schedule lets this due time go, and another one of the job, with jitter, is yet to fire it.
    fn is_left_to_another(&self, firing: &Firing, now: Timestamp) -> bool {
        let Some(entry) = self.jobs.get(&firing.job.spec.name) else { return false };
        let moment = firing.due.scheduled_for;
        let mut others = entry.plans.iter().filter(|(spec, _)| !spec.jitter.is_zero());
        !firing.verdict.fires() && others.any(|(_, plan)| due_at(plan, moment).is_some_and(|due| due.fire_at > now))
    }
}

/// Why a due time of one of the job's schedules does not fire.
pub fn held(job: &Job, spec: &ScheduleSpec, due: &Due, calendars: &Calendars) -> Option<String> {
    match job.is_enabled() {
        true => calendars.hold(&spec.skip, due.scheduled_for),
        false => Some("the job is disabled".to_owned()),
    }
}

/// The due time of `plan` at exactly this moment, if it has one.
fn due_at(plan: &Plan, moment: Timestamp) -> Option<Due> {
    plan.next_after(just_before(moment)).filter(|due| due.scheduled_for == moment)
}

/// The last moment before `moment` that the store can tell from it.
pub fn just_before(moment: Timestamp) -> Timestamp {
    earlier(moment, Duration::from_micros(1))
}

fn same_schedules(one: &JobSpec, other: &JobSpec) -> bool {
    one.schedules == other.schedules
}
