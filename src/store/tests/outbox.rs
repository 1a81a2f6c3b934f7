//! Messages on their way.

use serde_json::json;

use super::support::*;
use crate::base::Fault;
use crate::store::*;

on_both! {
    parcels_wait_in_the_order_of_their_times,
    what_gathers_is_joined_until_it_is_closed,
    the_newest_of_the_dead_are_kept,
}

fn parcel(id: &str, due: i64) -> ParcelRow {
    ParcelRow {
        id: id.into(),
        route: "ops".into(),
        destination: "webhook (x)".into(),
        state: ParcelState::Waiting,
        group_key: "info/x".into(),
        count: 1,
        attempts: 0,
        created_at: at(due),
        due_at: at(due),
        body: json!({ "title": "\u{e4}\"\\" }),
        error: None,
    }
}

async fn write(db: &Db, add: Vec<ParcelRow>, changes: Vec<(&str, ParcelChange)>) -> u64 {
    let changes = changes.into_iter().map(|(id, change)| (id.to_owned(), change)).collect();
    db.store.outbox(OutboxWrite { add, changes, ..OutboxWrite::default() }).await.expect("written")
}

/// A row, with everything that one can have.
pub async fn fill(db: &Db) {
    let dead = ParcelChange::Dead { attempts: 2, error: Fault::new("notify.refused", "no") };
    write(db, vec![parcel("p1", 3), parcel("p2", 4)], vec![("p1", dead)]).await;
}

async fn parcels_wait_in_the_order_of_their_times(db: &mut Db) {
    assert_eq!(write(db, vec![parcel("b", 2), parcel("a", 1), parcel("c", 9)], vec![]).await, 3);
    let due = db.store.parcels_due(at(5), 10).await.expect("readable");
    assert_eq!(due, [parcel("a", 1), parcel("b", 2)]);
    assert_eq!(db.store.next_parcel().await, Ok(Some(at(1))));
    let fault = Fault::new("notify.refused", "no").retryable();
    let later = ParcelChange::Later { due_at: at(7), attempts: 1, error: Some(fault.clone()) };
    assert_eq!(
        write(db, vec![], vec![("a", later), ("b", ParcelChange::Delivered), ("z", ParcelChange::Delivered)]).await,
        2
    );
    db.crash_and_reopen().await;
    let tried = ParcelRow { due_at: at(7), attempts: 1, error: Some(fault), ..parcel("a", 1) };
    assert_eq!(db.store.parcels_due(at(9), 10).await, Ok(vec![tried.clone(), parcel("c", 9)]));
    let wait = ParcelChange::Later { due_at: at(8), attempts: 1, error: None };
    write(db, vec![], vec![("a", wait)]).await;
    assert_eq!(db.store.parcel("a").await, Ok(Some(ParcelRow { due_at: at(8), ..tried })));
    assert_eq!(db.store.outbox_counts().await, Ok(OutboxCounts { waiting: 2, dead: 0 }));
}

async fn what_gathers_is_joined_until_it_is_closed(db: &mut Db) {
    let gathering = |id: &str, due| ParcelRow { state: ParcelState::Gathering, ..parcel(id, due) };
    let other = ParcelRow { group_key: "info/y".into(), ..gathering("other", 5) };
    let changed = ParcelRow { body: json!({ "title": "newest" }), ..gathering("b", 6) };
    write(db, vec![gathering("a", 5), changed, other], vec![]).await;
    write(db, vec![gathering("c", 7)], vec![]).await;
    let rows = db.store.parcels().await.expect("readable");
    assert_eq!(rows.iter().map(|row| (row.id.as_str(), row.count)).collect::<Vec<_>>(), [("a", 3), ("other", 1)]);
    assert_eq!(write(db, vec![], vec![("a", ParcelChange::Close)]).await, 1);
    write(db, vec![gathering("d", 8)], vec![]).await;
    let rows = db.store.parcels().await.expect("readable");
    let seen: Vec<_> = rows.iter().map(|row| (row.id.as_str(), row.count, row.state)).collect();
    let expected =
        [("a", 3, ParcelState::Waiting), ("other", 1, ParcelState::Gathering), ("d", 1, ParcelState::Gathering)];
    assert_eq!(seen, expected);
}

async fn the_newest_of_the_dead_are_kept(db: &mut Db) {
    let kept = i64::try_from(crate::base::limits::OUTBOX_DEAD_KEPT).expect("a few");
    let all: Vec<ParcelRow> = (0..kept + 3).map(|number| parcel(&format!("p{number:04}"), number)).collect();
    let ids: Vec<String> = all.iter().map(|row| row.id.clone()).collect();
    write(db, all, vec![]).await;
    let dead = || ParcelChange::Dead { attempts: 3, error: Fault::new("notify.refused", "no") };
    write(db, vec![], ids.iter().map(|id| (id.as_str(), dead())).collect()).await;
    let counts = db.store.outbox_counts().await.expect("readable");
    assert_eq!(counts, OutboxCounts { waiting: 0, dead: u64::try_from(kept).expect("a few") });
    assert_eq!(db.store.parcel("p0002").await, Ok(None));
    assert!(db.store.parcels_due(at(kept + 9), 10).await.expect("readable").is_empty());
    let again = ParcelChange::Again { at: at(1) };
    assert_eq!(write(db, vec![], vec![("p0003", again.clone()), ("p0002", again)]).await, 1);
    let row = db.store.parcel("p0003").await.expect("readable").expect("there");
    assert_eq!((row.state, row.attempts, row.due_at, row.created_at), (ParcelState::Waiting, 0, at(1), at(1)));
}
