//! The audit log: one chain, whoever writes, and what is found when somebody has been at it.

use serde_json::json;

use super::support::*;
use crate::base::Timestamp;
use crate::model::audit::{AuditEnds, Broken, Chain, Mark};
use crate::model::{AuditRecord, NewAudit, Right};
use crate::store::*;

on_both! {
    records_are_numbered_and_chained,
    every_change_of_a_row_is_found,
    removing_inserting_moving_and_cutting_is_found,
    the_database_refuses_to_change_the_log,
    retention_leaves_a_log_that_can_be_verified,
    a_backup_keeps_the_chain,
    approved_rights_are_kept_with_their_record,
    records_are_found_by_what_they_are_about,
    a_record_is_on_disk_no_later_than_what_came_after_it,
}

/// A row of the kind that others have of their own.
pub async fn fill(db: &Db) {
    db.store.append_audit((1..=3).map(|number| record("token:ci", number)).collect()).await.expect("written");
    db.store.append_audit(vec![record("token:ops", 4)]).await.expect("written");
    db.store.approve_rights(rights("web"), record("token:ops", 5), event("job.approved")).await.expect("written");
}

fn record(actor: &str, number: i64) -> NewAudit {
    NewAudit::new(at(1_000_000 + number), actor, "aegis.kv.set", format!("key-{number}"))
        .job(&job("web"))
        .data(json!({ "number": number }))
}

fn rights(name: &str) -> RightsRow {
    let right = Right { area: "process".into(), level: None, on: Some("git".into()) };
    let hash = "f00d".into();
    RightsRow { job: job(name), rights: vec![right], hash, approved_by: "token:ops".into(), approved_at: at(7) }
}

async fn all(store: &Store) -> (AuditEnds, Vec<AuditRecord>) {
    let ends = store.audit_ends().await.expect("readable");
    (ends, store.audit(&AuditFilter::default(), 0, 1_000).await.expect("readable"))
}

/// What `aegis audit verify` does.
async fn verify(store: &Store, anchor: Option<Mark>) -> std::result::Result<u64, Broken> {
    let (ends, records) = all(store).await;
    let mut chain = Chain::new(ends.checkpoint.as_ref(), anchor)?;
    records.iter().try_for_each(|record| chain.push(record))?;
    let checked = chain.checked;
    chain.end(&ends.head).map(|_| checked)
}

