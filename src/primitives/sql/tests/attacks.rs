//! Whoever may only read cannot write, whatever is sent.

use super::super::testing;
use super::*;

/// Each is refused, and none changes anything: the number of rows tells.
async fn all_refused(bench: &Bench, attacks: &[&str]) {
    for attack in attacks {
        let outcome = bench.query(Access::Read, attack, &[]).await;
        assert!(outcome.is_err(), "{attack} was carried out: {outcome:?}");
        let executed = bench.sql.execute(&permit(Access::Read), &statement(attack, &[]), false).await;
        assert!(executed.is_err(), "{attack} was carried out: {executed:?}");
        assert_eq!(bench.cell("SELECT count(*) FROM t").await, Cell::Integer(1), "after {attack}");
    }
}

/// The same within one transaction, where each could prepare the ground for the next.
async fn none_together(bench: &Bench, steps: &[&str]) {
    let begun = bench.sql.begin(&permit(Access::Read), Bounds::default(), false, Default::default()).await;
    let transaction = begun.expect("a transaction");
    for step in steps {
        let _ = transaction.query(statement(step, &[])).await;
    }
    let _ = transaction.finish(true).await;
    assert_eq!(bench.cell("SELECT count(*) FROM t").await, Cell::Integer(1), "after {steps:?}");
}

#[tokio::test]
async fn postgres_is_only_read_with_a_grant_to_read() {
    let ((superuser, _), (_, plain)) = (testing::postgres().await, testing::postgres().await);
    for url in [superuser, plain] {
        let bench = Bench::new(&url);
        bench.execute("CREATE TABLE t (a int)", &[]).await;
        bench.execute("CREATE SEQUENCE numbers", &[]).await;
        bench.execute("INSERT INTO t VALUES (1)", &[]).await;
        let sneak = "CREATE FUNCTION sneak() RETURNS int LANGUAGE plpgsql AS $$ BEGIN \
                     PERFORM set_config('transaction_read_only', 'off', false); \
                     INSERT INTO t VALUES (2); RETURN 1; END $$";
        bench.execute(sneak, &[]).await;
        let plain = "CREATE FUNCTION plain() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (3) RETURNING a'";
        bench.execute(plain, &[]).await;
        all_refused(
            &bench,
            &[
                "INSERT INTO t VALUES (2)",
                "WITH x AS (INSERT INTO t VALUES (2) RETURNING a) SELECT * FROM x",
                "WITH x AS (DELETE FROM t RETURNING a) SELECT * FROM x",
                "SELECT sneak()",
                "SELECT plain()",
                "EXPLAIN ANALYZE INSERT INTO t VALUES (2)",
                "SELECT * INTO other FROM t",
                "SELECT * FROM t FOR UPDATE",
                "SELECT nextval('numbers')",
                "SELECT 1; INSERT INTO t VALUES (2)",
                "SET default_transaction_read_only = off",
                "SET TRANSACTION READ WRITE",
                "/* SELECT */ SET TRANSACTION READ WRITE",
                "SELECT set_config('transaction_read_only', 'off', true)",
                "COMMIT",
                "; COMMIT",
                "COPY t FROM PROGRAM 'echo 2'",
                "COPY (SELECT 1) TO PROGRAM 'cat'",
                "DO $$ BEGIN INSERT INTO t VALUES (2); END $$",
                "DO $$ BEGIN COMMIT; PERFORM set_config('transaction_read_only', 'off', false); INSERT INTO t VALUES (2); END $$",
                "CALL sneak()",
                "TRUNCATE t",
                "CREATE TEMP TABLE x (a int)",
                "VACUUM t",
                "PREPARE x AS INSERT INTO t VALUES (2)",
                "TABLE t; DELETE FROM t",
            ],
        )
        .await;
        none_together(&bench, &["SELECT set_config('transaction_read_only', 'off', false)", "SELECT plain()"]).await;
        none_together(&bench, &["COMMIT", "SET default_transaction_read_only = off", "SELECT plain()"]).await;
        // What a session was told in a call is gone in the next one.
        let _ =
            bench.query(Access::Read, "SELECT set_config('default_transaction_read_only', 'off', false)", &[]).await;
        let _ = bench.query(Access::Write, "SELECT set_config('search_path', 'nowhere', false)", &[]).await;
        assert_eq!(bench.cell("SELECT count(*) FROM t").await, Cell::Integer(1));
    }
}

