//! The table of runs that are alive: written by the dispatcher alone.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::oneshot;

use super::admission::{View, may_start};
use super::handle::{Submission, SubmitError, SubmitRequest};
use super::logs::RunLog;
use super::queue::{Group, Queue, Rank};
use super::stop::Stop;
use crate::base::{JobName, RunId, Timestamp};
use crate::jobs::Job;
use crate::model::{JobSpec, Run, RunState, TriggerKind};

/// A run that is queued or running now, for readers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveRun {
    pub run: RunId,
    pub job: JobName,
    pub state: RunState,
    pub since: Timestamp,
    /// The concurrency key that it holds or waits for.
    #[serde(skip)]
    pub key: Option<String>,
}

impl LiveRun {
    pub(super) fn of(run: &Run) -> Self {
        let since = run.started_at.unwrap_or(run.queued_at);
        Self { run: run.id, job: run.job.clone(), state: run.state, since, key: run.concurrency_key.clone() }
    }
}

/// Where a live run stands between its commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its first commit is on its way; afterwards it waits or goes straight to a lane.
    Accepting,
    /// On disk; waits for a lane, a limit or its next attempt.
    Waiting,
    /// The commit that begins an attempt is on its way.
    Starting,
    /// On a lane.
    Running,
    /// Its last commit is on its way.
    Settling,
}

/// One live run with all that its attempts need.
#[derive(Debug)]
pub struct Entry {
    pub run: Run,
    pub job: Arc<Job>,
    pub phase: Phase,
    /// Has a lane slot and counts towards its job's overlap.
    pub holds_slot: bool,
    /// Counts towards its concurrency key: from its start to its end, parked or not.
    pub holds_key: bool,
    /// It goes on where it was: it comes before others of its job, and its attempt stays the same.
    pub resumes: bool,
    /// When its start was asked for last.
    pub asked_at: Option<Timestamp>,
    pub stop: Arc<Stop>,
    /// It is being parked until something is answered.
    pub asks: bool,
    /// It was woken before the commit that parks it came back.
    pub woken: bool,
    /// Who cancelled it and waits for its end to be written.
    pub cancels: Vec<oneshot::Sender<bool>>,
    pub log: Arc<RunLog>,
    pub waiters: Vec<oneshot::Sender<Run>>,
    /// When it is on disk, the earlier runs of its job are cancelled.
    pub replaces: bool,
    /// Whoever waits for the first commit: its submitter, then those who came again with the same idempotency key.
    pub repeats: Vec<oneshot::Sender<Result<Submission, SubmitError>>>,
    /// Submissions that this run was in the way of before its first commit. They are decided anew after it.
    pub deferred: Vec<Deferred>,
    /// Its parameters as text, for the bound on what waits.
    bytes: usize,
    group: Group,
    /// Place in the queue among equals.
    order: u64,
}

impl Entry {
    /// Whether its journal may hold what has to be undone when it is cancelled.
    pub fn may_have_done_something(&self) -> bool {
        self.job.spec.resume && self.run.fence > 0
    }

    fn rank(&self) -> Rank {
        (!self.resumes, Reverse(self.run.priority), self.order, self.run.id)
    }
}

/// A submission that waits for the fate of another one.
#[derive(Debug)]
pub struct Deferred {
    pub request: SubmitRequest,
    pub job: Arc<Job>,
    pub reply: oneshot::Sender<Result<Submission, SubmitError>>,
}

/// What the queue has to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Start(RunId),
    /// Nothing now; something at this moment, if any waits for one.
    At(Option<Timestamp>),
}

/// The live runs of one job.
#[derive(Debug, Default)]
struct OfJob {
    /// Those that hold a slot.
    running: BTreeSet<RunId>,
    waiting: BTreeSet<RunId>,
    /// Those of `waiting` that the schedule set off.
    scheduled: BTreeSet<RunId>,
    /// Those of `waiting` that have begun before and go on.
    resuming: BTreeSet<RunId>,
    /// Without an entry: only the store knows them.
    parked: u64,
}

impl OfJob {
    fn wait(&mut self, run: &Run, resumes: bool) {
        self.forget(run.id);
        self.waiting.insert(run.id);
        if run.trigger.kind == TriggerKind::Schedule {
            self.scheduled.insert(run.id);
        }
        if resumes {
            self.resuming.insert(run.id);
        }
    }

    fn run(&mut self, run: RunId) {
        self.forget(run);
        self.running.insert(run);
    }

    fn forget(&mut self, run: RunId) {
        for set in [&mut self.running, &mut self.waiting, &mut self.scheduled, &mut self.resuming] {
            set.remove(&run);
        }
    }

