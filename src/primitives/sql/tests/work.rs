//! Transactions, streams, bounds, and what is said when something is in the way.

use std::time::Duration;

use super::super::testing;
use super::*;
use crate::base::limits;

async fn three() -> Vec<(Bench, Option<tempfile::TempDir>)> {
    let (folder, sqlite) = testing::sqlite();
    let (_, postgres) = testing::postgres().await;
    let mariadb = testing::mariadb().await;
    vec![(Bench::new(&sqlite), Some(folder)), (Bench::new(&postgres), None), (Bench::new(&mariadb), None)]
}

#[tokio::test]
async fn transactions_take_effect_together_or_not_at_all() {
    for (bench, _folder) in three().await {
        bench.execute("CREATE TABLE t (a int PRIMARY KEY)", &[]).await;
        let begin = || async {
            let begun = bench.sql.begin(&permit(Access::Write), Bounds::default(), false, Default::default()).await;
            begun.expect("a transaction")
        };
        let insert = |number: i64| statement(&format!("INSERT INTO t VALUES ({number})"), &[]);

        let kept = begin().await;
        assert_eq!(kept.execute(insert(1), false).await, Ok(1));
        assert_eq!(kept.execute(insert(2), false).await, Ok(1));
        let seen = kept.query(statement("SELECT a FROM t ORDER BY a", &[])).await.expect("rows");
        assert_eq!(seen.rows, [[Cell::Integer(1)], [Cell::Integer(2)]]);
        assert_eq!(kept.finish(true).await, Ok(()));
        assert!(kept.execute(insert(3), false).await.is_err_and(|error| error.to_string().contains("is over")));

        let undone = begin().await;
        assert_eq!(undone.execute(insert(3), false).await, Ok(1));
        assert_eq!(undone.finish(false).await, Ok(()));

        let dropped = begin().await;
        assert_eq!(dropped.execute(insert(4), false).await, Ok(1));
        drop(dropped);

        let cancel = tokio_util::sync::CancellationToken::new();
        let begun = bench.sql.begin(&permit(Access::Write), Bounds::default(), false, cancel.clone()).await;
        let cancelled = begun.expect("a transaction");
        assert_eq!(cancelled.execute(insert(5), false).await, Ok(1));
        cancel.cancel();

        let dry = bench.sql.begin(&permit(Access::Write), Bounds::default(), true, Default::default()).await;
        let dry = dry.expect("a transaction");
        assert_eq!(dry.execute(insert(6), false).await, Ok(0));
        assert!(dry.execute(statement("INSERT INTO nowhere VALUES (1)", &[]), false).await.is_err());
        drop(dry);
        let one = bench.sql.execute(&permit(Access::Write), &insert(6), true).await;
        assert_eq!(one, Ok(0));
        // What was dropped and cancelled is undone by the time that its locks are needed.
        assert_eq!(bench.execute("INSERT INTO t VALUES (4)", &[]).await, 1);
        assert_eq!(bench.execute("INSERT INTO t VALUES (5)", &[]).await, 1);
        assert_eq!(bench.cell("SELECT count(*) FROM t").await, Cell::Integer(4));
        assert_eq!(bench.code(Access::Write, "INSERT INTO t VALUES (1)", &[]).await, "sql.constraint");
    }
}

#[tokio::test]
async fn a_transaction_ends_when_its_time_is_over() {
    let (_folder, url) = testing::sqlite();
    let (clock, hand) = Clock::fake(crate::base::Timestamp::UNIX_EPOCH);
    let bench = Bench { sql: service(&url, &clock), clock };
    bench.execute("CREATE TABLE t (a int)", &[]).await;
    let bounds = Bounds { timeout: Some(Duration::from_secs(5)), rows_max: None };
    let begun =
        bench.sql.begin(&permit(Access::Write), bounds, false, Default::default()).await.expect("a transaction");
    assert_eq!(begun.execute(statement("INSERT INTO t VALUES (1)", &[]), false).await, Ok(1));
    assert_eq!(bench.clock.now(), crate::base::Timestamp::UNIX_EPOCH);
    hand.advance(Duration::from_secs(6));
    let late = begun.execute(statement("INSERT INTO t VALUES (2)", &[]), false).await;
    assert!(late.is_err_and(|error| error.to_string().contains("took longer than 5s")));
    assert_eq!(bench.cell("SELECT count(*) FROM t").await, Cell::Integer(0));
}

