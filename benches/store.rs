//! Run lifecycles a second through the store, against the disk's own rate of flushes in the same minute.
//!
//! A lifecycle is two durable writes: the run is accepted as running with two events, then ends with a result, two log
//! lines and two events. `cargo bench --bench store`; `AEGIS_BENCH_URL=postgres://…` measures a PostgreSQL instead.

#![allow(clippy::print_stdout, clippy::expect_used, clippy::unwrap_used)]

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use aegis::base::{Clock, JobName, RunId, Timestamp};
use aegis::model::{LogLevel, LogLine, NewEvent, Run, RunState, Trigger, TriggerKind};
use aegis::store::{Accepted, Guarded, NewRun, Options, RunFilter, Store, Transition};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection as _, Row as _, SqliteConnection};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const EACH: Duration = Duration::from_secs(3);
const CALLERS: [usize; 4] = [1, 32, 256, 1_024];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::Builder::new().prefix("aegis-bench-").tempdir_in(".").expect("a folder on this disk");
    runtime.block_on(measure(folder.path()));
}

async fn measure(folder: &Path) {
    let flushes = flushes_per_second(&folder.join("flush"), EACH / 2);
    println!("append 4 KiB + fdatasync            {flushes:>9.0} /s");
    let single = single_commits_per_second(&folder.join("single.db"), EACH / 2).await;
    println!("SQLite, one insert a commit         {single:>9.0} /s   {:>6.2} of the flushes", single / flushes);
    let url = std::env::var("AEGIS_BENCH_URL");
    let url = url.unwrap_or_else(|_| format!("sqlite://{}", folder.join("aegis.db").display()));
    for callers in CALLERS {
        let (lives, commits) = lives_per_second(&url, callers).await;
        println!(
            "run lifecycles, {callers:>4} callers        {lives:>9.0} /s   {:>6.2} of the flushes, {:.1} commands a commit",
            lives / flushes,
            2.0 * lives / commits,
        );
    }
    history(&folder.join("history.db")).await;
    let after = flushes_per_second(&folder.join("flush"), EACH / 2);
    println!("append 4 KiB + fdatasync, afterwards{after:>9.0} /s");
}

fn flushes_per_second(file: &Path, during: Duration) -> f64 {
    let mut file = std::fs::File::create(file).expect("a file");
    let (began, mut flushes) = (Instant::now(), 0_u32);
    while began.elapsed() < during {
        file.write_all(&[7; 4096]).expect("room on the disk");
        file.sync_data().expect("a disk that flushes");
        flushes += 1;
    }
    f64::from(flushes) / began.elapsed().as_secs_f64()
}

async fn single_commits_per_second(file: &Path, during: Duration) -> f64 {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let mut conn = SqliteConnection::connect_with(&options).await.expect("a database");
    sqlx::query("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)").execute(&mut conn).await.expect("a table");
    let began = Instant::now();
    while began.elapsed() < during {
        sqlx::query("INSERT INTO t (x) VALUES ('one row')").execute(&mut conn).await.expect("a row");
    }
    let rows: i64 = sqlx::query("SELECT count(*) FROM t").fetch_one(&mut conn).await.expect("a count").get(0);
    let rows = u32::try_from(rows).expect("fits");
    f64::from(rows) / began.elapsed().as_secs_f64()
}

/// Lifecycles and commits a second.
async fn lives_per_second(url: &str, callers: usize) -> (f64, f64) {
    let options = Options { url: url.to_owned(), node: "bench".into() };
    let (store, writer) = Store::open(options, Clock::system()).await.expect("the store opens");
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let stopped = stop.clone();
    tasks.spawn(async move { writer.run(stopped).await.expect("the writer ends well") });
    let began = Instant::now();
    let mut lives = JoinSet::new();
    for caller in 0..callers {
        let store = store.clone();
        lives.spawn(async move {
            let job: JobName = format!("job-{}", caller % 20).parse().expect("a name");
            let mut done = 0_u32;
            while began.elapsed() < EACH {
                live(&store, &job).await;
                done += 1;
            }
            done
        });
    }
    let done: u32 = lives.join_all().await.into_iter().sum();
    let seconds = began.elapsed().as_secs_f64();
    let metrics = store.metrics();
    stop.cancel();
    tasks.join_all().await;
    let commits = f64::from(u32::try_from(metrics.commits).expect("fits"));
    (f64::from(done) / seconds, commits / seconds)
}

