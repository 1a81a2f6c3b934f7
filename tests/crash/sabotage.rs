//! The harness on a real daemon whose books are falsified between two starts: what was done to them is found.

use std::time::Duration;

use crate::checks::Wrong;
use crate::dice;
use crate::record::FINAL;
use crate::report::report;
use crate::trial::Trial;

/// One of the acknowledged runs of that job which has ended.
async fn ended(trial: &Trial, job: &str) -> Option<String> {
    let runs = trial.books.runs().await;
    let promised = trial.load.promises();
    let has_ended = |id: &str| runs.iter().any(|run| run.id == id && run.job == job && FINAL.contains(&&*run.state));
    promised.into_iter().map(|promise| promise.run).find(|id| has_ended(id))
}

/// One change that must reach exactly one row.
async fn falsify(trial: &Trial, statement: &str) {
    assert_eq!(trial.books.falsify(statement).await, 1, "{statement}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_to_the_books_behind_the_daemons_back_is_found() {
    let seed = dice::seed();
    println!("falsified: AEGIS_CRASH_SEED={seed}");
    let mut trial = Trial::start(seed, None).await;
    // Between two starts: a run that was promised, and the memory of a step.
    let (lost, forgetful) = loop {
        trial.kill().await;
        if let (Some(run), Some(line)) = (ended(&trial, "short").await, ended(&trial, "line").await) {
            break (run, line);
        }
        while !trial.restart().await {}
    };
    falsify(&trial, &format!("DELETE FROM runs WHERE id = '{lost}'")).await;
    let steps = format!("DELETE FROM steps WHERE run = '{forgetful}' AND name IN ('b', 'c')");
    assert_eq!(trial.books.falsify(&steps).await, 2);
    let revive = "state = 'queued', finished_at = NULL, result = NULL, error = NULL";
    falsify(&trial, &format!("UPDATE runs SET {revive} WHERE id = '{forgetful}'")).await;
    while !trial.restart().await {}
    trial.app.api.ended(&forgetful).await;

    // After the last stop: a run that looks alive, and a due time without its row.
    let phantom = loop {
        if let Some(run) = ended(&trial, "repeated").await {
            break run;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    trial.settle().await;
    falsify(&trial, &format!("UPDATE runs SET state = 'running' WHERE id = '{phantom}'")).await;
    let newest = "SELECT MAX(scheduled_for) FROM occurrences WHERE run IS NOT NULL AND job = 'tick_all'";
    falsify(&trial, &format!("DELETE FROM occurrences WHERE job = 'tick_all' AND scheduled_for = ({newest})")).await;

    let (record, took) = trial.read().await;
    let found = report("falsified", seed, 1, &record, took);
    for (kind, about) in [
        (Wrong::Lost, &*lost),
        (Wrong::StepAgain, &*forgetful),
        (Wrong::Phantom, &*phantom),
        (Wrong::ToldOtherwise, &*phantom),
        (Wrong::DueMissing, "tick_all"),
    ] {
        let is_found = found.iter().any(|(wrong, what)| *wrong == kind && what.contains(about));
        assert!(is_found, "{kind:?} of {about} was not found: {found:?}");
    }
}
