//! What runs wait for: events, decisions, time.

use serde_json::json;

use super::support::*;
use crate::base::RunId;
use crate::model::{Actor, Decision, Entry, EntryKind, EntryState, Run, RunState, Signal};
use crate::store::*;

/// A run that is parked with these entries in its journal.
async fn parked(db: &Db, name: &str, list: Vec<Entry>, wake: Option<i64>) -> Run {
    let run = running(name, 1_000_000);
    db.store.accept_run(new_run(&run)).await.expect("accepted");
    let mut parks = change(&run, RunState::Running, RunState::Parked);
    (parks.journal, parks.wake_at) = (list, wake.map(at));
    assert_eq!(db.store.transition(parks).await, Ok(Guarded::Applied));
    run
}

async fn entry(db: &Db, run: &Run, key: &str) -> Entry {
    let journal = db.store.journal(run.id).await.expect("readable");
    journal.into_iter().find(|entry| entry.key.to_string() == key).expect("recorded")
}

async fn state(db: &Db, run: &Run) -> RunState {
    db.store.run_state(run.id).await.expect("readable").expect("there")
}

fn woken(runs: &[&Run]) -> Result<Woken, StoreError> {
    Ok(Woken { parked: runs.iter().map(|run| run.id).collect() })
}

fn decision(run: RunId, name: Option<&str>, second: i64) -> Decision {
    let (name, actor) = (name.map(Into::into), Actor::new("token:boss"));
    Decision { run, name, approved: true, comment: Some("fine".into()), actor, at: at(second) }
}

async fn kinds(db: &Db) -> Vec<(String, Option<String>, Option<RunId>)> {
    let events = db.store.events(0, 1_000).await.expect("readable");
    let told = events.into_iter().map(|event| event.body).filter(|event| event.kind != "run.queued");
    told.filter(|event| event.kind != "run.parked")
        .map(|event| (event.kind, event.job.map(|job| job.to_string()), event.run))
        .collect()
}

on_both! {
    an_event_answers_every_run_that_waits_for_it,
    keys_and_runs_restrict_an_event,
    an_event_between_two_waits_is_not_lost,
    one_event_answers_one_wait_of_a_run,
    a_wait_whose_time_is_over_takes_no_event,
    an_answer_is_not_taken_back,
    a_timeout_takes_no_answer_back,
    an_answer_is_noted_until_the_run_has_taken_it,
    a_run_that_is_undone_asks_for_nothing,
    approvals_of_some_jobs_are_found_behind_those_of_others,
    a_run_is_woken_by_one_of_many_answers,
    an_answer_during_the_parking_wakes_the_run,
    an_approval_is_decided_once,
    decisions_name_what_waits,
    parked_runs_go_on_by_time,
    parked_runs_in_numbers,
}

async fn an_event_answers_every_run_that_waits_for_it(db: &mut Db) {
    let a = parked(db, "a", vec![waiting("1", EntryKind::Event, "paid")], None).await;
    let b = parked(db, "b", vec![waiting("1", EntryKind::Event, "paid")], None).await;
    let other = parked(db, "c", vec![waiting("1", EntryKind::Event, "shipped")], None).await;
    let live = running("d", 1_000_000);
    db.store.accept_run(new_run(&live)).await.expect("accepted");
    db.store.journal_write(entries(&live, vec![waiting("1", EntryKind::Event, "paid")])).await.expect("written");
    let mut follow = db.store.follow(live.id);
    follow.mark_seen();
    let mut got = db.store.signal(signal("paid", 1_000_020)).await.expect("sent").parked;
    got.sort();
    let mut expected = vec![a.id, b.id];
    expected.sort();
    assert_eq!(got, expected, "a run that is held is not among those that were parked");
    assert!(follow.changed().await, "it hears of its answer");
    assert_eq!((state(db, &a).await, state(db, &other).await), (RunState::Queued, RunState::Parked));
    let answered = entry(db, &live, "1").await;
    assert_eq!((answered.state, answered.result), (EntryState::Done, Some(json!({"n": 1_000_020}))));
    assert_eq!((answered.actor, answered.finished_at), (Some(Actor::new("token:sender")), Some(at(1_000_020))));
    let told = kinds(db).await;
    assert_eq!(told[0], ("event.sent".into(), None, None));
    assert!(told.contains(&("run.woken".into(), Some("a".into()), Some(a.id))), "{told:?}");
    assert_eq!(told.len(), 3);
}

