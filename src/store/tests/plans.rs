//! Pages of history must come from an index in its order, or they grow slower with every run that is kept.

use super::support::*;
use crate::base::RunId;
use crate::model::{OccurrenceState, RunState};
use crate::store::read::{Source, earliest, page, pending};
use crate::store::*;

#[tokio::test]
async fn every_page_walks_an_index_in_its_order() {
    let db = Db::new(Backend::Sqlite).await;
    let all = RunFilter::default;
    let filters = [
        all(),
        RunFilter { job: Some(job("a")), ..all() },
        RunFilter { states: vec![RunState::Failed], ..all() },
        RunFilter { states: vec![RunState::Queued, RunState::Failed], job: Some(job("a")), ..all() },
        RunFilter { since: Some(at(1)), until: Some(at(2)), ..all() },
        RunFilter { since: Some(at(1)), until: Some(at(2)), job: Some(job("a")), include_console: true, ..all() },
    ];
    for filter in filters {
        for cursor in [None, Some((RunId::generate(), Some(at(5))))] {
            let rows = db.store.readers().fetch(page(&filter, cursor).explained()).await.expect("a plan");
            let plan: Vec<String> = rows.iter().map(|row| row.text("detail").expect("a text")).collect();
            let whole = plan.iter().any(|step| step == "SCAN runs");
            // The few rows that a branch has found may be sorted to merge them, but not what it walks over.
            let sorted =
                plan.windows(2).any(|steps| steps[0].starts_with("SEARCH runs") && steps[1].contains("B-TREE"));
            let walks = plan.iter().any(|step| step.starts_with("SEARCH runs USING"));
            assert!(walks && !whole && !sorted, "{filter:?}: {plan:#?}");
        }
    }
    db.finish().await;
}

/// What is asked again and again must not read a table of history from one end to the other.
#[tokio::test]
async fn what_is_asked_often_reads_no_history() {
    let db = Db::new(Backend::Sqlite).await;
    let hour = 3_600_000_000;
    let asked = [
        earliest(),
        write::due(at(1), 10),
        pending("").bind(at(1)).bind(10_usize),
        pending("AND runs.job IN (SELECT value FROM json_each($3))").bind(at(1)).bind(10_usize).bind("[]"),
        Source::Hours.of(None, at(1), hour),
        Source::Hours.of(Some(&job("a")), at(1), hour),
    ];
    for query in asked {
        let rows = db.store.readers().fetch(query.clone().explained()).await.expect("a plan");
        let plan: Vec<String> = rows.iter().map(|row| row.text("detail").expect("a text")).collect();
        let tables = ["runs", "steps", "signals", "run_hours"];
        let whole = |step: &String| tables.iter().any(|table| *step == format!("SCAN {table}"));
        assert!(
            !plan.iter().any(whole) && plan.iter().any(|step| step.contains("INDEX") || step.contains("PRIMARY KEY")),
            "{query:?}: {plan:#?}"
        );
    }
    db.finish().await;
}

/// A page of the ledger is one short walk along an index for each state, whatever is asked.
#[tokio::test]
async fn pages_of_the_ledger_walk_along_indexes() {
    let db = Db::new(Backend::Sqlite).await;
    let states = [vec![], vec![OccurrenceState::Missed], vec![OccurrenceState::Fired, OccurrenceState::Held]];
    for states in states {
        for (job, before) in
            [(None, None), (Some(job("a")), None), (None, Some(job("a"))), (Some(job("a")), Some(job("a")))]
        {
            let before = before.map(|job| (at(100), job));
            let window = OccurrenceFilter { from: Some(at(0)), to: Some(at(1_000)), ..OccurrenceFilter::default() };
            let filter = OccurrenceFilter { job, states: states.clone(), before, ..window };
            let query = crate::store::read::occurrence_page(&filter).explained();
            let rows = db.store.readers().fetch(query).await.expect("a plan");
            let plan: Vec<String> = rows.iter().map(|row| row.text("detail").expect("a text")).collect();
            let walks = plan.iter().filter(|step| step.starts_with("SEARCH occurrences USING")).count();
            let sorted =
                plan.windows(2).any(|steps| steps[0].starts_with("SEARCH occurrences") && steps[1].contains("B-TREE"));
            let whole = plan.iter().any(|step| step.starts_with("SCAN occurrences"));
            assert!(walks == states.len().max(1) && !sorted && !whole, "{filter:?}: {plan:#?}");
        }
    }
    db.finish().await;
}
