//! The clock and the dice.

use serde_json::json;

use super::support::Trial;
use crate::model::EntryKind;

const SCRIPT: &str = "
    local seen = { aegis.time.now(), aegis.time.unix(), os.time(), os.clock(), os.date('!%H:%M:%S'), math.random(),
                   math.random(6), math.random(-5, 5), aegis.uuid.v4(), aegis.uuid.v7() }
    local together = ctx:map({ 1, 2 }, function() return { aegis.uuid.v4(), math.random(1000000), os.clock() } end)
    math.randomseed(7)
    table.insert(seen, math.random())
    ctx:step('a', function() end)
    ctx:sleep('1h')
    return { seen = seen, together = together }";

#[test]
fn what_was_read_is_read_again() {
    let trial = Trial::default();
    trial.parked(SCRIPT);
    let before = trial.journal.entries();
    trial.advance(3_600);
    let first = trial.value(SCRIPT);
    trial.advance(77);
    assert_eq!(trial.value(SCRIPT), first);
    assert_eq!(first["seen"][2], json!(1_800_000_000));
    assert_eq!(first["seen"][4], json!("08:00:00"));
    assert_ne!(first["seen"][8], first["seen"][9]);
    assert_ne!(first["together"][0], first["together"][1], "each strand has dice of its own");
    let seeds = before.iter().filter(|entry| entry.kind == EntryKind::Value && entry.name == "random").count();
    assert_eq!(seeds, 3, "one for each strand that throws");
    let other = Trial::default();
    other.parked(SCRIPT);
    other.advance(3_600);
    assert_ne!(other.value(SCRIPT)["seen"][8], first["seen"][8], "another run has other dice");
}

#[test]
fn numbers_are_in_their_interval() {
    let trial = Trial::default();
    let script = "for _ = 1, 2000 do
                    local unit, die, span = math.random(), math.random(6), math.random(-2, 2)
                    assert(unit >= 0 and unit < 1 and die >= 1 and die <= 6 and die % 1 == 0)
                    assert(span >= -2 and span <= 2 and span % 1 == 0)
                  end
                  return { (select(2, pcall(math.random, 0))), (pcall(math.random, 2, 1)), #tostring(math.random(1, 1)) }";
    assert_eq!(trial.value(script), json!(["invalid argument #1 to 'random' (interval is empty)", false, 1]));
    assert_eq!(trial.journal.writes(), 0, "what nothing follows need not be kept");
}

#[test]
fn within_a_step_everything_is_real() {
    let trial = Trial::default();
    let script = "return ctx:step('a', function()
                    return { os.time(), #aegis.uuid.v4(), math.random(3) <= 3, os.date('%Y') ~= nil, os.clock() > 0 }
                  end)[2]";
    assert_eq!(trial.value(script), json!(36));
    assert_eq!(trial.recorded(), ["1 step a Done"]);
}

#[test]
fn a_files_body_reads_the_same_clock() {
    let trial = Trial::default();
    let file = "local started = os.time()
                return aegis.job { resume = true, run = function(ctx) ctx:sleep('1h') return started end }";
    let life = || {
        let run = trial.bed.engine.execute(crate::lua::tests::support::bundle(file), trial.scope());
        crate::lua::tests::support::on_lane(run)
    };
    life();
    trial.advance(3_600);
    assert_eq!(life(), crate::lua::Outcome::Returned(json!(1_800_000_000)));
}
