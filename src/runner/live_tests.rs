//! The table of live runs: who is next, what is held, what is given back.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::base::Clock;
use crate::base::clock::later;
use crate::model::job::{Concurrency, Overlap};
use crate::model::{JobSpec, Trigger};
use crate::runner::logs::Flusher;
use crate::runner::stop::Stopped;

fn job(name: &str, change: impl FnOnce(&mut JobSpec)) -> Arc<Job> {
    let mut spec = JobSpec::named(name.parse().expect("a good name"));
    change(&mut spec);
    Job::with(spec, "")
}

fn add(live: &mut Live, job: &Arc<Job>, params: Value, not_before: Option<Timestamp>) -> RunId {
    let trigger = Trigger::new(TriggerKind::Schedule, "schedule");
    let run = Run {
        params,
        priority: job.spec.priority,
        not_before,
        ..Run::new(RunId::generate(), job.spec.name.clone(), trigger, Timestamp::UNIX_EPOCH)
    };
    let id = run.id;
    let (flusher, _) = Flusher::new(crate::base::Masker::default());
    let log = RunLog::new(id, Clock::system(), &flusher, 0);
    live.insert(NewEntry { run, job: job.clone(), log, resumes: false, was_parked: false });
    live.enqueue(id, Timestamp::UNIX_EPOCH);
    id
}

fn start(live: &mut Live) -> Option<RunId> {
    match live.next_to_start(Timestamp::UNIX_EPOCH) {
        Next::Start(run) => {
            live.unqueue(run);
            live.hold(run);
            Some(run)
        }
        Next::At(_) => None,
    }
}

#[test]
fn priority_goes_first_then_age() {
    let mut live = Live::new(10, true);
    let low = job("low", |spec| spec.overlap = Overlap::Parallel);
    let high = job("high", |spec| spec.priority = 5);
    let (first, second) = (add(&mut live, &low, json!({}), None), add(&mut live, &low, json!({}), None));
    let urgent = add(&mut live, &high, json!({}), None);
    let order = [start(&mut live), start(&mut live), start(&mut live), start(&mut live)];
    assert_eq!(order, [Some(urgent), Some(first), Some(second), None]);
}

#[test]
fn a_concurrency_key_holds_only_its_own_kind_back() {
    let mut live = Live::new(10, true);
    let deploy = job("deploy", |spec| {
        spec.overlap = Overlap::Parallel;
        spec.concurrency = Some(Concurrency { key: "deploy/${stack}".into(), limit: 1 });
    });
    let web = add(&mut live, &deploy, json!({"stack": "web"}), None);
    let again = add(&mut live, &deploy, json!({"stack": "web"}), None);
    let other = add(&mut live, &deploy, json!({"stack": "db"}), None);
    assert_eq!([start(&mut live), start(&mut live), start(&mut live)], [Some(web), Some(other), None]);
    live.remove(web);
    assert_eq!(start(&mut live), Some(again));
}

#[test]
fn a_backoff_is_waited_out_without_blocking_others() {
    let mut live = Live::new(10, true);
    let moment = later(Timestamp::UNIX_EPOCH, Duration::from_secs(9));
    add(&mut live, &job("later", |_| {}), json!({}), Some(moment));
    assert_eq!(live.next_to_start(Timestamp::UNIX_EPOCH), Next::At(Some(moment)));
    let now = add(&mut live, &job("now", |_| {}), json!({}), None);
    assert_eq!(start(&mut live), Some(now));
}

#[test]
fn a_waiter_that_was_cancelled_stands_for_nobody() {
    let mut live = Live::new(1, true);
    let queued = job("queued", |spec| spec.overlap = Overlap::Queue);
    // Ids of one millisecond have no order of their own.
    let mut waiters = [add(&mut live, &queued, json!({}), None), add(&mut live, &queued, json!({}), None)];
    waiters.sort();
    let [first, second] = waiters;
    assert_eq!(live.view(&queued.spec.name, None).scheduled_waiter, Some(first));
    live.get_mut(first).expect("alive").phase = Phase::Settling;
    assert_eq!(live.view(&queued.spec.name, None).scheduled_waiter, Some(second));
    live.get_mut(second).expect("alive").stop.now(Stopped::Shutdown);
    assert_eq!(live.view(&queued.spec.name, None).scheduled_waiter, None);
}

#[test]
fn slots_come_back_and_indexes_empty_out() {
    let mut live = Live::new(1, true);
    let both = job("both", |spec| spec.overlap = Overlap::Parallel);
    let (first, second) = (add(&mut live, &both, json!({}), None), add(&mut live, &both, json!({}), None));
    assert_eq!((start(&mut live), start(&mut live)), (Some(first), None));
    live.release(first);
    live.release(first);
    assert_eq!(start(&mut live), Some(second));
    live.remove(first);
    live.remove(second);
    assert_eq!((live.running(), live.waiting(), live.by_job.len(), live.keys.len()), (0, 0, 0, 0));
    assert!(live.queue.is_empty());
}
