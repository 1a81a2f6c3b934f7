//! Runs that come back: parked ones whose time, event or decision has come, and those of an earlier daemon.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use tracing::{error, info, warn};

use super::attempt::{cancelled, unwind_entry};
use super::core::Comeback;
use super::dispatcher::{Dispatcher, Done};
use super::handle::{Handle, Shared};
use super::recovery::{Plan, plan};
use super::settle;
use super::stop::Stopped;
use crate::base::{JobName, RunId, Timestamp, VersionHash, limits};
use crate::jobs::Job;
use crate::lua::Bundle;
use crate::model::journal::to_undo;
use crate::model::{Run, RunState};
use crate::store::{Guarded, Store, StoreError, Transition};

/// A run with the version that it was accepted with.
#[derive(Debug)]
pub struct Pinned {
    pub run: Run,
    pub job: Arc<Job>,
    /// The number of its last log line.
    pub last_log: u64,
}

impl Dispatcher {
    /// Parked runs whose moment has come become queued.
    pub(super) fn wake_due(&mut self) {
        self.wake_at = None;
        let shared = self.shared.clone();
        self.pending.push(Box::pin(async move {
            let now = shared.clock.now();
            match shared.store.wake_due(now, limits::RUN_WAKE_MAX).await {
                Ok(woken) => {
                    let more = woken.parked.len() == limits::RUN_WAKE_MAX;
                    Done::Loaded { runs: load(&shared, woken.parked).await, more }
                }
                Err(error) => {
                    warn!(%error, "parked runs could not be woken; trying again");
                    shared.clock.sleep(settle::WAKE_RETRY).await;
                    Done::NextWake { moment: Some(shared.clock.now()) }
                }
            }
        }));
    }

    /// Runs that a commit has queued are taken up.
    pub(super) fn load(&mut self, runs: Vec<RunId>) {
        let runs: Vec<RunId> = runs.into_iter().filter(|run| !self.core.wakes(*run)).collect();
        if runs.is_empty() {
            return;
        }
        let shared = self.shared.clone();
        self.pending.push(Box::pin(async move { Done::Loaded { runs: load(&shared, runs).await, more: false } }));
    }

    /// The moment is looked at then, or earlier: an answer of the store may be older than a run that was parked since.
    pub(super) fn wake_by(&mut self, moment: Option<Timestamp>) {
        self.wake_at = [self.wake_at, moment].into_iter().flatten().min();
    }

    pub(super) fn look_for_next_wake(&mut self) {
        let shared = self.shared.clone();
        self.pending.push(Box::pin(async move {
            let moment = shared.store.next_wake().await.unwrap_or_else(|error| {
                warn!(%error, "when the next parked run goes on could not be read; trying again");
                Some(crate::base::clock::later(shared.clock.now(), settle::WAKE_RETRY))
            });
            Done::NextWake { moment }
        }));
    }

    pub(super) fn cancel_gone(&mut self, run: RunId, stopped: Stopped) {
        let handle = self.ports.0.clone();
        self.pending.push(Box::pin(async move {
            let tell = |error: &StoreError| warn!(%run, %error, "a run that is to be cancelled could not be read yet");
            let Shared { store, clock, .. } = &*handle.shared;
            if let Ok(found) = settle::patiently(clock, || store.run(run), tell).await {
                cancel_others(&handle, found.into_iter().collect(), &stopped).await;
            }
            Done::Loaded { runs: Vec::new(), more: false }
        }));
    }

    pub(super) fn replace_others(&mut self, job: JobName, by: RunId, stopped: Stopped) {
        let handle = self.ports.0.clone();
        self.pending.push(Box::pin(async move {
            let tell = |error: &StoreError| warn!(%job, %error, "what a new run replaces could not be read yet");
            let Shared { store, clock, .. } = &*handle.shared;
            let found = settle::patiently(clock, || store.alive_before(&job, by, limits::RUN_WAKE_MAX), tell).await;
            if let Ok(runs) = found {
                cancel_others(&handle, runs, &stopped).await;
            }
            Done::Loaded { runs: Vec::new(), more: false }
        }));
    }
}

/// Cancels those of `runs` that have no entry here.
async fn cancel_others(handle: &Handle, mut runs: Vec<Run>, stopped: &Stopped) {
    let Stopped::By { actor, reason } = stopped else { return };
    let others = handle.without_live(runs.iter().map(|run| run.id).collect());
    runs.retain(|run| others.contains(&run.id));
    for run in runs.into_iter().filter(|run| !run.state.is_final()) {
        let run_id = run.id;
        let done = match run.state {
            RunState::Parked => handle.cancel_idle(&run, reason).await.map(drop),
            _ => handle.cancel_because(run_id, actor.clone(), reason.clone()).await.map(drop),
        };
        if let Err(error) = done {
            warn!(run = %run_id, %error, "a run that was to be cancelled could not be");
        }
    }
}

/// What cancels a run that is parked or waits: at once, or through the lane if it has something to undo. A waiting one
/// is parked for that first, so that no daemon begins it meanwhile.
pub async fn cancel_idle(store: &Store, run: &Run, reason: &str, at: Timestamp) -> Result<Transition, StoreError> {
    let journal = store.journal(run.id).await?;
    let undo = !to_undo(&journal).is_empty();
    let to = match run.state {
        _ if !undo => RunState::Cancelled,
        RunState::Parked => RunState::Queued,
        _ => RunState::Parked,
    };
    let entry = (to == RunState::Queued).then(|| unwind_entry(cancelled(reason), run.attempt, at));
    let mut change = settle::change(run, run.state, to, reason, at);
    change.journal = entry.into_iter().collect();
    change.wake_at = Some(at).filter(|_| to == RunState::Parked);
    Ok(change)
}

