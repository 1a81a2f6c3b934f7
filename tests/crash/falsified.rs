//! Each check can fail: the books of a small, honest history are falsified in one place, and that one thing is found.

use crate::checks::{Wrong, check};
use crate::record::{Acknowledged, Effect, Record, StoredOccurrence, StoredRun};

const DUE: i64 = 1_700_000_000_000_000;

fn run(id: &str, job: &str, state: &str) -> StoredRun {
    let failed = (state != "succeeded").then(|| "it was not to be".to_owned());
    StoredRun {
        id: id.to_owned(),
        job: job.to_owned(),
        state: state.to_owned(),
        reason: failed,
        error: None,
        result: None,
        key: None,
        scheduled_for: None,
    }
}

fn effect(run: &str, step: &str, life: u32) -> Effect {
    Effect { run: run.to_owned(), step: step.to_owned(), life, at: i64::from(life) * 60_000_000 }
}

/// Two lives: the first ended with `line` in its step `b`, which was executed once more.
fn honest() -> Record {
    let tick = StoredRun { scheduled_for: Some(DUE), ..run("tick", "tick_all", "succeeded") };
    let keyed = StoredRun { key: Some("k".to_owned()), ..run("keyed", "short", "interrupted") };
    let runs = vec![run("line", "line", "succeeded"), run("undone", "undone", "failed"), keyed, tick];
    let steps = [("line", "a", 1), ("undone", "a", 1), ("line", "b", 1), ("line", "b", 2), ("line", "c", 2)];
    let undone = [("undone", "b", 2), ("undone", "undo-b", 2), ("undone", "undo-a", 2)];
    let promise =
        |run: &str, job, key: Option<&str>| Acknowledged { run: run.to_owned(), job, key: key.map(str::to_owned) };
    Record {
        acknowledged: vec![promise("line", "line", None), promise("keyed", "short", Some("k"))],
        effects: steps.iter().chain(&undone).map(|(run, step, life)| effect(run, step, *life)).collect(),
        journals: [(1, ["line", "undone"].map(|run| (run.to_owned(), "a".to_owned())).into())].into(),
        moments: Vec::new(),
        is_shared: false,
        thaws: Vec::new(),
        told: runs.iter().map(|run| (run.id.clone(), run.state.clone())).collect(),
        runs,
        occurrences: vec![StoredOccurrence {
            job: "tick_all".to_owned(),
            scheduled_for: DUE,
            state: "fired".to_owned(),
            run: Some("tick".to_owned()),
            decided_at: DUE,
        }],
        ticking: vec!["tick_all"],
        watched: (DUE - 500_000, DUE + 500_000),
    }
}

/// Changes the honest history and expects that this is found, and nothing else.
#[track_caller]
fn shows(wrong: Wrong, falsify: impl FnOnce(&mut Record)) {
    let mut record = honest();
    falsify(&mut record);
    let found = check(&record);
    assert!(!found.is_empty(), "{wrong:?} was not found");
    assert!(found.iter().all(|(kind, _)| *kind == wrong), "{found:?}");
}

fn stored<'a>(record: &'a mut Record, id: &str) -> &'a mut StoredRun {
    record.runs.iter_mut().find(|run| run.id == id).expect("it is in the history")
}

#[test]
fn an_honest_history_has_nothing_wrong() {
    assert_eq!(check(&honest()), []);
}

#[test]
fn a_lost_run_is_found() {
    shows(Wrong::Lost, |record| record.runs.retain(|run| run.id != "keyed"));
    shows(Wrong::Lost, |record| drop(record.told.remove("line")));
}

#[test]
fn an_api_that_tells_otherwise_is_found() {
    shows(Wrong::ToldOtherwise, |record| drop(record.told.insert("line".to_owned(), "failed".to_owned())));
}

#[test]
fn a_phantom_is_found() {
    shows(Wrong::Phantom, |record| {
        stored(record, "keyed").state = "running".to_owned();
        record.told.insert("keyed".to_owned(), "running".to_owned());
    });
}

#[test]
fn a_durable_run_that_gives_up_is_found() {
    shows(Wrong::BadEnd, |record| {
        *stored(record, "line") = run("line", "line", "interrupted");
        record.told.insert("line".to_owned(), "interrupted".to_owned());
    });
    shows(Wrong::BadEnd, |record| stored(record, "keyed").reason = None);
}

#[test]
fn a_key_with_two_runs_is_found() {
    shows(Wrong::KeyTwice, |record| {
        let other = run("other", "short", "succeeded");
        record.runs.push(StoredRun { key: Some("k".to_owned()), ..other });
    });
    shows(Wrong::KeyTwice, |record| {
        record.acknowledged.push(Acknowledged { run: "line".to_owned(), job: "short", key: Some("k".to_owned()) });
    });
}

#[test]
fn a_committed_step_that_happens_again_is_found() {
    shows(Wrong::StepAgain, |record| record.effects.push(effect("line", "a", 2)));
    shows(Wrong::StepAgain, |record| record.effects.push(effect("line", "c", 2)));
    // Only the journal knows that it was committed: nothing came after it in its life.
    shows(Wrong::StepAgain, |record| {
        record.effects.retain(|effect| effect.run != "undone" || effect.life == 1);
        let rest = ["a", "b", "undo-b", "undo-a"];
        record.effects.extend(rest.iter().map(|step| effect("undone", step, 2)));
    });
    shows(Wrong::StepAgain, |record| record.effects.push(effect("undone", "undo-a", 2)));
}

#[test]
fn a_daemon_that_stood_still_may_finish_one_call_and_no_more() {
    let thawed = |record: &mut Record, steps: &[&str]| {
        record.is_shared = true;
        record.thaws = vec![180_000_000];
        record.effects.extend(steps.iter().map(|step| effect("line", step, 3)));
    };
    let mut record = honest();
    thawed(&mut record, &["b"]);
    assert_eq!(check(&record), []);
    shows(Wrong::StepAgain, |record| thawed(record, &["a", "b"]));
    shows(Wrong::StepAgain, |record| {
        thawed(record, &["b"]);
        record.thaws = vec![60_000_000];
    });
}

#[test]
fn a_step_that_never_happened_is_found() {
    shows(Wrong::StepMissing, |record| record.effects.retain(|effect| effect.step != "c"));
    shows(Wrong::StepMissing, |record| record.effects.retain(|effect| effect.step != "undo-a"));
}

#[test]
fn effects_of_a_run_that_is_in_no_book_are_found() {
    shows(Wrong::Stranger, |record| record.effects.push(effect("nobody", "a", 1)));
}

#[test]
fn a_due_time_that_fired_twice_is_found() {
    shows(Wrong::FiredTwice, |record| {
        let twin = run("twin", "tick_all", "succeeded");
        record.runs.push(StoredRun { scheduled_for: Some(DUE), ..twin });
    });
}

#[test]
fn a_due_time_without_a_row_is_found() {
    shows(Wrong::DueMissing, |record| record.occurrences.clear());
    shows(Wrong::DueMissing, |record| record.watched.1 += 1_000_000);
    shows(Wrong::DueMissing, |record| record.occurrences[0].run = None);
    shows(Wrong::DueMissing, |record| record.runs.retain(|run| run.id != "tick"));
}
