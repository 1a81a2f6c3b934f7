//! Undoing: the latest first, each once.

use serde_json::json;

use super::support::Trial;
use crate::lua::Outcome;
use crate::model::EntryState;

const SCRIPT: &str = "
    local function act(name, undo)
      return ctx:step(name, function() print('do ' .. name) return { id = name } end, {
        undo = undo or function(result) print('undo ' .. result.id) end,
      })
    end
    act('one')
    ctx:compensate('note', function() print('undo note') end)
    ctx:step('plain', function() end)
    pcall(ctx.all, ctx, {
      function() act('two') ctx:step('broken', function() error('broken') end) end,
      function() act('three') ctx:step('long', function() ctx:sleep('1h') end) end,
    })
    act('four', function() error { code = 'app.stuck', message = 'four cannot be undone' } end)
    act('five')
    aegis.log.info('do nothing')
    error('the end')";

const UNDONE: [&str; 4] = ["undo five", "undo three", "undo two", "undo note"];

fn undone(trial: &Trial) -> Vec<String> {
    trial.bed.log.texts().into_iter().filter(|text| text.starts_with("undo")).collect()
}

#[test]
fn completed_steps_are_undone_the_latest_first() {
    let trial = Trial::default();
    assert_eq!(trial.fault(SCRIPT).message, "the end");
    let done = trial.bed.log.texts();
    let Outcome::Unwound(faults) = trial.unwind(SCRIPT) else { panic!("not undone") };
    assert_eq!(faults.iter().map(|fault| &*fault.code).collect::<Vec<_>>(), ["app.stuck"]);
    let mut order = undone(&trial);
    order[1..3].sort();
    assert_eq!(order, ["undo five", "undo three", "undo two", "undo note", "undo one"]);
    assert_eq!(trial.bed.log.texts()[..done.len()], done, "nothing is done again, and no line is written twice");
    let states: Vec<_> = trial.journal.entries().iter().filter(|e| e.key.places()[0] == 0).map(|e| e.state).collect();
    assert_eq!(states.iter().filter(|state| **state == EntryState::Failed).count(), 1);
    assert_eq!(states.len(), 6);
    assert_eq!(trial.unwind(SCRIPT), Outcome::Unwound(Vec::new()));
    assert_eq!(undone(&trial).len(), 5, "each once");
}

#[test]
fn undoing_goes_on_where_the_daemon_died() {
    for writes in 0..6 {
        let trial = Trial::default();
        trial.fault(SCRIPT);
        trial.journal.allow(Some(writes));
        let Outcome::Raised(lost) = trial.unwind(SCRIPT) else { panic!("it did not die") };
        assert_eq!(&*lost.code, "run.lost");
        trial.journal.allow(None);
        assert!(matches!(trial.unwind(SCRIPT), Outcome::Unwound(_)));
        let all = undone(&trial);
        for line in UNDONE {
            assert!((1..=2).contains(&trial.said(line)), "{writes}: {all:?}");
        }
        assert!(all.len() <= 6, "at most the one that was under way is undone twice: {all:?}");
    }
}

#[test]
fn a_run_that_waited_is_undone_without_its_answer() {
    let trial = Trial::default();
    let script = "ctx:step('a', function() return 7 end, { undo = function(result) print('undo', result) end })
                  ctx:approval('go')
                  print('never')";
    trial.parked(script);
    assert_eq!(trial.unwind(script), Outcome::Unwound(Vec::new()));
    assert_eq!(trial.bed.log.texts(), ["undo\t7"]);
}

#[test]
fn what_the_script_does_not_come_to_is_said_not_to_be_undone() {
    let trial = Trial::default();
    trial.parked("ctx:step('a', function() end, { undo = function() end }) ctx:sleep('1h')");
    let Outcome::Unwound(faults) = trial.unwind("error('changed')") else { panic!("not undone") };
    assert_eq!(&*faults[0].code, "undo.missing");
    assert_eq!(faults[0].message, "step \"a\" was not undone: the script did not come to it again");
}

#[test]
fn undoing_has_the_whole_api_but_no_steps() {
    let trial = Trial::default();
    let script = "ctx:step('a', function() end, { undo = function()
                    local ok, err = pcall(ctx.step, ctx, 'b', function() end)
                    aegis.kv.set('undone', err.code)
                    ctx:sleep(0.01)
                    print(aegis.kv.get('undone'))
                  end })
                  ctx:sleep('1h')";
    trial.parked(script);
    assert_eq!(trial.unwind(script), Outcome::Unwound(Vec::new()));
    assert_eq!(trial.bed.log.texts(), ["step.nested"]);
}

#[test]
fn an_undo_that_does_not_end_is_stopped() {
    let mut trial = Trial::default();
    let script = "ctx:step('a', function() end, { undo = function() pcall(ctx.sleep, ctx, '9h') end }) ctx:sleep('1h')";
    trial.parked(script);
    trial.bed.timeout = std::time::Duration::from_millis(50);
    let Outcome::Unwound(faults) = trial.unwind(script) else { panic!("not stopped") };
    assert_eq!(faults.iter().map(|fault| &*fault.code).collect::<Vec<_>>(), ["undo.timeout"]);
    assert_eq!(json!(trial.journal.entries().len()), json!(3), "it is not tried again");
}

#[test]
fn an_undo_that_computes_for_ever_keeps_no_other_from_being_undone() {
    let trial = Trial::default();
    let script = "ctx:step('a', function() end, { undo = function() print('undo a') end })
        ctx:step('b', function() end, { undo = function() while true do end end })
        ctx:step('c', function() end, { undo = function() print('undo c') end })
        error('the end')";
    trial.fault(script);
    let Outcome::Unwound(faults) = trial.unwind(script) else { panic!("not undone") };
    assert_eq!(undone(&trial), ["undo c", "undo a"]);
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!(&*fault.code, "run.cpu");
    assert!(fault.message.contains("undoing step \"b\""), "{fault:?}");
}
