//! Daemons that share the database: leases, and runs that change hands.

use super::support::*;
use crate::model::{Actor, Run, RunState};
use crate::store::*;

fn node(name: &str, lease_until: i64) -> NodeRow {
    NodeRow {
        name: name.into(),
        epoch: 0,
        address: "host:8080".into(),
        labels: vec!["gpu".into()],
        started_at: at(1_000_000),
        lease_until: at(lease_until),
    }
}

/// Runs `a` to `d`, of which the second is running, held by the daemon `other`.
async fn held_elsewhere(db: &Db) -> Vec<Run> {
    let mut runs = Vec::new();
    for (second, name) in (0..).zip(["a", "b", "c", "d"]) {
        let run = if name == "b" { running(name, 1_000_000 + second) } else { run(name, 1_000_000 + second) };
        let run = Run { not_before: (name == "d").then(|| at(1_000_900)), ..run };
        db.store.accept_run(new_run(&run)).await.expect("accepted");
        runs.push(run);
    }
    db.execute("UPDATE runs SET node = 'other'").await;
    runs
}

fn names(runs: &[Run]) -> Vec<(&str, i64)> {
    runs.iter().map(|run| (run.job.as_str(), run.fence)).collect()
}

on_both! {
    a_name_belongs_to_one_live_lease,
    a_lease_is_renewed_by_its_holder_only,
    queued_runs_of_others_are_claimed,
    what_must_wait_for_a_run_of_its_job_stays_where_it_is,
    whoever_holds_a_run_hears_that_it_shall_stop,
    runs_of_a_dead_daemon_are_taken_over,
    recovery_reads_its_own_runs,
}

async fn a_name_belongs_to_one_live_lease(db: &mut Db) {
    let first = db.store.register_node(node("one", 1_000_030), false).await.expect("registered");
    let second = db.store.register_node(node("one", 1_000_060), false).await;
    assert!(
        matches!(&second, Err(StoreError::Refused { reason }) if reason.contains("one") && reason.contains("host:8080")),
        "{second:?}"
    );
    let again = NodeRow { epoch: first, ..node("one", 1_000_040) };
    let again = db.store.register_node(again, false).await.expect("its own name");
    let forced = db.store.register_node(node("one", 1_000_050), true).await.expect("forced");
    db.hand.set(at(1_000_050));
    let after = db.store.register_node(node("one", 1_000_090), false).await.expect("the lease was over");
    assert!(first < again && again < forced && forced < after);
    assert_eq!(db.store.nodes().await, Ok(vec![NodeRow { epoch: after, ..node("one", 1_000_090) }]));
}

async fn a_lease_is_renewed_by_its_holder_only(db: &mut Db) {
    let lost = db.store.register_node(node("one", 1_000_030), false).await.expect("registered");
    let held = db.store.register_node(node("one", 1_000_030), true).await.expect("forced");
    assert_eq!(db.store.renew_lease("one", lost, at(1_000_060)).await, Ok(false));
    assert_eq!(db.store.release_node("one", lost).await, Ok(false));
    assert_eq!(db.store.renew_lease("one", held, at(1_000_070)).await, Ok(true));
    assert_eq!(db.store.nodes().await.map(|nodes| nodes[0].lease_until), Ok(at(1_000_070)));
    assert_eq!(db.store.release_node("one", held).await, Ok(true));
    assert_eq!(db.store.nodes().await, Ok(vec![]));
    let later = db.store.register_node(node("one", 1_000_090), false).await.expect("the name is free");
    assert!(later > held, "an epoch is not used again");
}

async fn queued_runs_of_others_are_claimed(db: &mut Db) {
    let runs = held_elsewhere(db).await;
    db.store.accept_run(new_run(&run("own", 1_000_000))).await.expect("accepted");
    let never = ClaimRules { never: vec![job("a"), job("c")], ..ClaimRules::default() };
    assert_eq!(db.store.claim(at(1_000_100), 10, never).await, Ok(vec![]), "none that this daemon may not execute");
    let one = db.store.claim(at(1_000_100), 1, ClaimRules::default()).await.expect("claimed");
    assert_eq!(names(&one), [("a", 1)]);
    let rest = db.store.claim(at(1_000_100), 10, ClaimRules::default()).await.expect("claimed");
    assert_eq!(names(&rest), [("c", 1)], "one runs, and one waits for its time");
    assert_eq!(db.store.claim(at(1_000_100), 10, ClaimRules::default()).await, Ok(vec![]));
    assert_eq!(db.store.start_run(start(&runs[0], 0, 1)).await, Ok(Started::Lost), "who held it does not know");
    assert_eq!(db.store.start_run(start(&runs[0], 1, 1)).await, Ok(Started::Applied));
}

