//! `kill -9` at random moments, under load, on both databases; and outages of what the daemon stands on. What the daemon promised, what its steps did outside of
//! it and what its books say are compared afterwards.
//!
//! `AEGIS_CRASH_KILLS` says how often (12 unless told; 300 for a full run), `AEGIS_CRASH_SEED` repeats a run's draws.
//! With `-- --nocapture` each trial prints a table.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "tests wait for a real process and have no Supervisor")]

mod books;
mod checks;
mod dice;
mod effects;
mod falsified;
mod jobs;
mod load;
mod outage;
mod placed;
mod postgres;
mod proxy;
mod record;
mod replaced;
mod report;
mod sabotage;
mod trial;
mod two;

#[path = "../postgres/server.rs"]
mod server;

#[path = "../it/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the integration tests, which use more of it")]
mod support;

use postgres::Postgres;
use trial::Trial;

async fn endure(title: &str, postgres: Option<Postgres>) {
    let (seed, kills) = (dice::seed(), dice::kills(2));
    println!("{title}: AEGIS_CRASH_SEED={seed}");
    let mut trial = Trial::start(seed, postgres).await;
    trial.endure(kills).await;
    trial.settle().await;
    let (record, took) = trial.read().await;
    let kills = u32::try_from(record.journals.len()).expect("few");
    let found = report::report(title, seed, kills, &record, took);
    report::expect_nothing(seed, &found);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_done_twice_on_sqlite() {
    endure("SQLite", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_done_twice_on_postgresql() {
    endure("PostgreSQL", Some(Postgres::start().await)).await;
}
