//! The core by itself: messages in an order that a real daemon meets once in a thousand times.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::core::{Comeback, Core, Effect, Finished};
use super::handle::LiveTable;
use super::logs::Flusher;
use crate::base::clock::later;
use crate::base::{Clock, Fault, RunId, Timestamp};
use crate::jobs::Job;
use crate::lua::Outcome;
use crate::model::job::{Overlap, RetryPolicy};
use crate::model::{Actor, JobSpec, Run, RunState, Trigger, TriggerKind};
use crate::store::{Guarded, Started, Transition};

const BACKOFF: Duration = Duration::from_secs(60);

fn durable(attempts: u32) -> Arc<Job> {
    let spec = JobSpec {
        resume: true,
        overlap: Overlap::Queue,
        retry: RetryPolicy { attempts, initial: BACKOFF, ..RetryPolicy::default() },
        ..JobSpec::named("deploy".parse().expect("a name"))
    };
    Job::with(spec, "")
}

struct Table {
    core: Core,
    now: Timestamp,
}

impl Table {
    fn new(shares: bool) -> Self {
        let (flusher, _) = Flusher::new(crate::base::Masker::default());
        let core = Core::new(Clock::system(), Arc::default(), LiveTable::default(), flusher, 4, shares);
        Self { core, now: Timestamp::UNIX_EPOCH }
    }

    /// A queued run that is taken up from the store.
    fn queued(&mut self, job: &Arc<Job>) -> RunId {
        let trigger = Trigger::new(TriggerKind::Api, "test");
        let run = Run::new(RunId::generate(), job.spec.name.clone(), trigger, self.now);
        let id = run.id;
        self.core.comes_back(run, job.clone(), 0, Comeback::Waiting);
        id
    }

    fn effects(&mut self) -> Vec<Effect> {
        self.core.at(self.now);
        self.core.start_waiting();
        self.core.take_effects()
    }

    /// The run that is to be started now.
    fn asked_to_start(&mut self) -> Vec<RunId> {
        let effects = self.effects();
        effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Start(start) => Some(start.run),
                _ => None,
            })
            .collect()
    }

    fn begin(&mut self, run: RunId, fence: i64) {
        assert_eq!(self.asked_to_start(), [run]);
        self.core.started(run, (fence, self.now), Ok(Started::Applied));
        assert!(matches!(self.effects()[..], [Effect::Execute(_)]));
    }

    fn finish(&mut self, run: RunId, fence: i64, outcome: Outcome) -> Transition {
        self.core.finished(run, fence, Finished { asks: true, ..outcome.into() });
        match self.effects().pop() {
            Some(Effect::Settle { change, .. }) => *change,
            other => panic!("{other:?}"),
        }
    }
}

fn parked() -> Outcome {
    Outcome::Parked { wake_at: None, waits_for: "an event".into() }
}

fn by() -> Actor {
    Actor::new("somebody")
}

#[test]
fn a_run_that_is_woken_while_its_parking_is_on_its_way_is_taken_up() {
    let mut table = Table::new(false);
    let run = table.queued(&durable(1));
    table.begin(run, 0);
    let change = table.finish(run, 1, parked());
    assert!(table.core.wakes(run), "it is alive here until its parking is known");
    table.core.settled(change, Ok(Guarded::Applied));
    let effects = table.effects();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Load(found) if *found == run)), "{effects:?}");
    assert!(!table.core.wakes(run));
}

#[test]
fn a_durable_run_that_is_cancelled_between_two_attempts_goes_to_a_lane_at_once() {
    let mut table = Table::new(false);
    let run = table.queued(&durable(3));
    table.begin(run, 0);
    let change = table.finish(run, 1, Outcome::Raised(Fault::new("x", "no")));
    assert_eq!((change.to, change.not_before), (RunState::Queued, Some(later(table.now, BACKOFF))));
    table.core.settled(change, Ok(Guarded::Applied));
    assert!(table.effects().is_empty(), "it waits");
    let (reply, mut answer) = oneshot::channel();
    table.core.cancel(run, by(), "enough".into(), reply);
    assert_eq!(answer.try_recv(), Ok(true));
    assert_eq!(table.asked_to_start(), [run], "what it did may have to be undone");
}

