//! Full disks, locks, lost connections.

use std::time::Duration;

use sqlx::Connection as _;
use tokio_util::sync::CancellationToken;

use super::postgres;
use super::support::*;
use crate::base::{Clock, RunId};
use crate::model::RunState;
use crate::store::link::Fate;
use crate::store::sql::{Readers, query};
use crate::store::target::Target;
use crate::store::*;

/// A store on a SQLite file whose size is limited, so that it runs full like a disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_and_overcome() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}", folder.path().join("aegis.db").display());
    let (store, mut writer) = Store::open(Options { url, node: "test".into() }, Clock::system()).await.expect("opens");
    let conn = writer.link.conn().expect("connected");
    let pages =
        conn.fetch_one(query("PRAGMA page_count")).await.expect("readable").int("page_count").expect("a number");
    let limit = |pages: i64| query(format!("PRAGMA max_page_count = {pages}"));
    conn.fetch(limit(pages + 20)).await.expect("limited");
    let stop = CancellationToken::new();
    let used = async {
        let run = running("busy", 1);
        store.accept_run(new_run(&run)).await.expect("there is room for one");
        let mut written = 0;
        let full = loop {
            match store.append_logs((written + 1..=written + 50).map(|seq| line(run.id, seq)).collect()).await {
                Ok(()) => written += 50,
                Err(error) => break error,
            }
        };
        assert_eq!(full, StoreError::DiskFull);
        assert!(written > 0);
        assert_eq!(
            store.logs_tail(run.id, 1).await.map(|lines| lines[0].seq),
            Ok(written),
            "nothing of the failed one"
        );
        assert_eq!(store.run_state(run.id).await, Ok(Some(RunState::Running)));
        // Room is made: retention deletes, and what failed can be repeated.
        let removal = write::Removal::Logs(vec![(run.id, i64::MAX)]);
        store.write::<u64>(write::Command::Remove(removal)).await.expect("deleting needs no new pages");
        store.append_logs((1..=50).map(|seq| line(run.id, seq)).collect()).await.expect("there is room again");
        assert_eq!(store.transition(change(&run, RunState::Running, RunState::Succeeded)).await, Ok(Guarded::Applied));
        assert!(store.metrics().failed_batches > 0);
        stop.cancel();
    };
    let (ended, ()) = futures_util::join!(writer.run(stop.clone()), used);
    ended.expect("the writer ends well");
}

/// Another process that holds the write lock for a while only delays; one that never lets go is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_waited_for() {
    let db = Db::new(Backend::Sqlite).await;
    let mut other = sqlx::SqliteConnection::connect(&db.url).await.expect("opens");
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.expect("locks");
    let release = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("unlocks");
    };
    let (outcome, ()) = futures_util::join!(db.store.append_events(vec![event("a.b")]), release);
    assert_eq!(outcome, Ok(()));
    db.finish().await;
}

/// The server ends the connections between batches and in the middle of them, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_are_replaced_and_nothing_is_written_twice() {
    let db = Db::new(Backend::Postgres).await;
    let run = RunId::generate();
    let busy = async {
        let mut unanswered = 0;
        for seq in 1..=150 {
            let (logged, told) = futures_util::join!(
                db.store.append_logs(vec![line(run, seq)]),
                db.store.append_events(vec![event(&format!("n.{seq}"))]),
            );
            logged.expect("the writer comes back by itself");
            unanswered += u32::from(told.is_err());
            assert_eq!(db.store.logs_tail(run, 1).await.map(|lines| lines[0].seq), Ok(seq));
        }
        unanswered
    };
    let cuts = async {
        for _ in 0..12 {
            postgres::cut_connections(&db.url).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (unanswered, ()) = futures_util::join!(busy, cuts);
    assert_eq!(unanswered, 0);
    let kinds: Vec<String> =
        db.store.events(0, 1_000).await.expect("readable").into_iter().map(|event| event.body.kind).collect();
    assert_eq!(kinds, (1..=150).map(|seq| format!("n.{seq}")).collect::<Vec<_>>(), "each once");
    assert!(db.store.metrics().reconnects > 0);
    db.finish().await;
}

/// The question that decides whether a batch in doubt is answered or repeated.
#[tokio::test]
async fn the_fate_of_a_transaction_is_known_on_another_connection() {
    let url = postgres::create_database().await;
    let (_, mut writer) =
        Store::open(Options { url: url.clone(), node: "test".into() }, Clock::system()).await.expect("opens");
    let lost = StoreError::Unavailable { reason: "test".into() };
    let soon = || tokio::time::Instant::now() + Duration::from_secs(20);
    for (ending, fate) in [("COMMIT", Fate::Committed), ("ROLLBACK", Fate::RolledBack), ("SELECT 1", Fate::RolledBack)]
    {
        let link = &mut writer.link;
        link.begin().await.expect("begun");
        let conn = link.conn().expect("connected");
        conn.execute(query("UPDATE counters SET value = value + 1 WHERE name = 'pings'")).await.expect("updated");
        conn.run(ending).await.expect("ended");
        link.lose(&lost);
        link.restore_until(soon()).await.expect("connected anew");
        assert_eq!(link.fate().await, fate, "{ending}");
    }
    drop(writer);
    postgres::drop_database(&url).await;
}

/// A server that stays away: commands fail soon, with what is the matter, and the queue does not hang.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_is_unavailable() {
    let db = Db::new(Backend::Postgres).await;
    postgres::drop_database(&db.url).await;
    let outcomes = futures_util::future::join_all((0..5).map(|_| db.store.ping())).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(StoreError::Unavailable { .. }))), "{outcomes:?}");
    assert!(db.store.run_counts().await.is_err());
    db.finish().await;
}

