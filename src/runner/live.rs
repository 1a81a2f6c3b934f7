//! The table of runs that are alive: written by the dispatcher alone.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::admission::View;
use super::handle::{Submission, SubmitError, SubmitRequest};
use super::logs::RunLog;
use super::settle::Stopped;
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
    /// Counts towards the limits: a lane slot, its job's overlap, its concurrency key.
    pub holds_slot: bool,
    pub key: Option<String>,
    pub cancel: CancellationToken,
    /// Set once somebody or something asked it to stop.
    pub stopped: Option<Stopped>,
    pub log: Arc<RunLog>,
    pub waiters: Vec<oneshot::Sender<Run>>,
    /// Submissions with the same idempotency key that came before the first commit.
    pub repeats: Vec<oneshot::Sender<Result<Submission, SubmitError>>>,
    /// Submissions that this run was in the way of before its first commit. They are decided anew after it.
    pub deferred: Vec<Deferred>,
    /// Place in the queue among equals.
    order: u64,
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
}

impl OfJob {
    fn wait(&mut self, run: &Run) {
        self.running.remove(&run.id);
        self.waiting.insert(run.id);
        if run.trigger.kind == TriggerKind::Schedule {
            self.scheduled.insert(run.id);
        }
    }

    fn run(&mut self, run: RunId) {
        self.forget(run);
        self.running.insert(run);
    }

    fn forget(&mut self, run: RunId) {
        self.running.remove(&run);
        self.waiting.remove(&run);
        self.scheduled.remove(&run);
    }
}

/// All live runs and the indexes that admission asks for.
#[derive(Debug, Default)]
pub struct Live {
    entries: HashMap<RunId, Entry>,
    by_job: HashMap<JobName, OfJob>,
    queue: BTreeSet<(std::cmp::Reverse<i32>, u64, RunId)>,
    keys: HashMap<String, u32>,
    by_idempotency_key: HashMap<(JobName, String), RunId>,
    running: usize,
    next_order: u64,
    running_max: usize,
}

impl Live {
    pub fn new(running_max: usize) -> Self {
        Self { running_max, ..Self::default() }
    }

    pub fn get_mut(&mut self, run: RunId) -> Option<&mut Entry> {
        self.entries.get_mut(&run)
    }

    pub fn insert(&mut self, run: Run, job: Arc<Job>, log: Arc<RunLog>, cancel: CancellationToken) {
        let key = job.spec.concurrency.as_ref().map(|limit| limit.key_for(&run.params));
        let id = run.id;
        self.by_job.entry(run.job.clone()).or_default().wait(&run);
        if let Some(key) = &run.idempotency_key {
            self.by_idempotency_key.insert((run.job.clone(), key.clone()), id);
        }
        let order = self.next_order;
        self.next_order += 1;
        let entry = Entry {
            run,
            job,
            phase: Phase::Accepting,
            holds_slot: false,
            key,
            cancel,
            stopped: None,
            log,
            waiters: Vec::new(),
            repeats: Vec::new(),
            deferred: Vec::new(),
            order,
        };
        self.entries.insert(id, entry);
    }

    pub fn remove(&mut self, run: RunId) -> Option<Entry> {
        self.release(run);
        self.unqueue(run);
        let entry = self.entries.remove(&run)?;
        if let Some(key) = &entry.run.idempotency_key {
            self.by_idempotency_key.remove(&(entry.run.job.clone(), key.clone()));
        }
        if let Some(runs) = self.by_job.get_mut(&entry.run.job) {
            runs.forget(run);
            if runs.running.is_empty() && runs.waiting.is_empty() {
                self.by_job.remove(&entry.run.job);
            }
        }
        Some(entry)
    }

    /// Takes a lane slot, its job's place and its concurrency key.
    pub fn hold(&mut self, run: RunId) {
        let Some(entry) = self.entries.get_mut(&run).filter(|entry| !entry.holds_slot) else { return };
        entry.holds_slot = true;
        self.running += 1;
        self.by_job.entry(entry.run.job.clone()).or_default().run(run);
        if let Some(key) = &entry.key {
            *self.keys.entry(key.clone()).or_default() += 1;
        }
    }

