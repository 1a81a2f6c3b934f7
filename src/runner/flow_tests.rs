//! Submissions against a real store and real lanes.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::base::{Clock, JobName, RunId, Timestamp};
use crate::jobs::{Job, Registry};
use crate::lua::{Engine, EngineOptions};
use crate::model::job::{Concurrency, Overlap};
use crate::model::params::Params;
use crate::model::{Actor, JobSpec, Occurrence, OccurrenceState, Run, RunState, Trigger, TriggerKind};
use crate::primitives::{self, Primitives};
use crate::store::{self, ScriptVersion, Store};

/// Goes on until it is cancelled.
const WAIT: &str = "return aegis.job { run = function(ctx) ctx:sleep('1h') end }";
const PROGRESS: &str = "return aegis.job { run = function(ctx) ctx:progress(10, 10) end }";

struct Bench {
    runner: Handle,
    store: Store,
    registry: Registry,
    hurry: CancellationToken,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

fn job(name: &str, source: &str, overlap: Overlap) -> Arc<Job> {
    Job::with(JobSpec { overlap, ..JobSpec::named(name.parse().expect("a name")) }, source)
}

impl Bench {
    async fn new(jobs: Vec<Arc<Job>>) -> Self {
        let clock = Clock::system();
        let options = store::Options { url: "sqlite::memory:".into(), node: "test".into() };
        let (store, writer) = Store::open(options, clock.clone()).await.expect("a store");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { writer.run(CancellationToken::new()).await.expect("the writer goes on") });
        let primitives = Primitives::new(primitives::Options { clock: clock.clone(), ..Default::default() });
        let primitives = primitives.expect("options that can be used");
        let io = tokio::runtime::Handle::current();
        let engine = Engine::new(EngineOptions { io, clock: clock.clone(), primitives });
        let registry = Registry::default();
        registry.update(|snapshot| {
            snapshot.jobs = jobs.into_iter().map(|job| (job.spec.name.clone(), job)).collect();
        });
        let (stop, hurry) = (CancellationToken::new(), CancellationToken::new());
        let options = Options {
            lanes: 1,
            running_max: 8,
            grace: Duration::from_secs(3_600),
            shares: false,
            labels: Vec::new(),
            hurry: hurry.clone(),
        };
        let (dispatcher, runner) =
            Dispatcher::new(&options, store.clone(), registry.clone(), clock, &engine).expect("a lane");
        let stopped = stop.clone();
        tasks.spawn(async move { dispatcher.run(stopped).await.expect("the dispatcher goes on") });
        Self { runner, store, registry, hurry, stop, tasks }
    }

    async fn submit(&self, job: &str, due: Option<Timestamp>) -> Submission {
        submit(&self.runner, job, due).await
    }

    async fn start(&self, job: &str) -> RunId {
        match self.submit(job, None).await {
            Submission::Accepted { run, existing: false } => run,
            other => panic!("{other:?}"),
        }
    }

    async fn state(&self, run: RunId) -> RunState {
        self.store.run(run).await.expect("readable").expect("there").state
    }
}

async fn submit(runner: &Handle, job: &str, due: Option<Timestamp>) -> Submission {
    let name: JobName = job.parse().expect("a name");
    let kind = if due.is_some() { TriggerKind::Schedule } else { TriggerKind::Api };
    let request = SubmitRequest {
        job: name.clone(),
        params: Params::new(),
        trigger: Trigger::new(kind, "test"),
        idempotency_key: None,
        dry_run: false,
        parent: None,
        occurrence: due.map(|due| occurrence(name, due)),
    };
    runner.submit(request).await.expect("an answer")
}

fn occurrence(job: JobName, due: Timestamp) -> Occurrence {
    let state = OccurrenceState::Fired;
    Occurrence { job, scheduled_for: due, state, reason: None, run: None, decided_at: due }
}

#[tokio::test]
async fn a_queued_run_says_which_parked_one_it_waits_for() {
    let keyed = JobSpec {
        overlap: Overlap::Parallel,
        concurrency: Some(Concurrency { key: "disk".into(), limit: 1 }),
        ..JobSpec::named("copy".parse().expect("a name"))
    };
    let bench = Bench::new(vec![job("backup", WAIT, Overlap::Queue), Job::with(keyed, WAIT)]).await;
    let (name, trigger) = ("backup".parse::<JobName>().expect("a name"), Trigger::new(TriggerKind::Api, "test"));
    let now = Timestamp::UNIX_EPOCH;
    let new = |name: &JobName| Run::new(RunId::generate(), name.clone(), trigger.clone(), now);
    let key = Some("disk".to_owned());
    let parked = Run { state: RunState::Running, concurrency_key: key.clone(), ..new(&name) };
    let accepted = store::NewRun { run: parked.clone(), occurrence: None, events: vec![], alone: false };
    bench.store.accept_run(accepted).await.expect("accepted");
    let park = store::Transition::new(&parked, RunState::Running, RunState::Parked, now);
    assert_eq!(bench.store.transition(park).await, Ok(store::Guarded::Applied));
    let queued = new(&name);
    let told = bench.runner.waits_for(&queued).await.expect("readable");
    assert_eq!(told, Some(format!("waits for run {} of the same job to end, which is parked", parked.id)));
    let other = Run { concurrency_key: key, ..new(&"copy".parse().expect("a name")) };
    let told = bench.runner.waits_for(&other).await.expect("readable");
    assert!(told.as_ref().is_some_and(|told| told.contains("limit of 1 is used up")), "{told:?}");
    let woken = Run { deadline_at: Some(now), ..queued };
    assert_eq!(bench.runner.waits_for(&woken).await, Ok(None), "it has begun before");
}