/// A server that lost its power, or a firewall that forgot the connection: no answer, and no error either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_given_up() {
    const WAIT: Duration = Duration::from_millis(300);
    let url = postgres::create_database().await;
    let road = postgres::Road::to(&url).await;
    let options = Options { url: road.url.clone(), node: "test".into() };
    let (store, mut writer) = Store::open(options, Clock::system()).await.expect("opens");
    writer.link.answer_wait = WAIT;
    let mut readers = Target::parse(&road.url).expect("a URL").readers();
    if let Readers::Postgres { answer_wait, .. } = &mut readers {
        *answer_wait = WAIT;
    }
    let stop = CancellationToken::new();
    let used = async {
        store.ping().await.expect("the server answers");
        readers.fetch(query("SELECT 1 AS one")).await.expect("the server answers");
        road.silent.send_replace(true);
        let silence = async { futures_util::join!(store.ping(), readers.fetch(query("SELECT 1 AS one"))) };
        let (written, read) = tokio::time::timeout(Duration::from_secs(30), silence).await.expect("it is given up");
        assert!(matches!(written, Err(StoreError::Unavailable { .. })), "{written:?}");
        assert!(matches!(read, Err(StoreError::Unavailable { .. })));
        road.silent.send_replace(false);
        while store.ping().await.is_err() {
            tokio::time::sleep(WAIT).await;
        }
        for _ in 0..8 {
            readers.fetch(query("SELECT 1 AS one")).await.expect("no place in the pool is lost");
        }
        stop.cancel();
    };
    let (ended, ()) = futures_util::join!(writer.run(stop.clone()), used);
    ended.expect("the writer ends well");
    postgres::drop_database(&url).await;
}

#[tokio::test]
async fn a_file_that_was_removed_or_replaced_takes_nothing_more() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("aegis.db");
    let url = format!("sqlite://{}", file.display());
    let (store, writer) = Store::open(Options { url, node: "test".into() }, Clock::system()).await.expect("opens");
    let stop = CancellationToken::new();
    let used = async {
        store.accept_run(new_run(&running("busy", 1))).await.expect("the file is there");
        let aside = folder.path().join("aside.db");
        for replaced in [false, true] {
            std::fs::rename(&file, &aside).expect("moved");
            if replaced {
                std::fs::copy(&aside, &file).expect("copied");
            }
            let refused = store.accept_run(new_run(&running("busy", 2))).await;
            let told = refused.map_err(|error| error.to_string()).expect_err("nobody would find it again");
            assert!(told.contains("removed or replaced") && told.contains("aegis.db"), "{told}");
            assert!(store.ping().await.is_err(), "and it is not ready");
            std::fs::rename(&aside, &file).expect("moved back");
        }
        store.accept_run(new_run(&running("busy", 3))).await.expect("the file is back");
        stop.cancel();
    };
    let (ended, ()) = futures_util::join!(writer.run(stop.clone()), used);
    ended.expect("the writer ends in order");
}
