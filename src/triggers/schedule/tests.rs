//! The loop on a clock that is turned by hand, with a recorder in the place of runner and store.

#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::base::{Clock, FakeClock, JobName, RunId, Timestamp};
use crate::jobs::{Job, Registry};
use crate::lua::Bundle;
use crate::model::schedule::{CatchUp, Rule, ScheduleSpec};
use crate::model::{JobSpec, NewEvent, Occurrence, OccurrenceState};
use crate::runner::{Submission, SubmitError, SubmitRequest};
use crate::store::StoreError;

/// Keeps the store's promise that an occurrence is settled once.
#[derive(Debug, Default)]
struct Record {
    rows: Vec<Occurrence>,
    known: BTreeSet<(JobName, Timestamp)>,
    /// Submissions that were refused because their occurrence was settled.
    again: usize,
    skip: BTreeSet<JobName>,
    /// So many submissions fail first.
    outages: usize,
    until: BTreeMap<JobName, Timestamp>,
}

#[derive(Debug, Clone, Default)]
struct Recorder(Arc<Mutex<Record>>);

impl Recorder {
    fn with<T>(&self, look: impl FnOnce(&mut Record) -> T) -> T {
        look(&mut self.0.lock().expect("not poisoned"))
    }

    fn keep(&self, occurrence: Occurrence) -> bool {
        self.with(|record| {
            let new = record.known.insert((occurrence.job.clone(), occurrence.scheduled_for));
            if new {
                record.rows.push(occurrence);
            }
            new
        })
    }
}

impl Submit for Recorder {
    async fn submit(&self, request: SubmitRequest) -> Result<Submission, SubmitError> {
        let failing = self.with(|record| {
            record.outages = record.outages.saturating_sub(1);
            record.outages > 0
        });
        if failing {
            return Err(SubmitError::Store(StoreError::DiskFull));
        }
        if self.with(|record| record.skip.contains(&request.job)) {
            return Ok(Submission::Skipped { reason: "it is still running".into() });
        }
        let occurrence = request.occurrence.expect("a schedule's wish has one");
        assert_eq!(request.trigger.scheduled_for, Some(occurrence.scheduled_for));
        if self.keep(occurrence) {
            return Ok(Submission::Accepted { run: RunId::generate(), existing: false });
        }
        self.with(|record| record.again += 1);
        Ok(Submission::AlreadySettled)
    }
}

impl Ledger for Recorder {
    async fn settle(&self, occurrence: Occurrence, events: Vec<NewEvent>) -> Result<bool, StoreError> {
        assert_eq!(events[0].kind, format!("occurrence.{}", occurrence.state.as_str()));
        Ok(self.keep(occurrence))
    }

    async fn settled_until(&self) -> Result<BTreeMap<JobName, Timestamp>, StoreError> {
        Ok(self.with(|record| record.until.clone()))
    }

    async fn set_settled_until(&self, jobs: Vec<JobName>, until: Timestamp) -> Result<(), StoreError> {
        self.with(|record| record.until.extend(jobs.into_iter().map(|job| (job, until))));
        Ok(())
    }
}

/// A running scheduler, at 12:00:00 on a Sunday in UTC.
struct Bench {
    registry: Registry,
    recorder: Recorder,
    hand: FakeClock,
    stats: Arc<Stats>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), StoreError>>,
}

fn name(text: &str) -> JobName {
    text.parse().expect("a name")
}

fn at(text: &str) -> Timestamp {
    format!("2026-03-01T{text}Z").parse().expect("a time")
}

fn every(seconds: u64) -> ScheduleSpec {
    ScheduleSpec::new(Rule::Every { interval: Duration::from_secs(seconds) })
}

