//! What is on its way to the journal when a run ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::sync::Semaphore;

use super::support::{Trial, compiled, complete, ticking};
use crate::base::Fault;
use crate::lua::tests::support::{Recorder, on_lane};
use crate::lua::{JournalPort, KvPort, MemoryJournal, Outcome};
use crate::model::{Entry, EntryState, StepKey};
use crate::primitives::permit::KvPermit;
use crate::store::{KvEntry, KvOutcome, KvWrite};

/// A journal whose disk takes each entry only when it is let, or that hears of its first answer never.
#[derive(Debug)]
struct Slow {
    journal: Arc<MemoryJournal>,
    writes: Semaphore,
    is_deaf: AtomicBool,
}

impl Slow {
    fn new(trial: &Trial, writes: usize) -> Arc<Self> {
        let (writes, is_deaf) = (Semaphore::new(writes), AtomicBool::new(true));
        Arc::new(Self { journal: trial.journal.clone(), writes, is_deaf })
    }
}

impl JournalPort for Slow {
    fn record(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<(), Fault>> {
        async move {
            self.writes.acquire().await.expect("never closed").forget();
            self.journal.record(entries).await
        }
        .boxed()
    }

    fn answered(&self, key: StepKey) -> BoxFuture<'_, Result<Entry, Fault>> {
        if self.is_deaf.swap(false, Ordering::Relaxed) {
            return std::future::pending().boxed();
        }
        self.journal.answered(key)
    }
}

const ALONE: &str = "ctx:step('pay', function() print('paid') end, { undo = function() end }) ctx:sleep('5s')";
const BESIDE: &str = "ctx:all {
    function() ctx:step('pay', function() print('paid') end, { undo = function() end }) end,
    function() aegis.kv.get('balance') end,
  }";

/// Fails once somebody has paid.
#[derive(Debug)]
struct Refuses(Arc<Recorder>);

impl KvPort for Refuses {
    fn get(&self, _: KvPermit, _: String) -> BoxFuture<'_, Result<Option<KvEntry>, Fault>> {
        async move {
            while self.0.texts().is_empty() {
                tokio::task::yield_now().await;
            }
            Err(Fault::new("kv.away", "there is no answer"))
        }
        .boxed()
    }

    fn list(&self, _: KvPermit, _: String, _: usize) -> BoxFuture<'_, Result<Vec<(String, KvEntry)>, Fault>> {
        std::future::ready(Ok(Vec::new())).boxed()
    }

    fn write(&self, _: KvPermit, _: KvWrite) -> BoxFuture<'_, Result<KvOutcome, Fault>> {
        std::future::pending().boxed()
    }
}

/// How the run ends that is made to end by `end` once it has paid, and whether it ended before the disk took the step.
fn ended(trial: &Trial, script: &str, end: impl Fn()) -> (Outcome, bool) {
    const PATIENCE: usize = 500;
    let slow = Slow::new(trial, 0);
    let mut scope = trial.scope();
    scope.durable.as_mut().expect("a journal").port = slow.clone();
    scope.kv = Arc::new(Refuses(trial.bed.log.clone()));
    on_lane(async {
        let has_ended = AtomicBool::new(false);
        let run = async {
            let outcome = trial.bed.engine.execute(compiled(script), scope).await;
            has_ended.store(true, Ordering::Relaxed);
            outcome
        };
        let disk = async {
            while trial.said("paid") == 0 {
                tokio::task::yield_now().await;
            }
            end();
            for _ in 0..PATIENCE {
                tokio::task::yield_now().await;
            }
            let early = has_ended.load(Ordering::Relaxed);
            slow.writes.add_permits(PATIENCE);
            early
        };
        ticking(&trial.hand, futures_util::future::join(run, disk)).await
    })
}

#[test]
fn a_step_that_is_done_is_on_disk_before_its_cancelled_run_ends() {
    let trial = Trial::default();
    let (outcome, early) = ended(&trial, ALONE, || trial.bed.cancel.cancel());
    assert_eq!((outcome, early), (Outcome::Cancelled, false));
    assert!(trial.has_step("pay"), "it can be undone");
}

#[test]
fn a_step_that_is_done_is_on_disk_before_its_timed_out_run_ends() {
    let mut trial = Trial::default();
    trial.bed.timeout = std::time::Duration::from_millis(20);
    let (outcome, early) = ended(&trial, ALONE, || {});
    assert!(matches!(outcome, Outcome::TimedOut(_)) && !early, "{outcome:?}");
    assert!(trial.has_step("pay"));
}

#[test]
fn a_step_beside_one_that_fails_is_on_disk_before_the_run_ends() {
    let trial = Trial::default();
    let (outcome, early) = ended(&trial, BESIDE, || {});
    assert!(matches!(&outcome, Outcome::Raised(fault) if fault.code == "kv.away") && !early, "{outcome:?}");
    assert!(trial.has_step("pay"));
}

#[test]
fn a_step_that_nobody_waits_for_is_on_disk_before_a_run_fails_by_what_it_returns() {
    let trial = Trial::default();
    let script = format!("pcall(function() {BESIDE} end) return function() end");
    let (outcome, early) = ended(&trial, &script, || {});
    assert!(matches!(&outcome, Outcome::Raised(fault) if fault.code == "run.result") && !early, "{outcome:?}");
    assert!(trial.has_step("pay"));
}

#[test]
fn a_daemon_that_lets_go_does_not_wait_for_the_disk() {
    let trial = Trial::default();
    let (outcome, early) = ended(&trial, ALONE, || {
        trial.bed.cancel.cancel();
        trial.abort.cancel();
    });
    assert_eq!((outcome, early), (Outcome::Cancelled, true));
}

#[test]
fn a_timeout_does_not_take_back_an_answer_that_was_given_in_time() {
    let trial = Trial::default();
    let script = "local ok, got = pcall(ctx.approval, ctx, 'go', { timeout = '2s' })
                  ctx:step('after', function() end)
                  return if ok then got.by else got.code";
    let mut scope = trial.scope();
    scope.durable.as_mut().expect("a journal").port = Slow::new(&trial, 100);
    let outcome = on_lane(async {
        let run = trial.bed.engine.execute(compiled(script), scope);
        let door = async {
            while trial.journal.entries().is_empty() {
                tokio::task::yield_now().await;
            }
            let at = trial.hand.now();
            let result = json!({ "approved": true, "by": "ada" });
            assert!(trial.journal.answer("go", |entry| complete(entry, result, at)));
        };
        ticking(&trial.hand, futures_util::future::join(run, door)).await.0
    });
    assert_eq!(outcome, Outcome::Returned(json!("ada")));
    let entry = &trial.journal.entries()[0];
    assert_eq!((entry.state, entry.answered), (EntryState::Done, false));
    assert_eq!(trial.value(script), json!("ada"));
}
