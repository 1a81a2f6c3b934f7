//! The runner's core, the timetable and the rules of recovery and leases, driven through histories with crashes, stopped
//! processes, clock jumps and a store that fails before and after its commits. A seed is a history; a failing one is
//! repeated with `AEGIS_SIM_SEED`.

mod books;
mod dice;
mod due;
mod world;

use std::sync::Arc;
use std::time::Duration;

use crate::base::Timestamp;
use crate::base::clock::later;
use crate::jobs::Job;
use crate::lua::Bundle;
use crate::model::JobSpec;
use crate::model::job::{Concurrency, Overlap};
use crate::model::schedule::{CatchUp, Rule, ScheduleSpec};

/// Histories of an ordinary test run; `AEGIS_SIM_SEEDS` asks for more.
const SEEDS: u64 = 300;

fn job(name: &str, change: impl FnOnce(&mut JobSpec)) -> Arc<Job> {
    let mut spec = JobSpec::named(name.parse().expect("a good name"));
    change(&mut spec);
    Arc::new(Job {
        spec: Arc::new(spec),
        bundle: Arc::new(Bundle::new(vec![])),
        file: format!("{name}.lua"),
        loaded_at: Timestamp::UNIX_EPOCH,
        enabled_override: None,
    })
}

fn every(seconds: u64, catch_up: CatchUp) -> Vec<ScheduleSpec> {
    vec![ScheduleSpec { catch_up, ..ScheduleSpec::new(Rule::Every { interval: Duration::from_secs(seconds) }) }]
}

fn jobs() -> Vec<Arc<Job>> {
    vec![
        job("sweep", |spec| spec.schedules = every(7, CatchUp::Latest)),
        job("queue", |spec| {
            spec.overlap = Overlap::Queue;
            spec.retry.attempts = 2;
            spec.schedules = every(5, CatchUp::All);
        }),
        job("replace", |spec| {
            spec.overlap = Overlap::Replace;
            spec.schedules = every(11, CatchUp::None);
        }),
        job("deploy", |spec| {
            spec.overlap = Overlap::Parallel;
            spec.resume = true;
            spec.concurrency = Some(Concurrency { key: "deploy/${n}".into(), limit: 2 });
        }),
        job("flow", |spec| {
            spec.resume = true;
            spec.retry.attempts = 3;
            spec.overlap = Overlap::Queue;
            spec.schedules = every(13, CatchUp::All);
        }),
    ]
}

fn history(seed: u64, daemons: usize) {
    let mut world = world::World::new(seed, daemons, jobs());
    let began = world.began;
    world.live_until(later(began, Duration::from_secs(120)), true);
    // No more accidents: everything that was accepted comes to its end.
    let mut calm = world.now;
    for _ in 0..60 {
        calm = later(calm, Duration::from_secs(30));
        world.quiet();
        world.live_until(calm, false);
        if world.is_over() {
            break;
        }
    }
    world.check_end();
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn nothing_is_lost_doubled_or_left_behind_in_any_history() {
    let seeds: Vec<u64> = match number("AEGIS_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("AEGIS_SIM_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    for seed in seeds {
        let daemons = 1 + (seed % 2) as usize;
        if let Err(problem) = std::panic::catch_unwind(|| history(seed, daemons)) {
            eprintln!("AEGIS_SIM_SEED={seed} repeats it");
            std::panic::resume_unwind(problem);
        }
    }
}