fn put(registry: &Registry, text: &str, schedules: Vec<ScheduleSpec>, enabled: bool) {
    let spec = Arc::new(JobSpec { schedules, enabled, ..JobSpec::named(name(text)) });
    let bundle = Arc::new(Bundle::new(vec![(format!("{text}.lua"), String::new())]));
    let file = format!("{text}.lua");
    let job = Job { spec, bundle, file, loaded_at: at("12:00:00"), enabled_override: None };
    registry.update(|snapshot| drop(snapshot.jobs.insert(name(text), Arc::new(job))));
}

impl Bench {
    fn start(registry: Registry, recorder: Recorder) -> Self {
        let (clock, hand) = Clock::fake(at("12:00:00"));
        let (submit, ledger) = (recorder.clone(), recorder.clone());
        let (scheduler, stats) = Scheduler::new(Options { registry: registry.clone(), submit, ledger, clock });
        let stop = CancellationToken::new();
        let task = tokio::spawn(scheduler.run(stop.clone()));
        Self { registry, recorder, hand, stats, stop, task }
    }

    fn with(schedules: &[(&str, ScheduleSpec)]) -> Self {
        let registry = Registry::default();
        for (job, schedule) in schedules {
            put(&registry, job, vec![schedule.clone()], true);
        }
        Self::start(registry, Recorder::default())
    }