    pub fn release(&mut self, run: RunId) {
        let Some(entry) = self.entries.get_mut(&run).filter(|entry| entry.holds_slot) else { return };
        entry.holds_slot = false;
        self.running -= 1;
        self.by_job.entry(entry.run.job.clone()).or_default().wait(&entry.run);
        if let Some(key) = &entry.key
            && let Some(count) = self.keys.get_mut(key)
        {
            *count -= 1;
            if *count == 0 {
                self.keys.remove(key);
            }
        }
    }

    pub fn enqueue(&mut self, run: RunId) {
        if let Some(entry) = self.entries.get_mut(&run) {
            entry.phase = Phase::Waiting;
            self.queue.insert((std::cmp::Reverse(entry.run.priority), entry.order, run));
        }
    }

    pub fn unqueue(&mut self, run: RunId) {
        if let Some(entry) = self.entries.get(&run) {
            self.queue.remove(&(std::cmp::Reverse(entry.run.priority), entry.order, run));
        }
    }

    /// What admission needs to know about a run of this job with this concurrency key.
    pub fn view(&self, job: &JobName, key: Option<&str>) -> View {
        let of_job = self.by_job.get(job);
        View {
            job_running: of_job.and_then(|runs| runs.running.first()).copied(),
            job_waiting: of_job.and_then(|runs| runs.waiting.first()).copied(),
            scheduled_waiter: of_job.and_then(|runs| runs.scheduled.iter().find(|run| self.will_begin(**run))).copied(),
            key_running: key.and_then(|key| self.keys.get(key)).copied().unwrap_or(0),
            running: self.running,
            running_max: self.running_max,
            waiting: self.waiting(),
        }
    }

    /// Whether it waits, or is about to, and nobody has cancelled it.
    fn will_begin(&self, run: RunId) -> bool {
        let waits = |entry: &Entry| matches!(entry.phase, Phase::Accepting | Phase::Waiting) && entry.stopped.is_none();
        self.entries.get(&run).is_some_and(waits)
    }

    /// The live run that an earlier submission with this idempotency key made.
    pub fn with_key(&self, job: &JobName, key: &str) -> Option<RunId> {
        self.by_idempotency_key.get(&(job.clone(), key.to_owned())).copied()
    }

    /// Every live run of a job.
    pub fn of_job(&self, job: &JobName) -> Vec<RunId> {
        let runs = self.by_job.get(job);
        runs.map(|runs| runs.running.iter().chain(&runs.waiting).copied().collect()).unwrap_or_default()
    }

    /// The first waiting run, in order of priority and age, that `may_start`.
    pub fn next_to_start(&self, now: Timestamp, may_start: impl Fn(&JobSpec, &View) -> bool) -> Next {
        let mut earliest: Option<Timestamp> = None;
        for entry in self.queue.iter().filter_map(|(_, _, run)| self.entries.get(run)) {
            if let Some(moment) = entry.run.not_before.filter(|moment| *moment > now) {
                earliest = Some(earliest.map_or(moment, |known| known.min(moment)));
            } else if may_start(&entry.job.spec, &self.view(&entry.run.job, entry.key.as_deref())) {
                return Next::Start(entry.run.id);
            }
        }
        Next::At(earliest)
    }

    /// Whether another run fits on the lanes at all.
    pub fn has_room(&self) -> bool {
        self.running < self.running_max
    }

    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub fn running(&self) -> usize {
        self.running
    }

