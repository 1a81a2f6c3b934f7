//! The watch on a real store, with a receiver that takes notifications and a clock that is turned by hand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::base::{FakeClock, Timestamp};
use crate::model::alerts::{Alert, AlertState, Condition, Severity};
use crate::model::checks::{CheckState, Debounce};
use crate::model::metrics::{Sample, SeriesKey};
use crate::primitives::notify::Destination;
use crate::primitives::prober::{Probe, TcpProbe};
use crate::primitives::{Options as PrimitiveOptions, Primitives};
use crate::store::{Options as StoreOptions, WatchWrite};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).expect("a time")
}

/// Takes JSON posts and keeps what was in them.
async fn receiver() -> (String, Arc<Mutex<Vec<serde_json::Value>>>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}/", listener.local_addr().expect("bound"));
    let taken: Arc<Mutex<Vec<serde_json::Value>>> = Arc::default();
    let (mut server, kept) = (JoinSet::new(), taken.clone());
    server.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            loop {
                let mut chunk = [0; 4_096];
                let read = stream.read(&mut chunk).await.unwrap_or(0);
                request.extend_from_slice(&chunk[..read]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let body = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
                if let Some(body) = body {
                    kept.lock().expect("not poisoned").push(body);
                    break;
                }
                if read == 0 {
                    break;
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        }
    });
    (address, taken, server)
}

struct Bed {
    watch: Watch,
    hand: FakeClock,
    taken: Arc<Mutex<Vec<serde_json::Value>>>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    _server: JoinSet<()>,
}

impl Bed {
    async fn new(rules: Vec<Rule>, checks: Vec<CheckPlan>) -> Self {
        let (clock, hand) = Clock::fake(at(0));
        let options = StoreOptions { url: "sqlite::memory:".into(), node: "test".into() };
        let (store, writer) = Store::open(options, clock.clone()).await.expect("opens");
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let writes = stop.clone();
        tasks.spawn(async move { writer.run(writes).await.expect("ends well") });
        let (url, taken, server) = receiver().await;
        let to: Destination =
            serde_json::from_value(serde_json::json!({ "webhook": { "url": url } })).expect("a destination");
        let routes = BTreeMap::from([("ops".to_owned(), vec![to].into())]);
        let docker_host = "unix:///nonexistent/docker.sock".to_owned();
        let options = PrimitiveOptions { docker_host, routes, clock: clock.clone(), ..PrimitiveOptions::default() };
        let primitives = Primitives::new(options).expect("plain options");
        let policy = Policy {
            group_by: vec!["alert".into()],
            group_wait: Duration::from_secs(10),
            group_interval: Duration::from_secs(60),
            repeat_interval: Duration::from_secs(3_600),
            routes: BTreeMap::from([(Severity::Warning, vec!["ops".into()]), (Severity::Critical, vec!["ops".into()])]),
        };
        let options = Options { rules, checks, policy };
        let watch = Watch { options, store, notify: primitives.notify, prober: primitives.prober, clock };
        Self { watch, hand, taken, stop, tasks, _server: server }
    }

    /// Begins the watch; the returned token ends it.
    fn keep(&mut self) -> CancellationToken {
        let stop = self.stop.child_token();
        let (candidate, leadership) = self.watch.store.candidate();
        let (watch, ends, stands) = (self.watch.clone(), stop.clone(), stop.clone());
        self.tasks.spawn(async move { candidate.run(stands).await.expect("never fails") });
        self.tasks.spawn(async move { watch.serve(leadership, ends).await.expect("never fails") });
        stop
    }