/// Milliseconds for the pages that people look at, in a long history of 50 jobs. One run in a thousand failed.
async fn history(file: &Path) {
    let runs: i64 = std::env::var("AEGIS_BENCH_HISTORY").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let options = Options { url: format!("sqlite://{}", file.display()), node: "bench".into() };
    drop(Store::open(options.clone(), Clock::system()).await.expect("the store opens"));
    let mut conn = SqliteConnection::connect(&options.url).await.expect("a database");
    let fill = "PRAGMA synchronous = OFF;
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {runs})
        INSERT INTO runs (id, job, state, params, trigger_kind, actor, priority, attempt, dry_run, queued_at, started_at,
            finished_at, node)
        SELECT printf('01jd%022d', i), 'job-' || (i % 50), CASE WHEN i % 1000 = 0 THEN 'failed' ELSE 'succeeded' END,
            '{}', 'schedule', 'schedule', 0, 1, 0, i * 1000000, i * 1000000, i * 1000000, 'bench' FROM n;
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {runs})
        INSERT INTO events (seq, at, kind) SELECT i, i, CASE WHEN i % 50000 = 0 THEN 'job.loaded' ELSE 'run.queued' END FROM n;
        UPDATE counters SET value = {runs} WHERE name = 'event_seq'";
    let fill = sqlx::AssertSqlSafe(fill.replace("{runs}", &runs.to_string()));
    sqlx::raw_sql(fill).execute(&mut conn).await.expect("filled");
    conn.close().await.expect("closed");
    let (store, _writer) = Store::open(options, Clock::system()).await.expect("the store opens");
    println!("a history of {runs} runs: median and slowest of 20, ms");
    let one = Some("job-7".parse::<JobName>().expect("a name"));
    let all = RunFilter::default;
    let middle = Timestamp::from_second(runs / 2).expect("in range");
    let cursor = format!("01jd{:022}", runs / 2).parse().expect("an id");
    for (what, filter) in [
        ("newest of all", all()),
        ("newest of one job", RunFilter { job: one.clone(), ..all() }),
        ("failed of all", RunFilter { states: vec![RunState::Failed], ..all() }),
        ("failed of one job", RunFilter { states: vec![RunState::Failed], job: one.clone(), ..all() }),
        ("until the middle", RunFilter { until: Some(middle), ..all() }),
        ("since the end", RunFilter { since: Some(Timestamp::MAX), ..all() }),
        ("page from the middle", RunFilter { before: Some(cursor), ..all() }),
        ("page of one job", RunFilter { before: Some(cursor), job: one, ..all() }),
    ] {
        timed(what, || async { store.runs(&filter).await.expect("readable").len() }).await;
    }
    timed("rare events", || async { store.events_latest(&["job."], 50).await.expect("readable").len() }).await;
    timed("all jobs in numbers", || async { store.job_stats().await.expect("readable").len() }).await;
    timed("counts by state", || async { store.run_counts().await.expect("readable").len() }).await;
    timed("bars of all", || async { store.run_buckets(None, middle, 86_400).await.expect("readable").len() }).await;
}

async fn timed<F: Future<Output = usize>>(what: &str, read: impl Fn() -> F) {
    let (mut times, mut rows) = (Vec::new(), 0);
    for _ in 0..20 {
        let began = Instant::now();
        rows = read().await;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!("  {what:<22} {rows:>4} rows {:>8.2} {:>8.2}", times[10], times[19]);
}

async fn live(store: &Store, job: &JobName) {
    let now = Timestamp::now();
    let run = Run {
        state: RunState::Running,
        params: serde_json::json!({"target": "web-1", "keep": 3}),
        attempt: 1,
        started_at: Some(now),
        ..Run::new(RunId::generate(), job.clone(), Trigger::new(TriggerKind::Schedule, "schedule"), now)
    };
    let event = |kind: &str| NewEvent::new(now, kind).job(job).run(run.id);
    let line = |seq| LogLine {
        run: run.id,
        seq,
        at: now,
        attempt: 1,
        level: LogLevel::Info,
        text: "container web-1 is healthy, restarts 0".into(),
        fields: serde_json::Value::Null,
    };
    let new = NewRun {
        run: run.clone(),
        occurrence: None,
        events: vec![event("run.queued"), event("run.started")],
        alone: false,
    };
    let end = Transition {
        result: Some(serde_json::json!({"checked": 12})),
        logs: vec![line(1), line(2)],
        events: vec![event("run.log"), event("run.succeeded")],
        ..Transition::new(&run, RunState::Running, RunState::Succeeded, now)
    };
    assert_eq!(store.accept_run(new).await, Ok(Accepted::New));
    assert_eq!(store.transition(end).await, Ok(Guarded::Applied));
}
