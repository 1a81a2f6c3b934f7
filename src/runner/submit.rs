//! A submission on its way in: decided, committed, acknowledged.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::oneshot;

use super::admission::{Decision, decide};
use super::core::{Core, Effect};
use super::handle::{Submission, SubmitError, SubmitRequest};
use super::live::{Deferred, NewEntry, Phase};
use super::logs::RunLog;
use super::settle;
use super::stop::Stopped;
use crate::base::{RunId, Timestamp};
use crate::jobs::Job;
use crate::model::job::Overlap;
use crate::model::{Actor, NewEvent, Run, RunState};
use crate::store::{Accepted, NewRun, StoreError};

/// Why a run was skipped that nothing here stood in the way of.
const ELSEWHERE: &str = "not started: a run of the job is parked, or alive on another daemon, and overlap is \"skip\"";

type Reply = oneshot::Sender<Result<Submission, SubmitError>>;

impl Core {
    pub fn submit(&mut self, request: SubmitRequest, job: Arc<Job>, reply: Reply) {
        if self.is_stopping() {
            let _ = reply.send(Err(SubmitError::Closed));
            return;
        }
        if let Some(run) = request.idempotency_key.as_deref().and_then(|key| self.live.with_key(&job.spec.name, key)) {
            return self.repeat(run, reply);
        }
        if !self.shares && !self.live.fits(&job.spec) {
            let (job, labels) = (job.spec.name.to_string(), job.spec.runs_on.join(", "));
            return drop(reply.send(Err(SubmitError::Misplaced { job, labels })));
        }
        let params = serde_json::Value::Object(request.params.clone());
        let key = job.spec.concurrency.as_ref().map(|limit| limit.key_for(&params));
        let view = self.live.view(&job.spec.name, key.as_deref());
        let decision = decide(&job.spec, request.trigger.kind, &view);
        if let Decision::Coalesce { run } | Decision::Skip { earlier: Some(run), .. } = &decision
            && let Some(entry) = self.live.get_mut(*run).filter(|entry| entry.phase == Phase::Accepting)
        {
            // Nobody is told of a run that may never come to be.
            entry.deferred.push(Deferred { request, job, reply });
            return;
        }
        let start = match decision {
            Decision::Start => !self.asks_the_store(&job, key.is_some()) && self.live.fits(&job.spec),
            Decision::Queue | Decision::Replace => false,
            Decision::Coalesce { run } => {
                self.metrics.update(|numbers| numbers.coalesced += 1);
                let _ = reply.send(Ok(Submission::Coalesced { run }));
                return;
            }
            Decision::Skip { reason, .. } => return self.skip(&request, reason, reply),
            Decision::QueueFull { limit } => {
                let _ = reply.send(Err(SubmitError::QueueFull { limit }));
                return;
            }
        };
        // What is alive elsewhere is not known here.
        let replaces = decision == Decision::Replace || (self.shares && job.spec.overlap == Overlap::Replace);
        let run = new_run((self.new_id.0)(), &request, &job, params, key, start, self.now);
        self.commit_new(run, request, job, reply, replaces);
    }

    /// Whether only the store knows if the run may begin, because other daemons start runs too.
    fn asks_the_store(&self, job: &Job, has_key: bool) -> bool {
        self.shares && (has_key || settle::runs_alone(&job.spec))
    }

    /// The same submission came again while its run is alive. The run may not be on disk yet: its first caller is told
    /// by the commit, this one by the wait for it.
    fn repeat(&mut self, run: RunId, reply: Reply) {
        match self.live.get_mut(run) {
            Some(entry) if entry.phase == Phase::Accepting => entry.repeats.push(reply),
            _ => drop(reply.send(Ok(Submission::Accepted { run, existing: true }))),
        }
    }

    fn commit_new(&mut self, run: Run, request: SubmitRequest, job: Arc<Job>, reply: Reply, replaces: bool) {
        let id = run.id;
        let mut events = vec![accepted_event(&run)];
        if run.state == RunState::Running {
            events.push(settle::started_event(&run, run.queued_at));
        }
        let occurrence = request.occurrence.map(|mut occurrence| {
            occurrence.run = Some(id);
            occurrence
        });
        let alone = self.shares && job.spec.overlap == Overlap::Skip;
        let log = RunLog::new(id, self.clock.clone(), &self.flusher, 0);
        let starts = run.state == RunState::Running;
        self.live.insert(NewEntry { run: run.clone(), job, log, resumes: false, was_parked: false });
        if let Some(entry) = self.live.get_mut(id) {
            entry.repeats.push(reply);
            entry.replaces = replaces;
        }
        if starts {
            self.live.hold(id);
        }
        self.publish_entry(id);
        self.effects.push(Effect::Accept(Box::new(NewRun { run, occurrence, events, alone })));
    }

