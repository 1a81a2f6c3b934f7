//! A submission on its way in: decided, committed, acknowledged.

use std::mem::take;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::admission::{Decision, decide};
use super::dispatcher::{Dispatcher, Done};
use super::handle::{Submission, SubmitError, SubmitRequest};
use super::live::{Deferred, Phase};
use super::logs::RunLog;
use super::settle::{self, Stopped};
use crate::base::{RunId, Timestamp};
use crate::jobs::Job;
use crate::model::{Actor, NewEvent, Run, RunState};
use crate::store::{Accepted, NewRun, StoreError};

type Reply = oneshot::Sender<Result<Submission, SubmitError>>;

impl Dispatcher {
    pub(super) fn submit(&mut self, request: SubmitRequest, job: Arc<Job>, reply: Reply) {
        if self.is_stopping() {
            let _ = reply.send(Err(SubmitError::Closed));
            return;
        }
        if let Some(run) = request.idempotency_key.as_deref().and_then(|key| self.live.with_key(&job.spec.name, key)) {
            return self.repeat(run, reply);
        }
        let params = serde_json::Value::Object(request.params.clone());
        let key = job.spec.concurrency.as_ref().map(|limit| limit.key_for(&params));
        let view = self.live.view(&job.spec.name, key.as_deref());
        let now = self.shared.clock.now();
        let decision = decide(&job.spec, request.trigger.kind, &view);
        if let Decision::Coalesce { run } | Decision::Skip { earlier: run, .. } = &decision
            && let Some(entry) = self.live.get_mut(*run).filter(|entry| entry.phase == Phase::Accepting)
        {
            // Nobody is told of a run that may never come to be.
            entry.deferred.push(Deferred { request, job, reply });
            return;
        }
        let mut victims = Vec::new();
        let start = match decision {
            Decision::Start => true,
            Decision::Queue => false,
            Decision::Replace => {
                victims = self.live.of_job(&job.spec.name);
                false
            }
            Decision::Coalesce { run } => {
                self.shared.metrics.update(|numbers| numbers.coalesced += 1);
                let _ = reply.send(Ok(Submission::Coalesced { run }));
                return;
            }
            Decision::Skip { reason, .. } => return self.skip(&request, reason, reply),
            Decision::QueueFull { limit } => {
                let _ = reply.send(Err(SubmitError::QueueFull { limit }));
                return;
            }
        };
        let run = new_run(&request, &job, params, start, now);
        self.commit_new(run, request, (job, victims), reply);
    }

    /// The same submission came again while its run is alive. The run may not be on disk yet: its first caller is told
    /// by the commit, this one by the wait for it.
    fn repeat(&mut self, run: RunId, reply: Reply) {
        match self.live.get_mut(run) {
            Some(entry) if entry.phase == Phase::Accepting => entry.repeats.push(reply),
            _ => drop(reply.send(Ok(Submission::Accepted { run, existing: true }))),
        }
    }

    fn commit_new(&mut self, run: Run, request: SubmitRequest, (job, victims): (Arc<Job>, Vec<RunId>), reply: Reply) {
        let id = run.id;
        let mut events = vec![accepted_event(&run)];
        if run.state == RunState::Running {
            events.push(settle::started_event(&run, run.queued_at));
        }
        let occurrence = request.occurrence.map(|mut occurrence| {
            occurrence.run = Some(id);
            occurrence
        });
        let log = RunLog::new(id, self.shared.clock.clone(), &self.flusher, 0);
        let starts = run.state == RunState::Running;
        self.live.insert(run.clone(), job, log, CancellationToken::new());
        if starts {
            self.live.hold(id);
        }
        self.publish_entry(id);
        let store = self.shared.store.clone();
        self.pending.push(Box::pin(async move {
            let result = store.accept_run(NewRun { run, occurrence, events }).await;
            Done::Accepted { run: id, victims, reply, result }
        }));
    }

    pub(super) fn accepted(
        &mut self,
        run: RunId,
        victims: Vec<RunId>,
        reply: Reply,
        result: Result<Accepted, StoreError>,
    ) {
        let waiting = self.live.get_mut(run).map(|entry| (take(&mut entry.repeats), take(&mut entry.deferred)));
        let (repeats, deferred) = waiting.unwrap_or_default();
        let answer = match result {
            Ok(Accepted::New) => {
                self.shared.metrics.update(|numbers| numbers.accepted += 1);
                self.replace(run, victims);
                self.go_on(run);
                Ok(Submission::Accepted { run, existing: false })
            }
            Ok(Accepted::Existing(earlier)) => {
                self.remove(run);
                Ok(Submission::Accepted { run: earlier, existing: true })
            }
            Ok(Accepted::OccurrenceSettled) => {
                self.remove(run);
                Ok(Submission::AlreadySettled)
            }
            Err(error) => {
                self.remove(run);
                Err(SubmitError::Store(error))
            }
        };
        for repeat in repeats {
            let again = match &answer {
                Ok(Submission::Accepted { run, .. }) => Ok(Submission::Accepted { run: *run, existing: true }),
                other => other.clone(),
            };
            let _ = repeat.send(again);
        }
        let _ = reply.send(answer);
        for Deferred { request, job, reply } in deferred {
            self.submit(request, job, reply);
        }
    }

    /// The run is on disk: it waits, begins, or is cancelled already.
    fn go_on(&mut self, run: RunId) {
        let Some(entry) = self.live.get_mut(run) else { return };
        if entry.run.state == RunState::Running {
            // A cancelled one goes to its lane too: it ends there at once, by the same way as all others.
            self.give_to_lane(run);
            return;
        }
        let stopped = entry.stopped.clone();
        entry.phase = Phase::Waiting;
        self.live.enqueue(run);
        if let Some(stopped) = stopped {
            self.cancel(run, stopped);
        }
    }

    /// Only now, when it is certain that `run` takes their place.
    fn replace(&mut self, run: RunId, victims: Vec<RunId>) {
        let Some(trigger) = self.live.get_mut(run).map(|entry| entry.run.trigger.clone()) else { return };
        let reason = format!("replaced by a newer run ({} by {})", trigger.kind.as_str(), trigger.actor);
        for victim in victims {
            self.cancel(victim, Stopped::By { actor: Actor::new("overlap"), reason: reason.clone() });
        }
    }

    fn skip(&mut self, request: &SubmitRequest, reason: String, reply: Reply) {
        self.shared.metrics.update(|numbers| numbers.skipped += 1);
        let _ = reply.send(Ok(Submission::Skipped { reason: format!("{} was not started: {reason}", request.job) }));
    }
}

fn new_run(request: &SubmitRequest, job: &Job, params: serde_json::Value, start: bool, now: Timestamp) -> Run {
    Run {
        id: RunId::generate(),
        job: job.spec.name.clone(),
        version: Some(job.bundle.hash),
        state: if start { RunState::Running } else { RunState::Queued },
        params,
        trigger: request.trigger.clone(),
        priority: job.spec.priority,
        attempt: u32::from(start),
        dry_run: request.dry_run,
        queued_at: now,
        not_before: None,
        started_at: start.then_some(now),
        finished_at: None,
        result: None,
        error: None,
        reason: None,
        parent: request.parent,
        idempotency_key: request.idempotency_key.clone(),
        progress: None,
    }
}

fn accepted_event(run: &Run) -> NewEvent {
    NewEvent::new(run.queued_at, settle::kind_of(RunState::Queued)).job(&run.job).run(run.id).data(json!({
        "trigger": run.trigger.kind,
        "actor": run.trigger.actor,
        "scheduled_for": run.trigger.scheduled_for,
    }))
}
