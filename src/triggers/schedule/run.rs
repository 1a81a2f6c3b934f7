//! The loop.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::super::desk::Desk;
use super::absence::{Work, sort};
use super::catch_up::look_back;
use super::fire::{fire, miss};
use super::timetable::{Firing, Timetable, just_before};
use crate::base::clock::Woken;
use crate::base::{Clock, JobName, Timestamp, limits};
use crate::jobs::Registry;
use crate::model::Calendars;

/// Up to when the due times of jobs are settled, from an earlier daemon's marks and rows.
pub type Settled = BTreeMap<JobName, Timestamp>;

/// Run it under the supervisor, after the registry was filled.
pub struct Schedule {
    pub registry: Registry,
    pub desk: Arc<dyn Desk>,
    pub clock: Clock,
    /// Each job takes its own with it when it is first seen, which may be long after the start.
    pub settled: Settled,
    /// What is due in their closed times is held where its schedule says so.
    pub calendars: Arc<Calendars>,
}

/// Due times that were taken from the timetable and have no row yet.
#[derive(Default)]
struct OnTheirWay {
    tasks: JoinSet<Option<Vec<Key>>>,
    open: BTreeSet<Key>,
}

type Key = (JobName, Timestamp);

impl Schedule {
    /// Fires what is due until `stop`.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut changes = self.registry.changes();
        let mut timetable = Timetable::new(self.calendars.clone());
        let mut under_way = OnTheirWay::default();
        let mut marking = JoinSet::new();
        let mut latest = self.clock.now();
        let clock = self.clock.clone();
        let mut pause = Box::pin(clock.sleep(limits::SCHEDULE_MARK_EVERY));
        self.reload(&mut timetable);
        loop {
            let due = under_way.add(timetable.take_due(self.clock.now()));
            self.fire(due, &mut under_way, &stop).await;
            tokio::select! {
                woken = self.clock.wait_until(timetable.next_at().unwrap_or(Timestamp::MAX), &mut latest) => if let Woken::SteppedBack { to } = woken {
                    info!(%to, "the clock was set back; due times that were settled stay settled");
                    timetable.restart(to);
                },
                changed = changes.changed() => if changed.is_ok() { self.reload(&mut timetable) },
                Some(ended) = under_way.tasks.join_next() => under_way.ended(ended.ok().flatten()),
                () = &mut pause => {
                    // One that takes so long writes an older mark; the next one makes up for it.
                    if marking.is_empty() {
                        marking.spawn(mark(self.desk.clone(), self.marks(&timetable, &under_way)));
                    }
                    pause = Box::pin(clock.sleep(limits::SCHEDULE_MARK_EVERY));
                }
                Some(_) = marking.join_next() => {}
                () = stop.cancelled() => break,
            }
        }
        // What is on its way gets to its row as long as the runner and the store, which stop later, take it. What does
        // not is open, and the mark says so.
        under_way.stop().await;
        marking.shutdown().await;
        let last = mark(self.desk.clone(), self.marks(&timetable, &under_way));
        if tokio::time::timeout(limits::SCHEDULE_MARK_WAIT, last).await.is_err() {
            warn!("the mark of the schedules could not be stored in time; the next start looks further back");
        }
        Ok(())
    }

    async fn fire(&self, due: Vec<Firing>, under_way: &mut OnTheirWay, stop: &CancellationToken) {
        for work in sort(due, self.clock.now()) {
            if under_way.tasks.len() >= limits::SCHEDULE_FIRING_MAX {
                // While the store is away they all wait, and a stop must not wait with them.
                tokio::select! {
                    Some(ended) = under_way.tasks.join_next() => under_way.ended(ended.ok().flatten()),
                    () = stop.cancelled() => return,
                }
            }
            let (desk, clock) = (self.desk.clone(), self.clock.clone());
            under_way.tasks.spawn(async move {
                match work {
                    Work::Settle { firing, held } => {
                        let key = key_of(&firing);
                        fire(desk, clock, *firing, held).await.then(|| vec![key])
                    }
                    Work::Miss(absence) => {
                        let keys = absence.missed.iter().map(|row| (row.job.clone(), row.scheduled_for)).collect();
                        miss(desk, clock, absence).await.then_some(keys)
                    }
                }
            });
        }
    }

    fn reload(&mut self, timetable: &mut Timetable) {
        let now = self.clock.now();
        let settled = &mut self.settled;
        let begin = |job: &JobName| settled.remove(job).map_or(now, |last| look_back(now, last));
        timetable.update(&self.registry.snapshot(), now, begin);
    }

    /// Up to when the due times of each job are settled: just before the first one that has no row, at most until now.
    fn marks(&self, timetable: &Timetable, under_way: &OnTheirWay) -> BTreeMap<Timestamp, Vec<JobName>> {
        let now = self.clock.now();
        let mut open: BTreeMap<&JobName, Timestamp> = BTreeMap::new();
        for (job, moment) in &under_way.open {
            open.entry(job).or_insert(*moment);
        }
        let mut marks: BTreeMap<Timestamp, Vec<JobName>> = BTreeMap::new();
        for (job, earliest) in timetable.earliest() {
            let first = open.get(job).copied().into_iter().chain(earliest).min();
            let until = first.map_or(now, |first| just_before(first).min(now));
            marks.entry(until).or_default().push(job.clone());
        }
        marks
    }
}

impl OnTheirWay {
    /// Takes note of what is due, and returns what is not under way already.
    fn add(&mut self, due: Vec<Firing>) -> Vec<Firing> {
        due.into_iter().filter(|firing| self.open.insert(key_of(firing))).collect()
    }

    fn ended(&mut self, settled: Option<Vec<Key>>) {
        for key in settled.into_iter().flatten() {
            self.open.remove(&key);
        }
    }

    async fn stop(&mut self) {
        self.tasks.abort_all();
        while let Some(ended) = self.tasks.join_next().await {
            self.ended(ended.ok().flatten());
        }
    }
}

fn key_of(firing: &Firing) -> Key {
    (firing.job.spec.name.clone(), firing.due.scheduled_for)
}

async fn mark(desk: Arc<dyn Desk>, marks: BTreeMap<Timestamp, Vec<JobName>>) {
    let written = marks.into_iter().map(|(until, jobs)| desk.mark(jobs, until));
    let written = futures_util::future::join_all(written).await;
    if let Some(error) = written.into_iter().find_map(Result::err) {
        warn!(%error, "the mark of the schedules could not be stored");
    }
}
