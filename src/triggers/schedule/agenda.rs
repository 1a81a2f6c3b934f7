//! What is due next, over all jobs. Pure: time is given, nothing is awaited.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

use tracing::error;

use super::overdue::{self, Overdue, Passed};
use crate::base::{JobName, Timestamp};
use crate::jobs::Snapshot;
use crate::model::JobSpec;
use crate::model::schedule::{Due, Plan};

#[derive(Debug, Default)]
pub struct Agenda {
    jobs: BTreeMap<JobName, Entry>,
    heap: BinaryHeap<Reverse<Slot>>,
    epoch: u64,
}

#[derive(Debug)]
struct Entry {
    spec: Arc<JobSpec>,
    plans: Vec<Plan>,
    /// Slots of another epoch are leftovers of an earlier version.
    epoch: u64,
    /// The latest due times taken: of two schedules of one job that are due together, one counts.
    taken: VecDeque<Timestamp>,
}

/// The next due time of one schedule. The order of fields is the order in which they fire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    fire_at: Timestamp,
    due: Due,
    job: JobName,
    plan: usize,
    epoch: u64,
}

/// Due times of one schedule whose moment has come.
#[derive(Debug)]
pub struct Taken {
    pub job: JobName,
    pub overdue: Overdue,
}

impl Agenda {
    /// Follows the registry. A job whose schedules are the same keeps its place; another begins anew, after the moment
    /// that `settled` gives for it (once), or else after `now`. Gives the jobs that began at `now`.
    pub fn follow(
        &mut self,
        registry: &Snapshot,
        settled: &mut BTreeMap<JobName, Timestamp>,
        now: Timestamp,
    ) -> Vec<JobName> {
        self.jobs.retain(|name, _| registry.jobs.get(name).is_some_and(|job| !job.spec.schedules.is_empty()));
        let mut began = Vec::new();
        for (name, job) in registry.jobs.iter().filter(|(_, job)| !job.spec.schedules.is_empty()) {
            if let Some(entry) = self.jobs.get_mut(name)
                && (Arc::ptr_eq(&entry.spec, &job.spec) || entry.spec.schedules == job.spec.schedules)
            {
                entry.spec = job.spec.clone();
                continue;
            }
            let known = settled.remove(name).map(|until| until.min(now));
            if known.is_none() {
                began.push(name.clone());
            }
            self.begin(name, &job.spec, known.unwrap_or(now));
        }
        began
    }

    fn begin(&mut self, name: &JobName, spec: &Arc<JobSpec>, after: Timestamp) {
        self.epoch += 1;
        let plan = |schedule: &crate::model::schedule::ScheduleSpec| match schedule.plan(name) {
            Ok(plan) => Some(plan),
            Err(error) => {
                // Loading checked it; only a change of the time zone database can get here.
                error!(job = %name, %error, "a schedule cannot be computed");
                None
            }
        };
        let plans: Option<Vec<_>> = spec.schedules.iter().map(plan).collect();
        let plans = plans.unwrap_or_default();
        for (index, plan) in plans.iter().enumerate() {
            if let Some(due) = plan.next_after(after) {
                self.heap.push(Reverse(Slot {
                    fire_at: due.fire_at,
                    due,
                    job: name.clone(),
                    plan: index,
                    epoch: self.epoch,
                }));
            }
        }
        self.jobs.insert(name.clone(), Entry { spec: spec.clone(), plans, epoch: self.epoch, taken: VecDeque::new() });
    }

    /// The clock was set back to `now`: everything after it is still to come. What fired before is refused by the ledger.
    pub fn rewind(&mut self, now: Timestamp) {
        self.heap.clear();
        let jobs: Vec<_> = self.jobs.iter().map(|(name, entry)| (name.clone(), entry.spec.clone())).collect();
        for (name, spec) in jobs {
            self.begin(&name, &spec, now);
        }
    }

    /// When the next due time fires.
    pub fn next_at(&mut self) -> Option<Timestamp> {
        while let Some(Reverse(slot)) = self.heap.peek() {
            if self.jobs.get(&slot.job).is_some_and(|entry| entry.epoch == slot.epoch) {
                return Some(slot.fire_at);
            }
            self.heap.pop();
        }
        None
    }

    /// The earliest schedule whose moment has come, with all its due times up to `now`.
    pub fn take(&mut self, now: Timestamp) -> Option<Taken> {
        self.next_at().filter(|at| *at <= now)?;
        let Reverse(slot) = self.heap.pop()?;
        let entry = self.jobs.get_mut(&slot.job)?;
        let (plan, schedule) = (entry.plans.get(slot.plan)?, entry.spec.schedules.get(slot.plan)?);
        let Passed { mut dues, and_earlier, next } = overdue::passed(plan, slot.due, now);
        if entry.plans.len() > 1 {
            dues.retain(|due| !entry.taken.contains(&due.scheduled_for));
            entry.taken.extend(dues.iter().map(|due| due.scheduled_for));
            let kept = 2 * crate::base::limits::SCHEDULE_OVERDUE_MAX;
            entry.taken.drain(..entry.taken.len().saturating_sub(kept));
        }
        let overdue = Overdue { and_earlier, ..overdue::sort(dues, schedule.catch_up, schedule.window, now) };
        if let Some(due) = next {
            self.heap.push(Reverse(Slot { fire_at: due.fire_at, due, ..slot.clone() }));
        }
        Some(Taken { job: slot.job, overdue })
    }

    /// Jobs that have no due time waiting at `now`.
    pub fn settled_at(&self, now: Timestamp) -> Vec<JobName> {
        let waiting = |name: &JobName, entry: &Entry| {
            let of_job = |slot: &&Reverse<Slot>| slot.0.job == *name && slot.0.epoch == entry.epoch;
            self.heap.iter().filter(of_job).any(|slot| slot.0.due.scheduled_for <= now)
        };
        let overdue = self.heap.iter().any(|slot| slot.0.due.scheduled_for <= now);
        let settled = self.jobs.iter().filter(|(name, entry)| !overdue || !waiting(name, entry));
        settled.map(|(name, _)| name.clone()).collect()
    }
}