async fn records_are_numbered_and_chained(db: &mut Db) {
    assert_eq!(verify(&db.store, None).await, Ok(0), "an empty log");
    fill(db).await;
    let (ends, records) = all(&db.store).await;
    assert_eq!(records.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(ends.head, Mark { seq: 5, hash: records[4].hash.clone() });
    assert_eq!(records[1].prev, records[0].hash);
    assert_eq!((records[0].node.as_str(), records[0].data.as_deref()), ("test", Some("{\"number\":1}")));
    assert_eq!(verify(&db.store, Some(ends.head)).await, Ok(5));
    let many: Vec<_> = (0..40).map(|number| db.store.append_audit(vec![record("a", number)])).collect();
    for written in futures_util::future::join_all(many).await {
        written.expect("written");
    }
    assert_eq!(verify(&db.store, None).await, Ok(45));
    db.crash_and_reopen().await;
    db.store.append_audit(vec![record("a", 9)]).await.expect("written");
    assert_eq!(verify(&db.store, None).await, Ok(46), "a restart goes on where the log was");
}

/// Takes the guards away, as somebody with the database's password can.
async fn unguard(db: &Db) {
    if db.is_sqlite() {
        let names = ["audit_is_not_changed", "audit_is_not_removed", "audit_ends_go_forward"];
        for name in names {
            db.execute(&format!("DROP TRIGGER {name}")).await;
        }
    } else {
        db.execute("ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE audit_ends DISABLE TRIGGER USER").await;
    }
}

async fn every_change_of_a_row_is_found(db: &mut Db) {
    fill(db).await;
    unguard(db).await;
    let changes = [
        ("at", "at + 1"),
        ("node", "'other'"),
        ("actor", "'nobody'"),
        ("action", "'aegis.kv.get'"),
        ("object", "''"),
        ("job", "NULL"),
        ("run", "'x'"),
        ("permission", "'kv'"),
        ("outcome", "'permission.denied'"),
        ("data", "'{\"number\": 3}'"),
        ("prev", "hash"),
        ("hash", "prev"),
    ];
    let names: Vec<&str> = changes.iter().map(|(column, _)| *column).collect();
    let (_, records) = all(&db.store).await;
    let fields = serde_json::to_value(&records[0]).expect("JSON");
    for field in fields.as_object().expect("fields").keys().filter(|field| *field != "seq") {
        assert!(names.contains(&field.as_str()), "{field} is not tried");
    }
    for (column, value) in changes {
        db.execute(&format!(
            "CREATE TABLE kept AS SELECT * FROM audit; UPDATE audit SET {column} = {value} WHERE seq = 3"
        ))
        .await;
        assert_eq!(verify(&db.store, None).await, Err(Broken::Changed { seq: 3 }), "{column}");
        db.execute("DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; DROP TABLE kept").await;
        assert_eq!(verify(&db.store, None).await, Ok(5), "{column} is as it was");
    }
}

async fn removing_inserting_moving_and_cutting_is_found(db: &mut Db) {
    fill(db).await;
    unguard(db).await;
    let noted = all(&db.store).await.0.head;
    let trials = [
        ("DELETE FROM audit WHERE seq = 2", Broken::Missing { seq: 2, found: 3 }),
        ("DELETE FROM audit WHERE seq = 1", Broken::Missing { seq: 1, found: 2 }),
        ("DELETE FROM audit WHERE seq >= 4", Broken::Truncated { seq: 4, head: 5 }),
        ("DELETE FROM audit", Broken::Truncated { seq: 1, head: 5 }),
        (
            "UPDATE audit SET seq = 99 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3;
             UPDATE audit SET seq = 3 WHERE seq = 99",
            Broken::Changed { seq: 2 },
        ),
        (
            "UPDATE audit SET seq = -seq WHERE seq >= 3; UPDATE audit SET seq = 1 - seq WHERE seq < 0;
             INSERT INTO audit SELECT 3, at, node, actor, action, object, job, run, permission, outcome, data, prev, hash
             FROM audit WHERE seq = 2",
            Broken::Changed { seq: 3 },
        ),
        (
            "INSERT INTO audit SELECT 6, at, node, actor, action, object, job, run, permission, outcome, data, hash, hash
             FROM audit WHERE seq = 5",
            Broken::Changed { seq: 6 },
        ),
        (
            "DELETE FROM audit WHERE seq = 5; UPDATE audit_ends SET seq = 4",
            Broken::OtherHead { seq: 4 },
        ),
    ];
    for (statement, broken) in trials {
        db.execute("CREATE TABLE kept AS SELECT * FROM audit; CREATE TABLE ends AS SELECT * FROM audit_ends").await;
        db.execute(statement).await;
        assert_eq!(verify(&db.store, None).await, Err(broken), "{statement}");
        db.execute(
            "DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; DROP TABLE kept;
             DELETE FROM audit_ends; INSERT INTO audit_ends SELECT * FROM ends; DROP TABLE ends",
        )
        .await;
        assert_eq!(verify(&db.store, None).await, Ok(5), "as it was after {statement}");
    }
    // Cut with the note of its end put right: the log alone is sound, and is not the one that was noted elsewhere.
    db.execute(
        "DELETE FROM audit WHERE seq = 5;
         UPDATE audit_ends SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4) WHERE name = 'head'",
    )
    .await;
    assert_eq!(verify(&db.store, None).await, Ok(4));
    assert_eq!(verify(&db.store, Some(noted)).await, Err(Broken::NoAnchor { seq: 5 }));
}

async fn refused(db: &Db, statement: &str) {
    let outcome = db.try_execute(statement).await;
    let problem = outcome.expect_err(statement);
    assert!(problem.contains("append-only") || problem.contains("only go forward"), "{statement}: {problem}");
}

async fn the_database_refuses_to_change_the_log(db: &mut Db) {
    fill(db).await;
    refused(db, "UPDATE audit SET actor = 'nobody' WHERE seq = 2").await;
    refused(db, "DELETE FROM audit WHERE seq = 5").await;
    refused(db, "DELETE FROM audit").await;
    refused(db, "UPDATE audit_ends SET seq = 1 WHERE name = 'head'").await;
    if !db.is_sqlite() {
        refused(db, "TRUNCATE audit").await;
    }
    assert_eq!(verify(&db.store, None).await, Ok(5));
}

async fn retention_leaves_a_log_that_can_be_verified(db: &mut Db) {
    let old: Vec<NewAudit> = (0..700).map(|number| record("old", number % 50)).collect();
    db.store.append_audit(old).await.expect("written");
    let young = NewAudit { at: at(1_000_000 + 86_400 * 10), ..record("young", 1) };
    db.store.append_audit(vec![young]).await.expect("written");
    let now = at(1_000_000 + 86_400 * 10);
    assert_eq!(db.store.prune_audit(days(20), now).await, Ok(0));
    assert_eq!(db.store.prune_audit(days(5), now).await, Ok(700));
    let (ends, records) = all(&db.store).await;
    assert_eq!(ends.checkpoint.map(|mark| mark.seq), Some(700));
    let actions: Vec<_> = records.iter().map(|record| (record.seq, record.action.as_str())).collect();
    assert_eq!(actions, [(701, "aegis.kv.set"), (702, "audit.prune"), (703, "audit.prune")]);
    assert_eq!(verify(&db.store, None).await, Ok(3));
    refused(db, "DELETE FROM audit WHERE seq = 701").await;
    unguard(db).await;
    db.execute("UPDATE audit_ends SET seq = 701 WHERE name = 'checkpoint'; DELETE FROM audit WHERE seq = 701").await;
    assert_eq!(verify(&db.store, None).await, Err(Broken::Unlinked { seq: 702, before: 701 }), "a forged checkpoint");
    db.execute("UPDATE audit_ends SET hash = (SELECT prev FROM audit WHERE seq = 702) WHERE name = 'checkpoint'").await;
    assert_eq!(verify(&db.store, None).await, Err(Broken::Removed { seq: 701 }), "with the hash that fits");
}

