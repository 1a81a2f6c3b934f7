//! The name server, over both of its transports.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::{outbound, peers, places};
use crate::base::{Clock, Timestamp, limits};
use crate::primitives::egress::accept::accept;
use crate::primitives::egress::dns;
use crate::primitives::egress::ledger::{Reason, Wish};
use crate::primitives::egress::message::ask;
use crate::primitives::egress::outbound::Outbound;

const A: u16 = 1;
const TXT: u16 = 16;
const PLENTY: u64 = 1 << 20;

fn way() -> Outbound {
    let names = ["api.test:8443", "rebind.example.com", "nobody.test"];
    outbound(&names, &[("api.test", [10, 1, 2, 3]), ("rebind.example.com", [127, 0, 0, 1])], PLENTY, &Clock::system())
}

/// Code of the answer, and how many addresses it has.
fn told(answer: &[u8]) -> (u8, u8) {
    (answer[3] & 0x0f, answer[7])
}

#[tokio::test]
async fn only_names_that_may_be_reached_have_addresses() {
    let out = way();
    for (name, kind, expected, reason) in [
        ("api.test", A, (0, 1), None),
        ("API.test", A, (0, 1), None),
        ("api.test", 28, (0, 0), None),
        ("api.test", TXT, (0, 0), None),
        ("other.test", A, (5, 0), Some(Reason::NotListed)),
        ("c2VjcmV0.other.test", TXT, (5, 0), Some(Reason::NotListed)),
        ("x.api.test", A, (5, 0), Some(Reason::NotListed)),
        ("rebind.example.com", A, (5, 0), Some(Reason::Address(crate::primitives::net::Kind::Loopback))),
        ("nobody.test", A, (2, 0), Some(Reason::Unresolved)),
        ("", A, (5, 0), Some(Reason::Malformed)),
        ("a b.test", A, (5, 0), Some(Reason::Malformed)),
    ] {
        let answer = dns::answer(&out, &ask(name, kind)).await.expect("an answer");
        assert_eq!(told(&answer), expected, "{name} {kind}");
        let last = out.ledger.decisions(0).pop().expect("a decision");
        assert_eq!((last.wish, last.refused), (Wish::Dns, reason), "{name} {kind}");
    }
    let addresses = dns::answer(&out, &ask("api.test", A)).await.expect("an answer");
    assert!(addresses.ends_with(&[10, 1, 2, 3]));
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused_but_for_a_listed_address() {
    let (own, elsewhere) = ([140, 82, 121, 4], [140, 82, 121, 5]);
    let hosts = [("api.example.com", own), ("other.example.com", elsewhere), ("inside.test", [10, 0, 0, 5])];
    for (listed, expected) in [("other.example.com", Err(Reason::Machine)), ("140.82.121.4", Ok(vec![own.into()]))] {
        let names = ["*.example.com", "inside.test", listed];
        let mut out = outbound(&names, &hosts, PLENTY, &Clock::system());
        out.here = |ip| ip == IpAddr::from([140, 82, 121, 4]) || ip == IpAddr::from([10, 0, 0, 5]);
        assert_eq!(out.addresses("api.example.com").await, expected, "{listed}");
        assert_eq!(out.addresses("other.example.com").await, Ok(vec![elsewhere.into()]));
        assert_eq!(out.addresses("inside.test").await, Ok(vec![[10, 0, 0, 5].into()]), "written out");
    }
}

#[tokio::test]
async fn questions_come_over_udp_and_over_tcp() {
    let out = way();
    let mut tasks = JoinSet::new();
    let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = server.local_addr().expect("an address");
    tasks.spawn(dns::serve_udp(server, peers(), out.clone()));
    let client = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    // What is no question at all is not answered; the next one is.
    for junk in [&b"x"[..], &[0xff; 600], &[]] {
        client.send_to(junk, address).await.expect("sent");
    }
    client.send_to(&ask("api.test", A), address).await.expect("sent");
    let mut buffer = [0; 600];
    let received = client.recv(&mut buffer).await.expect("an answer");
    assert_eq!(told(&buffer[..received]), (0, 1));
    // The machine itself is no execution.
    let machine = UdpSocket::bind("127.0.0.254:0").await.expect("a port");
    machine.send_to(&ask("api.test", A), address).await.expect("sent");
    client.send_to(&ask("other.test", A), address).await.expect("sent");
    let received = client.recv(&mut buffer).await.expect("an answer");
    assert_eq!(told(&buffer[..received]), (5, 0));
    assert!(machine.try_recv(&mut buffer).is_err());

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let clock = Clock::system();
    let serve = move |stream| dns::serve_tcp(stream, out.clone());
    tasks.spawn(accept(listener, peers(), places(2), clock, serve, drop));
    let mut stream = TcpStream::connect(address).await.expect("connected");
    for (name, expected) in [("api.test", (0, 1)), ("other.test", (5, 0))] {
        assert_eq!(told(&over_tcp(&mut stream, &ask(name, A)).await.expect("an answer")), expected);
    }
    hostile(address).await;
}

async fn over_tcp(stream: &mut TcpStream, message: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(message.len()).expect("a short message");
    stream.write_all(&[&length.to_be_bytes()[..], message].concat()).await.ok()?;
    let mut answer = vec![0; usize::from(stream.read_u16().await.ok()?)];
    stream.read_exact(&mut answer).await.ok()?;
    Some(answer)
}

/// A length that is too long, and a message that is none, end the connection; others are served.
async fn hostile(address: SocketAddr) {
    let long = vec![0; limits::EGRESS_DNS_BYTES_MAX + 1];
    for message in [&long[..], b"junk", b""] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        assert_eq!(over_tcp(&mut stream, message).await, None);
    }
    let mut stream = TcpStream::connect(address).await.expect("connected");
    assert!(over_tcp(&mut stream, &ask("api.test", A)).await.is_some());
}

