//! Which due time of which job comes next. Pure: reloads and the time go in, due times come out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use super::catch_up::{Verdict, judge};
use crate::base::{JobName, Timestamp, limits};
use crate::jobs::{Job, Snapshot};
use crate::model::JobSpec;
use crate::model::schedule::{Due, Plan, ScheduleSpec};

/// A due time whose moment has come, and what becomes of it.
#[derive(Debug, Clone)]
pub struct Firing {
    pub job: Arc<Job>,
    pub due: Due,
    pub verdict: Verdict,
}

/// The next due time of each schedule of each job.
#[derive(Debug, Default)]
pub struct Timetable {
    jobs: BTreeMap<JobName, Entry>,
    heap: BinaryHeap<Reverse<Next>>,
    /// Tells entries of the heap that belong to a replaced timetable of a job.
    edition: u64,
}

#[derive(Debug)]
struct Entry {
    job: Arc<Job>,
    plans: Vec<(ScheduleSpec, Plan)>,
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
    /// Takes over the jobs of `snapshot`. A job whose schedules are unchanged keeps its place; a new or changed one
    /// begins after `begin(job)`.
    pub fn update(&mut self, snapshot: &Snapshot, begin: impl Fn(&JobName) -> Timestamp) {
        self.jobs.retain(|name, _| snapshot.jobs.contains_key(name));
        for (name, job) in &snapshot.jobs {
            match self.jobs.get_mut(name) {
                Some(entry) if same_schedules(&entry.job.spec, &job.spec) => entry.job = job.clone(),
                _ => self.enter(name, job, begin(name)),
            }
        }
    }

    /// Forgets every due time and begins anew after `now`: the clock was set back.
    pub fn restart(&mut self, now: Timestamp) {
        let jobs: Vec<(JobName, Arc<Job>)> =
            self.jobs.iter().map(|(name, entry)| (name.clone(), entry.job.clone())).collect();
        self.heap.clear();
        jobs.iter().for_each(|(name, job)| self.enter(name, job, now));
    }

    fn enter(&mut self, name: &JobName, job: &Arc<Job>, begin: Timestamp) {
        self.edition += 1;
        let edition = self.edition;
        let ready = job.spec.schedules.iter().filter_map(|spec| Some((spec.clone(), spec.plan(name).ok()?)));
        let plans: Vec<(ScheduleSpec, Plan)> = ready.collect();
        for (plan, (_, ready)) in plans.iter().enumerate() {
            if let Some(due) = ready.next_after(begin) {
                self.heap.push(Reverse(Next { fire_at: due.fire_at, due, job: name.clone(), plan, edition }));
            }
        }
        self.jobs.insert(name.clone(), Entry { job: job.clone(), plans, edition });
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

    /// Takes what is due at `now`, soonest first, each judged by its schedule's rule for late ones.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<Firing> {
        let mut firings = Vec::new();
        while self.next_at().is_some_and(|moment| moment <= now) {
            let Some(Reverse(next)) = self.heap.pop() else { break };
            let Some(entry) = self.jobs.get(&next.job) else { continue };
            let (spec, plan) = &entry.plans[next.plan];
            let (dues, following) = due_until(plan, next.due, now);
            let verdicts = judge(spec, &dues, now);
            let judged = dues.iter().zip(verdicts);
            firings.extend(judged.map(|(due, verdict)| Firing { job: entry.job.clone(), due: *due, verdict }));
            if let Some(due) = following {
                self.heap.push(Reverse(Next { fire_at: due.fire_at, due, ..next }));
            }
        }
        firings.sort_by_key(|firing| firing.due.fire_at);
        firings
    }
}

/// `first` and all after it that are due at `now` (the newest of them, if they are too many), and the one that follows.
fn due_until(plan: &Plan, first: Due, now: Timestamp) -> (Vec<Due>, Option<Due>) {
    let mut dues = std::collections::VecDeque::from([first]);
    let mut next = plan.next_after(first.scheduled_for);
    while let Some(due) = next.filter(|due| due.fire_at <= now) {
        if dues.len() >= limits::SCHEDULE_MISSED_ROWS_MAX {
            dues.pop_front();
        }
        dues.push_back(due);
        next = plan.next_after(due.scheduled_for);
    }
    (dues.into(), next)
}

fn same_schedules(one: &JobSpec, other: &JobSpec) -> bool {
    one.schedules == other.schedules
}