    fn is_empty(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty() && self.parked == 0
    }
}

/// What a run enters the table with.
#[derive(Debug)]
pub struct NewEntry {
    pub run: Run,
    pub job: Arc<Job>,
    pub log: Arc<RunLog>,
    /// See [`Entry::resumes`].
    pub resumes: bool,
    /// It was parked until now, and counted as such.
    pub was_parked: bool,
}

/// All live runs and the indexes that admission asks for.
#[derive(Debug, Default)]
pub struct Live {
    entries: HashMap<RunId, Entry>,
    by_job: HashMap<JobName, OfJob>,
    queue: Queue,
    /// Groups of which nothing can begin until the run's moment comes.
    held_back: HashMap<Group, RunId>,
    /// Runs by concurrency key: those that run, and those that are parked.
    keys: HashMap<String, u64>,
    by_idempotency_key: HashMap<(JobName, String), RunId>,
    running: usize,
    /// Of the parameters of all live runs.
    bytes: usize,
    next_order: u64,
    running_max: usize,
    /// Runs here that only another daemon may execute.
    misplaced: usize,
    /// What this daemon has of what jobs ask for with `runs_on`.
    pub labels: Vec<String>,
    /// No other daemon wakes or ends this one's parked runs, so that they can be counted here.
    counts_parked: bool,
}

impl Live {
    pub fn new(running_max: usize, counts_parked: bool) -> Self {
        Self { running_max, counts_parked, ..Self::default() }
    }

    /// Whether this daemon has the labels that the job asks for. Runs of others wait here for one that has.
    pub fn fits(&self, spec: &JobSpec) -> bool {
        spec.runs_with(&self.labels)
    }

    pub fn get_mut(&mut self, run: RunId) -> Option<&mut Entry> {
        self.entries.get_mut(&run)
    }

    /// The entry that waits for an answer of this kind. A run that was given up with a lease and taken up again may
    /// stand at the same fence, while answers to the entry that it had before are still on their way.
    pub fn in_phase(&mut self, run: RunId, fence: i64, phase: Phase) -> Option<&mut Entry> {
        self.get_mut(run).filter(|entry| entry.run.fence == fence && entry.phase == phase)
    }

    pub fn contains(&self, run: RunId) -> bool {
        self.entries.contains_key(&run)
    }

    pub fn insert(&mut self, new: NewEntry) {
        let NewEntry { run, job, log, resumes, was_parked } = new;
        let key = job.spec.concurrency.as_ref().map(|limit| limit.key_for(&run.params));
        let id = run.id;
        let of_job = self.by_job.entry(run.job.clone()).or_default();
        of_job.wait(&run, resumes);
        if was_parked {
            of_job.parked = of_job.parked.saturating_sub(1);
        }
        if let Some(key) = &run.idempotency_key {
            self.by_idempotency_key.insert((run.job.clone(), key.clone()), id);
        }
        let order = self.next_order;
        self.next_order += 1;
        let bytes = text_bytes(&run.params);
        self.bytes += bytes;
        let entry = Entry {
            group: Group { job: run.job.clone(), key },
            run,
            job,
            phase: Phase::Accepting,
            holds_slot: false,
            holds_key: was_parked && self.counts_parked,
            resumes,
            asked_at: None,
            stop: Arc::default(),
            asks: false,
            woken: false,
            cancels: Vec::new(),
            log,
            waiters: Vec::new(),
            replaces: false,
            repeats: Vec::new(),
            deferred: Vec::new(),
            bytes,
            order,
        };
        self.misplaced += usize::from(!self.fits(&entry.job.spec));
        self.entries.insert(id, entry);
    }

    /// The run is over, or not this daemon's any more.
    pub fn remove(&mut self, run: RunId) -> Option<Entry> {
        self.release(run);
        self.take_out(run)
    }

    /// The run is parked: it keeps its concurrency key and counts for its job, and has no entry any more.
    pub fn park(&mut self, run: RunId) -> Option<Entry> {
        if !self.counts_parked {
            return self.remove(run);
        }
        self.release_slot(run);
        let entry = self.entries.get_mut(&run)?;
        let job = entry.run.job.clone();
        self.count_parked(job, 1);
        self.take_out(run)
    }

    /// Parked runs of a job that the store knows of. Their keys are told by [`Self::count_key`].
    pub fn count_parked(&mut self, job: JobName, runs: u64) {
        self.by_job.entry(job).or_default().parked += runs;
    }

