//! Backups, and what is made of them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::jobs::version;
use super::support::*;
use crate::model::{Actor, EntryKind, RunState};
use crate::store::target::connect_source;
use crate::store::*;

/// At least one row in every table, and more than one page in some.
async fn fill(db: &Db) {
    super::watch::fill(db).await;
    super::audit::fill(db).await;
    super::outbox::fill(db).await;
    let store = &db.store;
    store.put_version(version("web", "one \u{1f980}", 10), vec![event("job.loaded")]).await.expect("written");
    store.put_version(version("web", "two", 20), vec![]).await.expect("written");
    let run = running("web", 1_000_000);
    store.accept_run(new_run(&run)).await.expect("accepted");
    store.append_logs((1..=1_300).map(|seq| line(run.id, seq)).collect()).await.expect("written");
    let list = vec![step("1", "build"), waiting("2", EntryKind::Event, "paid"), step("10", "ship")];
    store.journal_write(entries(&run, list)).await.expect("written");
    store.signal(signal("paid", 1_000_001)).await.expect("sent");
    let picture = Artifact { name: "a.png".into(), media_type: "image/png".into(), bytes: 0, created_at: at(5) };
    store.put_artifact(run.id, None, picture, vec![7; 3 << 20].into()).await.expect("kept");
    let due = crate::model::Occurrence {
        job: job("web"),
        scheduled_for: at(7),
        state: crate::model::OccurrenceState::Missed,
        reason: Some("off".into()),
        run: None,
        decided_at: at(8),
    };
    store.settle_occurrence(due, vec![]).await.expect("settled");
    let value = Some(json!({"n": i64::MAX}));
    let kv = KvWrite { scope: "s".into(), key: "k".into(), value, expires_at: Some(at(3)), expect_revision: None };
    store.kv_write(kv).await.expect("written");
    let (name, role, hash) = ("ci".into(), "admin".into(), "h".into());
    let token = TokenRow {
        name,
        hash,
        role,
        jobs: vec![],
        created_at: at(1),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    store.put_token(token).await.expect("written");
    let (hash, kind, actor, role) = ("s".into(), "session".into(), "a".into(), "viewer".into());
    let session = SessionRow { hash, kind, actor, role, created_at: at(1), expires_at: at(2) };
    store.put_session(session).await.expect("written");
    let wish = StopRequest { run: run.id, actor: Actor::new("ann"), reason: "enough".into(), at: at(9) };
    assert_eq!(store.ask_to_stop(wish).await, Ok(true));
    store.transition(change(&run, RunState::Running, RunState::Failed)).await.expect("written");
}

/// Every row of a backup but the leases.
async fn rows(file: &Path) -> BTreeMap<String, Vec<Vec<Value>>> {
    let mut conn = connect_source(file).await.expect("opens");
    let mut all = BTreeMap::new();
    for table in copy::tables().await.expect("described") {
        let rows = table.all(&mut conn).await;
        all.insert(table.name, rows);
    }
    all.remove("nodes");
    conn.close().await.expect("closes");
    all
}

fn beside(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

/// What a store of its own says about a backup.
async fn look_into<T>(file: &Path, look: impl AsyncFnOnce(&Store) -> T) -> T {
    let options = Options { url: format!("sqlite://{}", file.display()), node: "test".into() };
    let (store, writer) = Store::open(options, crate::base::Clock::system()).await.expect("a backup is a database");
    let stop = CancellationToken::new();
    let looked = async {
        let found = look(&store).await;
        stop.cancel();
        found
    };
    let (ended, found) = futures_util::join!(writer.run(stop.clone()), looked);
    ended.expect("the writer ends well");
    found
}

on_both! {
    a_backup_under_load_is_of_one_moment,
    a_backup_replaces_nothing,
}

async fn a_backup_under_load_is_of_one_moment(db: &mut Db) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let done = CancellationToken::new();
    let load = async {
        let mut accepted = 0_usize;
        while !done.is_cancelled() {
            // Each brings one event, in the same commit.
            let accepts: Vec<_> = (0..20).map(|_| new_run(&run("busy", 1_000_000))).collect();
            for outcome in futures_util::future::join_all(accepts.into_iter().map(|new| db.store.accept_run(new))).await
            {
                assert_eq!(outcome, Ok(Accepted::New));
                accepted += 1;
            }
        }
        accepted
    };
    let backups = async {
        // There is something to copy by then.
        let mut marks = db.store.commits();
        marks.wait_for(|mark| mark.event_seq >= 300).await.expect("the writer is there");
        let mut files = Vec::new();
        for number in 0..3 {
            let file = beside(&folder, &format!("backup{number}.db"));
            let bytes = db.store.backup(&file).await.expect("backed up");
            assert_eq!(std::fs::metadata(&file).map(|meta| meta.len()).ok(), Some(bytes));
            files.push(file);
        }
        done.cancel();
        files
    };
    let (accepted, files) = futures_util::join!(load, backups);
    assert!(accepted >= 300);
    for file in files {
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        let all = rows(&file).await;
        let counter = all["counters"].iter().find(|row| row[0] == "event_seq").expect("there")[1].as_u64();
        let (runs, events) = (all["runs"].len(), all["events"].len());
        assert!(runs >= 300 && runs <= accepted);
        assert_eq!((runs, Some(runs as u64)), (events, counter));
    }
    let left = std::fs::read_dir(folder.path()).expect("readable").count();
    assert_eq!(left, 3, "nothing unfinished stays behind");
}

async fn a_backup_replaces_nothing(db: &mut Db) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = beside(&folder, "old.db");
    std::fs::write(&file, "precious").expect("written");
    let refused = db.store.backup(&file).await;
    assert!(
        matches!(&refused, Err(StoreError::Refused { reason }) if reason.contains("exists already")),
        "{refused:?}"
    );
    assert!(std::fs::read_to_string(&file).is_ok_and(|text| text == "precious"));
    let nowhere = db.store.backup(&beside(&folder, "no/such/folder.db")).await;
    assert!(matches!(&nowhere, Err(StoreError::Refused { reason }) if reason.contains("folder")), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_through_both_databases_keeps_every_row() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = Db::new(Backend::Sqlite).await;
    fill(&db).await;
    let (one, two, three) = (beside(&folder, "1.db"), beside(&folder, "2.db"), beside(&folder, "3.db"));
    db.store.backup(&one).await.expect("backed up");
    let first = rows(&one).await;
    let empty: Vec<_> = first.iter().filter(|(_, rows)| rows.is_empty()).map(|(name, _)| name.as_str()).collect();
    assert_eq!(empty, [""; 0], "every table is tried");

    let mut server = Db::new(Backend::Postgres).await;
    let busy = restore(&server.url, &one, at(5)).await;
    assert!(matches!(&busy, Err(StoreError::Open { reason, .. }) if reason.contains("stop all daemons")), "{busy:?}");
    server.store.append_events(vec![event("to.go")]).await.expect("written");
    server.stop().await;
    server.store.readers().close().await;
    assert_eq!(restore(&server.url, &one, at(5)).await, Ok(Restored { kept: None }));
    server.reopen().await;
    assert_eq!(server.store.versions(&job("web"), 9).await.map(|all| all.len()), Ok(2));
    server.store.backup(&two).await.expect("backed up");
    assert!(rows(&two).await == first, "PostgreSQL keeps every row");
    server.finish().await;

    let url = format!("sqlite://{}", three.display());
    assert_eq!(restore(&url, &two, at(5)).await, Ok(Restored { kept: None }));
    assert!(rows(&three).await == first, "SQLite keeps every row");
    db.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_there_is_kept_aside() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut db = Db::new(Backend::Sqlite).await;
    db.store.append_events(vec![event("before.backup")]).await.expect("written");
    let file = beside(&folder, "backup.db");
    db.store.backup(&file).await.expect("backed up");
    db.store.append_events(vec![event("after.backup")]).await.expect("written");
    let busy = restore(&db.url, &file, at(5)).await;
    let own = std::process::id().to_string();
    assert!(matches!(&busy, Err(StoreError::Open { reason, .. }) if reason.contains(&own)), "{busy:?}");
    db.stop().await;
    let kept = restore(&db.url, &file, at(5)).await.expect("restored").kept.expect("there was one");
    assert!(kept.to_string_lossy().contains("aegis.db.before-restore-19700101T000005"), "{}", kept.display());
    assert_eq!(look_into(&kept, async |store| store.events(0, 9).await.map(|events| events.len())).await, Ok(2));
    db.reopen().await;
    assert_eq!(db.store.events(0, 9).await.map(|events| events.len()), Ok(1));
    db.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_sound_backup_changes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut db = Db::new(Backend::Sqlite).await;
    fill(&db).await;
    let sound = beside(&folder, "sound.db");
    db.store.backup(&sound).await.expect("backed up");
    db.stop().await;
    let (missing, letter, torn) = (beside(&folder, "missing"), beside(&folder, "letter"), beside(&folder, "torn"));
    std::fs::write(&letter, "dear grandmother ".repeat(1_000)).expect("written");
    let mut bytes = std::fs::read(&sound).expect("readable");
    let middle = bytes.len() / 2;
    bytes[40_960..middle].fill(0xa5);
    std::fs::write(&torn, bytes).expect("written");
    assert!(matches!(restore(&db.url, &missing, at(5)).await, Err(StoreError::Refused { .. })));
    for bad in [&letter, &torn] {
        let refused = restore(&db.url, bad, at(5)).await;
        assert!(matches!(&refused, Err(StoreError::Corrupt { reason }) if reason.contains("damaged")), "{refused:?}");
    }
    let newer = beside(&folder, "newer.db");
    std::fs::copy(&sound, &newer).expect("copied");
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9, 'later', true, '', 0)";
    db.url = format!("sqlite://{}", newer.display());
    db.execute(later).await;
    let url = db.url.replace("newer.db", "fresh.db");
    assert!(matches!(restore(&url, &newer, at(5)).await, Err(StoreError::TooNew { found: 9, .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_file_calls_its_tables_and_columns_is_no_statement() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut db = Db::new(Backend::Sqlite).await;
    fill(&db).await;
    let file = beside(&folder, "odd.db");
    db.store.backup(&file).await.expect("backed up");
    db.stop().await;
    db.url = format!("sqlite://{}", file.display());
    db.execute("CREATE TABLE \"kv; DROP TABLE jobs; --\" (a TEXT) STRICT").await;
    db.execute("ALTER TABLE tokens ADD COLUMN \"odd\"\") SELECT 1; --\" TEXT").await;
    let mut server = Db::new(Backend::Postgres).await;
    server.stop().await;
    server.store.readers().close().await;
    assert_eq!(restore(&server.url, &file, at(5)).await, Ok(Restored { kept: None }));
    server.reopen().await;
    assert_eq!(server.store.versions(&job("web"), 9).await.map(|all| all.len()), Ok(2));
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_fails_halfway_costs_no_commit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = Db::new(Backend::Sqlite).await;
    let backup = beside(&folder, "backup.db");
    db.store.backup(&backup).await.expect("backed up");
    db.store.append_events(vec![event("in.the.log")]).await.expect("written");
    // As a daemon leaves it that is killed: the last commits are in the log only.
    let live = db.url.strip_prefix("sqlite://").expect("a file").to_owned();
    let file = beside(&folder, "aegis.db");
    for ending in ["", "-wal"] {
        std::fs::copy(format!("{live}{ending}"), format!("{}{ending}", file.display())).expect("copied");
    }
    let kept = format!("{}.before-restore-{}", file.display(), at(5).strftime("%Y%m%dT%H%M%S%fZ"));
    std::fs::create_dir(&kept).expect("made");
    let url = format!("sqlite://{}", file.display());
    assert!(restore(&url, &backup, at(5)).await.is_err(), "the name is taken");
    assert_eq!(look_into(&file, async |store| store.events(0, 9).await.map(|events| events.len())).await, Ok(1));
    db.finish().await;
}