#[tokio::test]
async fn questions_and_answers_are_within_the_budget() {
    let (question, clock) = (ask("api.test", A), Clock::system());
    let budget = question.len() as u64 * 4;
    let out = outbound(&["api.test:8443"], &[("api.test", [10, 1, 2, 3])], budget, &clock);
    let answer = dns::answer(&out, &question).await.expect("an answer");
    let totals = out.ledger.totals();
    assert_eq!((totals.sent_bytes, totals.received_bytes), (question.len() as u64, answer.len() as u64));
    let answer = dns::answer(&out, &question).await.expect("an answer");
    assert_eq!(told(&answer), (0, 1), "it was asked for with what was left");
    let answer = dns::answer(&out, &question).await.expect("an answer");
    let last = out.ledger.decisions(0).pop().expect("a decision");
    assert_eq!((told(&answer), last.refused), ((5, 0), Some(Reason::Spent)));
}

#[tokio::test]
async fn a_flood_of_questions_is_not_answered_and_noted_once() {
    let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
    let out = outbound(&["api.test:8443"], &[("api.test", [10, 1, 2, 3])], PLENTY, &clock);
    let (server, client) = tokio::join!(UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
    let (server, client) = (server.expect("a port"), client.expect("a port"));
    let address = server.local_addr().expect("an address");
    let mut tasks = JoinSet::new();
    tasks.spawn(dns::serve_udp(server, peers(), out.clone()));
    let (question, mut buffer) = (ask("api.test", A), [0; 600]);
    for _ in 0..limits::EGRESS_DNS_BURST {
        client.send_to(&question, address).await.expect("sent");
        client.recv(&mut buffer).await.expect("an answer");
    }
    client.send_to(&question, address).await.expect("sent");
    while out.ledger.totals().refused == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(out.ledger.decisions(0).pop().and_then(|decision| decision.refused), Some(Reason::Pace));
    assert!(client.try_recv(&mut buffer).is_err(), "one too many");
    hand.advance(Duration::from_secs(1));
    client.send_to(&question, address).await.expect("sent");
    client.recv(&mut buffer).await.expect("an answer");
    assert_eq!(out.ledger.totals().refused, 1);
}