    pub fn waiting(&self) -> usize {
        self.entries.len() - self.running
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::super::admission::may_start;
    use super::super::logs::Flusher;
    use super::*;
    use crate::base::Clock;
    use crate::base::clock::later;
    use crate::lua::Bundle;
    use crate::model::Trigger;
    use crate::model::job::{Concurrency, Overlap};

    fn job(name: &str, change: impl FnOnce(&mut JobSpec)) -> Arc<Job> {
        let mut spec = JobSpec::named(name.parse().expect("a good name"));
        change(&mut spec);
        Arc::new(Job {
            spec: Arc::new(spec),
            bundle: Arc::new(Bundle::new(vec![])),
            file: format!("{name}.lua"),
            loaded_at: Timestamp::UNIX_EPOCH,
            enabled_override: None,
        })
    }

    fn add(live: &mut Live, job: &Arc<Job>, params: Value, not_before: Option<Timestamp>) -> RunId {
        let run = Run {
            id: RunId::generate(),
            job: job.spec.name.clone(),
            version: None,
            state: RunState::Queued,
            params,
            trigger: Trigger::new(TriggerKind::Schedule, "schedule"),
            priority: job.spec.priority,
            attempt: 0,
            dry_run: false,
            queued_at: Timestamp::UNIX_EPOCH,
            not_before,
            started_at: None,
            finished_at: None,
            result: None,
            error: None,
            reason: None,
            parent: None,
            idempotency_key: None,
            progress: None,
        };
        let id = run.id;
        let (flusher, _) = Flusher::new();
        live.insert(run, job.clone(), RunLog::new(id, Clock::system(), &flusher, 0), CancellationToken::new());
        live.enqueue(id);
        id
    }

    fn start(live: &mut Live) -> Option<RunId> {
        match live.next_to_start(Timestamp::UNIX_EPOCH, may_start) {
            Next::Start(run) => {
                live.unqueue(run);
                live.hold(run);
                Some(run)
            }
            Next::At(_) => None,
        }
    }

    #[test]
    fn priority_goes_first_then_age() {
        let mut live = Live::new(10);
        let low = job("low", |spec| spec.overlap = Overlap::Parallel);
        let high = job("high", |spec| spec.priority = 5);
        let (first, second) = (add(&mut live, &low, json!({}), None), add(&mut live, &low, json!({}), None));
        let urgent = add(&mut live, &high, json!({}), None);
        let order = [start(&mut live), start(&mut live), start(&mut live), start(&mut live)];
        assert_eq!(order, [Some(urgent), Some(first), Some(second), None]);
    }

    #[test]
    fn a_concurrency_key_holds_only_its_own_kind_back() {
        let mut live = Live::new(10);
        let deploy = job("deploy", |spec| {
            spec.overlap = Overlap::Parallel;
            spec.concurrency = Some(Concurrency { key: "deploy/${stack}".into(), limit: 1 });
        });
        let web = add(&mut live, &deploy, json!({"stack": "web"}), None);
        let again = add(&mut live, &deploy, json!({"stack": "web"}), None);
        let other = add(&mut live, &deploy, json!({"stack": "db"}), None);
        assert_eq!([start(&mut live), start(&mut live), start(&mut live)], [Some(web), Some(other), None]);
        live.remove(web);
        assert_eq!(start(&mut live), Some(again));
    }

    #[test]
    fn a_backoff_is_waited_out_without_blocking_others() {
        let mut live = Live::new(10);
        let moment = later(Timestamp::UNIX_EPOCH, Duration::from_secs(9));
        add(&mut live, &job("later", |_| {}), json!({}), Some(moment));
        assert_eq!(live.next_to_start(Timestamp::UNIX_EPOCH, may_start), Next::At(Some(moment)));
        let now = add(&mut live, &job("now", |_| {}), json!({}), None);
        assert_eq!(start(&mut live), Some(now));
    }

    #[test]
    fn a_waiter_that_was_cancelled_stands_for_nobody() {
        let mut live = Live::new(1);
        let queued = job("queued", |spec| spec.overlap = Overlap::Queue);
        let (first, second) = (add(&mut live, &queued, json!({}), None), add(&mut live, &queued, json!({}), None));
        assert_eq!(live.view(&queued.spec.name, None).scheduled_waiter, Some(first));
        live.get_mut(first).expect("alive").phase = Phase::Settling;
        assert_eq!(live.view(&queued.spec.name, None).scheduled_waiter, Some(second));
        live.get_mut(second).expect("alive").stopped = Some(Stopped::Shutdown);
        assert_eq!(live.view(&queued.spec.name, None).scheduled_waiter, None);
    }

    #[test]
    fn slots_come_back_and_indexes_empty_out() {
        let mut live = Live::new(1);
        let both = job("both", |spec| spec.overlap = Overlap::Parallel);
        let (first, second) = (add(&mut live, &both, json!({}), None), add(&mut live, &both, json!({}), None));
        assert_eq!((start(&mut live), start(&mut live)), (Some(first), None));
        live.release(first);
        live.release(first);
        assert_eq!(start(&mut live), Some(second));
        live.remove(first);
        live.remove(second);
        assert_eq!((live.running(), live.waiting(), live.by_job.len(), live.keys.len()), (0, 0, 0, 0));
    }
}
