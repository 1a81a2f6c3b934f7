//! Answers that come when the run is not where it was when they were asked for.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::oneshot;

use super::SubmitRequest;
use super::sim::{Comeback, Core, Effect, new_core};
use crate::base::clock::later;
use crate::base::{Clock, RunId, Timestamp};
use crate::jobs::Job;
use crate::lua::Outcome;
use crate::model::params::Params;
use crate::model::{Actor, JobSpec, Run, RunState, Trigger, TriggerKind};
use crate::store::{Accepted, Guarded, StartRun, Started};

/// A core on a shared store, and a run that waits in it.
struct Bed {
    core: Core,
    job: Arc<Job>,
    run: Run,
}

impl Bed {
    fn new() -> Self {
        Self::of(JobSpec::named("backup".parse().expect("a good name")))
    }

    fn of(spec: JobSpec) -> Self {
        let job = Job::with(spec, "");
        let (clock, _) = Clock::fake(Timestamp::UNIX_EPOCH);
        let mut core = new_core(clock, 3, true, vec![], Box::new(RunId::generate));
        let request = SubmitRequest {
            job: job.spec.name.clone(),
            params: Params::new(),
            trigger: Trigger::new(TriggerKind::Api, "token:test"),
            idempotency_key: None,
            dry_run: false,
            parent: None,
            occurrence: None,
        };
        core.submit(request, job.clone(), oneshot::channel().0);
        let Some(Effect::Accept(new)) = core.take_effects().pop() else { panic!("a run is committed first") };
        core.accepted(new.run.id, Ok(Accepted::New));
        Self { core, job, run: new.run }
    }

    /// The daemon loses its lease, and takes up what is still its own: at the same fence.
    fn lose_the_lease(&mut self) {
        self.core.abandon();
        self.core.comes_back(self.run.clone(), self.job.clone(), 0, Comeback::Waiting);
    }

    fn start(&mut self, at_s: u64) -> StartRun {
        self.core.at(later(Timestamp::UNIX_EPOCH, std::time::Duration::from_secs(at_s)));
        self.core.start_waiting();
        match self.core.take_effects().pop() {
            Some(Effect::Start(start)) => *start,
            other => panic!("it does not start: {other:?}"),
        }
    }

    fn started(&mut self, start: &StartRun, outcome: Started) -> Vec<Effect> {
        self.core.started(start.run, (start.fence, start.at), Ok(outcome));
        self.core.take_effects()
    }
}

#[test]
fn the_answer_to_a_start_that_was_given_up_is_not_the_answer_to_the_next_one() {
    for late in [Started::Busy, Started::Lost, Started::Applied] {
        let mut bed = Bed::new();
        let first = bed.start(1);
        bed.lose_the_lease();
        assert!(bed.started(&first, late).is_empty(), "it waits in the queue");
        let second = bed.start(2);
        assert_eq!((second.attempt, second.fence), (1, 0));
        assert!(bed.started(&first, late).is_empty(), "another start is on its way");
        let begun = bed.started(&second, Started::Applied);
        assert!(matches!(&*begun, [Effect::Execute(given)] if given.run.fence == 1), "{late:?}: {begun:?}");
    }
}

#[test]
fn the_end_of_an_attempt_that_was_given_up_leaves_the_run_alone() {
    let mut bed = Bed::new();
    let start = bed.start(1);
    bed.started(&start, Started::Applied);
    bed.core.finished(bed.run.id, 1, Outcome::Returned(Value::Null).into());
    let Some(Effect::Settle { change, .. }) = bed.core.take_effects().pop() else { panic!("its end is written") };
    bed.run.fence = 1;
    bed.lose_the_lease();
    bed.core.finished(bed.run.id, 1, Outcome::Cancelled.into());
    bed.core.settled(*change, Ok(Guarded::Refused));
    assert!(bed.core.take_effects().is_empty() && bed.core.holds(bed.run.id), "it waits for its next attempt");
    assert_eq!(bed.start(2).fence, 1);
}

#[test]
fn a_run_that_is_cancelled_while_it_parks_and_woken_before_that_is_known_comes_back_stopped() {
    let mut bed = Bed::of(JobSpec { resume: true, ..JobSpec::named("flow".parse().expect("a good name")) });
    let start = bed.start(1);
    bed.started(&start, Started::Applied);
    bed.core.finished(bed.run.id, 1, Outcome::Parked { wake_at: None, waits_for: "an answer".into() }.into());
    let Some(Effect::Settle { change, .. }) = bed.core.take_effects().pop() else { panic!("it is being parked") };
    bed.core.cancel(bed.run.id, Actor::new("uid:0(root)"), "not needed".into(), oneshot::channel().0);
    let woken =
        Run { state: RunState::Queued, fence: 1, deadline_at: start.deadline_at, attempt: 1, ..bed.run.clone() };
    bed.core.comes_back(woken.clone(), bed.job.clone(), 0, Comeback::Woken);
    bed.core.settled(*change, Ok(Guarded::Applied));
    assert!(bed.core.take_effects().iter().any(|effect| matches!(effect, Effect::Load(_))), "it is read again");
    bed.core.comes_back(woken, bed.job.clone(), 0, Comeback::Woken);
    let start = bed.start(2);
    let begun = bed.started(&start, Started::Applied);
    assert!(matches!(&*begun, [Effect::Execute(given)] if given.stop.why().is_some()), "{begun:?}");
}
