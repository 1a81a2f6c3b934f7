//! Programs made by chance, which die by chance.

use std::fmt::Write;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::{Trial, compiled, complete, ticking};
use crate::base::clock::{earlier, since};
use crate::lua::Outcome;
use crate::lua::tests::support::on_lane;
use crate::model::EntryState;

#[derive(Debug, Clone)]
enum Part {
    Step {
        millis: u8,
        fails: bool,
    },
    Sleep(u8),
    Read,
    Throw,
    Undo,
    /// An event or a decision, which comes so many milliseconds after it is waited for, from a door whose clock is so
    /// many behind.
    Answer {
        millis: u8,
        behind: u8,
        decision: bool,
        forever: bool,
    },
    Group {
        branches: Vec<Vec<Part>>,
        limit: u8,
    },
}

fn part() -> impl Strategy<Value = Part> {
    let leaf = prop_oneof![
        4 => (0..20_u8, prop::bool::weighted(0.1)).prop_map(|(millis, fails)| Part::Step { millis, fails }),
        1 => (0..20_u8).prop_map(Part::Sleep),
        1 => Just(Part::Read),
        1 => Just(Part::Throw),
        1 => Just(Part::Undo),
        3 => (0..20_u8, 0..30_u8, any::<bool>(), any::<bool>()).prop_map(|(millis, behind, decision, forever)| {
            Part::Answer { millis, behind, decision, forever }
        }),
    ];
    leaf.prop_recursive(2, 16, 4, |inner| {
        let branches = prop::collection::vec(prop::collection::vec(inner, 0..4), 1..4);
        (branches, 1..4_u8).prop_map(|(branches, limit)| Part::Group { branches, limit })
    })
}

/// Lua that notes in `seen` in which order things happened, and says `did N` in each step.
fn lua(parts: &[Part], number: &mut usize, out: &mut String) {
    for part in parts {
        *number += 1;
        let n = *number;
        let written = match part {
            Part::Step { millis, fails } => {
                let end = if *fails { "error('failed')" } else { "return 1" };
                writeln!(
                    out,
                    "ctx:step('s{n}', function() ctx:sleep({millis} / 1000) print('did {n}') {end} end) note({n})"
                )
            }
            Part::Sleep(millis) => writeln!(out, "ctx:sleep({millis} / 1000) note({n})"),
            Part::Read => writeln!(out, "note(aegis.time.now())"),
            Part::Throw => writeln!(out, "note(math.random(100))"),
            Part::Undo => writeln!(out, "ctx:compensate('c{n}', function() print('undid {n}') end)"),
            Part::Answer { millis, behind, decision, forever } => {
                let call = if *decision { "approval" } else { "wait_event" };
                let options = if *forever { "" } else { ", { timeout = '5s' }" };
                writeln!(out, "ctx:{call}('w{n}-{millis}-{behind}'{options}) note({n})")
            }
            Part::Group { branches, limit } => {
                let _ = writeln!(out, "note(select(2, pcall(ctx.map, ctx, {{");
                for branch in branches {
                    out.push_str("function()\n");
                    lua(branch, number, out);
                    out.push_str("end,\n");
                }
                writeln!(out, "}}, function(body) body() return 1 end, {{ limit = {limit} }})))")
            }
        };
        written.expect("text can be written");
    }
}

fn program(parts: &[Part]) -> String {
    let mut out = "local seen = {}
        local function note(what)
          table.insert(seen, if type(what) == 'table' then what.message or #what else what)
        end
        local function main()\n"
        .to_owned();
    lua(parts, &mut 0, &mut out);
    out.push_str("end\nlocal ok = pcall(main)\nctx:step('last', function() end)\nreturn { ok = ok, seen = seen }");
    out
}

/// What the run returns, however often it dies after how many writes.
fn result(trial: &Trial, script: &str, deaths: &[usize]) -> Value {
    for writes in deaths {
        trial.journal.allow(Some(*writes));
        match life(trial, script) {
            Outcome::Raised(fault) if fault.code == "run.lost" => {}
            Outcome::Parked { .. } => drop(answer(trial, u64::MAX)),
            Outcome::Returned(value) => return value,
            other => panic!("{script}\nended with {other:?}"),
        }
    }
    trial.journal.allow(None);
    loop {
        match life(trial, script) {
            Outcome::Parked { .. } => assert!(answer(trial, u64::MAX) > 0, "{script}\nwaits for nothing"),
            Outcome::Returned(value) => return value,
            other => panic!("{script}\nended with {other:?}"),
        }
    }
}

/// One life, while whose waits answers come.
fn life(trial: &Trial, script: &str) -> Outcome {
    on_lane(async {
        let run = trial.bed.engine.execute(compiled(script), trial.scope());
        let doors = async {
            loop {
                answer(trial, 0);
                tokio::task::yield_now().await;
            }
        };
        let either = async {
            tokio::select! {
                biased;
                outcome = run => outcome,
                () = doors => unreachable!("doors stay open"),
            }
        };
        ticking(&trial.hand, either).await
    })
}

/// Answers what has waited for long enough, as if `patience` milliseconds more had passed. How many that were.
fn answer(trial: &Trial, patience: u64) -> usize {
    let now = trial.hand.now();
    let mut answered = 0;
    for entry in trial.journal.entries().iter().filter(|entry| entry.state == EntryState::Waiting) {
        let numbers: Vec<u64> = entry.name.split('-').skip(1).filter_map(|number| number.parse().ok()).collect();
        let &[millis, behind] = &*numbers else { continue };
        let waited = u64::try_from(since(now, entry.started_at).as_millis()).unwrap_or(u64::MAX);
        if waited.saturating_add(patience) >= millis {
            let stamp = earlier(now, Duration::from_millis(behind));
            let result = json!({ "approved": true, "by": "ada" });
            answered += usize::from(trial.journal.answer(&entry.name, |entry| complete(entry, result, stamp)));
        }
    }
    answered
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_program_that_dies_ends_as_its_journal_says(
        parts in prop::collection::vec(part(), 1..6),
        deaths in prop::collection::vec(0..6_usize, 0..4),
    ) {
        let script = program(&parts);
        let trial = Trial::default();
        let first = result(&trial, &script, &deaths);
        let entries = trial.journal.entries();
        prop_assert_eq!(trial.value(&script), first, "{}", &script);
        prop_assert_eq!(trial.journal.entries(), entries, "a replay records nothing");
        for (n, text) in trial.bed.log.texts().iter().enumerate() {
            let again = trial.bed.log.texts()[..n].iter().filter(|other| *other == text).count();
            prop_assert!(again <= deaths.len(), "{text} was done {again} times too often");
        }
    }
}
