//! Runs: what is accepted, what changes, what is refused, and how they are found again.

use serde_json::json;

use super::support::*;
use crate::base::Fault;
use crate::model::run::Progress;
use crate::model::{Occurrence, OccurrenceState, Run, RunState};
use crate::store::*;

on_both! {
    a_run_comes_back_as_it_went_in,
    a_life_from_queue_to_end,
    a_refused_change_writes_nothing,
    states_that_do_not_follow_are_errors,
    of_two_ends_that_wait_together_one_wins,
    an_idempotency_key_names_one_run,
    accepting_the_same_run_again_changes_nothing,
    an_occurrence_fires_once,
    a_key_that_is_taken_leaves_the_occurrence_open,
    a_run_that_has_to_be_alone_is_refused_beside_another,
    a_concurrency_key_of_any_length_is_accepted,
}

async fn a_run_comes_back_as_it_went_in(db: &mut Db) {
    let full = Run {
        version: Some(crate::base::VersionHash::of([("a", b"b".as_slice())])),
        params: json!({"text": "quote \" and 'tick' \u{1f980} \\n", "big": 9_007_199_254_740_993_i64, "none": null}),
        priority: -3,
        dry_run: true,
        not_before: Some(at(1_000_005)),
        reason: Some("waits\0for a lane".into()),
        error: Some(Fault::new("script.error", "no").hint("try").details(json!({"a": [1, 2]}))),
        result: Some(json!(null)),
        parent: Some(crate::base::RunId::generate()),
        idempotency_key: Some("key-1".into()),
        progress: Some(Progress { done: 0.5, total: Some(2.0), text: Some("half".into()) }),
        ..run("backup", 1_000_000)
    };
    let full = Run {
        trigger: crate::model::Trigger {
            scheduled_for: Some(at(999_999)),
            payload: json!({"x": 1}),
            ..full.trigger.clone()
        },
        ..full
    };
    assert_eq!(db.store.accept_run(new_run(&full)).await, Ok(Accepted::New));
    let found = db.store.run(full.id).await.expect("readable").expect("there");
    assert_eq!(found, Run { reason: Some("waits\u{fffd}for a lane".into()), ..full });
    assert_eq!(db.store.run(crate::base::RunId::generate()).await, Ok(None));
}

async fn a_life_from_queue_to_end(db: &mut Db) {
    let run = run("backup", 1_000_000);
    db.store.accept_run(new_run(&run)).await.expect("accepted");
    assert_eq!(db.store.start_run(start(&run, 1, 1)).await, Ok(Started::Lost));
    assert_eq!(db.store.start_run(start(&run, 0, 1)).await, Ok(Started::Applied));
    assert_eq!(db.store.start_run(start(&run, 0, 1)).await, Ok(Started::Lost));
    let progress = Progress { done: 1.0, total: None, text: None };
    db.store
        .set_progress(ProgressUpdate { run: run.id, fence: None, progress: progress.clone() })
        .await
        .expect("written");

    let begun = Run { attempt: 1, fence: 1, ..run.clone() };
    let retry = Transition {
        not_before: Some(at(1_000_020)),
        error: Some(Fault::new("http.timeout", "too slow")),
        logs: vec![line(run.id, 1)],
        ..change(&begun, RunState::Running, RunState::Queued)
    };
    assert_eq!(db.store.transition(retry).await, Ok(Guarded::Applied));
    let waiting = db.store.run(run.id).await.expect("readable").expect("there");
    assert_eq!((waiting.state, waiting.finished_at, waiting.not_before), (RunState::Queued, None, Some(at(1_000_020))));
    assert_eq!(waiting.error.map(|error| error.code), Some("http.timeout".into()));

    assert_eq!(db.store.start_run(StartRun { began: at(1_000_020), ..start(&run, 1, 2) }).await, Ok(Started::Applied));
    let again = Run { attempt: 2, fence: 2, ..run.clone() };
    let success = Transition {
        result: Some(json!({"ok": true})),
        logs: vec![line(run.id, 2)],
        ..change(&again, RunState::Running, RunState::Succeeded)
    };
    assert_eq!(db.store.transition(success).await, Ok(Guarded::Applied));
    let ended = db.store.run(run.id).await.expect("readable").expect("there");
    assert_eq!((ended.state, ended.attempt, ended.error), (RunState::Succeeded, 2, None));
    assert_eq!((ended.started_at, ended.finished_at), (Some(at(1_000_020)), Some(at(1_000_010))));
    assert_eq!((ended.result, ended.progress, ended.not_before), (Some(json!({"ok": true})), Some(progress), None));
    assert_eq!(db.store.logs(run.id, 0, 10).await.map(|lines| lines.len()), Ok(2));
}