    pub fn count_key(&mut self, key: String, runs: u64) {
        *self.keys.entry(key).or_default() += runs;
    }

    pub fn forget_all_parked(&mut self) {
        self.by_job.clear();
        self.keys.clear();
    }

    /// A parked run has ended without coming back.
    pub fn forget_parked(&mut self, job: &JobName, key: Option<&str>) {
        if let Some(of_job) = self.by_job.get_mut(job) {
            of_job.parked = of_job.parked.saturating_sub(1);
        }
        if let Some(key) = key {
            self.drop_key(key);
        }
        self.tidy(job);
        self.refresh(job, key);
    }

    fn take_out(&mut self, run: RunId) -> Option<Entry> {
        self.unqueue(run);
        let entry = self.entries.remove(&run)?;
        self.bytes -= entry.bytes;
        self.misplaced -= usize::from(!self.fits(&entry.job.spec));
        if let Some(key) = &entry.run.idempotency_key {
            self.by_idempotency_key.remove(&(entry.run.job.clone(), key.clone()));
        }
        if let Some(runs) = self.by_job.get_mut(&entry.run.job) {
            runs.forget(run);
        }
        self.tidy(&entry.run.job);
        self.refresh(&entry.run.job, entry.group.key.as_deref());
        Some(entry)
    }

    fn tidy(&mut self, job: &JobName) {
        if self.by_job.get(job).is_some_and(OfJob::is_empty) {
            self.by_job.remove(job);
        }
    }

    /// Takes a lane slot, its job's place and its concurrency key.
    pub fn hold(&mut self, run: RunId) {
        let Some(entry) = self.entries.get_mut(&run).filter(|entry| !entry.holds_slot) else { return };
        entry.holds_slot = true;
        self.running += 1;
        self.by_job.entry(entry.run.job.clone()).or_default().run(run);
        if let (Some(key), false) = (&entry.group.key, entry.holds_key) {
            entry.holds_key = true;
            *self.keys.entry(key.clone()).or_default() += 1;
        }
        let group = entry.group.clone();
        self.refresh(&group.job, group.key.as_deref());
    }

    /// Gives back everything that [`Self::hold`] took.
    pub fn release(&mut self, run: RunId) {
        self.release_slot(run);
        let Some(entry) = self.entries.get_mut(&run).filter(|entry| entry.holds_key) else { return };
        entry.holds_key = false;
        let group = entry.group.clone();
        if let Some(key) = &group.key {
            self.drop_key(key);
        }
        self.refresh(&group.job, group.key.as_deref());
    }

    fn release_slot(&mut self, run: RunId) {
        let Some(entry) = self.entries.get_mut(&run).filter(|entry| entry.holds_slot) else { return };
        entry.holds_slot = false;
        self.running -= 1;
        self.by_job.entry(entry.run.job.clone()).or_default().wait(&entry.run, entry.resumes);
        let group = entry.group.clone();
        self.refresh(&group.job, group.key.as_deref());
    }

