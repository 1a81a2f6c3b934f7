//! What the daemon stands on fails under load and comes back: the disk is full, another process locks the database's
//! file, PostgreSQL crashes. Nobody restarts the daemon, and its books must be right all the same.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, PgConnection, Row as _, SqliteConnection};

use crate::postgres::Postgres;
use crate::support::api::Api;
use crate::trial::Trial;
use crate::{dice, report};

/// Longer than a daemon waits for a lock, so that writes are refused and tried again.
const OUTAGE: Duration = Duration::from_secs(7);
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);
/// Much more than the log of the database takes before it is carried over, much less than takes long to fill.
const DISK: &str = "64m";

/// Mounts a small disk at `data/`, in a mount namespace of the daemon's own: nothing is left to unmount.
fn with_small_disk() -> [String; 5] {
    let mount = format!("mkdir -p data && mount -t tmpfs -o size={DISK} tmpfs data && exec \"$@\"");
    let rights = if rustix::process::getuid().is_root() { "-m" } else { "-Urm" };
    ["unshare", rights, "sh", "-c", &mount].map(str::to_owned)
}

/// Some work, the outage, some work.
async fn outages<F: Future<Output = ()>>(trial: &mut Trial, what: &'static str, outage: impl Fn() -> F) {
    for _ in 0..dice::kills(6) {
        trial.work().await;
        trial.note(what);
        outage().await;
        trial.note("it is over");
        recovers(&trial.app.api).await;
    }
}

/// Waits until the daemon says by itself that its database is well again.
async fn recovers(api: &Api) {
    let began = std::time::Instant::now();
    loop {
        let ready = api.get("/health/ready").await.body;
        let parts = ready["dependencies"].as_array().expect("a list");
        if parts.iter().any(|part| part["name"] == "database" && part["ok"] == true) {
            return;
        }
        assert!(began.elapsed() < RECOVERY_TIMEOUT, "{RECOVERY_TIMEOUT:?} after the outage: {ready}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn nothing_is_wrong(title: &str, seed: u64, mut trial: Trial) {
    trial.rest().await;
    let (record, took) = trial.read().await;
    let found = report::report(title, seed, 0, &record, took);
    report::expect_nothing(seed, &found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_postgresql_loses_and_doubles_nothing() {
    let seed = dice::seed();
    let postgres = Postgres::start().await;
    let url = postgres.url();
    let mut trial = Trial::start(seed, Some(postgres)).await;
    outages(&mut trial, "PostgreSQL crashes", || crash(&url)).await;
    nothing_is_wrong("PostgreSQL crashes", seed, trial).await;
}

/// Kills a server process: PostgreSQL then ends all connections and starts again from its log.
async fn crash(url: &str) {
    let mut conn = PgConnection::connect(url).await.expect("the server answers");
    let row = sqlx::query("SELECT pg_backend_pid()").fetch_one(&mut conn).await.expect("a number");
    let pid = Pid::from_raw(row.get(0)).expect("a process");
    kill_process(pid, Signal::KILL).expect("it is ours to kill");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_another_process_loses_and_doubles_nothing() {
    let seed = dice::seed();
    let mut trial = Trial::start(seed, None).await;
    let file = trial.app.path("data/aegis.db");
    outages(&mut trial, "the file is locked", || lock(&file)).await;
    nothing_is_wrong("the database's file is locked", seed, trial).await;
}

async fn lock(file: &Path) {
    let mut conn = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.expect("a database");
    sqlx::query("PRAGMA busy_timeout = 30000").execute(&mut conn).await.expect("set");
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut conn).await.expect("the lock");
    tokio::time::sleep(OUTAGE).await;
    sqlx::query("ROLLBACK").execute(&mut conn).await.expect("given back");
    conn.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_and_doubles_nothing() {
    let seed = dice::seed();
    let wrapper = with_small_disk();
    let mut trial = Trial::start_on_small_disk(seed, &wrapper).await;
    let filler = trial.app.inside("data/filler");
    outages(&mut trial, "the disk is full", || fill(filler.clone())).await;
    nothing_is_wrong("the disk is full", seed, trial).await;
}

/// Takes whatever room is left for a while, again and again: what the daemon gives back is taken too.
async fn fill(filler: PathBuf) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(&filler).expect("the small disk can be reached");
    let began = std::time::Instant::now();
    while began.elapsed() < OUTAGE {
        while file.write_all(&[0; 1 << 18]).is_ok() {}
        while file.write_all(&[0; 4096]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::remove_file(&filler).expect("it is ours");
}