    /// The commit of a new run came back.
    pub fn accepted(&mut self, run: RunId, result: Result<Accepted, StoreError>) {
        if self.came_back_before(run) {
            return;
        }
        let answer = match result {
            Ok(Accepted::New) => Ok(Submission::Accepted { run, existing: false }),
            Ok(Accepted::Existing(earlier)) => Ok(Submission::Accepted { run: earlier, existing: true }),
            Ok(Accepted::OccurrenceSettled) => Ok(Submission::AlreadySettled),
            Ok(Accepted::Crowded) => {
                self.metrics.update(|numbers| numbers.skipped += 1);
                Ok(Submission::Skipped { reason: ELSEWHERE.to_owned() })
            }
            Err(error) => Err(SubmitError::Store(error)),
        };
        self.answer(run, &answer);
        let deferred = self.live.get_mut(run).map(|entry| std::mem::take(&mut entry.deferred)).unwrap_or_default();
        match answer {
            Ok(Submission::Accepted { run: accepted, .. }) if accepted == run && !self.live.contains(run) => {
                self.effects.push(Effect::Load(run));
            }
            Ok(Submission::Accepted { run: accepted, .. }) if accepted == run => self.admitted(run),
            // It may be on disk nevertheless; a run that nobody executes must not stay there.
            Err(SubmitError::Store(StoreError::Unavailable { .. })) => {
                self.effects.push(Effect::Resolve(run));
                // Their fate hangs on what is found out.
                if let Some(entry) = self.live.get_mut(run) {
                    entry.deferred = deferred;
                }
                return;
            }
            _ => drop(self.remove(run)),
        }
        self.decide_anew(deferred);
    }

    fn decide_anew(&mut self, deferred: Vec<Deferred>) {
        for Deferred { request, job, reply } in deferred {
            self.submit(request, job, reply);
        }
    }

    /// The run was given up with this daemon's lease while its commit was under way, and was found in the store since.
    fn came_back_before(&mut self, run: RunId) -> bool {
        self.live.get_mut(run).is_some_and(|entry| entry.phase != Phase::Accepting)
    }

    /// What became of a commit that was not answered: whether the run is on disk.
    pub fn resolved(&mut self, run: RunId, is_there: bool) {
        if self.came_back_before(run) {
            return;
        }
        let answer = if is_there {
            Ok(Submission::Accepted { run, existing: true })
        } else {
            Err(SubmitError::Store(StoreError::Unavailable {
                reason: "the run was not written; submit it again".into(),
            }))
        };
        self.answer(run, &answer);
        let deferred = self.live.get_mut(run).map(|entry| std::mem::take(&mut entry.deferred)).unwrap_or_default();
        if is_there {
            self.admitted(run);
        } else {
            self.remove(run);
        }
        self.decide_anew(deferred);
    }

    /// The first caller hears it as it is, those who asked again that the run exists.
    fn answer(&mut self, run: RunId, answer: &Result<Submission, SubmitError>) {
        let replies = self.live.get_mut(run).map(|entry| std::mem::take(&mut entry.repeats)).unwrap_or_default();
        for (index, reply) in replies.into_iter().enumerate() {
            let again = match answer {
                Ok(Submission::Accepted { run, .. }) if index > 0 => {
                    Ok(Submission::Accepted { run: *run, existing: true })
                }
                other => other.clone(),
            };
            let _ = reply.send(again);
        }
    }

    /// The run is on disk: it waits, begins, or is cancelled already.
    fn admitted(&mut self, run: RunId) {
        self.metrics.update(|numbers| numbers.accepted += 1);
        let now = self.now;
        let Some(entry) = self.live.get_mut(run) else { return };
        if std::mem::take(&mut entry.replaces) {
            self.replace(run);
        }
        let Some(entry) = self.live.get_mut(run) else { return };
        if entry.run.state == RunState::Running {
            // A cancelled one goes to its lane too: it ends there at once, by the same way as all others.
            self.execute(run);
            return;
        }
        let stopped = entry.stop.why();
        self.live.enqueue(run, now);
        if let Some(stopped) = stopped {
            self.stop_run(run, stopped);
        }
    }

    /// Only now, when the new run is safe, do the earlier ones of its job go.
    fn replace(&mut self, by: RunId) {
        let Some(entry) = self.live.get_mut(by) else { return };
        let (job, trigger) = (entry.run.job.clone(), entry.run.trigger.clone());
        let reason = format!("replaced by a newer run ({} by {})", trigger.kind.as_str(), trigger.actor);
        let stopped = Stopped::By { actor: Actor::new("overlap"), reason };
        let (victims, parked) = self.live.of_job(&job);
        for victim in victims {
            if self.live.came_before(victim, by) {
                self.stop_run(victim, stopped.clone());
            }
        }
        if parked > 0 || self.shares {
            self.effects.push(Effect::ReplaceOthers { job, by, stopped });
        }
    }

    fn skip(&mut self, request: &SubmitRequest, reason: String, reply: Reply) {
        self.metrics.update(|numbers| numbers.skipped += 1);
        let _ = reply.send(Ok(Submission::Skipped { reason: format!("{} was not started: {reason}", request.job) }));
    }
}

fn new_run(
    id: RunId,
    request: &SubmitRequest,
    job: &Job,
    params: serde_json::Value,
    concurrency_key: Option<String>,
    start: bool,
    now: Timestamp,
) -> Run {
    Run {
        version: Some(job.bundle.hash),
        state: if start { RunState::Running } else { RunState::Queued },
        params,
        priority: job.spec.priority,
        attempt: u32::from(start),
        fence: i64::from(start),
        dry_run: request.dry_run,
        started_at: start.then_some(now),
        deadline_at: settle::deadline(&job.spec, now).filter(|_| start),
        concurrency_key,
        parent: request.parent,
        idempotency_key: request.idempotency_key.clone(),
        ..Run::new(id, job.spec.name.clone(), request.trigger.clone(), now)
    }
}

fn accepted_event(run: &Run) -> NewEvent {
    NewEvent::new(run.queued_at, settle::kind_of(RunState::Queued)).job(&run.job).run(run.id).data(json!({
        "trigger": run.trigger.kind,
        "actor": run.trigger.actor,
        "scheduled_for": run.trigger.scheduled_for,
    }))
}
