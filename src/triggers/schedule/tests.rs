//! The loop under a clock that is turned by hand.

use std::collections::{BTreeMap, BTreeSet, HashSet};
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
use crate::model::{Absence, Calendar, Calendars, JobSpec, NewEvent, Occurrence, OccurrenceState};
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
    /// Submissions of all kinds, whatever became of them.
    submitted: Mutex<usize>,
    marks: Mutex<Settled>,
    /// As the store would write them.
    alerts: Mutex<Vec<NewEvent>>,
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
            *self.submitted.lock().unwrap() += 1;
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

    fn miss(&self, absence: Absence) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move {
            let new: Vec<&Occurrence> = absence.missed.iter().filter(|row| self.record((*row).clone())).collect();
            self.alerts.lock().unwrap().extend(absence.event(&new, noon()));
            Ok(new.len() as u64)
        }
        .boxed()
    }

    fn mark(&self, jobs: Vec<JobName>, until: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.marks.lock().unwrap().extend(jobs.into_iter().map(|job| (job, until)));
            Ok(())
        }
        .boxed()
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

pub fn at(text: &str) -> Timestamp {
    format!("2026-03-01T{text}Z").parse().expect("a time")
}

pub fn cron(expression: &str) -> ScheduleSpec {
    ScheduleSpec::new(Rule::Cron { expression: expression.into(), timezone: "UTC".into() })
}

fn job(name: &str, schedule: ScheduleSpec, enabled: bool) -> Arc<Job> {
    with_schedules(name, vec![schedule], enabled)
}

pub fn with_schedules(name: &str, schedules: Vec<ScheduleSpec>, enabled: bool) -> Arc<Job> {
    let mut spec = JobSpec::named(name.parse().expect("a name"));
    spec.schedules = schedules;
    spec.enabled = enabled;
    Arc::new(Job {
        spec: Arc::new(spec),
        bundle: Arc::new(Bundle::new(vec![])),
        file: format!("{name}.lua"),
        loaded_at: noon(),
        enabled_override: None,
        held: false,
    })
}

fn every(seconds: u64) -> ScheduleSpec {
    ScheduleSpec::new(Rule::Every { interval: Duration::from_secs(seconds) })
}

impl Bench {
    fn start(jobs: Vec<Arc<Job>>, settled: Settled) -> Self {
        Self::start_at(noon(), jobs, settled)
    }

    fn start_at(now: Timestamp, jobs: Vec<Arc<Job>>, settled: Settled) -> Self {
        Self::start_with(now, jobs, settled, Calendars::default())
    }

