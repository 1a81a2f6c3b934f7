//! Two daemons on one PostgreSQL.

use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::support::*;
use super::{postgres, support};
use crate::model::RunState;
use crate::store::*;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

struct Peer {
    store: Store,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Peer {
    async fn beside(db: &Db, node: &str) -> Self {
        let (store, stop, tasks) = support::open(&db.url, node, true, db.clock.clone()).await;
        Self { store, stop, tasks }
    }

    async fn finish(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a task of the peer does not panic");
        }
    }
}

/// Waits until the peer's mark is at least at event `seq`.
async fn hears(peer: &Store, seq: i64) {
    let mut marks = peer.commits();
    let heard = tokio::time::timeout(PATIENCE, marks.wait_for(|mark| mark.event_seq >= seq));
    heard.await.expect("the other daemon's commit is heard").expect("the writer is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_of_the_other_daemon_are_heard() {
    let db = Db::new(Backend::Postgres).await;
    let peer = Peer::beside(&db, "peer").await;
    let run = running("a", 1_000_000);
    db.store.accept_run(new_run(&run)).await.expect("accepted");
    hears(&peer.store, 1).await;
    let mut follow = peer.store.follow(run.id);
    follow.mark_seen();
    db.store.append_logs(vec![line(run.id, 1)]).await.expect("written");
    assert!(tokio::time::timeout(PATIENCE, follow.changed()).await.expect("the line is heard of"));
    assert_eq!(peer.store.logs(run.id, 0, 10).await.map(|lines| lines.len()), Ok(1));
    // After its connection was cut it hears what it has missed.
    postgres::cut_connections(&db.url).await;
    db.store.append_events(vec![event("a.b")]).await.expect("written");
    hears(&peer.store, 2).await;
    peer.finish().await;
    db.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_daemons_one_starts_what_must_be_alone() {
    let db = Db::new(Backend::Postgres).await;
    let peer = Peer::beside(&db, "peer").await;
    for round in 0..10 {
        let name = format!("job{round}");
        let (ours, theirs) = (run(&name, 1_000_000), run(&name, 1_000_000));
        db.store.accept_run(new_run(&ours)).await.expect("accepted");
        peer.store.accept_run(new_run(&theirs)).await.expect("accepted");
        let alone = |run| StartRun { alone: true, ..start(run, 0, 1) };
        let (one, two) = futures_util::join!(db.store.start_run(alone(&ours)), peer.store.start_run(alone(&theirs)));
        let outcomes = [one.expect("answered"), two.expect("answered")];
        assert!(outcomes.contains(&Started::Applied) && outcomes.contains(&Started::Busy), "{outcomes:?}");
    }
    peer.finish().await;
    db.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_daemons_that_claim_together_each_run_goes_to_one() {
    let db = Db::new(Backend::Postgres).await;
    let (one, two) = (Peer::beside(&db, "one").await, Peer::beside(&db, "two").await);
    for peer in [&one, &two] {
        let node = NodeRow {
            name: peer.store.node().into(),
            epoch: 0,
            address: "host:1".into(),
            labels: vec![],
            started_at: at(1_000_000),
            lease_until: at(2_000_000),
        };
        peer.store.register_node(node, false).await.expect("registered");
    }
    let accepts = (0..40).map(|i| db.store.accept_run(new_run(&run("a", 1_000_000 + i))).boxed());
    for accepted in futures_util::future::join_all(accepts).await {
        assert_eq!(accepted, Ok(Accepted::New));
    }
    db.execute("UPDATE runs SET node = 'gone'").await;
    let (a, b) = futures_util::join!(one.store.orphans(at(1_000_100), 30), two.store.orphans(at(1_000_100), 30));
    let mut ids: Vec<_> = a.expect("taken").into_iter().chain(b.expect("taken")).map(|run| run.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 40);
    assert_eq!(db.store.runs_in(RunState::Queued, Some("gone")).await, Ok(vec![]));
    one.finish().await;
    two.finish().await;
    db.finish().await;
}

/// A candidate of `store`, running until the token is cancelled.
fn stand(store: &Store, tasks: &mut JoinSet<()>) -> (Leadership, CancellationToken) {
    let ((candidate, leadership), stop) = (store.candidate(), CancellationToken::new());
    let stopped = stop.clone();
    tasks.spawn(async move { candidate.run(stopped).await.expect("it ends well") });
    (leadership, stop)
}

async fn comes_to_lead(leadership: &mut Leadership) {
    let leads = async { while !leadership.leads() && !leadership.changed().await {} };
    tokio::time::timeout(PATIENCE, leads).await.expect("it leads in the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_daemon_leads_and_another_follows_when_it_stops() {
    let db = Db::new(Backend::Postgres).await;
    let peer = Peer::beside(&db, "peer").await;
    let mut tasks = JoinSet::new();
    let (mut first, stop) = stand(&db.store, &mut tasks);
    comes_to_lead(&mut first).await;
    let (mut second, stop_second) = stand(&peer.store, &mut tasks);
    // A session that is lost is a leadership that is lost; one of the two has it again soon.
    postgres::cut_connections(&db.url).await;
    assert!(!tokio::time::timeout(PATIENCE, first.changed()).await.expect("the loss is noticed"));
    stop.cancel();
    comes_to_lead(&mut second).await;
    assert!(!first.leads());
    stop_second.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a candidate does not panic");
    }
    assert!(!second.leads());
    peer.finish().await;
    db.finish().await;
}

#[tokio::test]
async fn on_sqlite_the_only_daemon_leads() {
    let db = Db::new(Backend::Sqlite).await;
    let mut tasks = JoinSet::new();
    let (mut leadership, stop) = stand(&db.store, &mut tasks);
    assert!(leadership.leads());
    stop.cancel();
    assert!(!leadership.changed().await, "it gives up at the end");
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a candidate does not panic");
    }
    db.finish().await;
}
