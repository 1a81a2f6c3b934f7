//! Scripts that do something else than they did before.

use serde_json::json;

use super::support::Trial;
use crate::lua::Outcome;

fn diverged(first: &str, second: &str) -> crate::base::Fault {
    let trial = Trial::default();
    trial.life(&format!("{first} ctx:sleep('1h')"));
    trial.fault(&format!("{second} ctx:sleep('1h')"))
}

#[test]
fn another_call_than_the_recorded_one_ends_the_run() {
    let step = |name: &str| format!("ctx:step('{name}', function() end) ");
    let (a, b) = (step("a"), step("b"));
    let group = format!("ctx:all {{ function() {a} end }} ");
    for (first, second) in [
        (a.clone(), b.clone()),
        (a.clone() + &b, b.clone() + &a),
        (a.clone(), group.clone()),
        (group.clone(), a.clone()),
        (a.clone(), format!("aegis.time.now() {a}")),
        (a.clone(), format!("local t = os.clock() {a}")),
        (a.clone(), format!("aegis.uuid.v4() {a}")),
        (format!("os.time() {a}"), a.clone()),
        (group.clone(), format!("ctx:all {{ function() {b} end }} ")),
        (a.clone(), format!("pcall(function() {b} end) ")),
        (a.clone(), format!("pcall(pcall, aegis.time.now) {a}")),
        (a.clone(), format!("coroutine.wrap(function() pcall(os.clock) end)() {a}")),
        (a.clone(), "ctx:wait_event('a') ".to_owned()),
    ] {
        let fault = diverged(&first, &second);
        assert_eq!(&*fault.code, "run.diverged", "{first} -> {second}: {fault:?}");
        assert!(fault.hint.is_some() && fault.details["recorded"].is_array(), "{fault:?}");
    }
}

#[test]
fn both_sequences_are_shown() {
    let fault = diverged(
        "ctx:step('plan', function() end) ctx:step('build', function() end)",
        "ctx:step('plan', function() end) ctx:all { function() end }",
    );
    let message = "the script does something else than it did before: at 2 it calls ctx:all or ctx:map where the \
                   journal has step \"build\"; recorded: 1 step \"plan\", 2 step \"build\", 3 sleep; now: 1 step \
                   \"plan\", 2 ctx:all or ctx:map";
    assert_eq!(fault.message, message);
    assert_eq!(fault.details["current"], json!(["1 step \"plan\"", "2 ctx:all or ctx:map"]));
}

#[test]
fn a_script_that_ends_too_early_has_diverged() {
    let trial = Trial::default();
    trial.parked("ctx:step('a', function() end) ctx:sleep('1h')");
    let fault = trial.fault("return 1");
    assert!(fault.code == "run.diverged" && fault.message.contains("at 1 it ends where"), "{fault:?}");
    let fault = trial.fault("error('of its own')");
    assert_eq!(fault.message, "of its own");
}

#[test]
fn a_call_more_at_the_end_is_no_divergence() {
    let trial = Trial::default();
    assert_eq!(trial.life("ctx:step('a', function() end)"), Outcome::Returned(json!(null)));
    assert_eq!(trial.value("ctx:step('a', function() end) return ctx:step('b', function() return 2 end)"), json!(2));
}
