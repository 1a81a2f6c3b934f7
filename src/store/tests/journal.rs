//! Journals of durable runs, and what runs keep for people.

use serde_json::json;

use super::support::*;
use crate::base::{Fault, RunId};
use crate::model::{Actor, Entry, EntryKind, EntryState, Run, RunState};
use crate::store::*;

async fn accepted(db: &Db, name: &str) -> Run {
    let run = running(name, 1_000_000);
    db.store.accept_run(new_run(&run)).await.expect("accepted");
    run
}

async fn names(db: &Db, run: &Run) -> Vec<String> {
    db.store.journal(run.id).await.expect("readable").into_iter().map(|entry| entry.name).collect()
}

on_both! {
    entries_come_back_as_they_went_in,
    an_entry_of_the_same_key_is_replaced_and_keeps_its_place,
    only_the_holder_of_a_running_run_writes_its_journal,
    a_change_writes_and_forgets_entries,
    a_run_that_ends_waits_for_nothing,
    whoever_follows_a_run_hears_of_its_journal,
    artifacts_are_kept_and_replaced,
    artifacts_have_limits,
    artifacts_are_kept_by_the_holder_only,
    long_results_are_shown_by_their_beginning,
}

async fn entries_come_back_as_they_went_in(db: &mut Db) {
    let run = accepted(db, "deploy").await;
    let full = Entry {
        state: EntryState::Failed,
        result: Some(json!(null)),
        error: Some(Fault::new("http.timeout", "no").hint("try")),
        show: Some(json!({"diff": "a \u{1f980} \\ \"b\""})),
        match_key: Some("order 7".into()),
        actor: Some(Actor::new("token:ci")),
        undo: true,
        tries: 3,
        attempt: 2,
        wake_at: Some(at(1_000_900)),
        ..step("4.2.1", "pay")
    };
    let list = vec![step("10", "ten"), full, waiting("2", EntryKind::Sleep, "nap")];
    assert_eq!(db.store.journal_write(entries(&run, list.clone())).await, Ok(Guarded::Applied));
    assert_eq!(db.store.journal(run.id).await, Ok(list), "in the order in which they were recorded");
    assert_eq!(db.store.journal(RunId::generate()).await, Ok(vec![]));
}

async fn an_entry_of_the_same_key_is_replaced_and_keeps_its_place(db: &mut Db) {
    let run = accepted(db, "deploy").await;
    let first = vec![waiting("1", EntryKind::Sleep, "nap"), step("2", "build")];
    db.store.journal_write(entries(&run, first)).await.expect("written");
    let over = Entry { kind: EntryKind::Sleep, ..step("1", "nap over") };
    let both = vec![waiting("3", EntryKind::Sleep, "old"), over.clone(), step("3", "ship")];
    assert_eq!(db.store.journal_write(entries(&run, both)).await, Ok(Guarded::Applied));
    assert_eq!(db.store.journal(run.id).await, Ok(vec![over, step("2", "build"), step("3", "ship")]));
}

async fn only_the_holder_of_a_running_run_writes_its_journal(db: &mut Db) {
    let run = accepted(db, "deploy").await;
    let stale = JournalWrite { fence: 0, ..entries(&run, vec![step("1", "stale")]) };
    let unknown = JournalWrite { run: RunId::generate(), ..entries(&run, vec![step("1", "unknown")]) };
    let (good, stale, unknown) = futures_util::join!(
        db.store.journal_write(entries(&run, vec![step("1", "good")])),
        db.store.journal_write(stale),
        db.store.journal_write(unknown),
    );
    assert_eq!((good, stale, unknown), (Ok(Guarded::Applied), Ok(Guarded::Refused), Ok(Guarded::Refused)));
    db.store.transition(change(&run, RunState::Running, RunState::Queued)).await.expect("written");
    let late = db.store.journal_write(entries(&run, vec![step("2", "late")])).await;
    assert_eq!((late, names(db, &run).await), (Ok(Guarded::Refused), vec!["good".to_owned()]));
}

async fn a_change_writes_and_forgets_entries(db: &mut Db) {
    let run = accepted(db, "deploy").await;
    let list = vec![step("1", "build"), step("2", "ship"), waiting("3", EntryKind::Sleep, "nap")];
    db.store.journal_write(entries(&run, list)).await.expect("written");
    let mut parks = change(&run, RunState::Running, RunState::Parked);
    parks.journal = vec![step("4", "clock")];
    parks.forget = vec!["2".parse().expect("a key")];
    parks.wake_at = Some(at(1_000_500));
    let refused = Transition { fence: 7, ..parks.clone() };
    assert_eq!(db.store.transition(refused).await, Ok(Guarded::Refused));
    assert_eq!(names(db, &run).await, ["build", "ship", "nap"], "a refused change leaves the journal alone");
    assert_eq!(db.store.transition(parks).await, Ok(Guarded::Applied));
    assert_eq!(names(db, &run).await, ["build", "nap", "clock"]);
    let parked = db.store.run(run.id).await.expect("readable").expect("there");
    assert_eq!((parked.state, parked.wake_at), (RunState::Parked, Some(at(1_000_500))));
}