async fn keys_and_runs_restrict_an_event(db: &mut Db) {
    let keyed = |key: &str| Entry { match_key: Some(key.into()), ..waiting("1", EntryKind::Event, "paid") };
    let one = parked(db, "a", vec![keyed("1")], None).await;
    let two = parked(db, "a", vec![keyed("2")], None).await;
    let any = parked(db, "a", vec![waiting("1", EntryKind::Event, "paid")], None).await;
    let to_two = Signal { run: Some(two.id), ..signal("paid", 1_000_020) };
    assert_eq!(db.store.signal(to_two).await, woken(&[]), "the run is right and the key is missing");
    let of_one = Signal { key: Some("1".into()), run: Some(one.id), ..signal("paid", 1_000_021) };
    assert_eq!(db.store.signal(of_one).await, woken(&[&one]));
    let of_two = Signal { key: Some("2".into()), ..signal("paid", 1_000_022) };
    let mut got = db.store.signal(of_two).await.expect("sent").parked;
    got.sort();
    let mut expected = vec![two.id, any.id];
    expected.sort();
    assert_eq!(got, expected);
}

async fn an_event_between_two_waits_is_not_lost(db: &mut Db) {
    db.store.signal(signal("tick", 999_999)).await.expect("before the run was accepted");
    let run = running("a", 1_000_000);
    db.store.accept_run(new_run(&run)).await.expect("accepted");
    for second in [1_000_005, 1_000_006] {
        db.store.signal(signal("tick", second)).await.expect("sent");
    }
    let wait = |key: &str| entries(&run, vec![waiting(key, EntryKind::Event, "tick")]);
    for (key, n) in [("1", 1_000_005), ("2", 1_000_006)] {
        assert_eq!(db.store.journal_write(wait(key)).await, Ok(Guarded::Applied));
        assert_eq!(entry(db, &run, key).await.result, Some(json!({"n": n})));
    }
    db.store.journal_write(wait("3")).await.expect("written");
    assert_eq!(entry(db, &run, "3").await.state, EntryState::Waiting, "both are taken");
    let empty = Signal { payload: json!(null), ..signal("tick", 1_000_007) };
    db.store.signal(empty).await.expect("sent");
    let last = entry(db, &run, "3").await;
    assert_eq!((last.state, last.result), (EntryState::Done, Some(json!(null))));
}

async fn one_event_answers_one_wait_of_a_run(db: &mut Db) {
    let list = vec![waiting("1.1.1", EntryKind::Event, "tick"), waiting("1.2.1", EntryKind::Event, "tick")];
    let run = parked(db, "a", list, None).await;
    assert_eq!(db.store.signal(signal("tick", 1_000_020)).await, woken(&[&run]));
    let states = [entry(db, &run, "1.1.1").await.state, entry(db, &run, "1.2.1").await.state];
    assert_eq!(states, [EntryState::Done, EntryState::Waiting]);
    assert_eq!(db.store.signal(signal("tick", 1_000_021)).await, woken(&[]), "it is queued already");
    assert_eq!(entry(db, &run, "1.2.1").await.result, Some(json!({"n": 1_000_021})));
}

async fn a_wait_whose_time_is_over_takes_no_event(db: &mut Db) {
    let wait = Entry { wake_at: Some(at(1_000_030)), ..waiting("1", EntryKind::Event, "tick") };
    let run = parked(db, "a", vec![wait.clone()], Some(1_000_030)).await;
    assert_eq!(db.store.signal(signal("tick", 1_000_030)).await, woken(&[]));
    assert_eq!(db.store.wake_due(at(1_000_030), 10).await, woken(&[&run]));
    assert_eq!(db.store.start_run(start(&run, 1, 1)).await, Ok(Started::Applied));
    let again = Run { fence: 2, ..run.clone() };
    let given_up = Entry { state: EntryState::Failed, finished_at: Some(at(1_000_031)), ..wait };
    let next = waiting("2", EntryKind::Event, "tick");
    db.store.journal_write(entries(&again, vec![given_up, next])).await.expect("written");
    assert_eq!(entry(db, &run, "1").await.state, EntryState::Failed);
    assert_eq!(entry(db, &run, "2").await.state, EntryState::Done, "the event is there for the next wait");
}