#[tokio::test]
async fn a_run_is_replaced_only_by_one_that_came_in() {
    let bench = Bench::new(vec![job("backup", WAIT, Overlap::Replace)]).await;
    let due = Timestamp::UNIX_EPOCH;
    bench.store.settle_occurrence(occurrence("backup".parse().expect("a name"), due), vec![]).await.expect("settled");
    let first = bench.start("backup").await;
    // The clock was set back: this due time has had its row long since.
    assert_eq!(bench.submit("backup", Some(due)).await, Submission::AlreadySettled);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(bench.state(first).await, RunState::Running);
    let second = bench.start("backup").await;
    let ended = bench.runner.wait(first).await.expect("readable").expect("there");
    assert_eq!(ended.state, RunState::Cancelled);
    assert!(ended.reason.is_some_and(|reason| reason.contains("replaced by a newer run")));
    assert!(!bench.state(second).await.is_final());
}

#[tokio::test]
async fn nobody_is_told_of_a_run_that_did_not_come_to_be() {
    let bench = Bench::new(vec![job("backup", WAIT, Overlap::Skip)]).await;
    let (settled, due) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).expect("a time"));
    let name: JobName = "backup".parse().expect("a name");
    bench.store.settle_occurrence(occurrence(name, settled), vec![]).await.expect("settled");
    // The first is refused by its commit; the second comes while that is on its way.
    let (first, second) = futures_util::join!(bench.submit("backup", Some(settled)), bench.submit("backup", Some(due)));
    assert_eq!(first, Submission::AlreadySettled);
    assert!(matches!(second, Submission::Accepted { existing: false, .. }), "{second:?}");
}

#[tokio::test]
async fn the_last_progress_is_kept() {
    let bench = Bench::new(vec![job("count", PROGRESS, Overlap::Parallel)]).await;
    for _ in 0..10 {
        let run = bench.start("count").await;
        bench.runner.wait(run).await.expect("readable");
        let run = bench.store.run(run).await.expect("readable").expect("there");
        assert_eq!((run.state, run.progress.map(|progress| progress.done)), (RunState::Succeeded, Some(10.0)));
    }
}

#[tokio::test]
async fn whoever_is_in_a_hurry_does_not_wait_for_the_grace() {
    let mut bench = Bench::new(vec![job("backup", WAIT, Overlap::Parallel)]).await;
    let run = bench.start("backup").await;
    bench.stop.cancel();
    let early = tokio::time::timeout(Duration::from_millis(200), bench.tasks.join_next()).await;
    assert!(early.is_err(), "it waits for the run");
    bench.hurry.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(4), bench.tasks.join_next()).await;
    ended.expect("the runner stops").expect("a task").expect("no panic");
    assert_eq!(bench.state(run).await, RunState::Interrupted);
}

#[tokio::test]
async fn a_run_that_this_daemon_does_not_have_is_not_called_ended() {
    let bench = Bench::new(vec![job("backup", WAIT, Overlap::Parallel)]).await;
    let run = bench.start("backup").await;
    let by = || Actor::new("test");
    let elsewhere = Bench::new(vec![]).await;
    // Once it answers, its recovery is over, and what appears now is not its own.
    assert_eq!(elsewhere.runner.cancel(run, by()).await, Ok(CancelOutcome::NotFound));
    let row = bench.store.run(run).await.expect("readable").expect("there");
    let new = store::NewRun { run: row, occurrence: None, events: vec![], alone: false };
    elsewhere.store.accept_run(new).await.expect("written");
    assert_eq!(elsewhere.runner.cancel(run, by()).await, Ok(CancelOutcome::Elsewhere(RunState::Running)));
    // What only waits can be cancelled by whoever is asked.
    let trigger = Trigger::new(TriggerKind::Api, "test");
    let queued =
        crate::model::Run::new(RunId::generate(), "elsewhere".parse().expect("a name"), trigger, Timestamp::UNIX_EPOCH);
    let waits = queued.id;
    let new = store::NewRun { run: queued, occurrence: None, events: vec![], alone: false };
    elsewhere.store.accept_run(new).await.expect("written");
    assert_eq!(elsewhere.runner.cancel(waits, by()).await, Ok(CancelOutcome::Cancelled));
    assert_eq!(elsewhere.state(waits).await, RunState::Cancelled);
    assert_eq!(bench.runner.cancel(run, by()).await, Ok(CancelOutcome::Cancelled));
    bench.runner.wait(run).await.expect("readable");
    assert_eq!(bench.runner.cancel(run, by()).await, Ok(CancelOutcome::AlreadyFinal(RunState::Cancelled)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_and_registry_agree_who_was_last_to_enable_a_job() {
    let backup = job("backup", WAIT, Overlap::Parallel);
    let bench = Bench::new(vec![backup.clone()]).await;
    let version = ScriptVersion {
        hash: backup.bundle.hash,
        job: backup.spec.name.clone(),
        spec: (*backup.spec).clone(),
        files: backup.bundle.files.to_vec(),
        created_at: backup.loaded_at,
    };
    bench.store.put_version(version, vec![]).await.expect("written");
    let mut calls = JoinSet::new();
    for n in 0..200 {
        let (runner, name) = (bench.runner.clone(), backup.spec.name.clone());
        calls.spawn(async move { runner.set_enabled(&name, Some(n % 3 == 0), Actor::new("test")).await });
    }
    for outcome in calls.join_all().await {
        outcome.expect("enabled or disabled");
    }
    let stored = bench.store.jobs().await.expect("readable")[0].enabled;
    let live = bench.registry.snapshot().jobs[&backup.spec.name].enabled_override;
    assert_eq!(stored, live);
}
