//! The key-value store: compare-and-set, expiry, limits.

use serde_json::json;

use super::support::*;
use crate::store::*;

fn set(key: &str, value: i64) -> KvWrite {
    KvWrite {
        scope: "job:web".into(),
        key: key.into(),
        value: Some(json!({"n": value})),
        expires_at: None,
        expect_revision: None,
    }
}

async fn number(db: &Db, key: &str) -> Option<i64> {
    let entry = db.store.kv_get("job:web", key).await.expect("readable")?;
    entry.value["n"].as_i64()
}

on_both! {
    compare_and_set,
    of_many_that_count_up_together_none_is_lost,
    writes_of_one_batch_play_out_in_order,
    expired_entries_are_absent,
    lists_go_by_prefix_and_scope,
    keys_and_values_have_limits,
    a_scope_has_a_quota,
}

async fn compare_and_set(db: &mut Db) {
    let absent = KvWrite { expect_revision: Some(0), ..set("a", 1) };
    let Ok(KvOutcome::Written { revision: first }) = db.store.kv_write(absent.clone()).await else {
        panic!("was absent")
    };
    assert_eq!(db.store.kv_write(absent).await, Ok(KvOutcome::Conflict { revision: first }));
    let swap = KvWrite { expect_revision: Some(first), ..set("a", 2) };
    let Ok(KvOutcome::Written { revision: second }) = db.store.kv_write(swap.clone()).await else {
        panic!("unchanged")
    };
    assert!(second > first);
    assert_eq!(db.store.kv_write(swap).await, Ok(KvOutcome::Conflict { revision: second }));
    assert_eq!(number(db, "a").await, Some(2));
    let delete = KvWrite { value: None, expect_revision: Some(second), ..set("a", 0) };
    assert!(matches!(db.store.kv_write(delete).await, Ok(KvOutcome::Written { .. })));
    assert_eq!(number(db, "a").await, None);
    // A new entry never gets an old revision, so a stale compare-and-set cannot hit it.
    let Ok(KvOutcome::Written { revision: third }) = db.store.kv_write(set("a", 3)).await else {
        panic!("no condition")
    };
    assert!(third > second);
}

async fn of_many_that_count_up_together_none_is_lost(db: &mut Db) {
    db.store.kv_write(set("n", 0)).await.expect("written");
    let count = |_| async {
        loop {
            let entry = db.store.kv_get("job:web", "n").await.expect("readable").expect("there");
            let next = entry.value["n"].as_i64().expect("a number") + 1;
            let swap = KvWrite { expect_revision: Some(entry.revision), ..set("n", next) };
            if matches!(db.store.kv_write(swap).await, Ok(KvOutcome::Written { .. })) {
                return;
            }
        }
    };
    futures_util::future::join_all((0..12).map(count)).await;
    assert_eq!(number(db, "n").await, Some(12));
}

async fn writes_of_one_batch_play_out_in_order(db: &mut Db) {
    let delete = KvWrite { value: None, ..set("a", 0) };
    let create = KvWrite { expect_revision: Some(0), ..set("a", 7) };
    let (first, second, third, fourth) = futures_util::join!(
        db.store.kv_write(set("a", 1)),
        db.store.kv_write(delete),
        db.store.kv_write(create.clone()),
        db.store.kv_write(create),
    );
    assert!([first, second, third.clone()].iter().all(|outcome| matches!(outcome, Ok(KvOutcome::Written { .. }))));
    let Ok(KvOutcome::Written { revision }) = third else { panic!("was absent") };
    assert_eq!(fourth, Ok(KvOutcome::Conflict { revision }));
    assert_eq!(number(db, "a").await, Some(7));
}

async fn expired_entries_are_absent(db: &mut Db) {
    let brief = KvWrite { expires_at: Some(at(1_000_010)), ..set("brief", 1) };
    db.store.kv_write(brief).await.expect("written");
    assert_eq!(number(db, "brief").await, Some(1));
    db.hand.set(at(1_000_010));
    assert_eq!(number(db, "brief").await, None);
    assert_eq!(db.store.kv_list("job:web", "", 10).await, Ok(vec![]));
    let absent = KvWrite { expect_revision: Some(0), ..set("brief", 2) };
    assert!(matches!(db.store.kv_write(absent).await, Ok(KvOutcome::Written { .. })));
    assert_eq!(number(db, "brief").await, Some(2));
}