    /// Turns the clock second by second until `found` answers, at most for `most` seconds of it.
    async fn until<T>(&self, most: i64, mut found: impl AsyncFnMut() -> Option<T>) -> T {
        for _ in 0..most {
            // What is woken does its work in real time; a look at the store lets it.
            for _ in 0..20 {
                if let Some(found) = found().await {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            self.hand.advance(Duration::from_secs(1));
        }
        panic!("it did not come about within {most} s; told: {:?}", self.taken.lock().expect("not poisoned"));
    }

    async fn record(&self, value: f64) {
        let series = SeriesKey::new("host_cpu_percent", [("host", "a")]);
        let samples = vec![Sample { series, at: self.hand.now(), value }];
        self.watch.store.watch(WatchWrite { samples, ..WatchWrite::default() }).await.expect("written");
    }

    fn titles(&self) -> Vec<String> {
        let taken = self.taken.lock().expect("not poisoned");
        taken.iter().map(|body| body["title"].as_str().unwrap_or_default().to_owned()).collect()
    }

    async fn told(&self, count: usize) -> Option<Vec<String>> {
        Some(self.titles()).filter(|titles| titles.len() >= count)
    }

    async fn live(&self) -> Vec<Alert> {
        self.watch.store.alerts(None).await.expect("readable")
    }

    async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no panic");
        }
    }
}

fn hot() -> Rule {
    let condition = Condition::Above { threshold: 90.0, clear: 85.0 };
    Rule {
        hold: Duration::from_secs(30),
        stale: Duration::from_secs(86_400),
        ..Rule::new("cpu_high", "host_cpu_percent", condition)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_becomes_an_alert_and_people_are_told_of_it_and_of_its_end() {
    let mut bed = Bed::new(vec![hot()], Vec::new()).await;
    bed.keep();
    bed.record(95.0).await;
    let fired =
        bed.until(60, async || bed.live().await.into_iter().find(|alert| alert.state == AlertState::Firing)).await;
    assert_eq!((fired.since, fired.fired_at), (at(0), Some(at(30))));
    let titles = bed.until(30, async || bed.told(1).await).await;
    assert_eq!(titles, ["Warning: host_cpu_percent{host=\"a\"} is 95, above 90"]);
    bed.record(50.0).await;
    let titles = bed.until(120, async || bed.told(2).await).await;
    assert_eq!(titles[1], "Resolved: host_cpu_percent{host=\"a\"} is 95, above 90");
    let over = bed.watch.store.alerts(Some(at(0))).await.expect("readable");
    assert_eq!((over.len(), over[0].state), (1, AlertState::Resolved));
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_watch_goes_on_where_the_last_one_was_and_tells_nothing_twice() {
    let mut bed = Bed::new(vec![hot()], Vec::new()).await;
    let first = bed.keep();
    bed.record(95.0).await;
    bed.until(60, async || bed.told(1).await).await;
    // A message that was sent and not yet noted would be sent again.
    bed.until(5, async || bed.live().await.into_iter().find(|alert| alert.told.contains_key("ops"))).await;
    first.cancel();
    // Recorded while nobody watched.
    bed.hand.advance(Duration::from_secs(600));
    bed.record(97.0).await;
    bed.record(20.0).await;
    bed.keep();
    let titles = bed.until(120, async || bed.told(2).await).await;
    assert_eq!(titles.len(), 2);
    assert!(titles[1].starts_with("Resolved"), "{titles:?}");
    assert_eq!(bed.live().await, []);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_is_down_after_three_bad_answers_and_fires_its_rule() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let plan = CheckPlan {
        name: "web".into(),
        probe: Probe::Tcp(TcpProbe { address: address.clone() }),
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(5),
        debounce: Debounce { up_after: 2, down_after: 3 },
    };
    let rules = crate::model::alerts::defaults();
    let mut bed = Bed::new(rules, vec![plan]).await;
    bed.keep();
    let check = async |wanted: CheckState| {
        let checks = bed.watch.store.checks().await.expect("readable");
        checks.into_iter().find(|check| check.state == wanted)
    };
    let down = bed.until(60, async || check(CheckState::Down).await).await;
    assert_eq!((down.failures, down.kind.as_str(), down.target.as_str()), (3, "tcp", address.as_str()));
    assert!(down.problem.is_some_and(|problem| problem.starts_with("no connection")));
    let titles = bed.until(200, async || bed.told(1).await).await;
    assert_eq!(titles, ["Critical: web is down"]);
    let again = TcpListener::bind(&address).await.expect("the port is still free");
    let up = bed.until(60, async || check(CheckState::Up).await).await;
    assert_eq!(up.failures, 0);
    let titles = bed.until(120, async || bed.told(2).await).await;
    assert_eq!(titles[1], "Resolved: web is down");
    drop(again);
    bed.end().await;
}
