//! The runner's core, the timetable and the rules of recovery and leases, driven through histories with crashes, stopped
//! processes, clock jumps and a store that fails before and after its commits. A seed is a history; a failing one is
//! repeated with `AEGIS_SIM_SEED`.

mod books;
mod daemon;
mod dice;
mod due;
mod lane;
mod law;
mod store;
mod trace;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::later;
use crate::jobs::Job;
use crate::model::JobSpec;
use crate::model::job::{Concurrency, Overlap};
use crate::model::schedule::{CatchUp, Rule, ScheduleSpec};
use trace::Trace;

/// Histories of an ordinary test run; `AEGIS_SIM_SEEDS` asks for more.
const SEEDS: u64 = 300;

fn job(name: &str, change: impl FnOnce(&mut JobSpec)) -> Arc<Job> {
    let mut spec = JobSpec::named(name.parse().expect("a good name"));
    change(&mut spec);
    Job::with(spec, "")
}

/// What only one of the daemons has.
const LABEL: &str = "gpu";

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
        job("swap", |spec| {
            spec.overlap = Overlap::Replace;
            spec.resume = true;
            spec.schedules = every(17, CatchUp::Latest);
        }),
        job("deploy", |spec| {
            spec.overlap = Overlap::Parallel;
            spec.resume = true;
            spec.concurrency = Some(Concurrency { key: "deploy/${n}".into(), limit: 2 });
        }),
        job("train", |spec| {
            spec.overlap = Overlap::Queue;
            spec.resume = true;
            spec.runs_on = vec![LABEL.to_owned()];
            spec.schedules = every(19, CatchUp::Latest);
        }),
        job("flow", |spec| {
            spec.resume = true;
            spec.retry.attempts = 3;
            spec.overlap = Overlap::Queue;
            spec.schedules = every(13, CatchUp::All);
        }),
    ]
}

/// Odd seeds have two daemons on one store.
fn history(seed: u64, trace: Trace) -> Trace {
    let mut world = world::World::new(seed, 1 + (seed % 2) as usize, jobs(), trace);
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
    world.trace
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
    let aloud = std::env::var_os("AEGIS_SIM_TRACE").is_some();
    let (mut events, mut counts) = (0, BTreeMap::from(trace::KINDS.map(|kind| (kind, 0))));
    for seed in &seeds {
        let lived = std::panic::catch_unwind(|| history(*seed, Trace { aloud, ..Trace::default() }));
        let told = lived.unwrap_or_else(|problem| {
            eprintln!("seed {seed} failed after {events} events of the seeds before it; this repeats it:");
            eprintln!("AEGIS_SIM_SEED={seed} AEGIS_SIM_TRACE=1 cargo test --lib triggers::sim -- --nocapture");
            std::panic::resume_unwind(problem)
        });
        events += told.events;
        told.counts.into_iter().for_each(|(kind, times)| *counts.entry(kind).or_default() += times);
    }
    let never: Vec<_> = counts.iter().filter(|(_, times)| **times == 0).map(|(kind, _)| *kind).collect();
    println!("{} histories, {events} events, each of them checked: {counts:?}", seeds.len());
    assert!(never.is_empty() || (seeds.len() as u64) < SEEDS, "in {} histories never: {never:?}", seeds.len());
}

#[test]
fn a_seed_is_the_same_history_each_time() {
    let told = |seed| {
        let trace = history(seed, Trace { text: Some(String::new()), ..Trace::default() });
        (trace.text.expect("it was kept"), trace.events)
    };
    let mut before = None;
    for seed in 1_000..1_006 {
        let (first, events) = told(seed);
        let (again, _) = told(seed);
        let differ = first.lines().zip(again.lines()).find(|(one, other)| one != other);
        assert!(first == again, "seed {seed} went two ways: {differ:#?}");
        assert!(events > 100 && first.lines().count() as u64 > events, "a trace has a line for each event");
        assert!(before.replace(first) != Some(again), "seed {seed} is the history of the one before it");
    }
}