async fn what_must_wait_for_a_run_of_its_job_stays_where_it_is(db: &mut Db) {
    let (goes_on, waits) = (running("a", 1_000_000), run("a", 1_000_001));
    for run in [&goes_on, &waits] {
        db.store.accept_run(new_run(run)).await.expect("accepted");
    }
    db.execute("UPDATE runs SET node = 'other'").await;
    let alone = |name| ClaimRules { alone: vec![job(name)], ..ClaimRules::default() };
    let claim = || db.store.claim(at(1_000_100), 10, alone("a"));
    assert_eq!(claim().await, Ok(vec![]));
    db.execute("UPDATE runs SET state = 'succeeded', finished_at = 1 WHERE state = 'running'").await;
    assert_eq!(names(&claim().await.expect("claimed")), [("a", 1)]);
    db.execute("UPDATE runs SET node = 'other', state = 'running', finished_at = NULL WHERE state = 'succeeded'").await;
    db.execute("UPDATE runs SET node = 'other'").await;
    let parallel = db.store.claim(at(1_000_100), 10, alone("b")).await.expect("claimed");
    assert_eq!(names(&parallel), [("a", 2)], "runs of it may go on side by side");
    db.execute("UPDATE runs SET node = 'other', concurrency_key = 'k'").await;
    let keyed = |limit| ClaimRules { keyed: vec![(job("a"), limit)], ..ClaimRules::default() };
    assert_eq!(db.store.claim(at(1_000_100), 10, keyed(1)).await, Ok(vec![]), "its key is held");
    assert_eq!(names(&db.store.claim(at(1_000_100), 10, keyed(2)).await.expect("claimed")), [("a", 3)]);
}

async fn whoever_holds_a_run_hears_that_it_shall_stop(db: &mut Db) {
    let (one, two) = (running("a", 1_000_000), running("b", 1_000_001));
    for run in [&one, &two] {
        db.store.accept_run(new_run(run)).await.expect("accepted");
    }
    let wish = |run: &Run| StopRequest {
        run: run.id,
        actor: Actor::new("token:ann"),
        reason: "cancelled by token:ann".into(),
        at: at(1_000_010),
    };
    let me = db.store.node().to_owned();
    assert_eq!(db.store.ask_to_stop(wish(&one)).await, Ok(true));
    assert_eq!(db.store.ask_to_stop(wish(&one)).await, Ok(true), "it may be asked again");
    assert_eq!(db.store.stops_of(&me).await, Ok(vec![wish(&one)]));
    assert_eq!(db.store.stops_of("other").await, Ok(vec![]));
    db.execute("UPDATE runs SET node = 'other'").await;
    assert_eq!(db.store.stops_of("other").await, Ok(vec![wish(&one)]), "the wish goes where the run goes");
    db.store.transition(change(&one, RunState::Running, RunState::Succeeded)).await.expect("ended");
    assert_eq!(db.store.stops_of("other").await, Ok(vec![]));
    assert_eq!(db.store.ask_to_stop(wish(&one)).await, Ok(false), "it is over");
    assert_eq!(db.store.ask_to_stop(wish(&two)).await, Ok(true));
    db.execute("UPDATE runs SET state = 'running', finished_at = NULL").await;
    assert_eq!(db.store.stops_of("other").await, Ok(vec![wish(&two)]), "what was over is forgotten");
}

async fn runs_of_a_dead_daemon_are_taken_over(db: &mut Db) {
    let runs = held_elsewhere(db).await;
    db.store.register_node(node("other", 1_000_030), false).await.expect("registered");
    assert_eq!(db.store.orphans(at(1_000_029), 10).await, Ok(vec![]), "its lease is live");
    let taken = db.store.orphans(at(1_000_030), 3).await.expect("taken");
    assert_eq!(names(&taken), [("a", 1), ("b", 2), ("c", 1)]);
    assert_eq!(taken[1].state, RunState::Running);
    assert_eq!(names(&db.store.orphans(at(1_000_030), 3).await.expect("taken")), [("d", 1)]);
    let late = change(&runs[1], RunState::Running, RunState::Succeeded);
    assert_eq!(db.store.transition(late).await, Ok(Guarded::Refused), "its daemon was not dead, only slow");
    let journal = entries(&runs[1], vec![step("1", "late")]);
    assert_eq!(db.store.journal_write(journal).await, Ok(Guarded::Refused));
    assert_eq!(
        db.store.transition(change(&taken[1], RunState::Running, RunState::Interrupted)).await,
        Ok(Guarded::Applied)
    );
}

async fn recovery_reads_its_own_runs(db: &mut Db) {
    held_elsewhere(db).await;
    let own = running("own", 1_000_000);
    db.store.accept_run(new_run(&own)).await.expect("accepted");
    let found = async |node: Option<&str>| {
        let runs = db.store.runs_in(RunState::Running, node).await.expect("readable");
        runs.into_iter().map(|run| run.job.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found(Some(db.store.node())).await, ["own"]);
    assert_eq!(found(Some("other")).await, ["b"]);
    assert_eq!(found(None).await, ["own", "b"]);
}
