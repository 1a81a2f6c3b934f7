//! Streams, over restarts of the engine too: a socket in between stands for an engine that goes and comes.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;

use super::super::testing::relay;
use super::super::{Docker, EngineEvent, EventItem, FollowItem, HealthState, Options};
use super::{Lab, options};
use crate::base::Clock;

/// Forwards to the engine while it is up.
struct Relay {
    folder: tempfile::TempDir,
    open: Option<super::super::testing::Relay>,
}

impl Relay {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), open: None }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    fn docker(&self) -> Docker {
        Docker::new(Options { host: format!("unix://{}", self.path().display()), clock: Clock::system() })
    }

    fn up(&mut self) {
        self.open = Some(relay(&self.path()));
    }

    async fn down(&mut self) {
        if let Some(open) = self.open.take() {
            open.cut().await;
        }
    }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("in time")
}

#[tokio::test]
async fn health_follows_the_engine() {
    let mut relay = Relay::new();
    let (docker, lab) = (relay.docker(), Lab::open());
    let down = docker.health().await;
    assert!(matches!(down.state, HealthState::Down { .. }));
    let fault = crate::base::Fault::from(docker.list(&lab.permit, options(json!({}))).await.expect_err("down"));
    assert!(fault.code == "docker.unavailable" && fault.retryable, "{fault:?}");
    relay.up();
    docker.list(&lab.permit, options(json!({"names": ["none"]}))).await.expect("it came by itself");
    let up = docker.health().await;
    assert!(matches!(&up.state, HealthState::Up { engine_version, .. } if !engine_version.is_empty()));
    assert!(up.since > down.since);
    relay.down().await;
    assert!(matches!(docker.health().await.state, HealthState::Down { .. }));
}

#[tokio::test]
async fn a_socket_that_nobody_serves_is_told_from_a_missing_one() {
    let relay = Relay::new();
    drop(std::os::unix::net::UnixListener::bind(relay.path()).expect("a socket"));
    let HealthState::Down { fault } = relay.docker().health().await.state else { panic!("up") };
    assert!(fault.hint.is_some_and(|hint| hint.contains("not running")), "{}", fault.message);
}

#[tokio::test]
async fn events_go_on_after_the_engine_was_away() {
    let lab = Lab::open();
    let mut relay = Relay::new();
    relay.up();
    let pattern = format!("{}-*", lab.mark);
    let wanted = json!({"types": ["container"], "actions": ["start", "die"], "containers": [pattern]});
    let mut events = relay.docker().events(&lab.permit, options(wanted)).await.expect("a stream");
    let next = |item: Option<EventItem>| -> EngineEvent {
        match item {
            Some(EventItem::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    };
    let first = lab.create("one", json!({"command": ["sh", "-c", "exit 5"]})).await;
    // Polled before the start, so that the subscription stands by then.
    let (start, _) = soon(async { tokio::join!(events.next(), start_after_a_moment(&lab, &first)) }).await;
    assert_eq!(next(start).action, "start");
    let died = next(soon(events.next()).await);
    assert_eq!((died.action.as_str(), died.exit_code, died.name.as_str()), ("die", Some(5), first.as_str()));

    relay.down().await;
    assert!(matches!(soon(events.next()).await, Some(EventItem::Interrupted(_))));
    let second = lab.run("two", json!({"command": ["sh", "-c", "exit 6"]})).await;
    relay.up();
    let mut seen = Vec::new();
    let mut resumed = false;
    while seen.len() < 2 {
        match soon(events.next()).await {
            Some(EventItem::Event(event)) => seen.push((event.action, event.name)),
            Some(EventItem::Resumed) => resumed = true,
            Some(EventItem::Interrupted(_)) => {}
            None => panic!("ended"),
        }
    }
    let expected = [("start".to_owned(), second.clone()), ("die".to_owned(), second)];
    assert_eq!(seen, expected, "what happened meanwhile, once, and nothing again");
    assert!(resumed);
}

#[tokio::test]
async fn past_events_are_collected_and_coming_ones_waited_for() {
    let lab = Lab::open();
    let wanted = json!({"containers": [format!("{}-*", lab.mark)], "actions": ["start", "die"], "since": "1m"});
    let collect =
        |wait: u64| lab.docker.collect_events(&lab.permit, options(wanted.clone()), 10, Duration::from_millis(wait));
    assert_eq!(soon(collect(0)).await.expect("events"), []);
    assert_eq!(soon(collect(200)).await.expect("events"), []);
    let name = lab.create("late", json!({})).await;
    let (events, _) = soon(async { tokio::join!(collect(20_000), start_after_a_moment(&lab, &name)) }).await;
    assert_eq!(events.expect("events")[0].action, "start");
    assert_eq!(soon(collect(0)).await.expect("events").len(), 1);
}

async fn start_after_a_moment(lab: &Lab, name: &str) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    lab.docker.start(&lab.permit, name, options(json!({}))).await.expect("started");
}

#[tokio::test]
async fn a_followed_log_goes_on_where_it_was() {
    let lab = Lab::open();
    let mut relay = Relay::new();
    relay.up();
    let script = "for i in $(seq 1 30); do echo line $i; sleep 0.1; done";
    let name = lab.run("count", json!({"command": ["sh", "-c", script]})).await;
    let mut lines = relay.docker().follow_logs(&lab.permit, &name, options(json!({}))).await.expect("a stream");
    let (mut texts, mut interruptions) = (Vec::new(), 0);
    while let Some(item) = soon(lines.next()).await {
        match item {
            FollowItem::Line(line) => texts.push(line.text),
            FollowItem::Interrupted(_) => interruptions += 1,
        }
        if texts.len() == 5 && interruptions == 0 && relay.open.is_some() {
            relay.down().await;
        } else if relay.open.is_none() {
            relay.up();
        }
    }
    let expected: Vec<_> = (1..=30).map(|number| format!("line {number}")).collect();
    assert_eq!(texts, expected);
    assert!(interruptions > 0);
}

#[tokio::test]
async fn waiting_outlasts_a_restart_of_the_engine() {
    let lab = Lab::open();
    let mut relay = Relay::new();
    relay.up();
    let name = lab.run("nap", json!({"command": ["sh", "-c", "sleep 2; exit 9"]})).await;
    let docker = relay.docker();
    let waiting = docker.wait(&lab.permit, &name, options(json!({"timeout": "25s"})));
    let restart = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        relay.down().await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        relay.up();
    };
    let (ended, ()) = soon(async { tokio::join!(waiting, restart) }).await;
    assert_eq!(ended.expect("ended").exit_code, 9);
}