    #[expect(clippy::disallowed_methods, reason = "a test owns its one task")]
    fn start_with(now: Timestamp, jobs: Vec<Arc<Job>>, settled: Settled, calendars: Calendars) -> Self {
        let (clock, hand) = Clock::fake(now);
        let registry = Registry::default();
        registry.update(|snapshot| snapshot.jobs = jobs.into_iter().map(|job| (job.spec.name.clone(), job)).collect());
        let desk = Arc::new(Recorder::default());
        let calendars = Arc::new(calendars);
        let schedule = Schedule { registry: registry.clone(), desk: desk.clone(), clock, settled, calendars };
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

    /// What was recorded: `HH:MM` and the state.
    fn rows(&self) -> BTreeSet<(String, &'static str)> {
        let rows = self.desk.rows.lock().unwrap();
        rows.iter().map(|row| (row.scheduled_for.to_string()[11..16].to_owned(), row.state.as_str())).collect()
    }

    /// Stops it and returns the mark that it left behind.
    async fn end(self) -> Settled {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("no error");
        self.desk.marks.lock().unwrap().clone()
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
    let told = |event: &NewEvent| (event.job.as_ref().map(ToString::to_string), event.data["count"].as_u64());
    let told: Vec<_> = bench.desk.alerts.lock().unwrap().iter().map(told).collect();
    assert_eq!(told, [(Some("latest".to_owned()), Some(5)), (Some("none".to_owned()), Some(5))]);
    bench.end().await;
}

#[tokio::test]
async fn each_absence_is_told_of_once_with_its_cause_and_what_was_caught_up() {
    let job = || vec![with_schedules("nightly", vec![cron("*/10 * * * *")], true)];
    let settled = Settled::from([("nightly".parse().unwrap(), at("11:00:00"))]);
    let bench = Bench::start_at(at("11:35:00"), job(), settled);
    bench.settle().await;
    // The machine sleeps for two hours.
    bench.advance(7_200).await;
    let told = bench.desk.alerts.lock().unwrap().clone();
    let shown: Vec<String> = told.iter().map(|event| event.data["text"].as_str().unwrap().to_owned()).collect();
    let expected = [
        "2 due times (2026-03-01T11:10:00Z to 2026-03-01T11:20:00Z) were missed: no daemon kept the schedule; 1 was \
         caught up",
        "11 due times (2026-03-01T11:40:00Z to 2026-03-01T13:20:00Z) were missed: the machine slept, the daemon stood \
         still or the clock was set forward; 1 was caught up",
    ];
    assert_eq!(shown, expected);
    assert_eq!(bench.states(), BTreeMap::from([("fired", 2), ("missed", 13)]));
    // The next daemon looks back further than needed; what has its row is not told of again.
    let (rows, seen) = (bench.desk.rows.lock().unwrap().clone(), bench.desk.seen.lock().unwrap().clone());
    bench.end().await;
    let settled = Settled::from([("nightly".parse().unwrap(), at("11:00:00"))]);
    let bench = Bench::start_at(at("13:39:00"), job(), settled);
    *bench.desk.rows.lock().unwrap() = rows;
    *bench.desk.seen.lock().unwrap() = seen;
    bench.settle().await;
    assert_eq!(bench.states(), BTreeMap::from([("fired", 2), ("missed", 13)]));
    assert!(bench.desk.alerts.lock().unwrap().is_empty());
    bench.end().await;
}

#[tokio::test]
async fn what_a_disabled_job_lets_pass_is_held_and_no_alert() {
    let settled = Settled::from([("off".parse().unwrap(), at("11:00:00"))]);
    let bench = Bench::start(vec![job("off", every(600), false)], settled);
    bench.settle().await;
    assert_eq!(bench.states(), BTreeMap::from([("held", 6)]));
    assert!(bench.desk.alerts.lock().unwrap().is_empty());
    bench.end().await;
}

#[tokio::test]
async fn closed_times_are_held_also_when_catching_up() {
    let lunch = Calendar::new("UTC", [], [("30 12 * * *".to_owned(), Duration::from_secs(3_600))]).unwrap();
    let calendars = || [("lunch".to_owned(), lunch.clone())].into_iter().collect::<Calendars>();
    let hourly = ScheduleSpec { skip: vec!["lunch".into()], ..cron("0 * * * *") };
    let job = || vec![with_schedules("report", vec![hourly.clone()], true)];
    let bench = Bench::start_with(noon(), job(), Settled::new(), calendars());
    for _ in 0..3 {
        bench.advance(3_600).await;
    }
    let there =
        BTreeSet::from([("13:00", "held"), ("14:00", "fired"), ("15:00", "fired")].map(|(at, s)| (at.to_owned(), s)));
    assert_eq!(bench.rows(), there);
    let reason = bench.desk.rows.lock().unwrap()[0].reason.clone();
    assert_eq!(reason.as_deref(), Some("the calendar \"lunch\" is closed"));
    bench.end().await;
    // After an absence the latest that is open is caught up, and the alert counts none that is held.
    let settled = Settled::from([("report".parse().unwrap(), at("10:30:00"))]);
    let bench = Bench::start_with(at("13:20:00"), job(), settled, calendars());
    bench.settle().await;
    let away =
        BTreeSet::from([("11:00", "missed"), ("12:00", "fired"), ("13:00", "held")].map(|(at, s)| (at.to_owned(), s)));
    assert_eq!(bench.rows(), away);
    assert_eq!(bench.desk.alerts.lock().unwrap()[0].data["count"], 1);
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

#[tokio::test]
async fn two_schedules_due_at_once_are_one_due_time() {
    let both = with_schedules("both", vec![cron("0 * * * *"), cron("0 13 * * *")], true);
    let bench = Bench::start(vec![both], Settled::new());
    bench.advance(3_600).await;
    assert_eq!(bench.rows(), BTreeSet::from([("13:00".to_owned(), "fired")]));
    assert_eq!(*bench.desk.submitted.lock().unwrap(), 1, "the second would be in the way of the first");
    bench.end().await;
}

#[tokio::test]
async fn of_two_schedules_the_one_that_catches_up_has_its_way() {
    let none = ScheduleSpec { catch_up: CatchUp::None, ..cron("0 * * * *") };
    let both = with_schedules("both", vec![none, cron("0 12 * * *")], true);
    let settled = || Settled::from([("both".parse().unwrap(), at("10:30:00"))]);
    let bench = Bench::start_at(at("12:30:00"), vec![both], settled());
    bench.settle().await;
    assert_eq!(bench.rows(), BTreeSet::from([("11:00".to_owned(), "missed"), ("12:00".to_owned(), "fired")]));
    bench.end().await;
    // The second one has jitter and is yet to come; the first one must not take its due time away.
    let strict = ScheduleSpec { catch_up: CatchUp::None, ..cron("0 * * * *") };
    let jittered = ScheduleSpec { jitter: Duration::from_secs(3_000), ..cron("0 12 * * *") };
    let both = with_schedules("both", vec![strict, jittered], true);
    let bench = Bench::start_at(at("12:00:20"), vec![both], settled());
    bench.settle().await;
    assert_eq!(bench.rows(), BTreeSet::from([("11:00".to_owned(), "missed")]));
    bench.advance(3_000).await;
    assert!(bench.rows().contains(&("12:00".to_owned(), "fired")), "{:?}", bench.rows());
    bench.end().await;
}

/// Due on the hour, fires some minutes later.
fn jittered() -> Arc<Job> {
    let spec = ScheduleSpec { jitter: Duration::from_secs(600), ..every(3_600) };
    let due = spec.next_after(&"slow".parse().unwrap(), at("11:59:59")).expect("due");
    assert!(due.scheduled_for == noon() && due.fire_at > at("12:01:00"), "{due:?}");
    job("slow", spec, true)
}

#[tokio::test]
async fn a_stop_within_the_jitter_leaves_the_due_time_open() {
    let bench = Bench::start_at(at("11:30:00"), vec![jittered()], Settled::new());
    bench.advance(1_800 + 30).await;
    let settled = bench.end().await;
    assert!(settled.values().all(|until| *until < noon()), "{settled:?}");
    let bench = Bench::start_at(at("12:00:45"), vec![jittered()], settled);
    for _ in 0..60 {
        bench.advance(10).await;
    }
    assert_eq!(bench.rows(), BTreeSet::from([("12:00".to_owned(), "fired")]));
    let settled = bench.end().await;
    assert_eq!(settled.into_values().collect::<Vec<_>>(), [at("12:10:45")]);
}

#[tokio::test]
async fn what_waits_for_its_jitter_survives_a_clock_step_and_a_changed_schedule() {
    let bench = Bench::start_at(at("11:30:00"), vec![jittered()], Settled::new());
    bench.advance(1_800 + 40).await;
    bench.hand.set(at("12:00:20"));
    bench.settle().await;
    let mut spec = (*jittered().spec).clone();
    spec.schedules[0].catch_up = CatchUp::Latest;
    spec.schedules.push(every(7_200));
    let changed = Arc::new(Job { spec: Arc::new(spec), ..(*jittered()).clone() });
    bench.registry.update(|snapshot| drop(snapshot.jobs.insert(changed.spec.name.clone(), changed)));
    bench.advance(600).await;
    assert_eq!(bench.rows(), BTreeSet::from([("12:00".to_owned(), "fired")]));
    bench.end().await;
}

#[tokio::test]
async fn what_is_on_its_way_is_not_marked_as_settled() {
    let bench = Bench::start(vec![job("tick", every(60), true)], Settled::new());
    *bench.desk.outages.lock().unwrap() = u32::MAX;
    for _ in 0..5 {
        bench.advance(60).await;
    }
    let name: JobName = "tick".parse().unwrap();
    let marked = bench.desk.marks.lock().unwrap().get(&name).copied().expect("a mark each minute");
    assert!(marked < at("12:01:00"), "{marked}");
    let settled = bench.end().await;
    assert!(settled[&name] < at("12:01:00"), "{settled:?}");
    let bench = Bench::start_at(at("12:05:30"), vec![job("tick", every(60), true)], settled);
    bench.settle().await;
    assert_eq!(bench.states(), BTreeMap::from([("missed", 5)]));
    bench.end().await;
}

#[tokio::test]
async fn a_mark_in_the_future_does_not_silence_a_job() {
    let settled = Settled::from([("tick".parse().unwrap(), later(noon(), Duration::from_secs(7_200)))]);
    let bench = Bench::start(vec![job("tick", every(60), true)], settled);
    bench.advance(60).await;
    assert_eq!(bench.states(), BTreeMap::from([("fired", 1)]));
    bench.end().await;
}

#[tokio::test]
async fn a_job_that_appears_late_catches_up_once() {
    let settled = Settled::from([("late".parse().unwrap(), at("10:30:00"))]);
    let bench = Bench::start_at(at("12:30:00"), Vec::new(), settled);
    bench.settle().await;
    let late = job("late", cron("0 * * * *"), true);
    bench.registry.update(|snapshot| drop(snapshot.jobs.insert(late.spec.name.clone(), late.clone())));
    bench.settle().await;
    let caught_up = BTreeSet::from([("11:00".to_owned(), "missed"), ("12:00".to_owned(), "fired")]);
    assert_eq!(bench.rows(), caught_up);
    bench.registry.update(|snapshot| snapshot.jobs.clear());
    bench.settle().await;
    bench.registry.update(|snapshot| drop(snapshot.jobs.insert(late.spec.name.clone(), late)));
    bench.settle().await;
    assert_eq!(*bench.desk.submitted.lock().unwrap(), 1);
    bench.end().await;
}
