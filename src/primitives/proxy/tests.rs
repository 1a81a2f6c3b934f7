//! Against a real HAProxy with real traffic, and against what is none.

use std::time::Duration;

use futures_util::future::join;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::testing::{Client, HaProxy, Web, get, haproxy, source};
use super::*;
use crate::base::{Clock, Fault, limits};
use crate::model::Grants;
use crate::primitives::permit::{self, SourcePermit};

const A: Spot<'_> = Spot { backend: "web", server: "a" };
const B: Spot<'_> = Spot { backend: "web", server: "b" };
const HOW: How = How { timeout: limits::PROXY_TIMEOUT_DEFAULT, dry_run: false };
const DRY: How = How { dry_run: true, ..HOW };

struct Bed {
    a: Web,
    b: Web,
    haproxy: HaProxy,
    proxies: Proxies,
    permit: SourcePermit,
}

impl Bed {
    async fn start() -> Self {
        let (a, b) = (Web::start("a").await, Web::start("b").await);
        let haproxy = HaProxy::start(&[&a, &b]).await;
        let proxies = only(haproxy.source());
        Self { a, b, haproxy, proxies, permit: admin() }
    }

    async fn change(&self, spot: Spot<'_>, change: Change) -> Changed {
        self.proxies.change(&self.permit, spot, change, HOW).await.expect("changed")
    }

    async fn servers(&self) -> Vec<Server> {
        self.proxies.servers(&self.permit, Some("web"), HOW.timeout).await.expect("servers")
    }

    /// How many of so many requests each server answers.
    async fn share(&self, requests: usize) -> (usize, usize) {
        let (a, b) = (self.a.answered(), self.b.answered());
        for _ in 0..requests {
            let (status, _) = self.haproxy.get("/").await.expect("an answer");
            assert_eq!(status, 200);
        }
        (self.a.answered() - a, self.b.answered() - b)
    }
}

fn only(source: Source) -> Proxies {
    Proxies::new([("edge".to_owned(), source)].into(), &Clock::system())
}

fn admin() -> SourcePermit {
    permit::proxy(&Grants::all(), "edge").expect("granted")
}

fn fault<T>(result: Result<T, ProxyError>) -> Fault {
    result.err().expect("it fails").into()
}

#[tokio::test]
async fn what_haproxy_counts_is_read() {
    let bed = Bed::start().await;
    bed.haproxy.get("/broken").await.expect("an answer");
    assert_eq!(bed.share(3).await, (1, 2));
    let info = bed.proxies.info(&bed.permit, HOW.timeout).await.expect("it answers");
    assert!(info.version.is_some_and(|version| version.starts_with(['2', '3'])) && info.stopping == Some(false));
    let backends = bed.proxies.backends(&bed.permit, HOW.timeout).await.expect("backends");
    let names: Vec<&str> = backends.iter().map(|backend| backend.name.as_str()).collect();
    assert_eq!(names, ["empty", "web"]);
    let web = &backends[1];
    assert_eq!((web.mode.as_str(), web.algorithm.as_deref()), ("http", Some("roundrobin")));
    assert_eq!((web.up, web.servers, web.servers_up, web.traffic.requests), (true, 2, 2, 4));
    let servers = bed.servers().await;
    let a = &servers[0];
    assert_eq!((a.name.as_str(), a.backend.as_str(), a.state.up, a.state.mode), ("a", "web", true, Mode::Ready));
    assert_eq!(a.state.address.as_deref(), Some("127.0.0.1"));
    assert_eq!(a.state.port, Some(bed.a.address.port()));
    assert_eq!((a.state.weight, a.state.weight_initial, a.sessions, a.queue), (100, 100, 0, 0));
    assert_eq!((a.traffic.requests, a.traffic.status_2xx, a.traffic.status_5xx), (2, Some(1), Some(1)));
    assert_eq!(a.traffic.errors, 0);
    let all = bed.proxies.servers(&bed.permit, None, HOW.timeout).await.expect("servers");
    assert_eq!(all.len(), 2);
    let none = bed.proxies.servers(&bed.permit, Some("empty"), HOW.timeout).await.expect("a backend");
    assert_eq!(none, []);
}

