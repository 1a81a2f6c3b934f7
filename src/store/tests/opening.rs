//! Opening: new databases, newer ones, and places where there can be none.

use std::os::unix::fs::PermissionsExt as _;

use super::support::*;
use crate::base::Clock;
use crate::store::*;

async fn open(url: &str) -> Result<(), StoreError> {
    Store::open(Options { url: url.into(), node: "test".into() }, Clock::system()).await.map(drop)
}

on_both! {
    a_second_opening_finds_everything,
    a_newer_schema_is_left_alone,
    a_changed_step_is_refused,
    tables_of_another_program_are_not_a_newer_aegis,
}

async fn a_second_opening_finds_everything(db: &mut Db) {
    db.store.append_events(vec![event("a.b")]).await.expect("written");
    db.stop().await;
    db.reopen().await;
    assert_eq!(db.store.events(0, 10).await.map(|events| events.len()), Ok(1));
}

async fn a_newer_schema_is_left_alone(db: &mut Db) {
    db.stop().await;
    db.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9, 'later', true, '', 0)",
    )
    .await;
    assert_eq!(
        open(&db.url).await.map_err(|error| match error {
            StoreError::TooNew { found, known, .. } => (found, known),
            other => panic!("{other:?}"),
        }),
        Err((9, 7))
    );
}

async fn tables_of_another_program_are_not_a_newer_aegis(db: &mut Db) {
    db.stop().await;
    db.execute("DROP TABLE counters").await;
    db.execute("UPDATE _sqlx_migrations SET version = version + 20240100, description = 'users'").await;
    let error = open(&db.url).await.expect_err("not ours").to_string();
    assert!(error.contains("another program") && error.contains("of its own"), "{error}");
}

async fn a_changed_step_is_refused(db: &mut Db) {
    db.stop().await;
    db.execute("UPDATE _sqlx_migrations SET checksum = ''").await;
    let error = open(&db.url).await.expect_err("not ours");
    assert!(matches!(&error, StoreError::Open { reason, .. } if reason.contains("schema")), "{error}");
}

#[tokio::test]
async fn a_new_file_is_private_and_its_folders_are_made() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("some/where/aegis.db");
    open(&format!("sqlite://{}", file.display())).await.expect("opens");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().expect("a folder")), 0o700);
}

#[tokio::test]
async fn a_second_daemon_on_one_file_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}", folder.path().join("aegis.db").display());
    let options = Options { url: url.clone(), node: "test".into() };
    let (_store, writer) = Store::open(options, Clock::system()).await.expect("opens");
    let error = open(&url).await.expect_err("it is in use").to_string();
    let holder = format!("process {}", std::process::id());
    assert!(error.contains(&holder) && error.contains("store.url") && error.contains(&url), "{error}");
    drop(writer);
    open(&url).await.expect("it is free again, though somebody still reads");
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("plain");
    std::fs::write(&file, "not a folder").expect("writes");
    // Root may write anywhere but in these.
    for place in [file.join("aegis.db").display().to_string(), "/proc/aegis.db".into()] {
        let error = open(&format!("sqlite://{place}")).await.expect_err("cannot be written").to_string();
        let parent = place.trim_end_matches("/aegis.db");
        assert!(error.contains(parent) && error.contains("store.url"), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("aegis.db");
    std::fs::write(&file, "this is a letter to my grandmother ".repeat(100)).expect("writes");
    let error = open(&format!("sqlite://{}", file.display())).await.expect_err("no database");
    assert!(matches!(&error, StoreError::Open { reason, .. } if reason.contains("not a database")), "{error}");
    assert!(std::fs::read_to_string(&file).is_ok_and(|text| text.starts_with("this is a letter")));
}

#[tokio::test]
async fn an_unreachable_server_is_named_without_its_password() {
    let error = open("postgres://aegis:hunter2@127.0.0.1:1/aegis").await.expect_err("nobody listens").to_string();
    assert!(error.contains("127.0.0.1:1") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_database_in_memory_leaves_nothing_behind() {
    let options = Options { url: "sqlite::memory:".into(), node: "test".into() };
    let (store, writer) = Store::open(options, Clock::system()).await.expect("opens");
    let folder = writer.link.scratch().expect("in memory").to_owned();
    let stop = tokio_util::sync::CancellationToken::new();
    let used = async {
        store.append_events(vec![event("a.b")]).await.expect("written");
        assert_eq!(store.events(0, 10).await.map(|events| events.len()), Ok(1));
        assert!(folder.exists());
        stop.cancel();
    };
    let (ended, ()) = futures_util::join!(writer.run(stop.clone()), used);
    ended.expect("the writer ends well");
    drop(store);
    assert!(!folder.exists());
}