#[tokio::test]
async fn after_a_failure_postgres_keeps_nothing_and_says_so() {
    let (_, url) = testing::postgres().await;
    let bench = Bench::new(&url);
    bench.execute("CREATE TABLE t (a int PRIMARY KEY)", &[]).await;
    let begun =
        bench.sql.begin(&permit(Access::Write), Bounds::default(), false, Default::default()).await.expect("begun");
    assert_eq!(begun.execute(statement("INSERT INTO t VALUES (1)", &[]), false).await, Ok(1));
    assert!(begun.execute(statement("INSERT INTO t VALUES (1)", &[]), false).await.is_err());
    let finished = begun.finish(true).await.expect_err("nothing is kept");
    assert!(finished.to_string().contains("was rolled back, because a statement in it failed"), "{finished}");
    assert_eq!(bench.cell("SELECT count(*) FROM t").await, Cell::Integer(0));
}

#[tokio::test]
async fn streams_come_in_pages_and_end_when_they_are_dropped() {
    let many = [
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n",
        "SELECT i::int FROM generate_series(1, 20000) AS i",
        "SELECT seq AS i FROM seq_1_to_20000",
    ];
    for ((bench, _folder), text) in three().await.iter().zip(many) {
        let open =
            async || bench.sql.stream(&permit(Access::Read), statement(text, &[]), false, Default::default()).await;
        let mut stream = open().await.expect("a stream");
        let mut sum = 0;
        while let Some(page) = stream.next().await.expect("a page") {
            assert!(!page.rows.is_empty() && page.rows.len() <= limits::SQL_PAGE_ROWS);
            sum += page.rows.iter().map(|row| if let Cell::Integer(n) = row[0] { n } else { 0 }).sum::<i64>();
        }
        assert_eq!(sum, 20_000 * 20_001 / 2, "{text}");
        for _ in 0..30 {
            let mut stream = open().await.expect("a stream");
            assert!(stream.next().await.expect("a page").is_some());
        }
        let too_many = bench.query(Access::Read, text, &[]).await.expect_err("too many");
        let fault = Fault::from(too_many);
        assert_eq!(fault.code, "sql.too_many_rows");
        assert!(fault.hint.is_some_and(|hint| hint.contains("aegis.sql.stream")));
        assert!(bench.query(Access::Read, "SELECT 1 AS x", &[]).await.is_ok());
        let nothing = statement("SELECT nothing", &[]);
        let broken = bench.sql.stream(&permit(Access::Read), nothing, false, Default::default()).await;
        let broken = broken.expect("a stream").next().await;
        assert!(matches!(broken, Err(SqlError::Database { .. })), "{broken:?}");
    }
}

#[tokio::test]
async fn a_slow_statement_ends_in_time_and_its_session_with_it() {
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let slow = [endless, "SELECT pg_sleep(30)", "SELECT SLEEP(30)"];
    for ((bench, _folder), text) in three().await.iter().zip(slow) {
        let bounds = Bounds { timeout: Some(Duration::from_millis(200)), rows_max: None };
        let slow = Statement { bounds, ..statement(text, &[]) };
        let error = bench.sql.query(&permit(Access::Read), &slow, false).await;
        // MariaDB's SLEEP is cut short without an error.
        let late = matches!(error, Err(SqlError::Timeout { .. }) | Err(SqlError::Unavailable { .. }));
        assert!(late || text.contains("SLEEP"), "{text}: {error:?}");
        assert!(bench.query(Access::Read, "SELECT 1 AS x", &[]).await.is_ok());
    }
}