async fn an_answer_is_not_taken_back(db: &mut Db) {
    let run = running("a", 1_000_000);
    db.store.accept_run(new_run(&run)).await.expect("accepted");
    let wait = || entries(&run, vec![waiting("1", EntryKind::Event, "tick")]);
    db.store.journal_write(wait()).await.expect("written");
    db.store.signal(signal("tick", 1_000_020)).await.expect("sent");
    db.store.journal_write(wait()).await.expect("written");
    assert_eq!(entry(db, &run, "1").await.state, EntryState::Done);
}

async fn a_timeout_takes_no_answer_back(db: &mut Db) {
    for kind in [EntryKind::Event, EntryKind::Approval] {
        let run = running("a", 1_000_000);
        db.store.accept_run(new_run(&run)).await.expect("accepted");
        let wait = Entry { wake_at: Some(at(1_000_030)), ..waiting("1", kind, "go") };
        db.store.journal_write(entries(&run, vec![wait.clone()])).await.expect("written");
        match kind {
            EntryKind::Event => drop(db.store.signal(signal("go", 1_000_029)).await.expect("sent")),
            _ => drop(db.store.decide(decision(run.id, None, 1_000_029)).await.expect("decided")),
        }
        let answered = entry(db, &run, "1").await;
        let given_up = Entry { state: EntryState::Failed, finished_at: Some(at(1_000_030)), ..wait };
        let other = step("2", "beside");
        let outcome = db.store.journal_write(entries(&run, vec![given_up, other])).await;
        assert_eq!((outcome, entry(db, &run, "1").await), (Ok(Guarded::Applied), answered));
        assert_eq!(entry(db, &run, "2").await.state, EntryState::Done, "what comes with it is written");
    }
}

async fn an_answer_is_noted_until_the_run_has_taken_it(db: &mut Db) {
    let run = running("a", 1_000_000);
    db.store.accept_run(new_run(&run)).await.expect("accepted");
    db.store.signal(signal("tick", 1_000_001)).await.expect("sent");
    db.store.journal_write(entries(&run, vec![waiting("1", EntryKind::Event, "tick")])).await.expect("written");
    let answered = entry(db, &run, "1").await;
    assert!(answered.answered && answered.is_open());
    let key = "1".parse().expect("a key");
    assert_eq!(db.store.journal_entry(run.id, &key).await, Ok(Some(answered.clone())));
    let taken = Entry { answered: false, finished_at: Some(at(1_000_040)), ..answered };
    db.store.journal_write(entries(&run, vec![taken.clone()])).await.expect("written");
    assert_eq!(db.store.journal_entry(run.id, &key).await, Ok(Some(taken)));
    db.store.journal_write(entries(&run, vec![waiting("2", EntryKind::Event, "tick")])).await.expect("written");
    assert_eq!(entry(db, &run, "2").await.state, EntryState::Waiting, "the event stays taken");
}

async fn a_run_that_is_undone_asks_for_nothing(db: &mut Db) {
    let asks = || vec![step("1", "build"), waiting("2", EntryKind::Approval, "go")];
    let live = running("a", 1_000_000);
    db.store.accept_run(new_run(&live)).await.expect("accepted");
    db.store.journal_write(entries(&live, asks())).await.expect("written");
    let still = parked(db, "b", asks(), None).await;
    let undoes = || Entry { kind: EntryKind::Unwind, ..step("0", "undo") };
    db.store.journal_write(entries(&live, vec![undoes()])).await.expect("written");
    let mut cancels = change(&still, RunState::Parked, RunState::Queued);
    cancels.journal = vec![undoes()];
    assert_eq!(db.store.transition(cancels).await, Ok(Guarded::Applied));
    assert_eq!(db.store.pending_approvals(0, None).await, Ok(vec![]));
    for run in [&live, &still] {
        let late = db.store.decide(decision(run.id, Some("go"), 1_000_020)).await;
        assert_eq!(late, Ok(Decided::NotWaiting { others: vec![] }));
        assert_eq!(entry(db, run, "1").await.state, EntryState::Done);
    }
}

