//! What triggers and doors ask of the runner.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::comeback;
use super::console::{self, ConsoleSession};
use super::dispatcher::Message;
use super::lane::Lanes;
use super::live::LiveRun;
use super::logs::Flusher;
use super::metrics::Metrics;
use super::settle;
use crate::base::suggest::did_you_mean;
use crate::base::{Clock, Fault, JobName, RunId};
use crate::jobs::{Job, Registry};
use crate::model::params::{self, BadParam, ParamType, Params};
use crate::model::{Actor, Decision, Grants, JobSpec, NewEvent, Occurrence, Run, RunState, Signal, Trigger};
use crate::primitives::secrets::Vault;
use crate::store::{ClaimRules, Decided, Guarded, StopRequest, Store, StoreError, Woken};

/// How many runs there may be, and how long they may take to end.
#[derive(Debug, Clone)]
pub struct Options {
    /// Operating-system threads that execute Lua.
    pub lanes: usize,
    /// Runs that may be alive as VMs at once, over all lanes.
    pub running_max: usize,
    /// How long a stop waits for runs before it interrupts them.
    pub grace: Duration,
    /// Other daemons start runs of the same store too.
    pub shares: bool,
    /// What jobs may ask for with `runs_on`.
    pub labels: Vec<String>,
    /// Cancelled when somebody cannot wait for the end of the grace.
    pub hurry: CancellationToken,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) inbox: mpsc::UnboundedSender<Message>,
    pub(super) shared: Arc<Shared>,
    pub(super) flusher: Flusher,
}

/// What handles, the dispatcher and consoles have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub store: Store,
    pub registry: Registry,
    pub clock: Clock,
    pub lanes: Lanes,
    pub labels: Vec<String>,
    pub running_max: usize,
    pub metrics: Arc<Metrics>,
    /// Written by the dispatcher alone.
    pub live: LiveTable,
    /// Held over both steps of enabling a job, so that the store and the registry see calls in one order.
    pub enabling: tokio::sync::Mutex<()>,
    pub secrets: Vault,
}

/// Runs that are alive, for readers.
pub(super) type LiveTable = Arc<Mutex<BTreeMap<RunId, LiveRun>>>;

