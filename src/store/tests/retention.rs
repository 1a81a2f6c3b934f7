//! What a retention pass removes and what it leaves.

use std::time::Duration;

use super::jobs::version;
use super::support::*;
use crate::model::{Occurrence, OccurrenceState, Run, RunState};
use crate::store::*;

const DAY: i64 = 86_400;

fn keep(runs: u64, logs: u64, events: u64, least: usize) -> Retention {
    Retention { runs: days(runs), logs: days(logs), events: days(events), runs_per_job_min: least }
}

/// A run queued and ended on that day, with three log lines.
async fn ended(db: &Db, name: &str, day: i64) -> Run {
    let run = running(name, day * DAY);
    db.store.accept_run(NewRun { events: vec![], ..new_run(&run) }).await.expect("accepted");
    let mut end = change(&run, RunState::Running, RunState::Succeeded);
    (end.at, end.logs, end.events) = (at(day * DAY + 60), (1..=3).map(|seq| line(run.id, seq)).collect(), vec![]);
    assert_eq!(db.store.transition(end).await, Ok(Guarded::Applied));
    run
}

on_both! {
    old_runs_go_except_the_newest_of_each_job,
    logs_go_earlier_than_their_runs,
    old_events_go_and_their_numbers_are_not_used_again,
    events_of_the_future_hold_no_others_back,
    what_has_expired_goes,
    versions_go_when_nothing_uses_them,
    a_version_stays_for_younger_runs,
    journals_and_artifacts_go_with_their_runs,
    sent_events_stay_for_runs_that_live,
    counts_outlive_runs_until_their_hours_go,
}

async fn old_runs_go_except_the_newest_of_each_job(db: &mut Db) {
    let mut kept = Vec::new();
    for day in 1..=20 {
        let busy = ended(db, "busy", day).await;
        if day > 10 {
            kept.push(busy.id);
        }
    }
    for day in 1..=3 {
        let rare = ended(db, "rare", day).await;
        if day > 1 {
            kept.push(rare.id);
        }
    }
    let alive = running("busy", DAY);
    db.store.accept_run(new_run(&alive)).await.expect("accepted");
    kept.push(alive.id);
    let pruned = db.store.prune(&keep(10, 100, 100, 2), at(21 * DAY)).await.expect("pruned");
    assert_eq!((pruned.runs, pruned.logs), (11, 33));
    let mut left: Vec<_> = db
        .store
        .runs(&RunFilter { limit: 1_000, ..RunFilter::default() })
        .await
        .expect("readable")
        .into_iter()
        .map(|run| run.id)
        .collect();
    left.sort();
    kept.sort();
    assert_eq!(left, kept);
    assert_eq!(
        db.store.prune(&keep(10, 100, 100, 2), at(21 * DAY)).await,
        Ok(Pruned::default()),
        "nothing is left to do"
    );
}

async fn logs_go_earlier_than_their_runs(db: &mut Db) {
    let (old, young) = (ended(db, "a", 1).await, ended(db, "a", 8).await);
    let long = ended(db, "a", 2).await;
    db.store.append_logs((4..=1_700).map(|seq| line(long.id, seq)).collect()).await.expect("written");
    let open = running("a", DAY);
    db.store.accept_run(new_run(&open)).await.expect("accepted");
    db.store.append_logs(vec![line(open.id, 1)]).await.expect("written");
    // Lines whose run is gone.
    db.store.append_logs(vec![line(crate::base::RunId::generate(), 1)]).await.expect("written");
    let pruned = db.store.prune(&keep(100, 3, 100, 0), at(10 * DAY)).await.expect("pruned");
    assert_eq!((pruned.runs, pruned.logs), (0, 3 + 1_700 + 1));
    assert_eq!(db.store.logs(old.id, 0, 10).await, Ok(vec![]));
    assert_eq!(db.store.logs(young.id, 0, 10).await.map(|lines| lines.len()), Ok(3));
    assert_eq!(db.store.logs(open.id, 0, 10).await.map(|lines| lines.len()), Ok(1));
    assert!(db.store.run(old.id).await.is_ok_and(|run| run.is_some()));
}