async fn approvals_of_some_jobs_are_found_behind_those_of_others(db: &mut Db) {
    for name in ["a", "b", "a", "c"] {
        parked(db, name, vec![waiting("1", EntryKind::Approval, "go")], None).await;
    }
    assert_eq!(db.store.jobs_that_ask().await, Ok(vec![job("a"), job("b"), job("c")]));
    let found = async |limit: usize, jobs: &[&str]| {
        let jobs: Vec<_> = jobs.iter().map(|name| job(name)).collect();
        let found = db.store.pending_approvals(limit, Some(&jobs)).await.expect("readable");
        found.into_iter().map(|pending| pending.job.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found(1, &["c"]).await, ["c"]);
    assert_eq!(found(1, &["b", "nobody"]).await, ["b"]);
    assert_eq!(found(10, &["a"]).await, ["a", "a"]);
    assert_eq!(found(10, &[]).await, [""; 0]);
}

async fn a_run_is_woken_by_one_of_many_answers(db: &mut Db) {
    for unseen in [false, true] {
        let run = running("a", 1_000_000);
        db.store.accept_run(new_run(&run)).await.expect("accepted");
        for branch in 1..=20 {
            let wait = waiting(&format!("1.{branch}.1"), EntryKind::Event, "tick");
            db.store.journal_write(entries(&run, vec![wait])).await.expect("written");
            let tick = Signal { run: Some(run.id), ..signal("tick", 1_000_001 + branch) };
            db.store.signal(tick).await.expect("sent");
            if branch < 20 || !unseen {
                let next = waiting(&format!("1.{branch}.2"), EntryKind::Sleep, "nap");
                db.store.journal_write(entries(&run, vec![next])).await.expect("written");
            }
        }
        db.store.transition(change(&run, RunState::Running, RunState::Parked)).await.expect("parked");
        let now = db.store.run(run.id).await.expect("readable").expect("there");
        assert_eq!(now.wake_at, unseen.then(|| at(1_000_010)));
    }
}

async fn an_answer_during_the_parking_wakes_the_run(db: &mut Db) {
    for (seen, wake_at) in [(false, at(1_000_010)), (true, at(2_000_000))] {
        let run = running("a", 1_000_000);
        db.store.accept_run(new_run(&run)).await.expect("accepted");
        let list = vec![waiting("1", EntryKind::Event, "tick")];
        db.store.journal_write(entries(&run, list)).await.expect("written");
        db.store.signal(Signal { run: Some(run.id), ..signal("tick", 1_000_005) }).await.expect("sent");
        let mut parks = change(&run, RunState::Running, RunState::Parked);
        parks.wake_at = Some(at(2_000_000));
        if seen {
            parks.journal = vec![waiting("2", EntryKind::Sleep, "nap")];
        }
        assert_eq!(db.store.transition(parks).await, Ok(Guarded::Applied));
        let now = db.store.run(run.id).await.expect("readable").expect("there");
        assert_eq!((now.state, now.wake_at), (RunState::Parked, Some(wake_at)), "seen: {seen}");
        assert_eq!(db.store.next_wake().await, Ok(Some(wake_at)));
        db.store.wake_due(at(1_000_010), 10).await.expect("woken");
    }
}

async fn an_approval_is_decided_once(db: &mut Db) {
    let wait = Entry { show: Some(json!("the plan")), ..waiting("2", EntryKind::Approval, "go") };
    let run = parked(db, "deploy", vec![step("1", "build"), wait.clone()], None).await;
    let pending = PendingApproval { run: run.id, job: job("deploy"), entry: wait };
    assert_eq!(db.store.pending_approvals(10, None).await, Ok(vec![pending]));
    let (one, two) = futures_util::join!(
        db.store.decide(decision(run.id, None, 1_000_020)),
        db.store.decide(Decision { approved: false, ..decision(run.id, Some("go"), 1_000_021) }),
    );
    let result = json!({"approved": true, "by": "token:boss", "comment": "fine", "at": at(1_000_020)});
    assert_eq!(one, Ok(Decided::Applied { name: "go".into(), woken: Woken { parked: vec![run.id] } }));
    let actor = Some(Actor::new("token:boss"));
    assert_eq!(two, Ok(Decided::Already { name: "go".into(), actor: actor.clone(), result: Some(result.clone()) }));
    let decided = entry(db, &run, "2").await;
    assert_eq!((decided.state, decided.result, decided.actor), (EntryState::Done, Some(result), actor));
    assert_eq!((state(db, &run).await, db.store.pending_approvals(0, None).await), (RunState::Queued, Ok(vec![])));
    let of_run = |kind: &str| (kind.to_owned(), Some("deploy".to_owned()), Some(run.id));
    assert_eq!(kinds(db).await, [of_run("approval.decided"), of_run("run.woken")]);
}

async fn decisions_name_what_waits(db: &mut Db) {
    let late = Entry { wake_at: Some(at(1_000_030)), ..waiting("3.2.1", EntryKind::Approval, "late") };
    let list = vec![waiting("3.1.1", EntryKind::Approval, "a"), waiting("3.3.1", EntryKind::Approval, "b"), late];
    let run = parked(db, "deploy", list, None).await;
    let others = || vec!["a".to_owned(), "b".to_owned()];
    let ask = async |name: Option<&str>| db.store.decide(decision(run.id, name, 1_000_030)).await;
    assert_eq!(ask(None).await, Ok(Decided::NotWaiting { others: others() }));
    assert_eq!(ask(Some("c")).await, Ok(Decided::NotWaiting { others: others() }));
    assert_eq!(ask(Some("late")).await, Ok(Decided::Already { name: "late".into(), actor: None, result: None }));
    assert!(matches!(ask(Some("b")).await, Ok(Decided::Applied { name, .. }) if name == "b"));
    assert!(matches!(ask(None).await, Ok(Decided::Applied { name, .. }) if name == "a"));
    let nobody = db.store.decide(decision(RunId::generate(), None, 1)).await;
    assert_eq!(nobody, Ok(Decided::NotWaiting { others: vec![] }));
}

async fn parked_runs_go_on_by_time(db: &mut Db) {
    let late = parked(db, "a", vec![], Some(1_000_300)).await;
    let soon = parked(db, "a", vec![], Some(1_000_100)).await;
    let sooner = parked(db, "a", vec![], Some(1_000_050)).await;
    let never = parked(db, "a", vec![], None).await;
    let over = Run { deadline_at: Some(at(1_000_080)), ..running("a", 1_000_000) };
    db.store.accept_run(new_run(&over)).await.expect("accepted");
    db.store.transition(change(&over, RunState::Running, RunState::Parked)).await.expect("parked");
    assert_eq!(db.store.next_wake().await, Ok(Some(at(1_000_050))));
    assert_eq!(db.store.wake_due(at(1_000_049), 10).await, woken(&[]));
    assert_eq!(db.store.wake_due(at(1_000_200), 2).await, woken(&[&sooner, &over]));
    assert_eq!(db.store.wake_due(at(1_000_200), 2).await, woken(&[&soon]));
    assert_eq!(db.store.next_wake().await, Ok(Some(at(1_000_300))));
    assert_eq!((state(db, &late).await, state(db, &never).await), (RunState::Parked, RunState::Parked));
    let up = db.store.run(soon.id).await.expect("readable").expect("there");
    assert_eq!((up.state, up.wake_at, up.fence), (RunState::Queued, None, 1));
}

async fn parked_runs_in_numbers(db: &mut Db) {
    for (name, key) in [("a", Some("k")), ("a", None), ("b", Some("k"))] {
        let run = Run { concurrency_key: key.map(Into::into), ..running(name, 1_000_000) };
        db.store.accept_run(new_run(&run)).await.expect("accepted");
        db.store.transition(change(&run, RunState::Running, RunState::Parked)).await.expect("parked");
    }
    db.store.accept_run(new_run(&running("a", 1_000_000))).await.expect("accepted");
    assert_eq!(db.store.parked_counts().await, Ok(vec![(job("a"), 2), (job("b"), 1)]));
    assert_eq!(db.store.parked_keys().await, Ok(vec![("k".into(), 2)]));
    let of_a = db.store.parked_of_job(&job("a"), 10).await.expect("readable");
    assert!(of_a.len() == 2 && of_a.iter().all(|run| run.state == RunState::Parked));
    assert_eq!(db.store.parked_of_job(&job("a"), 1).await.map(|runs| runs.len()), Ok(1));
}
