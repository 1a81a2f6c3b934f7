//! Databases of earlier schemas.

use super::support::*;
use crate::model::RunState;
use crate::store::sql::query;
use crate::store::target::Target;
use crate::store::*;

const HOUR: i64 = 3_600;

/// `(id's ending, job, state, finished at)`.
const RUNS: [(u32, &str, &str, Option<i64>); 5] = [
    (1, "a", "succeeded", Some(10 * HOUR)),
    (2, "a", "succeeded", Some(11 * HOUR - 1)),
    (3, "a", "failed", Some(11 * HOUR)),
    (4, "(console)", "succeeded", Some(10 * HOUR)),
    (5, "b", "queued", None),
];

on_both! {
    a_database_of_the_first_schema_is_brought_up,
}

async fn a_database_of_the_first_schema_is_brought_up(db: &mut Db) {
    db.stop().await;
    let url =
        if db.is_sqlite() { db.url.replace("aegis.db", "old.db") } else { super::postgres::create_database().await };
    first_schema(&url).await;
    let (store, stop, mut tasks) = open(&url, "test", false, db.clock.clone()).await;
    let waiting = store.runs_in(RunState::Queued, None).await.expect("readable");
    assert_eq!(waiting.iter().map(|run| (run.job.as_str(), run.fence)).collect::<Vec<_>>(), [("b", 0)]);
    let mut counts = store.run_counts().await.expect("readable");
    counts.sort();
    assert_eq!(counts, [(RunState::Queued, 1), (RunState::Succeeded, 3), (RunState::Failed, 1)]);
    let bucket = |hour: i64, succeeded, failed| Bucket { start: at(hour * HOUR), succeeded, failed, other: 0 };
    assert_eq!(store.run_buckets(None, at(0), HOUR).await, Ok(vec![bucket(10, 2, 0), bucket(11, 0, 1)]));
    assert_eq!(store.run_buckets(Some(&job("a")), at(11 * HOUR), HOUR).await, Ok(vec![bucket(11, 0, 1)]));
    let begun = start(&waiting[0], 0, 1);
    assert_eq!(store.start_run(begun).await, Ok(Started::Applied));
    assert_eq!(store.signal(signal("tick", 1_000_000)).await, Ok(Woken::default()));
    stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.expect("the writer does not panic");
    }
    if !db.is_sqlite() {
        super::postgres::drop_database(&url).await;
    }
}

/// A database as the first release left it.
async fn first_schema(url: &str) {
    let target = Target::parse(url).expect("a URL");
    drop(target.prepare().expect("a place"));
    let mut conn = target.connect().await.expect("connects");
    schema::migrate_to(&mut conn, url, 1).await.expect("the first step");
    for (number, job, state, finished) in RUNS {
        let insert = query(
            "INSERT INTO runs (id, job, state, params, trigger_kind, actor, priority, attempt, dry_run, queued_at,
                 finished_at, node)
             VALUES ($1, $2, $3, '{}', 'api', 'token:x', 0, 0, 0, $4, $5, 'old')",
        );
        let insert = insert.bind(format!("01jd000000000000000000000{number}")).bind(job).bind(state);
        let insert = insert.bind(at(9 * HOUR)).bind(finished.map(|second| second * 1_000_000));
        conn.execute(insert).await.expect("inserted");
    }
    conn.close().await.expect("closed");
}
