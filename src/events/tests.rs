//! Nothing lost, nothing doubled, whatever the readers and writers do at the same time.

use std::time::Duration;

use futures_util::StreamExt as _;
use proptest::prelude::*;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Tail;
use crate::base::{Clock, RunId, Timestamp};
use crate::model::{LogLevel, LogLine, NewEvent, Run, RunState, Trigger, TriggerKind};
use crate::store::{Accepted, Guarded, NewRun, Options, Store, Transition};

struct Running {
    store: Store,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    async fn new() -> Self {
        let options = Options { url: "sqlite::memory:".into(), node: "test".into() };
        let (store, writer) = Store::open(options, Clock::system()).await.expect("opens");
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let stopped = stop.clone();
        tasks.spawn(async move { writer.run(stopped).await.expect("the writer ends well") });
        Self { store, stop, tasks }
    }

    async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("the writer does not panic");
        }
    }
}

fn event(number: usize) -> NewEvent {
    NewEvent::new(Timestamp::UNIX_EPOCH, format!("n.{number}"))
}

fn run() -> Run {
    let now = Timestamp::UNIX_EPOCH;
    let trigger = Trigger::new(TriggerKind::Api, "token:test");
    Run {
        state: RunState::Running,
        attempt: 1,
        started_at: Some(now),
        ..Run::new(RunId::generate(), "busy".parse().expect("a name"), trigger, now)
    }
}

fn lines(run: RunId, seqs: impl Iterator<Item = u64>) -> Vec<LogLine> {
    let line = |seq| LogLine {
        run,
        seq,
        at: Timestamp::UNIX_EPOCH,
        attempt: 1,
        level: LogLevel::Info,
        text: format!("line {seq}"),
        fields: Value::Null,
    };
    seqs.map(line).collect()
}

fn end(run: &Run, logs: Vec<LogLine>) -> Transition {
    Transition {
        logs,
        events: vec![NewEvent::new(Timestamp::UNIX_EPOCH, "run.succeeded")],
        ..Transition::new(run, RunState::Running, RunState::Succeeded, Timestamp::UNIX_EPOCH)
    }
}

fn on_two_threads<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Writers of several sizes at once; readers that begin before, between and after, some of them slow.
    #[test]
    fn every_reader_sees_every_event_once(
        writers in prop::collection::vec((1_usize..40, 1_usize..30), 1..5),
        readers in prop::collection::vec((0_i64..60, prop::bool::ANY), 1..6),
    ) {
        on_two_threads(async {
            let running = Running::new().await;
            let total: usize = writers.iter().map(|(calls, each)| calls * each).sum();
            let tail = Tail::new(running.store.clone());
            let total_seq = i64::try_from(total).expect("small");
            let reading = readers.iter().map(|&(after, slow)| {
                let tail = tail.clone();
                async move {
                    let wanted = usize::try_from((total_seq - after).max(0)).expect("not negative");
                    let mut stream = Box::pin(tail.events(Some(after)).take(wanted));
                    let mut seen = Vec::new();
                    while let Some(event) = stream.next().await {
                        seen.push(event.expect("readable").seq);
                        if slow && seen.len() % 50 == 0 {
                            tokio::time::sleep(Duration::from_millis(2)).await;
                        }
                    }
                    (after, seen)
                }
            });
            let writing = writers.iter().map(|&(calls, each)| {
                let store = running.store.clone();
                async move {
                    for _ in 0..calls {
                        store.append_events((0..each).map(event).collect()).await.expect("written");
                    }
                }
            });
            let (seen, _) = futures_util::join!(
                futures_util::future::join_all(reading),
                futures_util::future::join_all(writing),
            );
            for (after, seen) in seen {
                assert_eq!(seen, (after + 1..=total_seq).collect::<Vec<_>>());
            }
            running.stop().await;
        });
    }

    /// Lines in pieces of any size, the last of them together with the final state; the tail ends by itself.
    #[test]
    fn a_followed_run_gives_every_line_and_ends(pieces in prop::collection::vec(0_u64..700, 1..8), after in 0_u64..20) {
        on_two_threads(async {
            let running = Running::new().await;
            let run = run();
            let new = NewRun { run: run.clone(), occurrence: None, events: vec![], alone: false };
            assert_eq!(running.store.accept_run(new).await, Ok(Accepted::New));
            let total: u64 = pieces.iter().sum();
            let tail = Tail::new(running.store.clone());
            let reading = tail.logs(run.id, after).map(|line| line.expect("readable").seq).collect::<Vec<_>>();
            let writing = async {
                let (mut next, last) = (1, pieces.len() - 1);
                for (place, piece) in pieces.iter().enumerate() {
                    let piece = lines(run.id, next..next + piece);
                    next += u64::try_from(piece.len()).expect("small");
                    if place < last {
                        running.store.append_logs(piece).await.expect("written");
                    } else {
                        assert_eq!(running.store.transition(end(&run, piece)).await, Ok(Guarded::Applied));
                    }
                }
            };
            let (seen, ()) = futures_util::join!(reading, writing);
            assert_eq!(seen, (after + 1..=total).collect::<Vec<_>>());
            running.stop().await;
        });
    }
}

#[tokio::test]
async fn a_tail_without_a_start_begins_with_the_next_event() {
    let running = Running::new().await;
    running.store.append_events(vec![event(1), event(2)]).await.expect("written");
    let mut stream = Box::pin(Tail::new(running.store.clone()).events(None));
    running.store.append_events(vec![event(3)]).await.expect("written");
    let next = stream.next().await.expect("there is one").expect("readable");
    assert_eq!((next.seq, next.body.kind.as_str()), (3, "n.3"));
    running.stop().await;
}

#[tokio::test]
async fn tails_end_with_the_writer_after_what_it_wrote() {
    let running = Running::new().await;
    let run = run();
    let new = NewRun { run: run.clone(), occurrence: None, events: vec![event(1)], alone: false };
    running.store.accept_run(new).await.expect("accepted");
    running.store.append_logs(lines(run.id, 1..3)).await.expect("written");
    let tail = Tail::new(running.store.clone());
    let (events, logs) = (tail.events(Some(0)), tail.logs(run.id, 0));
    let stopped = async {
        tokio::task::yield_now().await;
        running.stop().await;
    };
    let (events, logs, ()) = futures_util::join!(events.collect::<Vec<_>>(), logs.collect::<Vec<_>>(), stopped);
    let seqs: Vec<_> = events.into_iter().map(|event| event.map(|event| event.seq)).collect();
    assert_eq!(seqs, [Ok(1)]);
    let seqs: Vec<_> = logs.into_iter().map(|line| line.map(|line| line.seq)).collect();
    assert_eq!(seqs, [Ok(1), Ok(2)]);
}

#[tokio::test]
async fn following_an_unknown_run_ends_at_once() {
    let running = Running::new().await;
    let tail = Tail::new(running.store.clone());
    assert_eq!(tail.logs(RunId::generate(), 0).count().await, 0);
    running.stop().await;
}

#[tokio::test]
async fn a_commit_wakes_only_the_run_that_it_concerns() {
    let running = Running::new().await;
    let (mine, other) = (run(), run());
    let mut follow = running.store.follow(mine.id);
    running.store.append_logs(lines(other.id, 1..2)).await.expect("written");
    assert!(tokio::time::timeout(Duration::ZERO, follow.changed()).await.is_err(), "still waiting");
    running.store.append_logs(lines(mine.id, 1..2)).await.expect("written");
    assert!(follow.changed().await);
    running.stop().await;
}
