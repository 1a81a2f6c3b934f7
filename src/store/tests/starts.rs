//! Which starts win, and which have to wait.

use super::support::*;
use crate::model::{Run, RunState};
use crate::store::*;

async fn queued(db: &Db, name: &str, key: Option<&str>) -> Run {
    let run = Run { concurrency_key: key.map(Into::into), ..run(name, 1_000_000) };
    db.store.accept_run(new_run(&run)).await.expect("accepted");
    run
}

on_both! {
    a_stale_fence_changes_nothing,
    a_deadline_counts_from_the_first_start,
    of_runs_that_want_to_be_alone_one_starts,
    a_key_lets_so_many_run_at_once,
    who_changes_something_under_a_key_is_known,
    a_run_of_a_live_daemon_is_not_started_by_another,
}

async fn a_stale_fence_changes_nothing(db: &mut Db) {
    let run = queued(db, "a", None).await;
    assert_eq!(db.store.start_run(start(&run, 0, 1)).await, Ok(Started::Applied));
    let before = Run { attempt: 1, fence: 0, ..run.clone() };
    assert_eq!(db.store.transition(change(&before, RunState::Running, RunState::Failed)).await, Ok(Guarded::Refused));
    let holder = Run { attempt: 1, fence: 1, ..run };
    assert_eq!(db.store.transition(change(&holder, RunState::Running, RunState::Queued)).await, Ok(Guarded::Applied));
    assert_eq!(db.store.start_run(start(&holder, 0, 2)).await, Ok(Started::Lost));
    assert_eq!(db.store.start_run(start(&holder, 1, 2)).await, Ok(Started::Applied));
}

async fn a_deadline_counts_from_the_first_start(db: &mut Db) {
    let run = queued(db, "a", None).await;
    let deadline = |second: i64, fence: i64| StartRun { deadline_at: Some(at(second)), ..start(&run, fence, 1) };
    let found = async || db.store.run(run.id).await.expect("readable").expect("there").deadline_at;
    assert_eq!(db.store.start_run(deadline(1_000_600, 0)).await, Ok(Started::Applied));
    let held = Run { attempt: 1, fence: 1, ..run.clone() };
    db.store.transition(change(&held, RunState::Running, RunState::Queued)).await.expect("written");
    assert_eq!(db.store.start_run(deadline(1_000_900, 1)).await, Ok(Started::Applied));
    assert_eq!(found().await, Some(at(1_000_600)), "it goes on where it was");
    let held = Run { attempt: 1, fence: 2, ..run.clone() };
    let again = Transition { clear_deadline: true, ..change(&held, RunState::Running, RunState::Queued) };
    db.store.transition(again).await.expect("written");
    assert_eq!(found().await, None);
    assert_eq!(db.store.start_run(deadline(1_002_000, 2)).await, Ok(Started::Applied));
    assert_eq!(found().await, Some(at(1_002_000)), "the next attempt has all of its time");
}

async fn of_runs_that_want_to_be_alone_one_starts(db: &mut Db) {
    let (one, two, other) = (queued(db, "a", None).await, queued(db, "a", None).await, queued(db, "b", None).await);
    let alone = |run: &Run| StartRun { alone: true, ..start(run, 0, 1) };
    let outcomes = futures_util::join!(
        db.store.start_run(alone(&one)),
        db.store.start_run(alone(&two)),
        db.store.start_run(alone(&other)),
    );
    assert_eq!(outcomes, (Ok(Started::Applied), Ok(Started::Busy), Ok(Started::Applied)));
    let stale = StartRun { fence: 5, ..alone(&two) };
    assert_eq!(db.store.start_run(stale).await, Ok(Started::Lost));
    let held = Run { attempt: 1, fence: 1, ..one };
    db.store.transition(change(&held, RunState::Running, RunState::Succeeded)).await.expect("written");
    assert_eq!(db.store.start_run(alone(&two)).await, Ok(Started::Applied));
}

async fn a_key_lets_so_many_run_at_once(db: &mut Db) {
    let mut runs = Vec::new();
    for name in ["a", "a", "b", "b"] {
        runs.push(queued(db, name, Some("disk")).await);
    }
    let starts =
        runs.iter().map(|run| db.store.start_run(StartRun { key: Some(("disk".into(), 2)), ..start(run, 0, 1) }));
    let outcomes = futures_util::future::join_all(starts).await;
    let applied = Ok(Started::Applied);
    assert_eq!(outcomes, [applied.clone(), applied.clone(), Ok(Started::Busy), Ok(Started::Busy)]);
    let held = Run { attempt: 1, fence: 1, ..runs[0].clone() };
    db.store.transition(change(&held, RunState::Running, RunState::Parked)).await.expect("written");
    let third = StartRun { key: Some(("disk".into(), 2)), ..start(&runs[2], 0, 1) };
    assert_eq!(db.store.start_run(third.clone()).await, Ok(Started::Busy), "a parked run is in progress");
    db.store.transition(change(&held, RunState::Parked, RunState::Cancelled)).await.expect("written");
    assert_eq!(db.store.start_run(third).await, applied);
}

async fn a_run_of_a_live_daemon_is_not_started_by_another(db: &mut Db) {
    let run = queued(db, "a", None).await;
    db.execute("UPDATE runs SET node = 'elsewhere'").await;
    let elsewhere = NodeRow {
        name: "elsewhere".into(),
        epoch: 0,
        address: "host:1".into(),
        labels: vec![],
        started_at: at(1),
        lease_until: at(2_000_000),
    };
    let epoch = db.store.register_node(elsewhere, false).await.expect("registered");
    assert_eq!(db.store.start_run(start(&run, 0, 1)).await, Ok(Started::Lost));
    assert_eq!(db.store.start_run(StartRun { alone: true, ..start(&run, 0, 1) }).await, Ok(Started::Lost));
    db.store.release_node("elsewhere", epoch).await.expect("released");
    assert_eq!(db.store.start_run(start(&run, 0, 1)).await, Ok(Started::Applied), "nobody else is there");
}

async fn who_changes_something_under_a_key_is_known(db: &mut Db) {
    let under = |key: &'static str, except| db.store.changes_under_key(key, except);
    queued(db, "a", Some("shop")).await;
    assert_eq!(under("shop", None).await, Ok(None), "one that waits changes nothing");
    let dry = Run { concurrency_key: Some("shop".into()), dry_run: true, ..running("b", 1_000_000) };
    db.store.accept_run(new_run(&dry)).await.expect("accepted");
    assert_eq!(under("shop", None).await, Ok(None), "and so does a dry run");
    let [first, second] =
        [1_000_001, 1_000_002].map(|at| Run { concurrency_key: Some("shop".into()), ..running("c", at) });
    for run in [&first, &second] {
        db.store.accept_run(new_run(run)).await.expect("accepted");
    }
    assert_eq!(under("shop", None).await, Ok(Some(first.id)));
    assert_eq!(under("shop", Some(first.id)).await, Ok(Some(second.id)));
    db.store.transition(change(&second, RunState::Running, RunState::Parked)).await.expect("parked");
    assert_eq!(under("shop", Some(first.id)).await, Ok(Some(second.id)), "one that is parked goes on");
    assert_eq!(under("blog", None).await, Ok(None));
}
