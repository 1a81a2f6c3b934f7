//! The loop under a clock that is turned by hand.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::run::{Schedule, Settled};
use crate::base::clock::later;
use crate::base::{Clock, FakeClock, JobName, RunId, Timestamp};
use crate::jobs::{Job, Registry};
use crate::lua::Bundle;
use crate::model::schedule::{CatchUp, Rule, ScheduleSpec};
use crate::model::{JobSpec, NewEvent, Occurrence, OccurrenceState};
use crate::runner::{Submission, SubmitError, SubmitRequest};
use crate::store::StoreError;
use crate::triggers::Desk;

/// Keeps what it is handed, and refuses a due time that it has seen, as the store does.
#[derive(Default)]
struct Recorder {
    rows: Mutex<Vec<Occurrence>>,
    seen: Mutex<HashSet<(JobName, Timestamp)>>,
    /// Jobs that answer as if an earlier run were alive.
    busy: Mutex<HashSet<JobName>>,
    /// Submissions that fail before the store is back.
    outages: Mutex<u32>,
}

impl Recorder {
    fn record(&self, row: Occurrence) -> bool {
        let new = self.seen.lock().unwrap().insert((row.job.clone(), row.scheduled_for));
        if new {
            self.rows.lock().unwrap().push(row);
        }
        new
    }
}

impl Desk for Recorder {
    fn submit(&self, request: SubmitRequest) -> BoxFuture<'_, Result<Submission, SubmitError>> {
        async move {
            let mut outages = self.outages.lock().unwrap();
            if *outages > 0 {
                *outages -= 1;
                return Err(SubmitError::Store(StoreError::DiskFull));
            }
            if self.busy.lock().unwrap().contains(&request.job) {
                return Ok(Submission::Skipped { reason: "still running".into() });
            }
            let row = request.occurrence.expect("schedules say which due time it is");
            let new = self.record(row);
            Ok(if new {
                Submission::Accepted { run: RunId::generate(), existing: false }
            } else {
                Submission::AlreadySettled
            })
        }
        .boxed()
    }

    fn settle(&self, occurrence: Occurrence, _: Vec<NewEvent>) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move { Ok(self.record(occurrence)) }.boxed()
    }
}

struct Bench {
    desk: Arc<Recorder>,
    registry: Registry,
    hand: FakeClock,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), std::convert::Infallible>>,
}

fn noon() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("a time")
}

fn job(name: &str, schedule: ScheduleSpec, enabled: bool) -> Arc<Job> {
    let mut spec = JobSpec::named(name.parse().expect("a name"));
    spec.schedules = vec![schedule];
    spec.enabled = enabled;
    Arc::new(Job {
        spec: Arc::new(spec),
        bundle: Arc::new(Bundle::new(vec![])),
        file: format!("{name}.lua"),
        loaded_at: noon(),
        enabled_override: None,
    })
}

fn every(seconds: u64) -> ScheduleSpec {
    ScheduleSpec::new(Rule::Every { interval: Duration::from_secs(seconds) })
}

impl Bench {
    #[expect(clippy::disallowed_methods, reason = "a test owns its one task")]
    fn start(jobs: Vec<Arc<Job>>, settled: Settled) -> Self {
        let (clock, hand) = Clock::fake(noon());
        let registry = Registry::default();
        registry.update(|snapshot| snapshot.jobs = jobs.into_iter().map(|job| (job.spec.name.clone(), job)).collect());
        let desk = Arc::new(Recorder::default());
        let schedule = Schedule { registry: registry.clone(), desk: desk.clone(), clock, settled };
        let stop = CancellationToken::new();
        let task = tokio::spawn(schedule.run(stop.clone()));
        Self { desk, registry, hand, stop, task }
    }

    /// Lets everything that can go on go on.
    async fn settle(&self) {
        for _ in 0..2_000 {
            tokio::task::yield_now().await;
        }
    }

    async fn advance(&self, seconds: u64) {
        self.settle().await;
        self.hand.advance(Duration::from_secs(seconds));
        self.settle().await;
    }

    fn states(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for row in self.desk.rows.lock().unwrap().iter() {
            *counts.entry(row.state.as_str()).or_default() += 1;
        }
        counts
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("no error");
    }
}

