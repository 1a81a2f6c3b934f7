//! The writer: group commit, isolation of failures, crash and stop.

use std::time::Duration;

use super::support::*;
use crate::base::RunId;
use crate::model::{Run, RunState};
use crate::store::link::Link;
use crate::store::sql::{Uncommitted, query};
use crate::store::write::{Command, Removal};
use crate::store::*;

on_both! {
    callers_share_commits,
    a_command_that_fails_takes_nothing_with_it,
    acknowledged_writes_survive_a_crash,
    a_stop_writes_what_waits,
    checkpoints_and_pings,
    a_removal_leaves_live_runs_alone,
}

async fn callers_share_commits(db: &mut Db) {
    let before = db.store.metrics();
    let lives = (0..300).map(|_| async {
        let run = running("busy", 1_000_000);
        assert_eq!(db.store.accept_run(new_run(&run)).await, Ok(Accepted::New));
        let end = Transition { logs: vec![line(run.id, 1)], ..change(&run, RunState::Running, RunState::Succeeded) };
        assert_eq!(db.store.transition(end).await, Ok(Guarded::Applied));
    });
    futures_util::future::join_all(lives).await;
    let after = db.store.metrics();
    assert_eq!(after.commands - before.commands, 600);
    let commits = after.commits - before.commits;
    assert!(commits <= 60, "600 commands took {commits} commits");
    assert!(after.batch_commands_max >= 10 && after.last_commit_micros > 0 && after.queue_commands == 0, "{after:?}");
    assert_eq!(db.store.run_counts().await, Ok(vec![(RunState::Succeeded, 300)]));
}

async fn a_command_that_fails_takes_nothing_with_it(db: &mut Db) {
    let good = |i| {
        let store = db.store.clone();
        async move { store.append_events(vec![event(&format!("n.{i}"))]).await }
    };
    db.execute(if db.is_sqlite() {
        "CREATE TRIGGER bad BEFORE INSERT ON logs WHEN NEW.text = 'bad' BEGIN SELECT RAISE(ABORT, 'bad'); END"
    } else {
        "ALTER TABLE logs ADD CONSTRAINT bad CHECK (text <> 'bad')"
    })
    .await;
    let bad = crate::model::LogLine { text: "bad".into(), ..line(RunId::generate(), 1) };
    let run = running("busy", 1_000_000);
    let (before, broken, accepted, after) = futures_util::join!(
        futures_util::future::join_all((0..20).map(good)),
        db.store.append_logs(vec![bad]),
        db.store.accept_run(new_run(&run)),
        futures_util::future::join_all((20..40).map(good)),
    );
    assert!(matches!(broken, Err(StoreError::Refused { .. })), "{broken:?}");
    assert_eq!(accepted, Ok(Accepted::New));
    assert!(before.iter().chain(&after).all(Result::is_ok));
    assert_eq!(db.store.events(0, 100).await.map(|events| events.len()), Ok(41));
}

async fn acknowledged_writes_survive_a_crash(db: &mut Db) {
    let mut acknowledged = Vec::new();
    for round in 0..5 {
        let runs: Vec<Run> = (0..20).map(|_| running("busy", 1_000_000)).collect();
        // Some calls are still under way when the writer dies; they may be lost, the others may not.
        let calls = runs.iter().map(|run| db.store.accept_run(new_run(run)));
        let store = db.store.clone();
        let _under_way =
            tokio::time::timeout(Duration::from_micros(300), store.append_logs(vec![line(runs[0].id, round)])).await;
        for (run, outcome) in runs.iter().zip(futures_util::future::join_all(calls).await) {
            assert_eq!(outcome, Ok(Accepted::New));
            acknowledged.push(run.id);
        }
        db.crash_and_reopen().await;
        assert!(matches!(store.ping().await, Err(StoreError::Closed)));
    }
    for id in acknowledged {
        assert_eq!(db.store.run_state(id).await, Ok(Some(RunState::Running)));
    }
}

async fn a_stop_writes_what_waits(db: &mut Db) {
    let store = db.store.clone();
    let writes = futures_util::future::join_all((0..200).map(|i| store.append_events(vec![event(&format!("n.{i}"))])));
    let stop = async {
        tokio::task::yield_now().await;
        db.stop().await;
    };
    let (outcomes, ()) = futures_util::join!(writes, stop);
    let written = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(StoreError::Closed))));
    assert_eq!(db.store.append_events(vec![event("late")]).await, Err(StoreError::Closed));
    assert_eq!(db.store.events(0, 1_000).await.map(|events| events.len()), Ok(written), "reads go on");
}

async fn checkpoints_and_pings(db: &mut Db) {
    db.store.ping().await.expect("writable");
    db.store.append_logs((1..=500).map(|seq| line(RunId::generate(), seq)).collect()).await.expect("written");
    db.store.checkpoint().await.expect("checkpointed");
    if let Some(path) = db.url.strip_prefix("sqlite://") {
        assert_eq!(std::fs::metadata(format!("{path}-wal")).map(|wal| wal.len()).ok(), Some(0));
    }
}

async fn a_removal_leaves_live_runs_alone(db: &mut Db) {
    let run = running("busy", 1);
    db.store.accept_run(new_run(&run)).await.expect("accepted");
    assert_eq!(db.store.write(Command::Remove(Removal::Runs(vec![run.id]))).await, Ok(0_u64));
    assert!(db.store.run(run.id).await.is_ok_and(|run| run.is_some()));
}

/// Only a commit that failed by itself leaves it open what was written.
#[tokio::test]
async fn a_statement_that_goes_with_the_commit_fails_for_itself() {
    let options = Options { url: "sqlite::memory:".into(), node: "test".into() };
    let (_store, mut writer) = Store::open(options, crate::base::Clock::system()).await.expect("opens");
    let link = &mut writer.link;
    let later = async |link: &mut Link, text: &'static str| {
        link.conn().expect("connected").later(query(text)).await.expect("queued");
    };
    const COUNT: &str = "UPDATE counters SET value = value + 1 WHERE name = 'pings'";
    link.begin().await.expect("begun");
    later(link, COUNT).await;
    later(link, "INSERT INTO logs (run) VALUES (NULL)").await;
    let failed = link.commit().await;
    assert!(matches!(failed, Err(Uncommitted::Before(StoreError::Refused { .. }))), "{failed:?}");
    link.rollback().await;
    later(link, COUNT).await;
    let failed = link.commit().await;
    assert!(matches!(failed, Err(Uncommitted::During(StoreError::Refused { .. }))), "nothing was begun: {failed:?}");
    link.begin().await.expect("begun");
    later(link, COUNT).await;
    assert!(link.commit().await.is_ok());
    let pings = query("SELECT value FROM counters WHERE name = 'pings'");
    let row = link.conn().expect("connected").fetch_one(pings).await.expect("readable");
    assert_eq!(row.int("value"), Ok(2), "what was rolled back is gone");
}