    /// Lets everything happen that can happen without the clock.
    async fn settle(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    async fn turn_to(&self, text: &str) {
        self.settle().await;
        self.hand.set(at(text));
        self.settle().await;
    }

    /// `HH:MM:SS state` of each row, in the order in which they were recorded.
    fn rows(&self, job: &str) -> Vec<String> {
        self.recorder.with(|record| {
            let of_job = record.rows.iter().filter(|row| row.job.as_str() == job);
            of_job.map(|row| format!("{} {}", row.scheduled_for.strftime("%T"), row.state.as_str())).collect()
        })
    }

    async fn end(self) -> Recorder {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("no error");
        self.recorder
    }
}

#[tokio::test]
async fn a_due_time_fires_at_its_moment_and_not_before() {
    let bench = Bench::with(&[("sweep", every(60))]);
    bench.settle().await;
    bench.hand.advance(Duration::from_micros(59_999_999));
    bench.settle().await;
    assert!(bench.rows("sweep").is_empty());
    bench.turn_to("12:01:00").await;
    bench.turn_to("12:02:00.004").await;
    assert_eq!(bench.rows("sweep"), ["12:01:00 fired", "12:02:00 fired"]);
    let lateness = bench.stats.lateness();
    assert_eq!((lateness.count, lateness.max), (2, Duration::from_millis(4)));
    let until = bench.end().await.with(|record| record.until.clone());
    assert_eq!(until[&name("sweep")], at("12:02:00.004"));
}

#[tokio::test]
async fn jitter_moves_the_moment_and_not_the_identity() {
    let mut schedule = every(60);
    schedule.jitter = Duration::from_secs(30);
    let due = schedule.next_after(&name("sweep"), at("12:00:00")).expect("due");
    assert!(due.fire_at > due.scheduled_for);
    let bench = Bench::with(&[("sweep", schedule)]);
    bench.turn_to("12:01:00").await;
    assert!(bench.rows("sweep").is_empty());
    bench.hand.set(due.fire_at);
    bench.settle().await;
    assert_eq!(bench.rows("sweep"), ["12:01:00 fired"]);
    assert_eq!(bench.stats.lateness().max, Duration::ZERO);
}

#[tokio::test]
async fn what_cannot_run_is_recorded_with_its_reason() {
    let bench = Bench::with(&[("busy", every(60)), ("off", every(60))]);
    put(&bench.registry, "off", vec![every(60)], false);
    bench.recorder.with(|record| record.skip.insert(name("busy")));
    bench.turn_to("12:01:00").await;
    assert_eq!(bench.rows("busy"), ["12:01:00 skipped_overlap"]);
    assert_eq!(bench.rows("off"), ["12:01:00 held"]);
    let reasons: Vec<_> =
        bench.recorder.with(|record| record.rows.iter().filter_map(|row| row.reason.clone()).collect());
    assert!(reasons.contains(&"it is still running".to_owned()) && reasons.contains(&"the job is disabled".to_owned()));
}

#[tokio::test]
async fn a_reload_changes_what_is_waited_for() {
    let bench = Bench::with(&[("sweep", every(3_600)), ("gone", every(60))]);
    bench.settle().await;
    put(&bench.registry, "sweep", vec![every(30)], true);
    bench.registry.update(|snapshot| drop(snapshot.jobs.remove(&name("gone"))));
    bench.turn_to("12:00:30").await;
    // The same schedules in a new version keep their place.
    put(&bench.registry, "sweep", vec![every(30)], true);
    bench.turn_to("12:01:00").await;
    assert_eq!(bench.rows("sweep"), ["12:00:30 fired", "12:01:00 fired"]);
    assert!(bench.rows("gone").is_empty());
}

#[tokio::test]
async fn a_clock_set_forward_catches_up_as_the_schedule_says() {
    let daily = ScheduleSpec::new(Rule::Cron { expression: "*/10 * * * *".into(), timezone: "UTC".into() });
    let all = ScheduleSpec { catch_up: CatchUp::All, ..every(600) };
    let bench = Bench::with(&[("none", every(600)), ("latest", daily), ("all", all)]);
    bench.turn_to("12:35:00").await;
    assert_eq!(bench.rows("none"), ["12:10:00 missed", "12:20:00 missed", "12:30:00 missed"]);
    assert_eq!(bench.rows("latest"), ["12:10:00 missed", "12:20:00 missed", "12:30:00 fired"]);
    assert_eq!(bench.rows("all"), ["12:10:00 fired", "12:20:00 fired", "12:30:00 fired"]);
    assert_eq!(bench.stats.lateness().count, 0, "a jump is not lateness");
    bench.turn_to("12:40:00").await;
    assert_eq!(bench.rows("none").last().map(String::as_str), Some("12:40:00 fired"));
}

#[tokio::test]
async fn a_clock_set_back_fires_nothing_twice_and_does_not_stop() {
    let bench = Bench::with(&[("sweep", every(60))]);
    bench.turn_to("12:01:00").await;
    bench.turn_to("12:02:00").await;
    bench.turn_to("10:30:30").await;
    // The hours before were never fired: they are due now.
    bench.turn_to("10:31:00").await;
    bench.hand.set(at("12:01:00"));
    bench.settle().await;
    bench.turn_to("12:02:00").await;
    bench.turn_to("12:03:00").await;
    let rows = bench.rows("sweep");
    for time in ["12:01:00", "12:02:00", "10:31:00", "12:03:00"] {
        assert_eq!(
            rows.iter().filter(|row| row.starts_with(time) && row.ends_with("fired")).count(),
            1,
            "{time}: {rows:?}"
        );
    }
    assert!(bench.recorder.with(|record| record.again) >= 1, "the guard was not asked");
}

#[tokio::test]
async fn a_thousand_due_times_in_one_second_all_fire_once_in_order() {
    let registry = Registry::default();
    for number in 0..1_000 {
        put(&registry, &format!("job{number:04}"), vec![every(60)], true);
    }
    let bench = Bench::start(registry, Recorder::default());
    bench.turn_to("12:01:00").await;
    while bench.recorder.with(|record| record.rows.len()) < 1_000 {
        tokio::task::yield_now().await;
    }
    bench.settle().await;
    let record = bench.end().await;
    record.with(|record| {
        assert_eq!((record.rows.len(), record.again), (1_000, 0));
        let jobs: Vec<_> = record.rows.iter().map(|row| row.job.as_str()).collect();
        assert!(jobs.is_sorted());
        assert!(record.rows.iter().all(|row| row.state == OccurrenceState::Fired));
    });
}

#[tokio::test]
async fn due_times_without_a_daemon_are_missed_or_caught_up() {
    let registry = Registry::default();
    let hourly = ScheduleSpec::new(Rule::Cron { expression: "0 * * * *".into(), timezone: "UTC".into() });
    put(&registry, "hourly", vec![hourly.clone()], true);
    put(&registry, "new", vec![hourly], true);
    put(&registry, "interval", vec![every(3_600)], true);
    let recorder = Recorder::default();
    let until = BTreeMap::from([(name("hourly"), at("09:30:00")), (name("interval"), at("09:30:00"))]);
    recorder.with(|record| record.until = until);
    let bench = Bench::start(registry, recorder);
    bench.settle().await;
    assert_eq!(bench.rows("hourly"), ["10:00:00 missed", "11:00:00 missed", "12:00:00 fired"]);
    assert_eq!(bench.rows("interval"), ["10:00:00 missed", "11:00:00 missed", "12:00:00 fired"]);
    assert!(bench.rows("new").is_empty(), "nobody waited for it yet");
    assert_eq!(bench.recorder.with(|record| record.until[&name("new")]), at("12:00:00"));
}

#[tokio::test]
async fn a_full_disk_delays_a_due_time_and_does_not_lose_it() {
    let bench = Bench::with(&[("sweep", every(60))]);
    bench.recorder.with(|record| record.outages = 3);
    bench.turn_to("12:01:00").await;
    assert!(bench.rows("sweep").is_empty());
    bench.turn_to("12:01:01").await;
    bench.turn_to("12:01:02").await;
    assert_eq!(bench.rows("sweep"), ["12:01:00 fired"]);
}

#[tokio::test]
async fn what_could_not_be_stored_is_left_to_the_next_start() {
    let bench = Bench::with(&[("sweep", every(60)), ("other", every(7_200))]);
    bench.recorder.with(|record| record.outages = usize::MAX);
    bench.turn_to("12:01:00").await;
    let until = bench.end().await.with(|record| record.until.clone());
    assert_eq!(until[&name("sweep")], at("12:00:00"), "as it was when the job appeared");
    assert_eq!(until[&name("other")], at("12:01:00"));
}

#[tokio::test]
async fn two_schedules_due_together_are_one_due_time() {
    let registry = Registry::default();
    put(&registry, "sweep", vec![every(60), every(120)], true);
    let bench = Bench::start(registry, Recorder::default());
    for time in ["12:01:00", "12:02:00", "12:03:00", "12:04:00"] {
        bench.turn_to(time).await;
    }
    assert_eq!(bench.rows("sweep").len(), 4);
    assert_eq!(bench.recorder.with(|record| record.again), 0);
    let found = forecast(&bench.registry.snapshot(), at("12:05:00"), at("12:09:00"), None, 100);
    let times: Vec<_> = found.iter().map(|row| row.scheduled_for).collect();
    assert_eq!(times, [at("12:05:00"), at("12:06:00"), at("12:07:00"), at("12:08:00")]);
}

#[test]
fn a_forecast_is_in_order_and_bounded() {
    let registry = Registry::default();
    put(&registry, "a", vec![every(60)], true);
    put(&registry, "b", vec![every(90)], false);
    let snapshot = registry.snapshot();
    let rows = |job: Option<&JobName>, limit| {
        let found = forecast(&snapshot, at("12:00:00"), at("12:04:00"), job, limit);
        found
            .iter()
            .map(|row| format!("{} {} {}", row.scheduled_for.strftime("%T"), row.job, row.held))
            .collect::<Vec<_>>()
    };
    let all = [
        "12:00:00 a false",
        "12:00:00 b true",
        "12:01:00 a false",
        "12:01:30 b true",
        "12:02:00 a false",
        "12:03:00 a false",
        "12:03:00 b true",
    ];
    assert_eq!(rows(None, 100), all);
    assert_eq!(rows(None, 2), all[..2]);
    assert_eq!(rows(Some(&name("b")), 100), [all[1], all[3], all[6]]);
}