#[tokio::test]
async fn weights_shift_the_share() {
    let bed = Bed::start().await;
    assert_eq!(bed.share(20).await, (10, 10));
    let changed = bed.change(B, Change::Weight(0)).await;
    assert_eq!((changed.before.as_str(), changed.after.as_str(), changed.changed), ("100", "0", true));
    assert_eq!(bed.share(10).await, (10, 0));
    bed.change(A, Change::Weight(192)).await;
    bed.change(B, Change::Weight(64)).await;
    let (a, b) = bed.share(40).await;
    assert!((29..=31).contains(&a) && a + b == 40, "{a} {b}");
    let again = bed.change(B, Change::Weight(64)).await;
    assert!(!again.changed);
    let dry = bed.proxies.change(&bed.permit, B, Change::Weight(7), DRY).await.expect("a plan");
    assert_eq!(dry.plan.as_deref(), Some("set the weight of web/b from 64 to 7"));
    assert_eq!(bed.servers().await[1].state.weight, 64);
}

#[tokio::test]
async fn a_drained_server_ends_what_it_has_and_gets_no_more() {
    let bed = Bed::start().await;
    bed.change(B, Change::Mode(Mode::Maint)).await;
    let slow = bed.haproxy.get("/slow");
    let drained = async {
        bed.a.has_a_slow_request().await;
        bed.change(B, Change::Mode(Mode::Ready)).await;
        seen(&bed, |servers| servers[1].state.up).await;
        let still = How { timeout: Duration::from_millis(300), ..HOW };
        let busy = fault(bed.proxies.drain(&bed.permit, A, still).await);
        assert_eq!((&*busy.code, &busy.details["sessions"]), ("proxy.not_drained", &1.into()));
        assert_eq!(busy.message, "proxies.edge: web/a has 1 sessions left after 300ms");
        let others = async {
            assert_eq!(bed.share(10).await, (0, 10));
            bed.a.let_go();
        };
        join(bed.proxies.drain(&bed.permit, A, HOW), others).await.0
    };
    let (slow, drained) = join(slow, drained).await;
    assert_eq!(slow, Ok((200, "a".to_owned())));
    assert_eq!(drained.expect("drained").sessions_before, 1);
    assert_eq!(bed.servers().await[0].state.mode, Mode::Drain);
    bed.change(A, Change::Mode(Mode::Ready)).await;
    assert_eq!(bed.share(10).await, (5, 5));
    let dry = bed.proxies.drain(&bed.permit, A, DRY).await.expect("a plan");
    assert_eq!(dry.plan.as_deref(), Some("set the state of web/a from ready to drain, and wait for 0 sessions"));
    assert_eq!(bed.servers().await[0].state.mode, Mode::Ready);
}

