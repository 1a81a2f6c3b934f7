//! The order in which strands went on is the order in which they go on again, whatever a door's clock says.

use serde_json::{Value, json};

use super::support::{Trial, compiled, complete, ticking};
use crate::base::Timestamp;
use crate::base::clock::earlier;
use crate::lua::Outcome;
use crate::lua::tests::support::on_lane;

const SCRIPT: &str = "local seen = {}
    ctx:all {
      function() ctx:wait_event('paid', { timeout = '5s' }) table.insert(seen, 'paid') end,
      function()
        for _, name in { 'a', 'b' } do ctx:step(name, function() end) table.insert(seen, name) end
      end,
    }
    ctx:step(table.concat(seen), function() end)
    return seen";

/// Long before anything that the run does.
fn long_ago(trial: &Trial) -> Timestamp {
    earlier(trial.hand.now(), std::time::Duration::from_secs(60))
}

/// One life, in which the event comes once both steps are recorded, from a door whose clock is slow.
fn answered_late(trial: &Trial) -> Outcome {
    let stamp = long_ago(trial);
    on_lane(async {
        let run = trial.bed.engine.execute(compiled(SCRIPT), trial.scope());
        let door = async {
            while !trial.has_step("b") {
                tokio::task::yield_now().await;
            }
            assert!(trial.journal.answer("paid", |entry| complete(entry, json!(1), stamp)));
        };
        ticking(&trial.hand, futures_util::future::join(run, door)).await.0
    })
}

fn expected() -> Value {
    json!(["a", "b", "paid"])
}

#[test]
fn an_answer_counts_from_when_the_run_went_on_from_it() {
    let trial = Trial::default();
    assert_eq!(answered_late(&trial), Outcome::Returned(expected()));
    assert_eq!(trial.value(SCRIPT), expected());
    assert!(trial.journal.entries().iter().all(|entry| !entry.answered));
}

#[test]
fn an_answer_that_nobody_has_seen_comes_after_all_that_was_recorded() {
    let trial = Trial::default();
    // The wait, and each of the two steps; then the daemon dies before it can write that it has seen the answer.
    trial.journal.allow(Some(3));
    let Outcome::Raised(lost) = answered_late(&trial) else { panic!("it did not die") };
    assert_eq!(&*lost.code, "run.lost");
    assert!(trial.journal.entries().iter().any(|entry| entry.answered));
    trial.journal.allow(None);
    assert_eq!(trial.value(SCRIPT), expected());
    assert_eq!(trial.value(SCRIPT), expected());
}

#[test]
fn no_two_entries_are_finished_at_the_same_moment() {
    let trial = Trial::default();
    let script = "ctx:step('a', function() end) ctx:step('b', function() end) ctx:compensate('c', function() end)";
    assert_eq!(trial.moment(script), Outcome::Returned(Value::Null));
    let at: Vec<i64> = trial.journal.entries().iter().filter_map(|e| Some(e.finished_at?.as_microsecond())).collect();
    assert!(at.len() == 3 && at.is_sorted_by(|a, b| a < b), "{at:?}");
}