async fn lists_go_by_prefix_and_scope(db: &mut Db) {
    for (key, value) in [("b/1", 1), ("a/2", 2), ("a/1", 3), ("a%", 4), ("a/\u{e4}", 5), ("A/1", 6)] {
        db.store.kv_write(set(key, value)).await.expect("written");
    }
    db.store.kv_write(KvWrite { scope: "shared:x".into(), ..set("a/9", 9) }).await.expect("written");
    let keys = async |prefix: &'static str, limit| {
        let found = db.store.kv_list("job:web", prefix, limit).await.expect("readable");
        found.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(keys("a/", 10).await, ["a/1", "a/2", "a/\u{e4}"]);
    assert_eq!(keys("a/", 2).await, ["a/1", "a/2"]);
    assert_eq!(keys("a%", 10).await, ["a%"]);
    assert_eq!(keys("", 10).await, ["A/1", "a%", "a/1", "a/2", "a/\u{e4}", "b/1"]);
}

async fn keys_and_values_have_limits(db: &mut Db) {
    let long_key = db.store.kv_write(set(&"k".repeat(513), 1)).await.expect_err("too long").to_string();
    assert!(long_key.contains("513") && long_key.contains("512"), "{long_key}");
    let big = KvWrite { value: Some(json!("v".repeat(256 * 1024))), ..set("big", 1) };
    let big = db.store.kv_write(big).await.expect_err("too big");
    assert!(
        matches!(&big, StoreError::TooLarge { what, bytes: 262_146, limit: 262_144 } if what.contains("big")),
        "{big:?}"
    );
    let just = KvWrite { value: Some(json!("v".repeat(256 * 1024 - 2))), ..set(&"k".repeat(512), 1) };
    assert!(db.store.kv_write(just).await.is_ok());
}

async fn a_scope_has_a_quota(db: &mut Db) {
    use crate::base::limits::{KV_SCOPE_BYTES_MAX, KV_SCOPE_KEYS_MAX, KV_VALUE_BYTES_MAX};

    let value = |bytes: usize| Some(json!("v".repeat(bytes - 2)));
    let sized = |key: &str, bytes| KvWrite { value: value(bytes), ..set(key, 0) };
    let full = |outcome: Result<KvOutcome, StoreError>| matches!(outcome, Err(StoreError::ScopeFull { .. }));
    let fits = KV_SCOPE_BYTES_MAX / KV_VALUE_BYTES_MAX;
    for n in 0..fits {
        db.store.kv_write(sized(&format!("big/{n}"), KV_VALUE_BYTES_MAX)).await.expect("room");
    }
    assert!(full(db.store.kv_write(set("more", 1)).await), "no byte is left");
    let elsewhere = KvWrite { scope: "job:other".into(), ..set("more", 1) };
    assert!(db.store.kv_write(elsewhere).await.is_ok(), "another scope has its own");
    db.store.kv_write(sized("big/0", 100)).await.expect("a smaller value");
    assert!(db.store.kv_write(set("more", 1)).await.is_ok());
    for n in 0..fits {
        let delete = KvWrite { value: None, ..set(&format!("big/{n}"), 0) };
        db.store.kv_write(delete).await.expect("deleted");
    }
    let keys: Vec<String> = (1..KV_SCOPE_KEYS_MAX).map(|n| format!("k/{n}")).collect();
    for some in keys.chunks(500) {
        let writes = some.iter().map(|key| db.store.kv_write(set(key, 1)));
        assert!(futures_util::future::join_all(writes).await.iter().all(Result::is_ok));
    }
    assert!(full(db.store.kv_write(set("one/more", 1)).await), "no key is left");
    assert!(db.store.kv_write(set("more", 2)).await.is_ok(), "what is there can change");
}
