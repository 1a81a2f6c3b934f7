//! Steps: done once, whenever the daemon dies.

use std::sync::Arc;

use serde_json::json;

use super::support::Trial;
use crate::base::limits;
use crate::lua::Outcome;
use crate::model::{Entry, EntryState};

const SCRIPT: &str = "
    local function act(name, value)
      return ctx:step(name, function() print(name) return value end)
    end
    local list = { act('first', 1) }
    ctx:map({ 30, 10, 20 }, function(ms)
      ctx:step('wait-' .. ms, function() print('wait-' .. ms) ctx:sleep(ms / 1000) end)
      table.insert(list, ms)
    end)
    ctx:sleep(0.005)
    local both = ctx:all {
      function() return act('left', 'l') .. act('left again', 'l') end,
      function() return act('right', 'r') end,
    }
    local ok, err = pcall(ctx.step, ctx, 'failing', function()
      print('failing')
      error { code = 'app.full', message = 'no room', details = { left = 3 } }
    end)
    act('after ' .. table.concat(list, ' '))
    return { list = list, both = both, code = err.code, left = err.details.left }";

const STEPS: [&str; 9] =
    ["first", "wait-30", "wait-10", "wait-20", "left", "left again", "right", "failing", "after 1 10 20 30"];

#[test]
fn a_run_goes_on_where_it_died_wherever_that_was() {
    let expected = json!({ "list": [1, 10, 20, 30], "both": ["ll", "r"], "code": "app.full", "left": 3 });
    let whole = Trial::default();
    assert_eq!(whole.value(SCRIPT), expected);
    assert!(whole.journal.writes() >= 6, "{}", whole.journal.writes());
    for writes in 0..whole.journal.writes() {
        let trial = Trial::default();
        trial.journal.allow(Some(writes));
        let Outcome::Raised(lost) = trial.life(SCRIPT) else { panic!("after {writes} writes it did not die") };
        assert_eq!(&*lost.code, "run.lost");
        let kept: Vec<_> = STEPS.iter().filter(|step| trial.has_step(step)).collect();
        trial.journal.allow(None);
        assert_eq!(trial.value(SCRIPT), expected, "after {writes} writes");
        for step in STEPS {
            let said = trial.said(step);
            assert!(said == 1 || (said == 2 && !kept.contains(&&step)), "{step} was done {said} times");
        }
        assert_eq!(trial.recorded().len(), whole.recorded().len(), "after {writes} writes");
    }
}

#[test]
fn a_finished_run_is_answered_by_its_journal_alone() {
    let trial = Trial::default();
    let first = trial.value(SCRIPT);
    let (lines, writes) = (trial.bed.log.texts().len(), trial.journal.writes());
    assert_eq!(trial.value(SCRIPT), first);
    assert_eq!((trial.bed.log.texts().len(), trial.journal.writes()), (lines, writes));
    assert_eq!(Arc::strong_count(&trial.journal), 1, "a VM that is gone holds nothing");
}

#[test]
fn lines_that_were_written_before_are_not_written_again() {
    let trial = Trial::default();
    let script = "print('begin') ctx:step('a', function() print('inside') end) ctx:log('info', 'between')
                  ctx:sleep('1h') print('end')";
    trial.parked(script);
    trial.advance(3_600);
    assert_eq!(trial.value(script), json!(null));
    assert_eq!(trial.bed.log.texts(), ["begin", "inside", "between", "end"]);
}

#[test]
fn a_result_is_what_its_json_says_at_once() {
    let trial = Trial::default();
    let script = "local list = { 1 }
                  local got = ctx:step('a', function() return { list = list, nothing = aegis.null, [3] = 0.1 + 0.2 } end)
                  local none = ctx:step('b', function() end)
                  return { same = rawequal(got.list, list), three = got['3'], none = none == nil }";
    let expected = json!({ "same": false, "three": 0.1 + 0.2, "none": true });
    assert_eq!(trial.value(script), expected);
    assert_eq!(trial.value(script), expected);
}

#[test]
fn a_step_is_tried_again_after_growing_pauses() {
    let trial = Trial::default();
    let script = "local tries = 0
                  return ctx:step('flaky', function()
                    tries += 1
                    if tries < 3 then error('not yet') end
                    return tries
                  end, { retries = 5, backoff = '20ms' })";
    let before = trial.hand.now();
    assert_eq!(trial.value(script), json!(3));
    let entry = &trial.journal.entries()[0];
    assert_eq!((entry.tries, entry.state, entry.started_at), (3, EntryState::Done, before));
    let took = trial.hand.now().duration_since(before).as_millis();
    assert!((60..100).contains(&took), "{took}");
}

#[test]
fn a_step_that_takes_too_long_fails_alone() {
    let trial = Trial::default();
    let script = "local ok, err = pcall(ctx.step, ctx, 'slow', function()
                    pcall(function() ctx:sleep('1h') end)
                    print('too far')
                  end, { timeout = '30ms', retries = 1, backoff = '1ms' })
                  return { ok, err.code, err.retryable }";
    assert_eq!(trial.value(script), json!([false, "step.timeout", true]));
    assert_eq!((trial.said("too far"), trial.journal.entries()[0].tries), (0, 2));
    assert_eq!(trial.value(script), json!([false, "step.timeout", true]));
}

#[test]
fn what_a_cancelled_sibling_was_doing_is_not_recorded() {
    let trial = Trial::default();
    let script = "local ok, err = pcall(ctx.all, ctx, {
                    function() ctx:step('slow', function() ctx:sleep('1h') end) end,
                    function()
                      ctx:step('quick', function() print('quick') end)
                      ctx:step('broken', function() error('broken') end)
                    end,
                  })
                  return ctx:step('after', function() return err.message end)";
    assert_eq!(trial.value(script), json!("broken"));
    let recorded = ["1.2.1 step quick Done", "1.2.2 step broken Failed", "2 step after Done"];
    assert_eq!(trial.recorded(), recorded);
    assert_eq!(trial.value(script), json!("broken"));
    assert_eq!((trial.recorded().len(), trial.said("quick")), (3, 1));
}

#[test]
fn nothing_new_begins_before_its_siblings_failure_is_replayed() {
    let trial = Trial::default();
    let script = "pcall(ctx.all, ctx, {
                    function() ctx:step('later', function() ctx:sleep(0.02) end) ctx:step('never', function() print('never') end) end,
                    function() ctx:step('broken', function() ctx:sleep(0.01) error('broken') end) end,
                  })
                  ctx:step('after', function() end)";
    trial.journal.allow(Some(1));
    assert_eq!(&*trial.fault(script).code, "run.lost");
    trial.journal.allow(None);
    trial.value(script);
    assert_eq!(trial.recorded(), ["1.2.1 step broken Failed", "2 step after Done"]);
    assert_eq!(trial.said("never"), 0);
}

#[test]
fn a_journal_has_room_for_so_many_bytes() {
    let trial = Trial::default();
    let script = "for i = 1, 70 do ctx:step('s', function() return string.rep('x', 1000000) end) end";
    for _ in 0..2 {
        let fault = trial.fault(script);
        assert_eq!(&*fault.code, "step.limit");
        assert!(fault.message.contains("64.0 MiB") && fault.hint.is_some_and(|hint| hint.contains("return less")));
    }
    let bytes: usize = trial.journal.entries().iter().map(Entry::bytes).sum();
    let most = limits::RUN_JOURNAL_BYTES_MAX + limits::STEP_RESULT_BYTES_MAX;
    assert!((limits::RUN_JOURNAL_BYTES_MAX..most).contains(&bytes), "{bytes}");
}