async fn a_run_that_ends_waits_for_nothing(db: &mut Db) {
    let run = accepted(db, "deploy").await;
    let list =
        vec![step("1", "build"), waiting("2", EntryKind::Approval, "go"), waiting("3", EntryKind::Event, "paid")];
    db.store.journal_write(entries(&run, list)).await.expect("written");
    assert_eq!(db.store.pending_approvals(0, None).await.map(|pending| pending.len()), Ok(1));
    db.store.transition(change(&run, RunState::Running, RunState::Failed)).await.expect("written");
    assert_eq!(names(db, &run).await, ["build"]);
    assert_eq!(db.store.pending_approvals(0, None).await, Ok(vec![]));
}

async fn whoever_follows_a_run_hears_of_its_journal(db: &mut Db) {
    let run = accepted(db, "deploy").await;
    let mut follow = db.store.follow(run.id);
    follow.mark_seen();
    db.store.journal_write(entries(&run, vec![step("1", "build")])).await.expect("written");
    assert!(follow.changed().await);
}

fn artifact(name: &str, second: i64) -> Artifact {
    Artifact { name: name.into(), media_type: "text/plain".into(), bytes: 0, created_at: at(second) }
}

async fn artifacts_are_kept_and_replaced(db: &mut Db) {
    let run = accepted(db, "report").await;
    let bytes: Vec<u8> = (0..=255).collect();
    db.store.put_artifact(run.id, None, artifact("b.bin", 10), bytes.clone().into()).await.expect("kept");
    db.store.put_artifact(run.id, None, artifact("a.txt", 11), "first".into()).await.expect("kept");
    db.store.put_artifact(run.id, None, artifact("a.txt", 12), "second".into()).await.expect("replaced");
    let (a, b) = (Artifact { bytes: 6, ..artifact("a.txt", 12) }, Artifact { bytes: 256, ..artifact("b.bin", 10) });
    assert_eq!(db.store.artifacts(run.id).await, Ok(vec![a.clone(), b.clone()]));
    assert_eq!(db.store.artifact(run.id, "a.txt").await, Ok(Some((a, b"second".to_vec()))));
    assert_eq!(db.store.artifact(run.id, "b.bin").await, Ok(Some((b, bytes))));
    assert_eq!(db.store.artifact(run.id, "c").await, Ok(None));
}

async fn artifacts_have_limits(db: &mut Db) {
    let run = accepted(db, "report").await;
    let big = db.store.put_artifact(run.id, None, artifact("big", 1), vec![0; (4 << 20) + 1].into()).await;
    assert!(matches!(big, Err(StoreError::TooLarge { limit: 4_194_304, .. })), "{big:?}");
    let nobody = db.store.put_artifact(RunId::generate(), None, artifact("a", 1), "x".into()).await;
    assert!(matches!(nobody, Err(StoreError::Refused { reason }) if reason.contains("no run")));
    let puts = (0..64).map(|i| db.store.put_artifact(run.id, None, artifact(&format!("a{i}"), 1), "x".into()));
    assert!(futures_util::future::join_all(puts).await.iter().all(Result::is_ok));
    let more = db.store.put_artifact(run.id, None, artifact("more", 1), "x".into()).await;
    assert!(matches!(more, Err(StoreError::Refused { reason }) if reason.contains("64")));
    db.store.put_artifact(run.id, None, artifact("a7", 1), "y".into()).await.expect("one of the same name is replaced");
}

async fn artifacts_are_kept_by_the_holder_only(db: &mut Db) {
    let run = accepted(db, "report").await;
    let keep = async |fence: i64| db.store.put_artifact(run.id, Some(fence), artifact("a", 1), "x".into()).await;
    assert_eq!(keep(1).await, Ok(()));
    let late = keep(0).await;
    assert!(matches!(&late, Err(StoreError::Refused { reason }) if reason.contains("another daemon")), "{late:?}");
    let progress = |fence: i64, done: f64| {
        let progress = crate::model::run::Progress { done, total: None, text: None };
        db.store.set_progress(ProgressUpdate { run: run.id, fence: Some(fence), progress })
    };
    let shown = async || db.store.run(run.id).await.expect("readable").expect("there").progress.map(|p| p.done);
    progress(0, 1.0).await.expect("no error");
    assert_eq!(shown().await, None);
    let (new, old) = futures_util::join!(progress(1, 2.0), progress(0, 3.0));
    assert_eq!((new, old, shown().await), (Ok(()), Ok(()), Some(2.0)), "whichever comes last");
}

async fn long_results_are_shown_by_their_beginning(db: &mut Db) {
    let run = accepted(db, "report").await;
    let most = crate::base::limits::PAGE_STEP_VALUE_BYTES_MAX;
    let of = |key: &str, length: usize| Entry { result: Some(json!("\u{e9}".repeat(length))), ..step(key, "s") };
    let list = vec![of("1", most / 2 - 1), of("2", most / 2), Entry { result: None, ..step("3", "s") }];
    db.store.journal_write(entries(&run, list.clone())).await.expect("written");
    let shown = db.store.journal_shown(run.id).await.expect("readable");
    assert_eq!((&shown[0], &shown[2]), (&list[0], &list[2]));
    let cut = &shown[1].result.as_ref().expect("something")["cut"];
    assert_eq!(cut["bytes"], most + 2);
    assert!(cut["begins"].as_str().is_some_and(|text| text.starts_with("\"\u{e9}") && text.len() < most / 2));
}