/// The runs with their versions. They are queued in the store and nobody else looks for them, so they are read however
/// long that takes.
async fn load(shared: &Shared, runs: Vec<RunId>) -> Vec<(Pinned, Comeback)> {
    let versions = Mutex::new(Versions::default());
    let mut loaded = Vec::with_capacity(runs.len());
    for id in runs {
        let tell = |error: &StoreError| warn!(run = %id, %error, "a woken run could not be read yet; trying again");
        let found = settle::patiently(&shared.clock, || pin(&shared.store, id, &versions), tell);
        match found.await {
            Ok(Some(pinned)) if pinned.run.state == RunState::Queued => loaded.push((pinned, Comeback::Woken)),
            Ok(_) => {}
            Err(error) => warn!(run = %id, %error, "a woken run was not read; it goes on at the next start"),
        }
    }
    loaded
}

async fn pin(store: &Store, run: RunId, versions: &Mutex<Versions>) -> Result<Option<Pinned>, StoreError> {
    let Some(run) = store.run(run).await? else { return Ok(None) };
    versions.lock().await.pin(store, run).await
}

/// Versions that were read already.
#[derive(Default)]
pub struct Versions(HashMap<VersionHash, Option<Arc<Job>>>);

impl Versions {
    /// None when the version that the run was accepted with is gone.
    pub async fn pin(&mut self, store: &Store, run: Run) -> Result<Option<Pinned>, StoreError> {
        let Some(job) = self.job(store, &run).await? else { return Ok(None) };
        let last_log = store.logs_tail(run.id, 1).await?.last().map_or(0, |line| line.seq);
        Ok(Some(Pinned { run, job, last_log }))
    }

    async fn job(&mut self, store: &Store, run: &Run) -> Result<Option<Arc<Job>>, StoreError> {
        let Some(hash) = run.version else { return Ok(None) };
        if let Some(job) = self.0.get(&hash) {
            return Ok(job.clone());
        }
        let version = store.version(hash).await?;
        let job = version.map(|version| {
            let file = version.files.first().map(|(path, _)| path.clone()).unwrap_or_default();
            Arc::new(Job {
                spec: Arc::new(version.spec),
                bundle: Arc::new(Bundle::new(version.files)),
                file,
                loaded_at: version.created_at,
                enabled_override: None,
                held: false,
            })
        });
        self.0.insert(hash, job.clone());
        Ok(job)
    }
}

/// What became of the runs that were found.
#[derive(Debug, Default)]
struct Count {
    resumed: usize,
    again: usize,
    waiting: usize,
    interrupted: usize,
    unreadable: usize,
}

/// Runs of a daemon that is gone: each goes on, is repeated, waits on, or ends with the reason. Those that are alive
/// afterwards are returned.
pub async fn take_over(store: &Store, now: Timestamp, left: Vec<Run>) -> Vec<Pinned> {
    let (mut versions, mut count, mut alive) = (Versions::default(), Count::default(), Vec::new());
    for run in left {
        let id = run.id;
        match take_over_one(store, now, run, &mut versions, &mut count).await {
            Ok(pinned) => alive.extend(pinned),
            Err(error) => {
                count.unreadable += 1;
                error!(run = %id, %error, "a run could not be taken over; it is tried again at the next start");
            }
        }
    }
    let Count { resumed, again, waiting, interrupted, unreadable } = count;
    if resumed + again + waiting + interrupted + unreadable > 0 {
        info!(resumed, again, waiting, interrupted, unreadable, "settled the runs that a daemon left behind");
    }
    alive
}

async fn take_over_one(
    store: &Store,
    now: Timestamp,
    run: Run,
    versions: &mut Versions,
    count: &mut Count,
) -> Result<Option<Pinned>, StoreError> {
    let mut run = run;
    let (pinned, plan) = loop {
        let pinned = versions.pin(store, run.clone()).await?;
        let plan = plan(&run, pinned.as_ref().map(|pinned| &*pinned.job.spec));
        let applied = match plan.change(&run, now) {
            Some(change) => store.transition(change).await? == Guarded::Applied,
            None => true,
        };
        if applied {
            break (pinned, plan);
        }
        // The daemon that is gone had a commit under way, which came through after the run was read.
        match store.run(run.id).await? {
            Some(found) if (found.state, found.fence) != (run.state, run.fence) && is_live(&found) => run = found,
            _ => return Ok(None),
        }
    };
    *(match plan {
        Plan::Resume => &mut count.resumed,
        Plan::Repeat => &mut count.again,
        Plan::Wait => &mut count.waiting,
        Plan::Interrupt { .. } => &mut count.interrupted,
    }) += 1;
    Ok(pinned.filter(|_| !matches!(plan, Plan::Interrupt { .. })).map(|mut pinned| {
        if plan == Plan::Repeat {
            pinned.run.deadline_at = None;
        }
        pinned
    }))
}

fn is_live(run: &Run) -> bool {
    matches!(run.state, RunState::Queued | RunState::Running)
}
