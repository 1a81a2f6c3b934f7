//! The harness on a real daemon whose books are falsified between two starts: what was done to them is found.

use crate::checks::Wrong;
use crate::dice;
use crate::record::{Effect, Record};
use crate::report::report;
use crate::trial::Trial;

/// One of the acknowledged runs that is in the books now, of that job and in one of these states.
async fn victim(trial: &Trial, job: &str, states: &[&str]) -> Option<String> {
    let runs = trial.books.runs().await;
    let promised = trial.load.promises();
    let fits = |id: &str| runs.iter().any(|run| run.id == id && states.contains(&run.state.as_str()));
    promised.iter().filter(|promise| promise.job == job).map(|promise| promise.run.clone()).find(|id| fits(id))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_to_the_books_between_two_starts_is_found() {
    let seed = dice::seed();
    println!("falsified: AEGIS_CRASH_SEED={seed}");
    let mut trial = Trial::start(seed, None).await;
    let lost = loop {
        trial.kill().await;
        if let Some(run) = victim(&trial, "short", &["succeeded", "interrupted"]).await {
            break run;
        }
        while !trial.restart().await {}
    };
    assert_eq!(trial.books.falsify(&format!("DELETE FROM runs WHERE id = '{lost}'")).await, 1);
    let newest = "SELECT MAX(scheduled_for) FROM occurrences WHERE job = 'tick_all'";
    let hole = format!("DELETE FROM occurrences WHERE job = 'tick_all' AND scheduled_for < ({newest})");
    let holes = trial.books.falsify(&hole).await;
    while !trial.restart().await {}

    let (mut record, took) = trial.finish().await;
    let phantom = record.runs.iter().find(|run| run.job == "repeated").expect("the load has them").id.clone();
    relive(&mut record, &phantom);
    let repeated = record.effects.first().expect("steps were executed").clone();
    record.effects.push(Effect { life: u32::MAX, ..repeated });

    let found = report("falsified", seed, 1, &record, took);
    let kinds: Vec<Wrong> = found.iter().map(|(wrong, _)| *wrong).collect();
    assert!(found.iter().any(|(wrong, what)| *wrong == Wrong::Lost && what.contains(&lost)), "{found:?}");
    assert!(found.iter().any(|(wrong, what)| *wrong == Wrong::Phantom && what.contains(&phantom)), "{found:?}");
    assert!(kinds.contains(&Wrong::StepAgain), "{found:?}");
    assert!(holes == 0 || kinds.contains(&Wrong::DueMissing), "{holes} {found:?}");
}

/// As if the run had never been ended.
fn relive(record: &mut Record, id: &str) {
    for run in record.runs.iter_mut().filter(|run| run.id == id) {
        run.state = "running".to_owned();
    }
    record.told.insert(id.to_owned(), "running".to_owned());
}