    fn drop_key(&mut self, key: &str) {
        if let Some(count) = self.keys.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.keys.remove(key);
            }
        }
    }

    pub fn enqueue(&mut self, run: RunId, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(&run) else { return };
        entry.phase = Phase::Waiting;
        let (rank, group) = (entry.rank(), entry.group.clone());
        match entry.run.not_before.filter(|moment| *moment > now) {
            Some(moment) => self.queue.push_at(moment, &group, rank),
            None => {
                self.queue.push(&group, rank);
                self.refresh_group(&group);
            }
        }
    }

    /// The store says that nothing of the run's group can begin yet: the group waits until the run's moment comes, so
    /// that its first stays the first, and one of them asks instead of all.
    pub fn hold_back(&mut self, run: RunId) {
        let Some(entry) = self.entries.get(&run).filter(|entry| entry.phase == Phase::Waiting) else { return };
        if entry.run.not_before.is_some() {
            let group = entry.group.clone();
            self.held_back.insert(group.clone(), run);
            self.refresh_group(&group);
        }
    }

    /// The clock was set back: what was held back until a moment that is far away now asks at this one.
    pub fn ask_again_at(&mut self, moment: Timestamp, now: Timestamp) {
        let held: Vec<RunId> = self.held_back.values().copied().collect();
        for run in held {
            self.unqueue(run);
            let Some(entry) = self.entries.get_mut(&run) else { continue };
            entry.run.not_before = Some(moment);
            self.enqueue(run, now);
            self.hold_back(run);
        }
    }

    pub fn unqueue(&mut self, run: RunId) {
        if let Some(entry) = self.entries.get(&run) {
            let group = entry.group.clone();
            self.queue.remove(&group, entry.rank(), entry.run.not_before);
            self.let_on(&group, Some(run));
            self.refresh_group(&group);
        }
    }

    /// A group that was held back goes on, if it was because of this run.
    fn let_on(&mut self, group: &Group, because_of: Option<RunId>) {
        if because_of.is_none() || self.held_back.get(group).copied() == because_of {
            self.held_back.remove(group);
        }
    }

    /// Looks again at whether the heads of the groups that a job and a key concern may begin.
    fn refresh(&mut self, job: &JobName, key: Option<&str>) {
        for group in self.queue.concerned(job, key) {
            self.refresh_group(&group);
        }
    }

    fn refresh_group(&mut self, group: &Group) {
        let head = self.queue.head(group).filter(|(.., run)| {
            !self.held_back.contains_key(group)
                && self.entries.get(run).is_some_and(|entry| {
                    let view = self.view(&group.job, group.key.as_deref().filter(|_| !entry.holds_key));
                    self.fits(&entry.job.spec) && may_start(&entry.job.spec, &View { resumes: entry.resumes, ..view })
                })
        });
        self.queue.show(group, head);
    }

    /// What admission needs to know about a run of this job with this concurrency key.
    pub fn view(&self, job: &JobName, key: Option<&str>) -> View {
        let of_job = self.by_job.get(job);
        let first = |of: fn(&OfJob) -> &BTreeSet<RunId>| of_job.and_then(|runs| of(runs).first()).copied();
        View {
            job_running: first(|runs| &runs.running),
            job_waiting: first(|runs| &runs.waiting),
            job_resuming: first(|runs| &runs.resuming),
            job_parked: of_job.map_or(0, |runs| runs.parked),
            scheduled_waiter: of_job.and_then(|runs| runs.scheduled.iter().find(|run| self.will_begin(**run))).copied(),
            key_running: key.and_then(|key| self.keys.get(key)).copied().unwrap_or(0),
            running: self.running,
            running_max: self.running_max,
            waiting: self.waiting(),
            waiting_bytes: self.bytes,
            resumes: false,
        }
    }

    /// Whether it waits, or is about to, and nobody has cancelled it.
    fn will_begin(&self, run: RunId) -> bool {
        let waits =
            |entry: &Entry| matches!(entry.phase, Phase::Accepting | Phase::Waiting) && entry.stop.why().is_none();
        self.entries.get(&run).is_some_and(waits)
    }

    /// The live run that an earlier submission with this idempotency key made.
    pub fn with_key(&self, job: &JobName, key: &str) -> Option<RunId> {
        self.by_idempotency_key.get(&(job.clone(), key.to_owned())).copied()
    }

    /// Every live run of a job, and how many are parked besides.
    pub fn of_job(&self, job: &JobName) -> (Vec<RunId>, u64) {
        let Some(runs) = self.by_job.get(job) else { return (Vec::new(), 0) };
        (runs.running.iter().chain(&runs.waiting).copied().collect(), runs.parked)
    }

    /// Whether the one came in before the other, which has not begun. One that goes on after it was parked has a place
    /// behind its age.
    pub fn came_before(&self, one: RunId, other: RunId) -> bool {
        let order = |run| self.entries.get(&run).map(|entry| entry.order);
        one != other && (self.entries.get(&one).is_some_and(|entry| entry.resumes) || order(one) < order(other))
    }

    /// The first waiting run, in order of priority and age, that may start.
    pub fn next_to_start(&mut self, now: Timestamp) -> Next {
        for group in self.queue.mature(now) {
            self.let_on(&group, None);
            self.refresh_group(&group);
        }
        match self.queue.next().filter(|_| self.has_room()) {
            Some(run) => Next::Start(run),
            None => Next::At(self.queue.next_moment()),
        }
    }

    /// Whether another run fits on the lanes at all.
    pub fn has_room(&self) -> bool {
        self.free() > 0
    }

    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub fn running(&self) -> usize {
        self.running
    }

    /// How many more may.
    pub fn free(&self) -> usize {
        self.running_max.saturating_sub(self.running)
    }

    pub fn waiting(&self) -> usize {
        self.entries.len() - self.running
    }

    /// Those that wait for this daemon, and not for one with other labels.
    pub fn waiting_here(&self) -> usize {
        self.waiting().saturating_sub(self.misplaced)
    }
}

/// About how long the value is as text.
fn text_bytes(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(text_bytes).sum::<usize>() + 2,
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + 4 + text_bytes(value)).sum::<usize>() + 2,
        _ => 8,
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