#[tokio::test]
async fn what_is_in_the_way_is_named_with_its_remedy() {
    let (_folder, url) = testing::sqlite();
    let bench = Bench::new(&url);
    let missing = service("sqlite:///nowhere/x.db", &bench.clock);
    let secret = service("secret:AEGIS_NO_SUCH_SECRET", &bench.clock);
    let away = service("postgres://u@localhost/x?host=/nowhere", &bench.clock);
    let gone = service("postgres://u:hunter2@localhost:x/y", &bench.clock);
    let read = statement("SELECT 1 AS x", &[]);
    for (service, code, said) in [
        (missing, "sql.unavailable", "unable to open database file"),
        (secret, "sql.setup", "there is no secret AEGIS_NO_SUCH_SECRET"),
        (away, "sql.unavailable", "cannot be reached"),
        (gone, "sql.setup", "its url cannot be read"),
    ] {
        let fault = Fault::from(service.query(&permit(Access::Read), &read, false).await.expect_err(code));
        assert_eq!(fault.code, code, "{fault}");
        assert!(fault.message.contains(said) && fault.message.contains("\"main\""), "{fault}");
        assert!(fault.hint.is_some() && !fault.to_string().contains("hunter2"), "{fault}");
        assert!(service.ping().await.is_err_and(|problem| problem.contains("main")));
    }
    assert_eq!(bench.sql.ping().await, Ok(()));
    let big = "SELECT zeroblob(1000000) AS x, value FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,\
               21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36]')";
    for (text, code) in [
        ("SELECT * FROM nowhere", "sql.missing"),
        ("SELEC 1", "sql.read_only"),
        ("SELECT FROM WHERE", "sql.syntax"),
        ("", "sql.statement"),
        (big, "sql.too_large"),
    ] {
        assert_eq!(bench.code(Access::Read, text, &[]).await, code, "{text}");
    }
    let many = vec![Cell::Null; limits::SQL_PARAMS_MAX + 1];
    assert_eq!(bench.code(Access::Read, "SELECT 1", &many).await, "sql.params");
    let sources = (0..=limits::SQL_SOURCES_MAX).map(|n| (format!("s{n}"), testing::source(&url))).collect();
    let secrets: Arc<dyn Secrets> = Arc::new(ProcessSecrets);
    assert!(matches!(Sql::new(Options { sources }, &secrets, &bench.clock), Err(SqlError::TooManySources(65))));
}

#[tokio::test]
async fn calls_wait_for_a_connection_and_not_for_ever() {
    let (_, url) = testing::postgres().await;
    let mut sources = testing::main_source(&url);
    let source = sources.get_mut("main").expect("it is there");
    source.max_connections = 1;
    source.acquire_timeout = Duration::from_millis(100);
    let secrets: Arc<dyn Secrets> = Arc::new(ProcessSecrets);
    let sql = Sql::new(Options { sources }, &secrets, &Clock::system()).expect("a service");
    let held = sql.begin(&permit(Access::Read), Bounds::default(), false, Default::default()).await.expect("begun");
    let busy = sql.query(&permit(Access::Read), &statement("SELECT 1 AS x", &[]), false).await;
    let fault = Fault::from(busy.expect_err("no connection is free"));
    assert_eq!((&*fault.code, fault.retryable), ("sql.busy", true));
    assert!(fault.hint.is_some_and(|hint| hint.contains("sql.main.max_connections")));
    assert_eq!(held.finish(false).await, Ok(()));
    assert!(sql.query(&permit(Access::Read), &statement("SELECT 1 AS x", &[]), false).await.is_ok());
}

#[tokio::test]
async fn a_statement_survives_a_change_of_its_table() {
    let (_, url) = testing::postgres().await;
    let bench = Bench::new(&url);
    bench.execute("CREATE TABLE t (a int)", &[]).await;
    bench.execute("INSERT INTO t VALUES (1)", &[]).await;
    assert_eq!(bench.query(Access::Read, "SELECT * FROM t", &[]).await.expect("a row").columns.len(), 1);
    bench.execute("ALTER TABLE t ADD b text DEFAULT 'x'", &[]).await;
    let rows = bench.query(Access::Read, "SELECT * FROM t", &[]).await.expect("a row");
    assert_eq!(rows.rows, [[Cell::Integer(1), text("x")]]);
}