/// A wish for a run.
#[derive(Debug, Clone)]
pub struct SubmitRequest {
    pub job: JobName,
    /// As given; defaults are filled in and types checked before anything is written.
    pub params: Params,
    pub trigger: Trigger,
    /// A second submission of the same job with the same key gets the first one's run.
    pub idempotency_key: Option<String>,
    pub dry_run: bool,
    pub parent: Option<RunId>,
    /// For schedules: the occurrence that an accepted run settles. Its `run` is filled in here.
    pub occurrence: Option<Occurrence>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submission {
    /// On disk; `existing` when the idempotency key had been seen.
    Accepted { run: RunId, existing: bool },
    /// An earlier waiter stands for it.
    Coalesced { run: RunId },
    /// Not accepted, by the job's overlap policy; the reason is a sentence.
    Skipped { reason: String },
    /// The occurrence had been settled before.
    AlreadySettled,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    #[error("there is no job {job:?}{hint}")]
    UnknownJob { job: String, hint: String },
    #[error("{}", list(.0))]
    BadParams(Vec<BadParam>),
    #[error("job {job} runs on daemons with the labels {labels}, which this one does not have")]
    Misplaced { job: String, labels: String },
    #[error("{limit} runs are waiting already; try again when some are done")]
    QueueFull { limit: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the daemon is shutting down")]
    Closed,
}

fn list(problems: &[BadParam]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl From<SubmitError> for Fault {
    fn from(error: SubmitError) -> Self {
        let message = error.to_string();
        match error {
            SubmitError::UnknownJob { .. } => Self::new("job.not_found", message),
            SubmitError::BadParams(problems) => {
                Self::new("params.invalid", message).details(serde_json::json!({ "params": problems }))
            }
            SubmitError::Misplaced { .. } => Self::new("job.misplaced", message)
                .hint("give this daemon the labels with node.labels in its configuration, or change the job's runs_on"),
            SubmitError::QueueFull { .. } => Self::new("runner.queue_full", message).retryable(),
            SubmitError::Store(error) => error.into(),
            SubmitError::Closed => Self::new("runner.closed", message).retryable(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It will be (or is) cancelled.
    Cancelled,
    /// It had ended before.
    AlreadyFinal(RunState),
    /// The store says that it is alive, and this daemon does not have it.
    Elsewhere(RunState),
    NotFound,
}

impl Handle {
    /// Resolves once the run is on disk, or it is certain that there is none.
    pub async fn submit(&self, request: SubmitRequest) -> Result<Submission, SubmitError> {
        let job = self.find(&request.job)?;
        self.submit_version(job, request).await
    }

    async fn submit_version(&self, job: Arc<Job>, mut request: SubmitRequest) -> Result<Submission, SubmitError> {
        request.params = params::validate(&job.spec.params, &request.params).map_err(SubmitError::BadParams)?;
        self.without_secrets(&job, &request.params).map_err(SubmitError::BadParams)?;
        // Asked before admission: a repeated submission is answered with its run, whatever is alive now.
        if let Some(key) = &request.idempotency_key
            && let Some(run) = self.shared.store.run_by_key(&request.job, key).await?
        {
            return Ok(Submission::Accepted { run, existing: true });
        }
        let (reply, answer) = oneshot::channel();
        let message = Message::Submit { request: Box::new(request), job, reply };
        self.inbox.send(message).map_err(|_| SubmitError::Closed)?;
        answer.await.unwrap_or(Err(SubmitError::Closed))
    }

    /// Parameters are kept with the run, so that the text of a secret never gets into them: neither where the name of one
    /// is meant, nor elsewhere. No message repeats what was given.
    fn without_secrets(&self, job: &Job, params: &Params) -> Result<(), Vec<BadParam>> {
        let (masker, secrets) = (self.shared.store.masker(), &self.shared.secrets);
        let wrong = |(name, value): (&String, &serde_json::Value)| {
            let is_secret = job.spec.params.get(name).is_some_and(|spec| spec.kind == ParamType::Secret);
            let problem = match value.as_str() {
                Some(text) if is_secret && secrets.has(text) => return None,
                _ if is_secret => "there is no secret of that name (give the name of one, not its text)",
                _ if masker.finds_in_json(value) => {
                    "it holds the text of a secret, which would be kept with the run; declare the parameter as \
                     type = \"secret\" and give the secret's name"
                }
                _ => return None,
            };
            Some(BadParam { name: name.clone(), problem: problem.to_owned() })
        };
        let problems: Vec<BadParam> = params.iter().filter_map(wrong).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// The names that parameters of type secret can have.
    pub fn secret_names(&self) -> Vec<String> {
        let listed = self.shared.secrets.list().into_iter().filter(|entry| entry.hidden_by.is_none());
        listed.map(|entry| entry.name).collect()
    }

    fn find(&self, name: &JobName) -> Result<Arc<Job>, SubmitError> {
        let snapshot = self.shared.registry.snapshot();
        snapshot.jobs.get(name).cloned().ok_or_else(|| SubmitError::UnknownJob {
            job: name.to_string(),
            hint: did_you_mean(name.as_str(), snapshot.jobs.keys().map(JobName::as_str)),
        })
    }

    /// On whatever daemon it is. One that runs on another is told within a second.
    pub async fn cancel(&self, run: RunId, by: Actor) -> Result<CancelOutcome, StoreError> {
        let reason = format!("cancelled by {by}");
        self.cancel_because(run, by, reason).await
    }

    pub(super) async fn cancel_because(
        &self,
        run: RunId,
        by: Actor,
        reason: String,
    ) -> Result<CancelOutcome, StoreError> {
        loop {
            let (reply, answer) = oneshot::channel();
            let message = Message::Cancel { run, by: by.clone(), reason: reason.clone(), reply };
            self.inbox.send(message).map_err(|_| StoreError::Closed)?;
            if answer.await == Ok(true) {
                return Ok(CancelOutcome::Cancelled);
            }
            match self.shared.store.run(run).await? {
                Some(found) if matches!(found.state, RunState::Parked | RunState::Queued) => {
                    let done = self.cancel_idle(&found, &reason).await?;
                    if done.is_some_and(|to| to != RunState::Parked) {
                        return Ok(CancelOutcome::Cancelled);
                    }
                    // It is parked now; or it was woken, taken by another daemon, or ended, meanwhile.
                }
                Some(found) if found.state.is_final() => return Ok(CancelOutcome::AlreadyFinal(found.state)),
                Some(found) if !self.shared.store.is_shared() => return Ok(CancelOutcome::Elsewhere(found.state)),
                Some(_) => {
                    let (actor, at) = (by.clone(), self.shared.clock.now());
                    let wish = StopRequest { run, actor, reason: reason.clone(), at };
                    if self.shared.store.ask_to_stop(wish).await? {
                        return Ok(CancelOutcome::Cancelled);
                    }
                }
                None => return Ok(CancelOutcome::NotFound),
            }
        }
    }

    /// Ends a run that has no VM, by way of a lane if it has something to undo. What it is now, if that was still so.
    pub(super) async fn cancel_idle(&self, run: &Run, reason: &str) -> Result<Option<RunState>, StoreError> {
        let store = &self.shared.store;
        let change = comeback::cancel_idle(store, run, reason, self.shared.clock.now()).await?;
        let to = change.to;
        if store.transition(change).await? == Guarded::Refused {
            return Ok(None);
        }
        let unparked = || Message::Unparked { run: run.id, job: run.job.clone(), key: run.concurrency_key.clone() };
        let message = match (run.state, to) {
            (RunState::Parked, RunState::Queued) => Some(Message::Woken { runs: vec![run.id] }),
            (RunState::Parked, _) => Some(unparked()),
            // It was woken and nobody has read it yet, so that it still counts as parked.
            (RunState::Queued, RunState::Cancelled) if run.deadline_at.is_some() => Some(unparked()),
            _ => None,
        };
        if let Some(message) = message {
            let _ = self.inbox.send(message);
        }
        Ok(Some(to))
    }

    /// Sends an event to the runs that wait for its name. Runs that come to wait for it later see it too, if they were
    /// accepted before it was sent. Tells how many parked runs go on because of it.
    pub async fn signal(&self, signal: Signal) -> Result<usize, Fault> {
        let woken = self.shared.store.signal(signal).await?;
        let count = woken.parked.len();
        self.woken(woken);
        Ok(count)
    }

    /// Decides on an approval that waits and gives its name. `approval.not_waiting` and `approval.decided` say why not.
    pub async fn decide(&self, decision: Decision) -> Result<String, Fault> {
        let run = decision.run;
        match self.shared.store.decide(decision).await? {
            Decided::Applied { name, woken } => {
                self.woken(woken);
                Ok(name)
            }
            Decided::NotWaiting { others } if others.is_empty() => {
                Err(Fault::new("approval.not_waiting", format!("run {run} waits for no approval")))
            }
            Decided::NotWaiting { others } => {
                let message = format!("run {run} waits for no approval of that name");
                Err(Fault::new("approval.not_waiting", message).hint(format!("it waits for: {}", others.join(", "))))
            }
            Decided::Already { name, actor, .. } => {
                let by = actor.map_or_else(|| "it has expired".to_owned(), |actor| format!("{actor} was faster"));
                Err(Fault::new("approval.decided", format!("approval {name:?} of run {run} is decided: {by}")))
            }
        }
    }

    /// Submits the job of an ended run anew, with its parameters and the job's current version.
    pub async fn retry(&self, run: RunId, by: Trigger) -> Result<Submission, Fault> {
        let earlier = self.shared.store.run(run).await?;
        let earlier = earlier.ok_or_else(|| Fault::new("run.not_found", format!("there is no run {run}")))?;
        if !earlier.state.is_final() {
            let message = format!("run {run} is still {}", earlier.state);
            return Err(Fault::new("run.not_final", message).hint(format!("cancel it first: aegis cancel {run}")));
        }
        let request = SubmitRequest {
            job: earlier.job,
            params: earlier.params.as_object().cloned().unwrap_or_default(),
            trigger: by,
            idempotency_key: None,
            dry_run: earlier.dry_run,
            parent: Some(run),
            occurrence: None,
        };
        Ok(self.submit(request).await?)
    }

    fn woken(&self, woken: Woken) {
        if !woken.parked.is_empty() {
            let _ = self.inbox.send(Message::Woken { runs: woken.parked });
        }
    }

    /// Resolves when the run has ended, wherever that happens; None when there is no such run.
    pub async fn wait(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        let mut follow = self.shared.store.follow(run);
        loop {
            let (reply, answer) = oneshot::channel();
            if self.inbox.send(Message::Wait { run, reply }).is_ok()
                && let Ok(ended) = answer.await
            {
                return Ok(Some(ended));
            }
            // It is parked, or another daemon's.
            match self.shared.store.run(run).await? {
                Some(found) if !found.state.is_final() => {
                    if !follow.changed().await {
                        return Err(StoreError::Closed);
                    }
                }
                found => return Ok(found),
            }
        }
    }

    /// Enables or disables a job's schedules until told otherwise; None gives the word back to the script.
    pub async fn set_enabled(&self, job: &JobName, enabled: Option<bool>, by: Actor) -> Result<(), Fault> {
        self.find(job)?;
        let kind = if enabled == Some(false) { "job.disabled" } else { "job.enabled" };
        let event = NewEvent::new(self.shared.clock.now(), kind).job(job).data(serde_json::json!({ "actor": by }));
        let _in_order = self.shared.enabling.lock().await;
        self.shared.store.set_enabled(job, enabled, vec![event]).await?;
        self.shared.registry.update(|snapshot| {
            if let Some(job) = snapshot.jobs.get_mut(job) {
                Arc::make_mut(job).enabled_override = enabled;
            }
        });
        Ok(())
    }

    /// Runs that are queued or running now, oldest first.
    pub fn live(&self) -> Vec<LiveRun> {
        self.shared.live.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Jobs that ask for labels which this daemon does not have.
    pub(super) fn misplaced_jobs(&self) -> Vec<JobName> {
        let lacks = |job: &&Arc<Job>| !job.spec.runs_with(&self.shared.labels);
        self.shared.registry.snapshot().jobs.values().filter(lacks).map(|job| job.spec.name.clone()).collect()
    }

    /// What this daemon does not take from others: see [`ClaimRules`].
    pub(super) fn claim_rules(&self) -> ClaimRules {
        let snapshot = self.shared.registry.snapshot();
        let specs = || snapshot.jobs.values().map(|job| &job.spec);
        let limited = |spec: &Arc<JobSpec>| Some((spec.name.clone(), spec.concurrency.as_ref()?.limit));
        ClaimRules {
            never: self.misplaced_jobs(),
            alone: specs().filter(|spec| settle::runs_alone(spec)).map(|spec| spec.name.clone()).collect(),
            keyed: specs().filter_map(limited).collect(),
        }
    }

    /// Runs that wait here and that only another daemon may execute.
    pub(super) fn misplaced_runs(&self) -> Vec<RunId> {
        let jobs = &self.shared.registry.snapshot().jobs;
        let lacks = |job: &JobName| jobs.get(job).is_some_and(|job| !job.spec.runs_with(&self.shared.labels));
        let live = self.shared.live.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |run: &&LiveRun| run.state == RunState::Queued && lacks(&run.job);
        live.values().filter(waits).map(|run| run.run).collect()
    }

    /// Those of `runs` that are not alive here.
    pub(super) fn without_live(&self, runs: Vec<RunId>) -> Vec<RunId> {
        let live = self.shared.live.lock().unwrap_or_else(PoisonError::into_inner);
        runs.into_iter().filter(|run| !live.contains_key(run)).collect()
    }

    pub fn metrics(&self) -> super::metrics::Numbers {
        self.shared.metrics.read()
    }

    /// VMs that are alive on the lanes now, consoles included.
    pub fn vms(&self) -> usize {
        self.shared.lanes.load()
    }

    /// Opens a console: a VM on a lane, with grants of its own.
    pub async fn console(&self, by: Actor, grants: Grants) -> Result<ConsoleSession, Fault> {
        console::open(self.clone(), by, grants).await
    }

    /// Makes a run that something else executes visible and cancellable while it lasts.
    pub(super) fn adopt(&self, run: &Run, cancel: CancellationToken) {
        let live = LiveRun::of(run);
        let _ = self.inbox.send(Message::Adopt { live, cancel });
    }

    pub(super) fn forget(&self, run: RunId) {
        let _ = self.inbox.send(Message::Forget { run });
    }
}