async fn a_refused_change_writes_nothing(db: &mut Db) {
    let run = running("backup", 1_000_000);
    db.store.accept_run(new_run(&run)).await.expect("accepted");
    let events = db.store.events(0, 100).await.expect("readable").len();
    let mut stale = change(&Run { attempt: 2, fence: 2, ..run.clone() }, RunState::Running, RunState::Failed);
    stale.logs = vec![line(run.id, 1)];
    assert_eq!(db.store.transition(stale).await, Ok(Guarded::Refused));
    let mut other = change(&run, RunState::Queued, RunState::Cancelled);
    other.logs = vec![line(run.id, 1)];
    assert_eq!(db.store.transition(other).await, Ok(Guarded::Refused));
    assert_eq!(db.store.logs(run.id, 0, 10).await, Ok(vec![]));
    assert_eq!(db.store.events(0, 100).await.map(|list| list.len()), Ok(events));
    assert_eq!(db.store.run_state(run.id).await, Ok(Some(RunState::Running)));
}

async fn states_that_do_not_follow_are_errors(db: &mut Db) {
    let run = running("backup", 1_000_000);
    let wrong = db.store.transition(change(&run, RunState::Succeeded, RunState::Running)).await;
    assert!(matches!(wrong, Err(StoreError::Refused { reason }) if reason.contains("from succeeded to running")));
    let ended = Run { state: RunState::Failed, ..run };
    assert!(matches!(db.store.accept_run(new_run(&ended)).await, Err(StoreError::Refused { .. })));
}

async fn of_two_ends_that_wait_together_one_wins(db: &mut Db) {
    let run = running("backup", 1_000_000);
    db.store.accept_run(new_run(&run)).await.expect("accepted");
    let ends = [RunState::Succeeded, RunState::Cancelled, RunState::TimedOut, RunState::Failed];
    let outcomes = futures_util::future::join_all(ends.map(|to| {
        let mut change = change(&run, RunState::Running, to);
        change.logs = vec![line(run.id, 1)];
        db.store.transition(change)
    }))
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ok(Guarded::Applied)).count(), 1);
    let state = db.store.run_state(run.id).await.expect("readable").expect("there");
    let place = outcomes.iter().position(|outcome| *outcome == Ok(Guarded::Applied)).expect("one applied");
    assert_eq!(state, ends[place]);
    assert_eq!(db.store.logs(run.id, 0, 10).await.map(|lines| lines.len()), Ok(1));
}

async fn an_idempotency_key_names_one_run(db: &mut Db) {
    let keyed = |name: &str| Run { idempotency_key: Some("deploy-7".into()), ..run(name, 1_000_000) };
    let (first, second, elsewhere) = (keyed("deploy"), keyed("deploy"), keyed("other"));
    // Together, so that they meet in one batch.
    let outcomes = futures_util::join!(
        db.store.accept_run(new_run(&first)),
        db.store.accept_run(new_run(&second)),
        db.store.accept_run(new_run(&elsewhere)),
    );
    assert_eq!(outcomes, (Ok(Accepted::New), Ok(Accepted::Existing(first.id)), Ok(Accepted::New)));
    assert_eq!(db.store.accept_run(new_run(&keyed("deploy"))).await, Ok(Accepted::Existing(first.id)));
    assert_eq!(db.store.run(second.id).await, Ok(None));
    // An event for each of the two that were accepted, none for the others.
    assert_eq!(db.store.events(0, 10).await.map(|events| events.len()), Ok(2));
    let long = Run { idempotency_key: Some("k".repeat(300)), ..run("deploy", 1) };
    assert!(matches!(db.store.accept_run(new_run(&long)).await, Err(StoreError::TooLarge { limit: 255, .. })));
}

async fn accepting_the_same_run_again_changes_nothing(db: &mut Db) {
    let run = Run { idempotency_key: Some("again".into()), ..run("backup", 1_000_000) };
    let due = occurrence("backup", 999_000, Some(run.id));
    let new = NewRun { occurrence: Some(due), ..new_run(&run) };
    assert_eq!(db.store.accept_run(new.clone()).await, Ok(Accepted::New));
    assert_eq!(db.store.accept_run(new).await, Ok(Accepted::New));
    assert_eq!(db.store.accept_run(new_run(&run)).await, Ok(Accepted::New));
    assert_eq!(db.store.events(0, 10).await.map(|events| events.len()), Ok(1));
}