/// Even if the look at the text missed something: what the session was given is enforced by PostgreSQL.
#[tokio::test]
async fn the_session_itself_refuses_without_any_look_at_the_text() {
    use sqlx::{Connection, PgConnection};
    let (url, _) = testing::postgres().await;
    let mut conn = PgConnection::connect(&url).await.expect("a connection");
    sqlx::raw_sql("CREATE TABLE t (a int)").execute(&mut conn).await.expect("a table");
    for attack in [
        "SET TRANSACTION READ WRITE",
        "SET transaction_read_only = off",
        "INSERT INTO t VALUES (1)",
        "DO $$ BEGIN COMMIT; INSERT INTO t VALUES (1); END $$",
        "SELECT set_config('transaction_read_only', 'off', false)",
    ] {
        sqlx::raw_sql("BEGIN READ ONLY; SELECT 1").execute(&mut conn).await.expect("a transaction");
        assert!(sqlx::query(attack).execute(&mut conn).await.is_err(), "{attack}");
        sqlx::raw_sql("ROLLBACK").execute(&mut conn).await.expect("the end");
    }
    let two = sqlx::query("SELECT 1; INSERT INTO t VALUES (1)").execute(&mut conn).await;
    assert!(two.is_err());
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM t").fetch_one(&mut conn).await.expect("a count");
    assert_eq!(count, 0);
}

#[tokio::test]
async fn sqlite_is_only_read_with_a_grant_to_read() {
    let (folder, url) = testing::sqlite();
    let bench = Bench::new(&url);
    bench.execute("CREATE TABLE t (a int)", &[]).await;
    bench.execute("INSERT INTO t VALUES (1)", &[]).await;
    let other = folder.path().join("other.db").display().to_string();
    let attach = format!("ATTACH '{other}' AS o");
    let vacuum = format!("VACUUM INTO '{other}'");
    let into = format!("/**/ VACUUM main INTO '{other}'");
    let attacks = [
        "INSERT INTO t VALUES (2)",
        "WITH x AS (SELECT 2) INSERT INTO t SELECT * FROM x",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "SELECT 1; INSERT INTO t VALUES (2)",
        "SELECT ';' /* ; */; DELETE FROM t",
        "PRAGMA query_only = 0",
        "PRAGMA writable_schema = 1",
        "CREATE TEMP TABLE x (a)",
        "BEGIN IMMEDIATE",
        "REPLACE INTO t VALUES (2)",
        "SELECT load_extension('x')",
        &attach,
        &vacuum,
        &into,
    ];
    all_refused(&bench, &attacks).await;
    none_together(&bench, &["COMMIT", "WITH x AS (SELECT 2) INSERT INTO t SELECT * FROM x"]).await;
    // Nor does the right to write reach other files.
    for attack in [&*attach, &*vacuum, &*into, "PRAGMA temp_store_directory = '/'"] {
        assert_eq!(bench.code(Access::Write, attack, &[]).await, "sql.statement", "{attack}");
    }
    let files = std::fs::read_dir(folder.path()).expect("the folder").flatten().map(|entry| entry.file_name());
    assert!(files.into_iter().all(|name| name.to_string_lossy().starts_with("data.db")), "another file was made");
}

#[tokio::test]
async fn mariadb_is_only_read_with_a_grant_to_read() {
    let bench = Bench::new(&testing::mariadb().await);
    bench.execute("CREATE TABLE t (a int)", &[]).await;
    bench.execute("CREATE TABLE old (a int) ENGINE = MyISAM", &[]).await;
    bench.execute("INSERT INTO t VALUES (1)", &[]).await;
    bench.execute("CREATE FUNCTION sneak() RETURNS int BEGIN INSERT INTO t VALUES (2); RETURN 1; END", &[]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let outfile = format!("SELECT 1 INTO OUTFILE '{}/x'", folder.path().display());
    all_refused(
        &bench,
        &[
            "INSERT INTO t VALUES (2)",
            "INSERT INTO old VALUES (2)",
            "WITH x AS (SELECT 2) DELETE FROM t",
            "SELECT sneak()",
            "SELECT 1; INSERT INTO t VALUES (2)",
            "SELECT 1 /*! ; INSERT INTO t VALUES (2) */",
            "SET SESSION TRANSACTION READ WRITE",
            "START TRANSACTION READ WRITE",
            "COMMIT",
            "CREATE TABLE x (a int)",
            "DROP TABLE t",
            "TRUNCATE t",
            "LOCK TABLES t WRITE",
            "CALL sneak()",
            "DO sneak()",
            "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE t",
            "PREPARE x FROM 'INSERT INTO t VALUES (2)'",
            "SELECT a FROM t INTO DUMPFILE '/tmp/x'",
            "SELECT 1 --1 INTO OUTFILE '/tmp/x'",
            &outfile,
        ],
    )
    .await;
    none_together(&bench, &["COMMIT", "SET autocommit = 1", "SELECT sneak()"]).await;
    assert_eq!(bench.code(Access::Write, &outfile, &[]).await, "sql.statement");
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0);
}