async fn old_events_go_and_their_numbers_are_not_used_again(db: &mut Db) {
    let dated = |day: i64| crate::model::NewEvent { at: at(day * DAY), ..event("job.loaded") };
    db.store.append_events((0..1_200).map(|i| dated(i / 200)).collect()).await.expect("written");
    let pruned = db.store.prune(&keep(100, 100, 2, 0), at(5 * DAY)).await.expect("pruned");
    assert_eq!(pruned.events, 600);
    assert_eq!(db.store.events(0, 1).await.map(|events| events[0].seq), Ok(601));
    db.store.prune(&keep(100, 100, 0, 0), at(50 * DAY)).await.expect("pruned");
    assert_eq!(db.store.events(0, 1).await, Ok(vec![]));
    db.stop().await;
    db.reopen().await;
    db.store.append_events(vec![dated(60)]).await.expect("written");
    assert_eq!(db.store.events(0, 1).await.map(|events| events[0].seq), Ok(1_201));
}

async fn events_of_the_future_hold_no_others_back(db: &mut Db) {
    let dated = |day: i64| crate::model::NewEvent { at: at(day * DAY), ..event("job.loaded") };
    let wrong = (0..700).map(|_| dated(4_000));
    let events = (0..100).map(|_| dated(1)).chain(wrong).chain((0..1_000).map(|i| dated(1 + i / 200))).collect();
    db.store.append_events(events).await.expect("written");
    let pruned = db.store.prune(&keep(100, 100, 2, 0), at(6 * DAY)).await.expect("pruned");
    assert_eq!(pruned.events, 100 + 600);
    assert_eq!(db.store.events(0, 1).await.map(|events| events[0].seq), Ok(101));
    let left = db.store.events(800, 1_000).await.expect("readable");
    assert!(left.len() == 400 && left.iter().all(|event| event.body.at >= at(4 * DAY)));
}

async fn what_has_expired_goes(db: &mut Db) {
    for (key, expires) in [("gone", Some(at(1_000_010))), ("later", Some(at(1_000_100))), ("never", None)] {
        let value = Some(serde_json::json!(1));
        let write = KvWrite { scope: "s".into(), key: key.into(), value, expires_at: expires, expect_revision: None };
        db.store.kv_write(write).await.expect("written");
    }
    for (hash, expires) in [("gone", 1_000_010), ("later", 1_000_100)] {
        let (kind, actor, role) = ("session".into(), "a".into(), "admin".into());
        let session = SessionRow { hash: hash.into(), kind, actor, role, created_at: at(1), expires_at: at(expires) };
        db.store.put_session(session).await.expect("written");
    }
    let due = Occurrence {
        job: job("a"),
        scheduled_for: at(1),
        state: OccurrenceState::Missed,
        reason: None,
        run: None,
        decided_at: at(1),
    };
    db.store.settle_occurrence(due, vec![]).await.expect("written");
    db.hand.advance(Duration::from_secs(20));
    let pruned = db.store.prune(&keep(1, 1, 1, 0), at(1_000_020)).await.expect("pruned");
    assert_eq!((pruned.kv, pruned.sessions, pruned.occurrences), (1, 1, 1));
    assert_eq!(db.store.kv_list("s", "", 10).await.map(|list| list.len()), Ok(2));
    assert!(db.store.session("later").await.is_ok_and(|session| session.is_some()));
}

async fn versions_go_when_nothing_uses_them(db: &mut Db) {
    let texts: Vec<ScriptVersion> = (1..=4).map(|day| version("web", &format!("text {day}"), day * DAY)).collect();
    for text in &texts {
        db.store.put_version(text.clone(), vec![]).await.expect("written");
    }
    // The second is still the version of a run that retention keeps.
    let run = Run { version: Some(texts[1].hash), ..running("web", 2 * DAY) };
    db.store.accept_run(new_run(&run)).await.expect("accepted");
    let pruned = db.store.prune(&keep(10, 10, 10, 0), at(12 * DAY)).await.expect("pruned");
    assert_eq!(pruned.versions, 0, "superseded on day 2 and later: too young to go");
    let pruned = db.store.prune(&keep(10, 10, 10, 0), at(30 * DAY)).await.expect("pruned");
    assert_eq!(pruned.versions, 2);
    let left: Vec<_> =
        db.store.versions(&job("web"), 10).await.expect("readable").into_iter().map(|version| version.hash).collect();
    assert_eq!(left, [texts[3].hash, texts[1].hash]);
}

