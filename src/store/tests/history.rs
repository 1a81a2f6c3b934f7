//! Finding runs again: pages, filters, prefixes, numbers.

use super::support::*;
use crate::base::{JobName, RunId};
use crate::model::{Run, RunState};
use crate::store::*;

/// Ten runs of two jobs and a console line, queued a second apart, every third one failed, the others still queued.
async fn history(db: &Db) -> Vec<Run> {
    let mut made = Vec::new();
    for i in 0..10 {
        let name = if i % 2 == 0 { "even" } else { "odd" };
        let run = running(name, 1_000_000 + i);
        db.store.accept_run(new_run(&run)).await.expect("accepted");
        if i % 3 == 0 {
            let failed = change(&run, RunState::Running, RunState::Failed);
            assert_eq!(db.store.transition(failed).await, Ok(Guarded::Applied));
        }
        made.push(run);
    }
    let console = Run { job: JobName::console(), ..running("x", 1_000_020) };
    db.store.accept_run(new_run(&console)).await.expect("accepted");
    made.push(console);
    made
}

async fn ids(db: &Db, filter: RunFilter) -> Vec<RunId> {
    db.store.runs(&filter).await.expect("readable").into_iter().map(|run| run.id).collect()
}

fn picked(made: &[Run], places: &[usize]) -> Vec<RunId> {
    places.iter().map(|place| made[*place].id).collect()
}

on_both! {
    filters_pick_and_order,
    pages_neither_skip_nor_repeat,
    a_prefix_finds_at_most_two,
    runs_in_a_state_come_oldest_first,
    jobs_in_numbers,
    buckets_count_how_runs_ended,
    buckets_of_whole_hours_go_by_when_runs_ended,
}

async fn filters_pick_and_order(db: &mut Db) {
    let made = history(db).await;
    let all = RunFilter::default();
    assert_eq!(ids(db, all.clone()).await, picked(&made, &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]));
    let console = RunFilter { include_console: true, limit: 2, ..all.clone() };
    assert_eq!(ids(db, console).await, picked(&made, &[10, 9]));
    let named = RunFilter { job: Some(JobName::console()), ..all.clone() };
    assert_eq!(ids(db, named).await, picked(&made, &[10]));
    let even = RunFilter { job: Some(job("even")), limit: 3, ..all.clone() };
    assert_eq!(ids(db, even).await, picked(&made, &[8, 6, 4]));
    let failed = RunFilter { states: vec![RunState::Failed, RunState::Cancelled], ..all.clone() };
    assert_eq!(ids(db, failed.clone()).await, picked(&made, &[9, 6, 3, 0]));
    assert_eq!(ids(db, RunFilter { job: Some(job("odd")), ..failed }).await, picked(&made, &[9, 3]));
    let window = RunFilter { since: Some(at(1_000_002)), until: Some(at(1_000_005)), ..all };
    assert_eq!(ids(db, window).await, picked(&made, &[4, 3, 2]));
}

async fn pages_neither_skip_nor_repeat(db: &mut Db) {
    // All queued in the same moment, so that only the id tells them apart.
    let mut made: Vec<Run> = (0..25).map(|_| running("same", 1_000_000)).collect();
    for run in &made {
        db.store.accept_run(new_run(run)).await.expect("accepted");
    }
    made.sort_by_key(|run| std::cmp::Reverse(run.id));
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = ids(db, RunFilter { before, limit: 7, ..RunFilter::default() }).await;
        let Some(last) = page.last() else { break };
        before = Some(*last);
        seen.extend(page);
    }
    assert_eq!(seen, made.iter().map(|run| run.id).collect::<Vec<_>>());
    // A cursor whose run is gone still points to a place.
    let nowhere = RunFilter { before: Some(RunId::generate()), limit: 3, ..RunFilter::default() };
    assert_eq!(ids(db, nowhere).await, seen[..3]);
}

async fn a_prefix_finds_at_most_two(db: &mut Db) {
    let made = history(db).await;
    let whole = made[3].id.to_string();
    assert_eq!(db.store.runs_by_prefix(&whole).await, Ok(vec![made[3].id]));
    assert_eq!(db.store.runs_by_prefix(&whole.to_uppercase()).await, Ok(vec![made[3].id]));
    assert_eq!(db.store.runs_by_prefix("0").await.map(|found| found.len()), Ok(2));
    assert_eq!(db.store.runs_by_prefix("zzz").await, Ok(vec![]));
    assert_eq!(db.store.runs_by_prefix("%").await, Ok(vec![]));
}

