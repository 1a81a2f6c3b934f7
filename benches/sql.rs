//! 100,000 rows from PostgreSQL, as `aegis.sql` has them before they become tables of Lua, against psql and Python's psycopg in the same run.
//!
//! `cargo bench --bench sql -- postgres://user@host/database`, or with `AEGIS_BENCH_URL`. What is not installed is said.

#![allow(clippy::print_stdout, clippy::expect_used, clippy::unwrap_used)]

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aegis::base::Clock;
use aegis::model::Grants;
use aegis::model::grants::Access;
use aegis::primitives::notify::{ProcessSecrets, Secrets};
use aegis::primitives::permit;
use aegis::primitives::sql::{Bounds, Options, Source, Sql, Statement, Url};

const ROWS: usize = 100_000;
const ROUNDS: usize = 5;
const QUERY: &str = "SELECT i::int AS id, 'name ' || i AS name, i * 1.5::float8 AS price, \
                     timestamptz '2027-01-01' + i * interval '1 second' AS at FROM generate_series(1, 100000) AS i";

fn main() {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let Some(url) = given.or_else(|| std::env::var("AEGIS_BENCH_URL").ok()) else {
        println!("no database: give a URL, or set AEGIS_BENCH_URL");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (query, stream) = runtime.block_on(async {
        let secrets: Arc<dyn Secrets> = Arc::new(ProcessSecrets);
        let source = Source::new(Url::parse(url.clone()).expect("a URL"));
        let sources = [("main".to_owned(), source)].into();
        let sql = Sql::new(Options { sources }, &secrets, &Clock::system()).expect("a service");
        (best(async || query(&sql).await).await, best(async || stream(&sql).await).await)
    });
    report("query", query, None);
    report("stream", stream, Some(query));
    for (name, took) in [("psql", psql(&url)), ("psycopg", python(&url, PSYCOPG)), ("asyncpg", python(&url, ASYNCPG))] {
        match took {
            Some(took) => report(name, took, Some(query)),
            None => println!("{name:<10} not installed"),
        }
    }
}

fn statement() -> Statement {
    let bounds = Bounds { timeout: None, rows_max: Some(ROWS) };
    Statement { text: QUERY.to_owned(), params: Vec::new(), bounds }
}

fn granted() -> permit::SqlPermit {
    let grants = Grants { sql: [("main".to_owned(), Access::Read)].into(), ..Grants::default() };
    permit::sql(&grants, "main").expect("a permit")
}

async fn query(sql: &Sql) {
    let rows = sql.query(&granted(), &statement(), false).await.expect("rows");
    assert_eq!(rows.rows.len(), ROWS);
}

async fn stream(sql: &Sql) {
    let opened = sql.stream(&granted(), statement(), false, Default::default()).await;
    let (mut stream, mut count) = (opened.expect("a stream"), 0);
    while let Some(page) = stream.next().await.expect("a page") {
        count += page.rows.len();
    }
    assert_eq!(count, ROWS);
}

async fn best(work: impl AsyncFn()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        work().await;
        best = best.min(began.elapsed());
    }
    best
}

fn report(name: &str, took: Duration, of: Option<Duration>) {
    let rate = ROWS as f64 / took.as_secs_f64();
    let ratio = of
        .map_or_else(String::new, |of| format!("   {:.2} of the time of query", took.as_secs_f64() / of.as_secs_f64()));
    println!("{name:<10} {:>8.1} ms {rate:>10.0} rows/s{ratio}", took.as_secs_f64() * 1e3);
}

/// With the start of the program, which it has no way to leave out.
fn psql(url: &str) -> Option<Duration> {
    let run = || {
        let began = Instant::now();
        let mut command = Command::new("psql");
        command.args([url, "-XqAt", "-c", QUERY]).stdin(Stdio::null()).stdout(Stdio::null());
        command.status().ok().filter(|status| status.success()).map(|_| began.elapsed())
    };
    (0..ROUNDS).filter_map(|_| run()).min()
}

const PSYCOPG: &str = "
import sys, time, psycopg
with psycopg.connect(sys.argv[1]) as c:
    best = 1e9
    for _ in range(5):
        t = time.perf_counter(); rows = c.execute(sys.argv[2]).fetchall(); best = min(best, time.perf_counter() - t)
        assert len(rows) == 100000
print(best)";

const ASYNCPG: &str = "
import asyncio, sys, time, asyncpg
async def main():
    c = await asyncpg.connect(sys.argv[1]); best = 1e9
    for _ in range(5):
        t = time.perf_counter(); rows = await c.fetch(sys.argv[2]); best = min(best, time.perf_counter() - t)
        assert len(rows) == 100000
    print(best)
asyncio.run(main())";

/// None when the library is not installed.
fn python(url: &str, program: &str) -> Option<Duration> {
    let output = Command::new("python3").args(["-c", program, url, QUERY]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().ok().map(Duration::from_secs_f64)
}