async fn a_version_stays_for_younger_runs(db: &mut Db) {
    let texts: Vec<ScriptVersion> = (1..=3).map(|day| version("web", &format!("text {day}"), day * DAY)).collect();
    for text in &texts {
        db.store.put_version(text.clone(), vec![]).await.expect("written");
    }
    // Another daemon had not read the file again when it started this one.
    let run = Run { version: Some(texts[0].hash), ..running("web", 29 * DAY) };
    db.store.accept_run(new_run(&run)).await.expect("accepted");
    let pruned = db.store.prune(&keep(10, 10, 10, 0), at(30 * DAY)).await.expect("pruned");
    assert_eq!(pruned.versions, 1);
    assert_eq!(db.store.version(texts[0].hash).await, Ok(Some(texts[0].clone())));
}

async fn journals_and_artifacts_go_with_their_runs(db: &mut Db) {
    let mut runs = Vec::new();
    for day in [1, 8] {
        let run = running("a", day * DAY);
        db.store.accept_run(NewRun { events: vec![], ..new_run(&run) }).await.expect("accepted");
        let list = (1..=600).map(|place| step(&place.to_string(), "s")).collect();
        db.store.journal_write(entries(&run, list)).await.expect("written");
        for name in 0..20 {
            let artifact =
                Artifact { name: format!("f{name}"), media_type: "text/plain".into(), bytes: 0, created_at: at(1) };
            db.store.put_artifact(run.id, None, artifact, "x".into()).await.expect("kept");
        }
        let end = Transition { at: at(day * DAY), events: vec![], ..change(&run, RunState::Running, RunState::Failed) };
        db.store.transition(end).await.expect("written");
        runs.push(run);
    }
    let pruned = db.store.prune(&keep(5, 100, 100, 0), at(10 * DAY)).await.expect("pruned");
    assert_eq!((pruned.runs, pruned.steps, pruned.artifacts), (1, 600, 20));
    assert_eq!(db.store.journal(runs[0].id).await, Ok(vec![]));
    assert_eq!(db.store.journal(runs[1].id).await.map(|entries| entries.len()), Ok(600));
    assert_eq!(db.store.artifacts(runs[1].id).await.map(|artifacts| artifacts.len()), Ok(20));
}

async fn sent_events_stay_for_runs_that_live(db: &mut Db) {
    for day in 1..=6 {
        db.store.signal(signal("tick", day * DAY)).await.expect("sent");
    }
    let alive = running("a", 3 * DAY);
    db.store.accept_run(new_run(&alive)).await.expect("accepted");
    let pruned = db.store.prune(&keep(100, 100, 1, 0), at(6 * DAY)).await.expect("pruned");
    assert_eq!(pruned.signals, 2, "the run may yet wait for those that were sent in its time");
    db.store.transition(change(&alive, RunState::Running, RunState::Succeeded)).await.expect("written");
    let pruned = db.store.prune(&keep(100, 100, 1, 0), at(6 * DAY)).await.expect("pruned");
    assert_eq!(pruned.signals, 2);
}

async fn counts_outlive_runs_until_their_hours_go(db: &mut Db) {
    for day in [1, 2, 8, 9] {
        ended(db, "a", day).await;
    }
    // As if somebody had cleared the table: the counts do not look at it.
    db.execute("DELETE FROM runs").await;
    assert_eq!(db.store.run_counts().await, Ok(vec![(RunState::Succeeded, 4)]));
    let pruned = db.store.prune(&keep(5, 100, 100, 0), at(10 * DAY)).await.expect("pruned");
    assert_eq!(pruned.hours, 4, "two hours, each of the job and of all jobs");
    assert_eq!(db.store.run_counts().await, Ok(vec![(RunState::Succeeded, 2)]));
    let bars = db.store.run_buckets(Some(&job("a")), at(0), DAY).await.expect("readable");
    assert_eq!(bars.iter().map(|bar| bar.start).collect::<Vec<_>>(), [at(8 * DAY), at(9 * DAY)]);
}