async fn runs_in_a_state_come_oldest_first(db: &mut Db) {
    let made = history(db).await;
    let found = async |state| {
        db.store.runs_in(state, None).await.expect("readable").into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(found(RunState::Running).await, picked(&made, &[1, 2, 4, 5, 7, 8, 10]));
    assert_eq!(found(RunState::Failed).await, picked(&made, &[0, 3, 6, 9]));
    assert_eq!(found(RunState::Queued).await, []);
    let mut counts = db.store.run_counts().await.expect("readable");
    counts.sort();
    assert_eq!(counts, [(RunState::Running, 7), (RunState::Failed, 4)]);
}

async fn jobs_in_numbers(db: &mut Db) {
    let made = history(db).await;
    let more = running("even", 1_000_100);
    db.store.accept_run(new_run(&more)).await.expect("accepted");
    db.store.transition(change(&more, RunState::Running, RunState::Succeeded)).await.expect("written");
    let stats = db.store.job_stats().await.expect("readable");
    let short: Vec<_> = stats
        .iter()
        .map(|job| (job.job.as_str(), job.last.as_ref().map(|run| run.id), job.last_success, job.recent.clone()))
        .collect();
    let failed = RunState::Failed;
    assert_eq!(
        short,
        [
            ("even", Some(more.id), Some(at(1_000_010)), vec![failed, failed, RunState::Succeeded]),
            ("odd", Some(made[9].id), None, vec![failed, failed]),
        ]
    );
    assert_eq!(db.store.job_stats().await.map(|stats| stats.len()), Ok(2), "the console is not a job");
}

async fn buckets_count_how_runs_ended(db: &mut Db) {
    let ended = [
        (0, RunState::Succeeded),
        (5, RunState::TimedOut),
        (9, RunState::Failed),
        (10, RunState::Cancelled),
        (35, RunState::Succeeded),
    ];
    for (second, state) in ended {
        for name in ["a", "b"] {
            let run = running(name, 1_000_000 + second);
            db.store.accept_run(new_run(&run)).await.expect("accepted");
            db.store.transition(change(&run, RunState::Running, state)).await.expect("written");
        }
    }
    let console = Run { job: JobName::console(), ..running("x", 1_000_000) };
    db.store.accept_run(new_run(&console)).await.expect("accepted");
    db.store.transition(change(&console, RunState::Running, RunState::Failed)).await.expect("written");
    let bucket = |start, succeeded, failed, other| Bucket { start: at(start), succeeded, failed, other };
    let of_a = db.store.run_buckets(Some(&job("a")), at(1_000_000), 10).await;
    assert_eq!(of_a, Ok(vec![bucket(1_000_000, 1, 2, 0), bucket(1_000_010, 0, 0, 1), bucket(1_000_030, 1, 0, 0)]));
    let of_all = db.store.run_buckets(None, at(1_000_005), 10).await;
    assert_eq!(of_all, Ok(vec![bucket(1_000_000, 0, 4, 0), bucket(1_000_010, 0, 0, 2), bucket(1_000_030, 2, 0, 0)]));
}

async fn buckets_of_whole_hours_go_by_when_runs_ended(db: &mut Db) {
    const HOUR: i64 = 3_600;
    let ended = [
        ("a", 280 * HOUR - 1, RunState::Succeeded),
        ("a", 280 * HOUR, RunState::Failed),
        ("b", 281 * HOUR - 1, RunState::Cancelled),
        ("b", 281 * HOUR + 5, RunState::Succeeded),
    ];
    let console = [(JobName::console().to_string(), 280 * HOUR, RunState::Succeeded)];
    let all = ended.map(|(name, second, state)| (name.to_owned(), second, state)).into_iter().chain(console);
    for (name, second, state) in all {
        let run = Run { job: name.parse().unwrap_or_else(|_| JobName::console()), ..running("x", 1_000_000) };
        db.store.accept_run(new_run(&run)).await.expect("accepted");
        let end = Transition { at: at(second), ..change(&run, RunState::Running, state) };
        assert_eq!(db.store.transition(end.clone()).await, Ok(Guarded::Applied));
        assert_eq!(db.store.transition(end).await, Ok(Guarded::Refused), "and it is counted once");
    }
    let bucket = |hour: i64, succeeded, failed, other| Bucket { start: at(hour * HOUR), succeeded, failed, other };
    let by_hour = db.store.run_buckets(None, at(280 * HOUR + 1), HOUR).await;
    assert_eq!(by_hour, Ok(vec![bucket(280, 0, 1, 1), bucket(281, 1, 0, 0)]));
    let of_a = db.store.run_buckets(Some(&job("a")), at(0), 2 * HOUR).await;
    assert_eq!(of_a, Ok(vec![bucket(278, 1, 0, 0), bucket(280, 0, 1, 0)]));
}