/// Until it is so; HAProxy looks every 50 ms.
async fn seen(bed: &Bed, is_so: impl Fn(&[Server]) -> bool) {
    for _ in 0..200 {
        if is_so(&bed.servers().await) {
            return;
        }
        Clock::system().sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not come to that: {:?}", bed.servers().await);
}

#[tokio::test]
async fn a_dead_server_is_seen_as_down() {
    let bed = Bed::start().await;
    bed.b.stop();
    // The check that was under way when the server went may end otherwise than those after it.
    seen(&bed, |servers| !servers[1].state.up && servers[1].check.as_deref() == Some("L4CON")).await;
    let b = &bed.servers().await[1];
    assert_eq!((b.status.as_str(), b.downs), ("DOWN", 1));
    assert_eq!(b.check_text.as_deref(), Some("Connection refused"));
    let backends = bed.proxies.backends(&bed.permit, HOW.timeout).await.expect("backends");
    assert_eq!((backends[1].up, backends[1].servers, backends[1].servers_up), (true, 2, 1));
    assert_eq!(bed.share(4).await, (4, 0));
}

#[tokio::test]
async fn an_address_takes_the_next_requests() {
    let bed = Bed::start().await;
    let new = Web::start("new").await;
    bed.change(B, Change::Mode(Mode::Maint)).await;
    let to = Change::Address(new.address.ip(), new.address.port());
    let changed = bed.change(A, to).await;
    assert_eq!(changed.before, format!("127.0.0.1 port {}", bed.a.address.port()));
    assert_eq!(bed.share(4).await, (0, 0));
    assert_eq!(new.answered(), 4);
    let six = Change::Address("fd00::5".parse().expect("an address"), 81);
    assert_eq!(bed.change(B, six).await.after, "fd00::5 port 81");
    assert_eq!(bed.servers().await[1].state.address.as_deref(), Some("fd00::5"));
}

/// Two hundred requests a second for two and a half, each other one on a connection that stays, while the weights go
/// from one side to the other and a server is drained.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_the_traffic_moves() {
    let bed = Bed::start().await;
    let entry = bed.haproxy.entry;
    bed.change(B, Change::Weight(0)).await;
    let traffic = async {
        let mut requests = JoinSet::new();
        for _ in 0..5 {
            requests.spawn(async move {
                let mut client = Client::connect(entry).await.expect("a connection");
                let mut answers = Vec::new();
                for _ in 0..50 {
                    answers.push(client.get("/").await);
                    Clock::system().sleep(Duration::from_millis(50)).await;
                }
                answers
            });
        }
        for _ in 0..250 {
            requests.spawn(async move { vec![get(entry, "/").await] });
            Clock::system().sleep(Duration::from_millis(10)).await;
        }
        requests.join_all().await.concat()
    };
    let switch = async {
        for weight in [25, 50, 75, 100] {
            Clock::system().sleep(Duration::from_millis(400)).await;
            bed.change(B, Change::Weight(weight)).await;
            bed.change(A, Change::Weight(100 - weight)).await;
        }
        bed.proxies.drain(&bed.permit, A, HOW).await.expect("drained")
    };
    let (answers, drained) = join(traffic, switch).await;
    let failed: Vec<_> = answers.iter().filter(|answer| !matches!(answer, Ok((200, _)))).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:?}", failed.len(), answers.len());
    assert_eq!(answers.len(), 500);
    let of = |name: &str| answers.iter().flatten().filter(|(_, body)| body == name).count();
    assert!(of("a") > 100 && of("b") > 100, "{} {}", of("a"), of("b"));
    assert!(drained.waited_ms < 5_000);
}