async fn a_backup_keeps_the_chain(db: &mut Db) {
    fill(db).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("a.backup");
    db.store.backup(&file).await.expect("backed up");
    db.store.append_audit(vec![record("later", 9)]).await.expect("written");
    db.stop().await;
    restore(&db.url, &file, Timestamp::UNIX_EPOCH).await.expect("restored");
    db.reopen().await;
    assert_eq!(verify(&db.store, None).await, Ok(5));
    refused(db, "DELETE FROM audit").await;
    db.store.append_audit(vec![record("a", 6)]).await.expect("written");
    assert_eq!(verify(&db.store, None).await, Ok(6));
}

async fn approved_rights_are_kept_with_their_record(db: &mut Db) {
    fill(db).await;
    let other = RightsRow { hash: "beef".into(), ..rights("web") };
    db.store.approve_rights(other.clone(), record("token:ops", 6), event("job.approved")).await.expect("written");
    db.store.approve_rights(rights("a"), record("token:ops", 7), event("job.approved")).await.expect("written");
    db.crash_and_reopen().await;
    assert_eq!(db.store.rights().await, Ok(vec![rights("a"), other]));
    assert_eq!(verify(&db.store, None).await, Ok(7));
    let told = db.store.events_latest(&["job."], 10).await.expect("readable");
    assert_eq!(told.len(), 3);
}

async fn records_are_found_by_what_they_are_about(db: &mut Db) {
    fill(db).await;
    let other = NewAudit::new(at(1_000_100), "token:ci", "token.create", "ops").outcome("auth.forbidden");
    db.store.append_audit(vec![other]).await.expect("written");
    let seqs = async |filter: AuditFilter| -> Vec<i64> {
        let found = db.store.audit(&filter, 0, 100).await.expect("readable");
        found.iter().map(|record| record.seq).collect()
    };
    let none = AuditFilter::default;
    assert_eq!(seqs(AuditFilter { job: Some("web".into()), ..none() }).await, [1, 2, 3, 4, 5]);
    assert_eq!(seqs(AuditFilter { actor: Some("token:ops".into()), ..none() }).await, [4, 5]);
    assert_eq!(seqs(AuditFilter { action: Some("token.".into()), ..none() }).await, [6]);
    assert_eq!(seqs(AuditFilter { refused: true, ..none() }).await, [6]);
    assert_eq!(seqs(AuditFilter { since: Some(at(1_000_005)), ..none() }).await, [5, 6]);
    let all = AuditFilter {
        job: Some("web".into()),
        actor: Some("token:ops".into()),
        action: Some("aegis.".into()),
        since: Some(at(1_000_005)),
        refused: false,
    };
    assert_eq!(seqs(all).await, [5]);
    let newest = db.store.audit_before(&none(), i64::MAX, 2).await.expect("readable");
    assert_eq!(newest.iter().map(|record| record.seq).collect::<Vec<_>>(), [6, 5]);
}

async fn a_record_is_on_disk_no_later_than_what_came_after_it(db: &mut Db) {
    for number in 0..20 {
        db.store.queue_audit(record("a", number)).expect("there is room");
    }
    db.store.append_events(vec![event("run.succeeded")]).await.expect("written");
    assert_eq!(verify(&db.store, None).await, Ok(20));
    assert!(db.store.has_room());
    db.stop().await;
    assert_eq!(db.store.queue_audit(record("a", 1)), Err(StoreError::Closed));
    assert!(!db.store.has_room());
    db.reopen().await;
}

/// Two daemons on one PostgreSQL write one chain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_write_one_chain() {
    let mut db = Db::new(Backend::Postgres).await;
    let (other, stop, mut tasks) = open(&db.url, "other", true, db.clock.clone()).await;
    let write = async |store: &Store, node: &str| {
        for number in 0..40 {
            let (one, two) = (record(node, number), record(node, number + 100));
            let (one, two) = futures_util::join!(store.append_audit(vec![one]), store.append_audit(vec![two]));
            one.and(two).expect("written");
        }
    };
    futures_util::join!(write(&db.store, "a"), write(&other, "b"));
    for store in [&db.store, &other] {
        assert_eq!(verify(store, None).await, Ok(160));
    }
    let (_, records) = all(&other).await;
    assert_eq!(records.iter().filter(|record| record.node == "other" && record.actor == "b").count(), 80);
    stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.expect("the writer does not panic");
    }
    db.stop().await;
    db.finish().await;
}
