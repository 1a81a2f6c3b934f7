//! Speed of schedule arithmetic: single due times, and the forecast of a month for 1,000 jobs.
//!
//! `cargo bench --bench schedule`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints and may panic")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aegis::base::{JobName, Timestamp};
use aegis::jobs::{Job, Registry};
use aegis::lua::Bundle;
use aegis::model::JobSpec;
use aegis::model::schedule::{Merge, Rule, ScheduleSpec};

const JOBS: usize = 1_000;
const MEASURED_FOR: Duration = Duration::from_millis(500);

fn cron(expression: &str, timezone: &str) -> ScheduleSpec {
    ScheduleSpec::new(Rule::Cron { expression: expression.into(), timezone: timezone.into() })
}

fn every(seconds: u64) -> ScheduleSpec {
    ScheduleSpec::new(Rule::Every { interval: Duration::from_secs(seconds) })
}

/// Does `work` for a while; gives how often a second it was done.
fn rate(mut work: impl FnMut()) -> f64 {
    let began = Instant::now();
    let mut count = 0_u64;
    while began.elapsed() < MEASURED_FOR {
        for _ in 0..64 {
            work();
        }
        count += 64;
    }
    count as f64 / began.elapsed().as_secs_f64()
}

fn main() {
    let job: JobName = "bench".parse().expect("a name");
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let schedules = [
        ("every 30s", every(30)),
        ("every 30s, jitter", ScheduleSpec { jitter: Duration::from_secs(5), ..every(30) }),
        ("*/5 * * * * UTC", cron("*/5 * * * *", "UTC")),
        ("30 2 * * * Europe/Berlin", cron("30 2 * * *", "Europe/Berlin")),
        ("*/30 * * * * America/New_York", cron("*/30 * * * *", "America/New_York")),
        ("0 3 * * SUN#1 Europe/Berlin", cron("0 3 * * SUN#1", "Europe/Berlin")),
        ("0 0 29 2 * UTC", cron("0 0 29 2 *", "UTC")),
    ];
    println!("{:<34} {:>14} {:>14}", "schedule", "due times/s", "plans/s");
    for (name, schedule) in &schedules {
        let plan = schedule.plan(&job).expect("valid");
        let mut at = start;
        let dues = rate(|| at = black_box(plan.next_after(at)).map_or(start, |due| due.scheduled_for));
        let plans = rate(|| drop(black_box(schedule.plan(&job))));
        println!("{name:<34} {dues:>14.0} {plans:>14.0}");
    }
    month(start);
}

fn month(start: Timestamp) {
    let registry = Registry::default();
    registry.update(|snapshot| {
        for number in 0..JOBS {
            let name: JobName = format!("job{number:04}").parse().expect("a name");
            let schedule = match number % 4 {
                0 => every(300 + number as u64),
                1 => cron(&format!("{} * * * *", number % 60), "UTC"),
                2 => cron(&format!("{} {} * * *", number % 60, number % 24), "Europe/Berlin"),
                _ => cron("0 6 * * MON-FRI", "America/New_York"),
            };
            let spec = JobSpec { schedules: vec![schedule], ..JobSpec::named(name.clone()) };
            let file = format!("{name}.lua");
            let bundle = Arc::new(Bundle::new(vec![(file.clone(), String::new())]));
            let (spec, enabled_override) = (Arc::new(spec), None);
            let job = Job { spec, bundle, file, loaded_at: start, enabled_override, held: false };
            snapshot.jobs.insert(name, Arc::new(job));
        }
    });
    let snapshot = registry.snapshot();
    let end = start + Duration::from_secs(31 * 86_400);
    let schedules =
        || snapshot.jobs.iter().flat_map(|(name, job)| job.spec.schedules.iter().map(move |one| (name, one)));
    let began = Instant::now();
    let plans: Vec<_> = schedules().map(|(name, schedule)| schedule.plan(name).expect("valid")).collect();
    println!("planning {JOBS} jobs: {:?}", began.elapsed());
    let began = Instant::now();
    let rows = Merge::new(&plans, start).take_while(|found| found.due.scheduled_for < end).count();
    println!("31 days of {JOBS} jobs: {rows} due times in order, {:?}", began.elapsed());
    let began = Instant::now();
    let plans: Vec<_> = schedules().map(|(name, schedule)| schedule.plan(name).expect("valid")).collect();
    let first = Merge::new(&plans, start).take(100).count();
    println!("the first {first} of them, planning included: {:?}", began.elapsed());
}