#[tokio::test]
async fn what_is_not_there_is_named_with_what_is() {
    let bed = Bed::start().await;
    let read = Grants { proxy: [("edge".to_owned(), crate::model::grants::Access::Read)].into(), ..Grants::default() };
    let reader = permit::proxy(&read, "edge").expect("granted");
    let other = permit::proxy(&Grants::all(), "edgy").expect("granted");
    let spot = |backend, server| Spot { backend, server };
    let change = async |permit, spot| fault(bed.proxies.change(permit, spot, Change::Weight(1), HOW).await);
    let cases = [
        (
            change(&bed.permit, spot("wbe", "a")).await,
            "proxy.unknown_backend",
            "did you mean \"web\"?",
            "there are: empty, web",
        ),
        (
            change(&bed.permit, spot("web", "c")).await,
            "proxy.unknown_server",
            "no server \"c\" in the backend web",
            "there are: a, b",
        ),
        (change(&bed.permit, spot("web; show env", "a")).await, "proxy.bad_call", "not a name of a backend", "letters"),
        (change(&bed.permit, spot("web", "a\nshow env")).await, "proxy.bad_call", "\"ashow env\"", "letters"),
        (change(&bed.permit, spot("web", "")).await, "proxy.bad_call", "not a name of a server", "letters"),
        (change(&reader, A).await, "permission.denied", "changing the proxy \"edge\"", "proxy = { edge = \"write\" }"),
        (change(&other, A).await, "proxy.unknown", "did you mean \"edge\"?", "there are: edge"),
        (
            fault(bed.proxies.change(&bed.permit, A, Change::Weight(257), HOW).await),
            "proxy.bad_call",
            "257",
            "0 to 256",
        ),
        (
            fault(bed.proxies.services(&bed.permit).await),
            "proxy.wrong_kind",
            "cannot do services",
            "of the kind traefik",
        ),
    ];
    for (fault, code, message, hint) in cases {
        assert_eq!(fault.code, code, "{fault}");
        assert!(fault.message.contains(message), "{fault}");
        assert!(fault.hint.as_deref().is_some_and(|text| text.contains(hint)), "{fault}");
    }
    let user = only(haproxy(&bed.haproxy.socket("user.sock")));
    assert_eq!(user.servers(&bed.permit, Some("web"), HOW.timeout).await.map(|servers| servers.len()).ok(), Some(2));
    let level = fault(user.change(&bed.permit, A, Change::Weight(1), HOW).await);
    assert_eq!(level.code, "proxy.level");
    assert!(level.hint.is_some_and(|hint| hint.contains("level admin")));
}

/// Whoever listens there, it ends in time and says what is wrong.
#[tokio::test]
async fn strangers_at_the_other_end_do_no_harm() {
    async fn stranger(says: &'static [u8], times: usize) -> Proxies {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 256];
                let _ = stream.read(&mut asked).await;
                for _ in 0..times {
                    let _ = stream.write_all(says).await;
                }
                if says.is_empty() && times > 0 {
                    std::future::pending::<()>().await;
                }
            }
        });
        tasks.detach_all();
        only(source(&format!("{{ kind: haproxy, address: \"{address}\" }}")))
    }
    let short = Duration::from_millis(200);
    let ask = async |proxies: Proxies, timeout| fault(proxies.servers(&admin(), Some("web"), timeout).await);
    let filler: &[u8] = &[b'x'; 64 << 10];
    let cases = [
        (ask(stranger(b"", 1).await, short).await, "proxy.timeout", "no answer within 200ms"),
        (ask(stranger(b"", 0).await, HOW.timeout).await, "proxy.lost", "closed without an answer"),
        (ask(stranger(b"HTTP/1.1 400 Bad Request\r\n\r\n", 1).await, HOW.timeout).await, "proxy.protocol", ""),
        (ask(stranger(b"\n\n\n\n", 1).await, HOW.timeout).await, "proxy.protocol", "without a header"),
        (ask(stranger(b"\n# a,b\n1,2\n\n1\n# c d\n1 2\n\n", 1).await, HOW.timeout).await, "proxy.protocol", "lacks"),
        (ask(stranger(b"\xff\xfe\n\n", 1).await, HOW.timeout).await, "proxy.protocol", "not text"),
        (ask(stranger(filler, 260).await, HOW.timeout).await, "proxy.too_large", "more than 16"),
    ];
    for (fault, code, message) in cases {
        assert_eq!(fault.code, code, "{fault}");
        assert!(fault.message.contains(message) && fault.hint.is_some(), "{fault}");
    }
    let gone = fault(only(source("{ kind: haproxy, address: '127.0.0.1:1' }")).info(&admin(), HOW.timeout).await);
    assert_eq!((&*gone.code, gone.retryable), ("proxy.connect", true));
}

#[tokio::test]
async fn more_calls_than_the_socket_takes_wait_their_turn() {
    let bed = Bed::start().await;
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let (proxies, permit) = (bed.proxies.clone(), bed.permit.clone());
        calls.spawn(async move { proxies.servers(&permit, Some("web"), HOW.timeout).await.map(|found| found.len()) });
    }
    for found in calls.join_all().await {
        assert_eq!(found.ok(), Some(2));
    }
}
