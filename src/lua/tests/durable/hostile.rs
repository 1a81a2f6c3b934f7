//! Scripts that ask for trouble.

use serde_json::json;

use super::support::Trial;
use crate::base::limits;
use crate::lua::Outcome;
use crate::lua::tests::support::Bed;

#[test]
fn nothing_is_swallowed() {
    let trial = Trial::default();
    let script = "while true do
                    pcall(function() ctx:step('a', function() end) end)
                    aegis.try(coroutine.wrap(function() ctx:step('b', function() end) end))
                  end";
    trial.journal.allow(Some(1));
    assert_eq!(&*trial.fault(script).code, "run.lost");
    let trial = Trial::default();
    trial.parked("pcall(function() ctx:sleep('1h') end) print('awake')");
    assert_eq!(trial.said("awake"), 0);
}

#[test]
fn steps_work_in_the_scripts_own_coroutines() {
    let trial = Trial::default();
    let script = "local next = coroutine.wrap(function()
                    for i = 1, 3 do coroutine.yield(ctx:step('s' .. i, function() coroutine.yield('lost') return i end)) end
                  end)
                  return { next(), next(), next() }";
    assert_eq!(trial.value(script), json!([1, 2, 3]));
    assert_eq!(trial.value(script), json!([1, 2, 3]));
}

#[test]
fn coroutines_that_compute_for_long_after_a_step_yield_what_the_script_does() {
    let trial = Trial::default();
    let script = "local next = coroutine.wrap(function()
                    for i = 1, 3 do
                      ctx:step('s' .. i, function() return i end)
                      for _ = 1, 3000000 do end
                      coroutine.yield(i)
                    end
                  end)
                  return { next(), next(), next() }";
    assert_eq!(trial.value(script), json!([1, 2, 3]));
}

#[test]
fn steps_do_not_nest() {
    let trial = Trial::default();
    let calls = ["step(ctx, 'b', print)", "wait_event(ctx, 'b')", "approval(ctx, 'b')", "compensate(ctx, 'b', print)"];
    for (index, call) in calls.iter().enumerate() {
        let script = format!(
            "return ctx:step('a{index}', function()
               local ok, err = pcall(function() ctx.{call} end)
               local group = ctx:all {{ function() return select(2, pcall(function() ctx.{call} end)).code end }}
               ctx:sleep(0.001)
               return {{ err.code, group[1] }}
             end)"
        );
        let trial = Trial::default();
        assert_eq!(trial.value(&script), json!(["step.nested", "step.nested"]), "{call}");
    }
    assert_eq!(trial.journal.writes(), 0);
}

#[test]
fn a_job_without_a_journal_is_told_what_to_add() {
    let bed = Bed::default();
    for call in ["step('a', print)", "wait_event('a')", "approval('a')", "compensate('a', print)"] {
        let fault = bed.fault(&format!("ctx:{call}"));
        assert_eq!(&*fault.code, "step.not_durable", "{call}");
        assert!(fault.hint.expect("a hint").contains("resume = true"), "{call}");
    }
    assert_eq!(bed.value("ctx:sleep(0.001) return math.random() < 1 and os.clock() > 0"), json!(true));
}

#[test]
fn a_journal_has_an_end() {
    let trial = Trial::default();
    let script = "local count = 0
                  while count <= 20000 do
                    local ok, err = pcall(os.clock)
                    if not ok then return { count, err.code } end
                    count += 1
                  end";
    assert_eq!(trial.value(script), json!([limits::RUN_STEPS_MAX, "step.limit"]));
    let step = "for i = 1, 10001 do os.clock() end ctx:step('a', function() end)";
    assert_eq!(&*Trial::default().fault(step).code, "step.limit");
}

#[test]
fn results_that_cannot_be_kept_fail_the_step() {
    let trial = Trial::default();
    let script = "local codes = {}
                  for name, make in { huge = function() return ('x'):rep(1048577) end, code = function() return print end,
                                      escaped = function() return ('\\n'):rep(600000) end } do
                    local ok, err = pcall(ctx.step, ctx, name, make, { retries = 3 })
                    codes[name] = err.code
                  end
                  return codes";
    let refused = json!({ "huge": "step.result", "code": "step.result", "escaped": "step.result" });
    assert_eq!(trial.value(script), refused);
    assert!(trial.journal.entries().iter().all(|entry| entry.tries == 1));
}

#[test]
fn errors_are_the_same_when_they_are_replayed() {
    let trial = Trial::default();
    let script = "local ok, err = aegis.try(ctx.step, ctx, 'a', function()
                    error { code = 'app.full', message = 'no room', hint = 'tidy up', retryable = true,
                            details = { left = { 1, 2 } } }
                  end)
                  return { err.code, err.message, err.hint, err.retryable, err.details.left, tostring(err), err.trace }";
    let first = trial.value(script);
    assert_eq!(first[5], json!("no room (tidy up)"));
    assert_eq!(trial.value(script), first);
    let uncaught = "ctx:step('b', function()\nlocal x = nil\nreturn x.y end)";
    let trial = Trial::default();
    let raised = trial.fault(uncaught);
    assert_eq!(raised.at.as_ref().map(|at| at.line), Some(4));
    assert_eq!(trial.fault(uncaught), raised);
}

#[test]
fn arguments_are_checked_before_anything_is_recorded() {
    let trial = Trial::default();
    for (call, message) in [
        ("ctx:step()", "ctx:step: argument \"name\" is missing"),
        ("ctx:step('a')", "ctx:step: argument \"body\" is missing"),
        ("ctx:step('a', 5)", "ctx:step: argument \"body\" must be a function, got 5"),
        ("ctx:step('', print)", "ctx:step: argument \"name\" is empty"),
        ("ctx:step('a', print, { undo = 5 })", "ctx:step: option \"undo\" must be a function, got 5"),
        ("ctx:step('a', print, { retries = -1 })", "ctx:step: option \"retries\" must be from 0 to 1000"),
        ("ctx:approval('a\\nb')", "ctx:approval: argument \"name\" has a line break"),
        ("ctx.step('a', print)", "call it with a colon: ctx:step(…)"),
    ] {
        let fault = trial.fault(call);
        assert!(fault.message.starts_with(message), "{call}: {}", fault.message);
    }
    assert_eq!(trial.journal.writes(), 0);
}

#[test]
fn hooks_have_no_journal() {
    let trial = Trial::default();
    let source = "return aegis.job { run = print, on_failure = function(ctx)
                    local ok, err = pcall(ctx.step, ctx, 'a', print)
                    return err.code
                  end }";
    let hook = trial.bed.engine.execute_hook(
        crate::lua::tests::support::bundle(source),
        trial.scope(),
        "on_failure",
        json!({}),
    );
    assert_eq!(crate::lua::tests::support::on_lane(hook), Outcome::Returned(json!("step.not_durable")));
}