#[test]
fn a_run_that_did_nothing_is_cancelled_when_that_is_written() {
    for (result, told) in [(Guarded::Applied, Ok(true)), (Guarded::Refused, Err(oneshot::error::TryRecvError::Closed))]
    {
        let mut table = Table::new(true);
        let job = durable(1);
        let (first, second) = (table.queued(&job), table.queued(&job));
        table.begin(first, 0);
        let (reply, mut answer) = oneshot::channel();
        table.core.cancel(second, by(), "enough".into(), reply);
        assert_eq!(answer.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        let Some(Effect::Settle { change, .. }) = table.effects().pop() else { panic!("it is to be written") };
        assert_eq!(change.to, RunState::Cancelled);
        table.core.settled(*change, Ok(result));
        assert_eq!(answer.try_recv(), told);
    }
}

#[test]
fn a_busy_group_asks_once_and_the_time_of_what_waits_does_not_run() {
    let mut table = Table::new(true);
    let job = durable(1);
    let runs = [table.queued(&job), table.queued(&job), table.queued(&job)];
    for _ in 0..3 {
        assert_eq!(table.asked_to_start(), [runs[0]], "the oldest asks, and nobody else");
        table.core.started(runs[0], (0, table.now), Ok(Started::Busy));
        assert_eq!(table.asked_to_start(), []);
        table.now = later(table.now, Duration::from_secs(3_600));
    }
    let effects = table.effects();
    let [Effect::Start(start)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(start.deadline_at, Some(later(table.now, job.spec.limits.timeout)));
    // Without the one that asked, the next does.
    table.core.started(runs[0], (0, table.now), Ok(Started::Busy));
    let (reply, _answer) = oneshot::channel();
    table.core.cancel(runs[0], by(), "enough".into(), reply);
    assert_eq!(table.asked_to_start(), [runs[1]]);
}

#[test]
fn a_journal_that_cannot_be_read_ends_the_run_and_is_not_tried_again() {
    use super::settle::{conclude, unreadable};
    let job = durable(3);
    let run = Run {
        attempt: 1,
        ..Run::new(
            RunId::generate(),
            job.spec.name.clone(),
            Trigger::new(TriggerKind::Api, "test"),
            Timestamp::UNIX_EPOCH,
        )
    };
    let corrupt = crate::store::StoreError::Corrupt { reason: "kind: unknown word".into() };
    let change = conclude(&run, &job.spec, unreadable(run.id, &corrupt), None, Timestamp::UNIX_EPOCH);
    assert_eq!(change.to, RunState::Failed);
    assert!(change.error.is_some_and(|fault| fault.code == "run.unreadable" && fault.message.contains("unknown word")));
    assert!(matches!(unreadable(run.id, &crate::store::StoreError::Closed), Outcome::Cancelled));
}

#[test]
fn a_run_that_was_with_another_daemon_meanwhile_comes_back_as_it_is() {
    let mut table = Table::new(true);
    let job = durable(1);
    let (stale, other) = (table.queued(&job), table.queued(&job));
    assert_eq!(table.asked_to_start(), [stale]);
    table.core.started(stale, (0, table.now), Ok(Started::Busy));
    assert!(!table.core.wakes(stale), "it is read to see what became of it");
    let trigger = Trigger::new(TriggerKind::Api, "test");
    let run = Run::new(stale, job.spec.name.clone(), trigger, table.now);
    let woken = Run { fence: 3, attempt: 1, deadline_at: Some(later(table.now, BACKOFF)), ..run };
    table.core.comes_back(woken, job, 0, Comeback::Woken);
    let effects = table.effects();
    let [Effect::Start(start)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((start.run, start.fence, start.attempt), (stale, 3, 1), "before {other}, which has not begun");
}

#[test]
fn a_run_is_executed_by_a_daemon_with_the_labels_that_its_job_asks_for() {
    let mut table = Table::new(true);
    let job = durable(1);
    let spec = JobSpec { runs_on: vec!["gpu".into()], ..(*job.spec).clone() };
    let wants = Arc::new(Job { spec: Arc::new(spec), ..(*job).clone() });
    table.queued(&wants);
    assert_eq!(table.asked_to_start(), [], "it waits for another daemon");
    assert_eq!((table.core.live.waiting(), table.core.live.waiting_here()), (1, 0));
    let mut table = Table::new(true);
    table.core.live.labels = vec!["eu".into(), "gpu".into()];
    let run = table.queued(&wants);
    assert_eq!(table.asked_to_start(), [run]);
}

#[test]
fn a_run_that_was_woken_meanwhile_is_replaced_like_any_that_came_before() {
    let mut table = Table::new(false);
    let job = durable(1);
    let replaces = Arc::new(Job {
        spec: Arc::new(JobSpec { overlap: Overlap::Replace, ..(*job.spec).clone() }),
        ..(*job).clone()
    });
    let earlier = table.queued(&replaces);
    table.begin(earlier, 0);
    let request = crate::runner::SubmitRequest {
        job: job.spec.name.clone(),
        params: Default::default(),
        trigger: Trigger::new(TriggerKind::Api, "test"),
        idempotency_key: None,
        dry_run: false,
        parent: None,
        occurrence: None,
    };
    table.core.submit(request, replaces.clone(), oneshot::channel().0);
    let Some(Effect::Accept(new)) = table.core.take_effects().pop() else { panic!("it is to be written") };
    let change = table.finish(earlier, 1, parked());
    table.core.settled(change, Ok(Guarded::Applied));
    table.effects();
    let trigger = Trigger::new(TriggerKind::Api, "test");
    let run = Run::new(earlier, job.spec.name.clone(), trigger, table.now);
    let woken = Run { fence: 1, attempt: 1, deadline_at: Some(later(table.now, BACKOFF)), ..run };
    table.core.comes_back(woken, replaces, 0, Comeback::Woken);
    table.core.accepted(new.run.id, Ok(crate::store::Accepted::New));
    assert!(table.core.live.get_mut(earlier).is_some_and(|entry| entry.stop.why().is_some()), "it is to end");
}
