//! Log lines, events and the ledger of due times.

use serde_json::json;

use super::support::*;
use crate::base::RunId;
use crate::model::{Absence, AbsenceCause, LogLevel, LogLine, NewEvent, Occurrence, OccurrenceState};
use crate::store::*;

on_both! {
    lines_come_back_in_pages_and_from_the_end,
    lines_of_one_who_lost_the_run_are_dropped,
    many_long_lines_go_in_at_once,
    events_are_numbered_without_gaps_in_commit_order,
    the_latest_events_by_kind,
    the_mark_tells_of_commits,
    due_times_are_settled_once,
    an_absence_is_one_event,
    pages_of_the_ledger_neither_skip_nor_repeat,
}

async fn lines_come_back_in_pages_and_from_the_end(db: &mut Db) {
    let (run, other) = (RunId::generate(), RunId::generate());
    let odd = LogLine {
        level: LogLevel::Warn,
        text: "a\0b \u{1f980} \"q\" \\".into(),
        fields: json!({"k": [1, null]}),
        ..line(run, 4)
    };
    db.store
        .append_logs(vec![line(run, 1), line(other, 1), line(run, 2), line(run, 3), odd.clone()])
        .await
        .expect("written");
    db.store.append_logs(vec![]).await.expect("nothing to do");
    assert_eq!(db.store.logs(run, 0, 2).await, Ok(vec![line(run, 1), line(run, 2)]));
    let kept = LogLine { text: "a\u{fffd}b \u{1f980} \"q\" \\".into(), ..odd };
    assert_eq!(db.store.logs(run, 2, 10).await, Ok(vec![line(run, 3), kept.clone()]));
    assert_eq!(db.store.logs_tail(run, 2).await, Ok(vec![line(run, 3), kept]));
    // Repeating what was not answered changes nothing.
    db.store.append_logs(vec![LogLine { text: "changed".into(), ..line(run, 1) }]).await.expect("harmless");
    assert_eq!(db.store.logs(run, 0, 1).await, Ok(vec![line(run, 1)]));
}

async fn lines_of_one_who_lost_the_run_are_dropped(db: &mut Db) {
    let run = crate::model::Run { fence: 2, ..running("a", 0) };
    db.store.accept_run(new_run(&run)).await.expect("accepted");
    let said = |text: &str| LogLine { text: text.into(), ..line(run.id, 1) };
    db.store.append_logs_at(Some(1), vec![said("late")]).await.expect("harmless");
    db.store.append_logs_at(Some(2), vec![said("mine")]).await.expect("written");
    assert_eq!(db.store.logs(run.id, 0, 10).await, Ok(vec![said("mine")]));
}

async fn many_long_lines_go_in_at_once(db: &mut Db) {
    let run = RunId::generate();
    let long = |seq| LogLine { text: "x".repeat(16 * 1024), ..line(run, seq) };
    db.store.append_logs((1..=300).map(long).collect()).await.expect("written");
    assert_eq!(db.store.logs(run, 0, 1_000).await.map(|lines| lines.len()), Ok(300));
    assert_eq!(db.store.logs(run, 0, 0).await.map(|lines| lines.len()), Ok(50), "the default page");
}

async fn events_are_numbered_without_gaps_in_commit_order(db: &mut Db) {
    let run = RunId::generate();
    let full = NewEvent::new(at(5), "job.loaded").job(&job("a")).run(run).data(json!({"x": "y"}));
    db.store.append_events(vec![full.clone(), event("job.rejected")]).await.expect("written");
    db.store.append_events(vec![]).await.expect("nothing to do");
    let writes = (0..50).map(|i| db.store.append_events(vec![event(&format!("n.{i}.a")), event(&format!("n.{i}.b"))]));
    for outcome in futures_util::future::join_all(writes).await {
        outcome.expect("written");
    }
    let all = db.store.events(0, 1_000).await.expect("readable");
    assert_eq!(all.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=102).collect::<Vec<i64>>());
    assert_eq!(all[0].body, full);
    assert!(
        all[2..].chunks(2).all(|pair| pair[0].body.kind.replace(".a", ".b") == pair[1].body.kind),
        "a command's events stay together"
    );
    assert_eq!(db.store.commits().borrow().event_seq, 102);
    assert_eq!(db.store.events(100, 10).await.map(|events| events.len()), Ok(2));
}

async fn the_latest_events_by_kind(db: &mut Db) {
    let kinds = ["job.loaded", "run.queued", "daemon.started", "run.failed", "job.rejected", "jobs.x", "run.succeeded"];
    db.store.append_events(kinds.iter().map(|kind| event(kind)).collect()).await.expect("written");
    let latest = async |kinds: &'static [&'static str], limit| {
        let found = db.store.events_latest(kinds, limit).await.expect("readable");
        found.into_iter().map(|event| event.body.kind).collect::<Vec<_>>()
    };
    assert_eq!(latest(&[], 2).await, ["run.succeeded", "jobs.x"]);
    assert_eq!(latest(&["job."], 10).await, ["job.rejected", "job.loaded"]);
    assert_eq!(latest(&["run.", "daemon."], 3).await, ["run.succeeded", "run.failed", "daemon.started"]);
    assert_eq!(latest(&["ru"], 1).await, ["run.succeeded"]);
    assert_eq!(latest(&["run.failed"], 5).await, ["run.failed"]);
}