#[tokio::test]
async fn a_thousand_due_in_one_second_all_fire_once() {
    let jobs = (0..1_000).map(|n| job(&format!("j{n}"), every(60), true)).collect();
    let bench = Bench::start(jobs, Settled::new());
    bench.advance(59).await;
    assert_eq!(bench.states(), BTreeMap::new());
    bench.advance(1).await;
    assert_eq!(bench.states(), BTreeMap::from([("fired", 1_000)]));
    bench.end().await;
}

#[tokio::test]
async fn busy_and_disabled_jobs_get_their_rows() {
    let bench = Bench::start(vec![job("busy", every(60), true), job("off", every(60), false)], Settled::new());
    bench.desk.busy.lock().unwrap().insert("busy".parse().unwrap());
    bench.advance(60).await;
    assert_eq!(bench.states(), BTreeMap::from([("held", 1), ("skipped_overlap", 1)]));
    let rows = bench.desk.rows.lock().unwrap().clone();
    assert!(rows.iter().all(|row| row.reason.is_some()), "{rows:?}");
    bench.end().await;
}

#[tokio::test]
async fn a_clock_set_back_fires_nothing_twice_and_goes_on() {
    let bench = Bench::start(vec![job("tick", every(60), true)], Settled::new());
    for _ in 0..5 {
        bench.advance(60).await;
    }
    assert_eq!(bench.states(), BTreeMap::from([("fired", 5)]));
    bench.hand.set(noon());
    bench.settle().await;
    for _ in 0..6 {
        bench.advance(60).await;
    }
    assert_eq!(bench.states(), BTreeMap::from([("fired", 6)]));
    bench.end().await;
}

#[tokio::test]
async fn a_clock_set_years_ahead_by_mistake_does_not_stop_the_schedule() {
    let bench = Bench::start(vec![job("tick", every(60), true)], Settled::new());
    bench.advance(5 * 365 * 86_400).await;
    bench.hand.set(noon());
    bench.settle().await;
    bench.advance(60).await;
    let rows = bench.desk.rows.lock().unwrap().clone();
    let minute = later(noon(), Duration::from_secs(60));
    assert!(rows.iter().any(|row| row.scheduled_for == minute), "{} rows", rows.len());
    bench.end().await;
}

#[tokio::test]
async fn an_absence_is_accounted_for_by_policy() {
    let hour_ago: Timestamp = "2026-03-01T11:00:00Z".parse().unwrap();
    let catching_up = ScheduleSpec { catch_up: CatchUp::Latest, ..every(600) };
    let jobs = vec![job("none", every(600), true), job("latest", catching_up, true)];
    let names = ["none", "latest", "gone"].map(|name| (name.parse().unwrap(), hour_ago));
    let bench = Bench::start(jobs, Settled::from(names));
    bench.settle().await;
    // Due at 11:10 … 12:00; the last of them is due right now and on time for both.
    assert_eq!(bench.states(), BTreeMap::from([("fired", 2), ("missed", 10)]));
    bench.end().await;
}

#[tokio::test]
async fn a_reload_keeps_the_place_of_what_did_not_change() {
    let bench = Bench::start(vec![job("tick", every(60), true)], Settled::new());
    bench.advance(30).await;
    bench.registry.update(|snapshot| {
        snapshot.jobs =
            [job("tick", every(60), true), job("new", every(20), true)].map(|job| (job.spec.name.clone(), job)).into();
    });
    bench.advance(30).await;
    let rows = bench.desk.rows.lock().unwrap().clone();
    let of = |name: &str| rows.iter().filter(|row| row.job.as_str() == name).count();
    assert_eq!((of("tick"), of("new")), (1, 2));
    bench.registry.update(|snapshot| snapshot.jobs.clear());
    bench.advance(600).await;
    assert_eq!(bench.desk.rows.lock().unwrap().len(), 3);
    bench.end().await;
}

#[tokio::test]
async fn a_store_that_is_away_delays_but_loses_nothing() {
    let bench = Bench::start(vec![job("tick", every(60), true)], Settled::new());
    *bench.desk.outages.lock().unwrap() = 3;
    bench.advance(60).await;
    assert_eq!(bench.states(), BTreeMap::new());
    for _ in 0..3 {
        bench.advance(1).await;
    }
    assert_eq!(bench.desk.rows.lock().unwrap()[0].scheduled_for, later(noon(), Duration::from_secs(60)));
    assert_eq!(bench.desk.rows.lock().unwrap()[0].state, OccurrenceState::Fired);
    bench.end().await;
}
