//! Waits: in place for a while, then without a VM.

use std::time::Duration;

use serde_json::json;

use super::support::{Trial, compiled, complete, ticking};
use crate::base::clock::later;
use crate::lua::Outcome;
use crate::lua::tests::support::on_lane;
use crate::model::EntryState;

#[test]
fn a_long_sleep_is_parked_and_goes_on_in_time() {
    let trial = Trial::default();
    let script = "ctx:step('a', function() print('a') end) ctx:sleep('1h') return aegis.time.unix() - 1800000000";
    let (waits_for, wake_at) = trial.parked(script);
    assert_eq!(waits_for, "sleep until 2027-01-15T09:00:00Z");
    assert_eq!(trial.recorded(), ["1 step a Done", "2 sleep sleep Waiting"]);
    assert_eq!(trial.parked(script).1, wake_at, "a run that is woken too early waits on");
    trial.hand.set(wake_at.expect("an end"));
    assert_eq!(trial.value(script), json!(3600));
    assert_eq!((trial.said("a"), trial.recorded()[1].as_str()), (1, "2 sleep sleep Done"));
}

#[test]
fn a_short_sleep_is_slept_in_place_and_not_again() {
    let trial = Trial::default();
    let script = "ctx:sleep(0.02) ctx:step('a', function() end) ctx:sleep('1h')";
    trial.parked(script);
    assert_eq!(trial.recorded(), ["1 sleep sleep Done", "2 step a Done", "3 sleep sleep Waiting"]);
    let Outcome::Parked { .. } = trial.moment(script) else { panic!("it slept again") };
}

#[test]
fn an_event_wakes_a_parked_run() {
    let trial = Trial::default();
    let script = "local payment = ctx:wait_event('paid', { key = 'order-7' }) return payment.amount";
    assert_eq!(trial.parked(script), ("event \"paid\"".to_owned(), None));
    let entry = &trial.journal.entries()[0];
    assert_eq!((entry.match_key.as_deref(), entry.wake_at), (Some("order-7"), None));
    trial.answer("paid", json!({ "amount": 5 }));
    assert_eq!(trial.value(script), json!(5));
    assert_eq!(trial.value(script), json!(5));
}

#[test]
fn a_wait_gives_up_after_its_timeout_for_good() {
    let trial = Trial::default();
    let script = "local ok, err = pcall(ctx.wait_event, ctx, 'paid', { timeout = '2m' })
                  local fine, problem = pcall(ctx.approval, ctx, 'switch', { timeout = '3m' })
                  return { err.code, problem.code, problem.message }";
    let (waits_for, wake_at) = trial.parked(script);
    assert_eq!(waits_for, "event \"paid\" until 2027-01-15T08:02:00Z");
    assert_eq!(wake_at, Some(later(trial.hand.now(), Duration::from_secs(120))));
    trial.advance(120);
    trial.parked(script);
    trial.advance(180);
    let expected = json!(["event.timeout", "approval.timeout", "nobody decided on the approval \"switch\" within 3m"]);
    assert_eq!(trial.value(script), expected);
    assert_eq!(trial.value(script), expected);
}

#[test]
fn an_answer_that_comes_while_the_vm_is_held_is_taken_in_place() {
    let trial = Trial { hold: Duration::from_secs(3_600), ..Trial::default() };
    let script = "return ctx:wait_event('paid', { timeout = '1m' })";
    let outcome = on_lane(async {
        let run = trial.bed.engine.execute(compiled(script), trial.scope());
        let answer = async {
            while trial.journal.entries().is_empty() {
                tokio::task::yield_now().await;
            }
            trial.answer("paid", json!("now"));
        };
        ticking(&trial.hand, futures_util::future::join(run, answer)).await.0
    });
    assert_eq!(outcome, Outcome::Returned(json!("now")));
}

#[test]
fn an_approval_says_who_approved_and_why_not() {
    let trial = Trial::default();
    let script = "local first = ctx:approval('switch', { show = { hosts = 3 } })
                  local ok, err = pcall(ctx.approval, ctx, 'delete')
                  return { first.by, err.code, err.message, err.details.comment }";
    assert_eq!(trial.parked(script).0, "approval \"switch\"");
    assert_eq!(trial.journal.entries()[0].show, Some(json!({ "hosts": 3 })));
    trial.answer("switch", json!({ "approved": true, "by": "ada", "at": "2027-01-15T08:00:00Z" }));
    trial.parked(script);
    trial.answer("delete", json!({ "approved": false, "by": "bob", "comment": "not on a Friday" }));
    let expected = json!([
        "ada",
        "approval.rejected",
        "the approval \"delete\" was rejected by bob: not on a Friday",
        "not on a Friday"
    ]);
    assert_eq!(trial.value(script), expected);
}

#[test]
fn a_group_is_parked_only_when_all_that_is_left_of_it_waits() {
    let trial = Trial::default();
    let script = "return ctx:all {
                    function() ctx:sleep('2h') return 'slept' end,
                    function() return ctx:approval('switch').by end,
                    function() return ctx:step('work', function() print('work') ctx:sleep('5m') return 'worked' end) end,
                    function() return aegis.json.encode({}) end,
                  }";
    let begin = trial.hand.now();
    let outcome = on_lane(async {
        let run = trial.bed.engine.execute(compiled(script), trial.scope());
        let time = async {
            for _ in 0..5 {
                for _ in 0..200 {
                    tokio::task::yield_now().await;
                }
                trial.advance(60);
            }
        };
        ticking(&trial.hand, futures_util::future::join(run, time)).await.0
    });
    let Outcome::Parked { wake_at, waits_for } = outcome else { panic!("not parked: {outcome:?}") };
    assert_eq!(wake_at, Some(later(begin, Duration::from_secs(7_200))));
    assert_eq!(waits_for, "sleep until 2027-01-15T10:00:00Z, approval \"switch\"");
    assert!(trial.has_step("work"), "{:?}", trial.recorded());
    trial.answer("switch", json!({ "approved": true, "by": "ada" }));
    trial.parked(script);
    trial.advance(7_200);
    assert_eq!(trial.value(script), json!(["slept", "ada", "worked", "{}"]));
    assert_eq!(trial.said("work"), 1);
}

#[test]
fn a_run_that_is_cancelled_while_it_waits_is_not_parked() {
    let trial = Trial::default();
    trial.bed.cancel.cancel();
    assert_eq!(trial.life("ctx:sleep('1h')"), Outcome::Cancelled);
}

#[test]
fn what_was_read_before_a_wait_is_on_disk_before_it_is_parked() {
    let trial = Trial::default();
    let script = "local seen
                  ctx:all { function() ctx:sleep('1h') end, function() ctx:sleep(0.01) seen = math.random() end }
                  return seen";
    trial.parked(script);
    assert!(trial.recorded().contains(&"1.2.2 value random Done".to_owned()), "{:?}", trial.recorded());
}

#[test]
fn an_answer_before_the_timeout_counts_though_the_run_comes_late() {
    let trial = Trial::default();
    let script = "return ctx:wait_event('paid', { timeout = '1m' })";
    trial.parked(script);
    let scope = trial.scope();
    let at = trial.hand.now();
    // Answered after this life was given its journal.
    trial.journal.answer("paid", |entry| complete(entry, json!("in time"), at));
    trial.advance(61);
    let outcome = on_lane(trial.bed.engine.execute(compiled(script), scope));
    assert_eq!(outcome, Outcome::Returned(json!("in time")));
    assert_eq!(trial.journal.entries()[0].state, EntryState::Done);
}
