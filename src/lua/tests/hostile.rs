//! Scripts that mean harm, or behave as if they did: each ends in time and within its memory, beside runs that go on.
//!
//! The scripts are in `hostile/*.lua`, sections of `--# name | outcome`; each section is the body of a `run(ctx)`, or a
//! whole file when its name begins with `file:`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::support::{Bed, Recorder, bundle, job, on_lane};
use crate::lua::interrupt::thread_time;
use crate::lua::{Engine, Outcome, RunScope};

const SOURCES: [&str; 3] =
    [include_str!("hostile/loops.lua"), include_str!("hostile/memory.lua"), include_str!("hostile/escapes.lua")];

const TIMEOUT: Duration = Duration::from_millis(250);
const GRACE: Duration = Duration::from_millis(100);
const LANES: usize = 2;
const INNOCENTS: usize = 100;

struct Script {
    name: &'static str,
    expected: &'static str,
    source: String,
}

fn scripts() -> Vec<Script> {
    let sections = SOURCES.iter().flat_map(|source| source.split("--# ").skip(1));
    let parse = |section: &'static str| {
        let (head, body) = section.split_once('\n').expect("a body");
        let (name, expected) = head.split_once('|').expect("an outcome");
        let (name, expected) = (name.trim(), expected.trim());
        let body = body
            .replace("@@large@@", &"local x = 1\n".repeat(30_000))
            .replace("@@name@@", &"n".repeat(20_000))
            .replace("@@deep@@", &format!("return {}{}", "(".repeat(50_000), ")".repeat(50_000)));
        let source = if name.starts_with("file:") { body } else { job(&body) };
        Script { name, expected, source }
    };
    sections.map(parse).collect()
}

/// `timeout`, `value`, or the code of the error.
fn kind(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Returned(_) => "value".to_owned(),
        Outcome::TimedOut(fault) if fault.code == "run.timeout" => "timeout".to_owned(),
        Outcome::TimedOut(fault) | Outcome::Raised(fault) => fault.code.clone().into_owned(),
        Outcome::Parked { .. } | Outcome::Unwound(_) => panic!("no script here is durable"),
        Outcome::Cancelled => "cancelled".to_owned(),
    }
}

/// What is wrong with how the script ended, if anything.
async fn complaint(engine: &Engine, scope: &RunScope, script: &Script) -> Option<String> {
    let mut took = Duration::ZERO;
    // The machine that runs this may be busy with other things: late is what is late each time, and by the time that
    // the lane really had, too.
    for _ in 0..3 {
        let (began, worked) = (Instant::now(), thread_time());
        let outcome = engine.execute(bundle(&script.source), scope.clone()).await;
        took = began.elapsed().min(thread_time().saturating_sub(worked).max(TIMEOUT));
        if !script.expected.split_whitespace().any(|expected| expected == kind(&outcome)) {
            return Some(format!("{}: expected {}, got {outcome:?}", script.name, script.expected));
        }
        if took <= TIMEOUT + GRACE {
            return None;
        }
    }
    Some(format!("{}: took {took:?}, more than {TIMEOUT:?} and {GRACE:?}", script.name))
}

#[test]
fn every_hostile_script_is_stopped_beside_innocent_runs() {
    let bed = Bed { timeout: TIMEOUT, ..Bed::default() };
    let scripts = scripts();
    assert!(scripts.len() >= 60, "{} scripts", scripts.len());
    let next = AtomicUsize::new(0);
    let complaints: Vec<String> = std::thread::scope(|threads| {
        let lanes: Vec<_> = (0..LANES)
            .map(|_| {
                // Each hostile run has a sink of its own, so that their floods do not mix.
                let scope = || RunScope { log: Arc::<Recorder>::default(), ..bed.scope() };
                let patient = RunScope { timeout: Duration::from_secs(60), ..bed.scope() };
                let (engine, scripts, next, scope) = (&bed.engine, &scripts, &next, scope());
                threads.spawn(move || {
                    on_lane(async {
                        let hostile = async {
                            let mut complaints = Vec::new();
                            while let Some(script) = scripts.get(next.fetch_add(1, Ordering::SeqCst)) {
                                complaints.extend(complaint(engine, &scope, script).await);
                            }
                            complaints
                        };
                        let innocent = innocents(engine, &patient, INNOCENTS / LANES);
                        let (mut complaints, failed) = futures_util::future::join(hostile, innocent).await;
                        complaints.extend(failed);
                        complaints
                    })
                })
            })
            .collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("a lane does not die")).collect()
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Ordinary runs, a few at a time.
async fn innocents(engine: &Engine, scope: &RunScope, count: usize) -> Vec<String> {
    const AT_ONCE: usize = 5;
    let source = bundle(&job("local sum = 0
         for i = 1, 1000 do sum += i end
         aegis.sleep('20ms')
         return { sum = sum, text = ('a,b'):split(',')[2] }"));
    let mut failed = Vec::new();
    for _ in 0..count / AT_ONCE {
        let runs = (0..AT_ONCE).map(|_| engine.execute(source.clone(), scope.clone()));
        for outcome in futures_util::future::join_all(runs).await {
            if outcome != Outcome::Returned(json!({ "sum": 500_500, "text": "b" })) {
                failed.push(format!("an innocent run ended with {outcome:?}"));
            }
        }
    }
    failed
}