async fn the_mark_tells_of_commits(db: &mut Db) {
    let mut marks = db.store.commits();
    assert_eq!(*marks.borrow_and_update(), CommitMark::default());
    db.store.append_logs(vec![line(RunId::generate(), 1)]).await.expect("written");
    assert!(marks.has_changed().expect("the writer lives"));
    assert_eq!(*marks.borrow_and_update(), CommitMark { event_seq: 0, log_commits: 1 });
    db.store.append_events(vec![event("a.b")]).await.expect("written");
    assert_eq!(*marks.borrow_and_update(), CommitMark { event_seq: 1, log_commits: 1 });
    db.store.ping().await.expect("writable");
    assert!(!marks.has_changed().expect("the writer lives"));
    db.stop().await;
    db.reopen().await;
    assert_eq!(db.store.commits().borrow().event_seq, 1, "known again after a restart");
}

async fn an_absence_is_one_event(db: &mut Db) {
    let row = |second| Occurrence {
        job: job("a"),
        scheduled_for: at(second),
        state: OccurrenceState::Missed,
        reason: Some("why".into()),
        run: None,
        decided_at: at(1_000),
    };
    let absence = |seconds: &[i64]| Absence {
        job: job("a"),
        cause: AbsenceCause::NoDaemon,
        missed: seconds.iter().map(|second| row(*second)).collect(),
        caught_up: 0,
        unlisted_since: None,
    };
    db.store
        .settle_occurrence(Occurrence { state: OccurrenceState::Fired, ..row(200) }, vec![])
        .await
        .expect("written");
    assert_eq!(db.store.settle_absence(absence(&[100, 200, 300])).await, Ok(2));
    assert_eq!(db.store.settle_absence(absence(&[100, 200, 300])).await, Ok(0));
    db.store.append_events(vec![event("schedule.held")]).await.expect("written");
    let told = db.store.absences(at(0), 10).await.expect("readable");
    let [told] = &told[..] else { panic!("not one event: {told:?}") };
    assert_eq!((told.body.job.clone(), &told.body.data["count"]), (Some(job("a")), &serde_json::json!(2)));
    assert_eq!(
        db.store.absences(crate::base::clock::later(told.body.at, std::time::Duration::from_secs(1)), 10).await,
        Ok(vec![])
    );
}

async fn due_times_are_settled_once(db: &mut Db) {
    let due = |name: &str, second, state| Occurrence {
        job: job(name),
        scheduled_for: at(second),
        state,
        reason: Some("why".into()),
        run: None,
        decided_at: at(second + 1),
    };
    let missed = due("a", 100, OccurrenceState::Missed);
    assert_eq!(db.store.settle_occurrence(missed.clone(), vec![event("occurrence.missed")]).await, Ok(true));
    assert_eq!(
        db.store.settle_occurrence(due("a", 100, OccurrenceState::Held), vec![event("occurrence.held")]).await,
        Ok(false)
    );
    for (name, second) in [("a", 300), ("a", 200), ("b", 150)] {
        db.store.settle_occurrence(due(name, second, OccurrenceState::SkippedOverlap), vec![]).await.expect("written");
    }
    let found = async |name: Option<&'static str>, from, to| {
        let name = name.map(job);
        let found = db.store.occurrences(name.as_ref(), at(from), at(to), 10).await.expect("readable");
        found.into_iter().map(|it| it.scheduled_for.as_second()).collect::<Vec<_>>()
    };
    assert_eq!(found(None, 0, 1_000).await, [300, 200, 150, 100]);
    assert_eq!(found(Some("a"), 100, 300).await, [200, 100]);
    assert_eq!(db.store.occurrences(Some(&job("a")), at(0), at(101), 10).await, Ok(vec![missed]));
    assert_eq!(db.store.last_occurrences().await, Ok(vec![(job("a"), at(300)), (job("b"), at(150))]));
    assert_eq!(db.store.events(0, 10).await.map(|events| events.len()), Ok(1));
}

async fn pages_of_the_ledger_neither_skip_nor_repeat(db: &mut Db) {
    let states = [OccurrenceState::Fired, OccurrenceState::Held, OccurrenceState::Missed];
    let mut made = Vec::new();
    // Two jobs are due at each moment, so that only the name tells them apart.
    for (place, second) in (0..24).enumerate() {
        for name in ["a", "b"] {
            let row = Occurrence {
                job: job(name),
                scheduled_for: at(second),
                state: states[(place + usize::from(name == "b")) % 3],
                reason: None,
                run: None,
                decided_at: at(second),
            };
            db.store.settle_occurrence(row.clone(), vec![]).await.expect("written");
            made.push(row);
        }
    }
    made.reverse();
    let filters = [
        OccurrenceFilter::default(),
        OccurrenceFilter { job: Some(job("a")), ..OccurrenceFilter::default() },
        OccurrenceFilter { states: vec![OccurrenceState::Held], ..OccurrenceFilter::default() },
        OccurrenceFilter {
            states: states[1..].to_vec(),
            from: Some(at(3)),
            to: Some(at(20)),
            ..OccurrenceFilter::default()
        },
        OccurrenceFilter { job: Some(job("b")), states: vec![OccurrenceState::Fired], ..OccurrenceFilter::default() },
    ];
    for filter in filters {
        let fits = |row: &&Occurrence| {
            filter.job.as_ref().is_none_or(|job| *job == row.job)
                && (filter.states.is_empty() || filter.states.contains(&row.state))
                && filter.from.is_none_or(|from| row.scheduled_for >= from)
                && filter.to.is_none_or(|to| row.scheduled_for < to)
        };
        let wanted: Vec<Occurrence> = made.iter().filter(fits).cloned().collect();
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let filter = OccurrenceFilter { limit: 5, before: before.clone(), ..filter.clone() };
            let page = db.store.occurrence_page(&filter).await.expect("readable");
            assert!(page.len() <= 5);
            let Some(last) = page.last() else { break };
            before = Some((last.scheduled_for, last.job.clone()));
            seen.extend(page);
        }
        assert_eq!(seen, wanted, "{filter:?}");
    }
}
