//! What a million parked runs cost, and how exactly those wake that are due.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::daemon::Daemon;
use crate::fill::Filler;
use crate::numbers::{Table, show, spread};

/// So many are due in one second, a millisecond apart.
const DUE: i64 = 1_000;
/// From the filling until the first is due: the daemon starts meanwhile.
const LEAD: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(120);
const SLEEPER: &str = "return aegis.job { overlap = \"parallel\", resume = true, timeout = \"7d\",\n  \
    run = function(ctx) ctx:sleep(\"6d\") print(\"awake\") end }\n";

pub async fn wakes(runs: i64, table: &mut Table) {
    let (daemon, _) = Daemon::start([("sleeper".to_owned(), SLEEPER.to_owned())]).await;
    daemon.await_jobs(1).await;
    let template = daemon.trigger("sleeper").await;
    let began = Instant::now();
    while daemon.get(&format!("/api/v1/runs/{template}")).await["state"] != "parked" {
        assert!(began.elapsed() < PATIENCE, "it does not park");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let stopped = daemon.pause().await;
    let mut filler = Filler::open(&stopped.file()).await;
    let bytes_before = std::fs::metadata(stopped.file()).expect("a database").len();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let first = i64::try_from((since + LEAD).as_micros()).expect("in range");
    let id = "printf('01jd%022d', n.i)";
    let wake = format!("CASE WHEN n.i <= {DUE} THEN {first} + n.i * 1000 ELSE t.wake_at + n.i * 1000 END");
    let columns = [("id", id), ("wake_at", wake.as_str()), ("idempotency_key", "NULL")];
    filler.copy("runs", &format!("t.id = '{template}'"), runs, &columns).await;
    filler.copy("steps", &format!("t.run = '{template}'"), runs, &[("run", id), ("wake_at", &wake)]).await;
    filler.close().await;
    let bytes = std::fs::metadata(stopped.file()).expect("a database").len() - bytes_before;
    table.row("on disk, a parked run", format!("{} B", bytes / runs.unsigned_abs().max(1)));

    let file = stopped.file();
    let (daemon, ready) = stopped.start().await;
    table.row(format!("start to ready, {runs} parked runs"), show(ready));
    table.row("resident memory with them", daemon.settled_memory().await);
    let mut reader = Filler::open(&file).await;
    let began = Instant::now();
    let due = format!("runs WHERE id <= printf('01jd%022d', {DUE}) AND id >= '01jd'");
    while reader.number(&format!("SELECT COUNT(*) FROM {due} AND state = 'succeeded'")).await < DUE {
        assert!(began.elapsed() < PATIENCE, "they do not wake");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let late = format!(
        "SELECT at - ({first} + CAST(substr(run, 5) AS INTEGER) * 1000) FROM logs
         WHERE run IN (SELECT id FROM {due}) AND text = 'awake'"
    );
    let micros = reader.numbers(&late).await;
    assert_eq!(micros.len(), usize::try_from(DUE).expect("few"), "each speaks once");
    let early = micros.iter().filter(|late| **late < 0).count();
    let mut samples: Vec<Duration> =
        micros.iter().map(|late| Duration::from_micros(u64::try_from(*late).unwrap_or_default())).collect();
    table.row(format!("{DUE} due in one second: late by"), spread(&mut samples, &[0.5, 0.99]));
    table.row("  of them too early", early.to_string());
    table.row("resident memory afterwards", format!("{:.1} MiB", daemon.memory_mib()));
    daemon.stop().await;
}