async fn an_occurrence_fires_once(db: &mut Db) {
    let (first, second) = (run("backup", 1_000_000), run("backup", 1_000_000));
    let fire = |run: &Run| NewRun { occurrence: Some(occurrence("backup", 999_000, Some(run.id))), ..new_run(run) };
    let outcomes = futures_util::join!(db.store.accept_run(fire(&first)), db.store.accept_run(fire(&second)));
    assert_eq!(outcomes, (Ok(Accepted::New), Ok(Accepted::OccurrenceSettled)));
    assert_eq!(db.store.run(second.id).await, Ok(None));
    assert_eq!(db.store.settle_occurrence(occurrence("backup", 999_000, None), vec![event("x")]).await, Ok(false));
    let kept = db.store.occurrences(None, at(0), at(2_000_000), 10).await.expect("readable");
    assert_eq!(kept, [occurrence("backup", 999_000, Some(first.id))]);
    assert_eq!(db.store.events(0, 10).await.map(|events| events.len()), Ok(1));
}

async fn a_key_that_is_taken_leaves_the_occurrence_open(db: &mut Db) {
    let keyed = || Run { idempotency_key: Some("k".into()), ..run("backup", 1_000_000) };
    let (first, second) = (keyed(), keyed());
    db.store.accept_run(new_run(&first)).await.expect("accepted");
    let due = NewRun { occurrence: Some(occurrence("backup", 999_000, Some(second.id))), ..new_run(&second) };
    assert_eq!(db.store.accept_run(due).await, Ok(Accepted::Existing(first.id)));
    assert_eq!(db.store.settle_occurrence(occurrence("backup", 999_000, None), vec![]).await, Ok(true));
}

async fn a_run_that_has_to_be_alone_is_refused_beside_another(db: &mut Db) {
    let alone = |run: &Run| NewRun { alone: true, ..new_run(run) };
    let first = Run { idempotency_key: Some("k".into()), ..run("backup", 1_000_000) };
    let (second, other) = (run("backup", 1_000_000), run("report", 1_000_000));
    let (third, again) = (alone(&second), alone(&first));
    let due = NewRun { occurrence: Some(occurrence("backup", 999_000, Some(second.id))), ..alone(&second) };
    let outcomes = futures_util::join!(
        db.store.accept_run(alone(&first)),
        db.store.accept_run(due),
        db.store.accept_run(alone(&other)),
    );
    assert_eq!(outcomes, (Ok(Accepted::New), Ok(Accepted::Crowded), Ok(Accepted::New)));
    assert_eq!(db.store.settle_occurrence(occurrence("backup", 999_000, None), vec![]).await, Ok(true), "left open");
    assert_eq!(db.store.accept_run(again).await, Ok(Accepted::New), "an answer that got lost");
    let keyed = Run { idempotency_key: Some("k".into()), ..run("backup", 1_000_000) };
    assert_eq!(db.store.accept_run(alone(&keyed)).await, Ok(Accepted::Existing(first.id)));
    db.store.transition(change(&first, RunState::Queued, RunState::Cancelled)).await.expect("written");
    assert_eq!(db.store.accept_run(third).await, Ok(Accepted::New));
}

fn occurrence(name: &str, due: i64, run: Option<crate::base::RunId>) -> Occurrence {
    Occurrence {
        job: job(name),
        scheduled_for: at(due),
        state: OccurrenceState::Fired,
        reason: None,
        run,
        decided_at: at(1_000_000),
    }
}

async fn a_concurrency_key_of_any_length_is_accepted(db: &mut Db) {
    // Nothing that could be compressed.
    let noise: String = (0..200_u32).map(|n| blake3::hash(&n.to_le_bytes()).to_hex().to_string()).collect();
    let limit = crate::model::job::Concurrency { key: "deploy/${stack}".into(), limit: 1 };
    let key = limit.key_for(&serde_json::json!({ "stack": noise }));
    let run = Run { concurrency_key: Some(key), ..running("deploy", 1_000_000) };
    assert_eq!(db.store.accept_run(new_run(&run)).await, Ok(Accepted::New));
}
