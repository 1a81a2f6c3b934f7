//! Tunnels, plain requests, and what is neither.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Proxy, outbound, peers, places};
use crate::base::{Clock, Timestamp, limits};
use crate::primitives::egress::hello::ALERT;
use crate::primitives::egress::hello::tests::{hello, hello_to};
use crate::primitives::egress::ledger::{Reason, Wish};
use crate::primitives::egress::peers::Peers;
use crate::primitives::http::testing::{Server, answer};

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
const PLENTY: u64 = 1 << 30;

/// Sends `request` and reads what comes until the proxy closes.
async fn exchange(proxy: &Proxy, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(proxy.address).await.expect("connected");
    // It may be refused before all of it was sent.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends back what it is sent, until the client ends.
async fn echo() -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            open.spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    (port, tasks)
}

/// A tunnel that was opened.
async fn tunnel(proxy: &Proxy, target: &str) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.address).await.expect("connected");
    stream.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    stream
}

#[tokio::test]
async fn a_plain_request_goes_where_it_was_checked_to_go() {
    let server =
        Server::start(|_, _| answer(200, &[("x-served", "yes"), ("connection", "x-hop"), ("x-hop", "1")], "hello"))
            .await;
    let name = format!("api.test:{}", server.port());
    let proxy = Proxy::start(outbound(&[&name], &[("api.test", LOOPBACK)], PLENTY, &Clock::system()), peers(), 8).await;
    let request = format!(
        "POST http://{name}/a?b=c HTTP/1.1\r\nHost: other.test\r\nConnection: close, x-mine\r\nX-Mine: 1\r\n\
         Proxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\nContent-Length: 4\r\n\r\nbody"
    );
    let said = exchange(&proxy, request.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("hello"), "{said}");
    assert!(said.contains("x-served: yes") && !said.contains("x-hop"), "{said}");
    let asked = server.asked().pop().expect("asked");
    assert_eq!((asked.path.as_str(), &asked.body[..]), ("/a?b=c", &b"body"[..]));
    assert_eq!(asked.header("host"), name);
    for gone in ["x-mine", "proxy-authorization", "proxy-connection", "connection"] {
        assert_eq!(asked.header(gone), "", "{gone}");
    }
    let decision = proxy.decided(|decision| decision.took.is_some()).await;
    assert_eq!((decision.wish, decision.port, decision.refused), (Wish::Http, Some(server.port()), None));
    assert_eq!((decision.host.as_str(), decision.address), ("api.test", Some(LOOPBACK.into())));
}

/// Answers one connection with `answer` when it has been sent something that ends with `end`; gives what it was sent.
async fn one_answer(listener: TcpListener, end: &[u8], answer: &[u8]) -> Vec<u8> {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut sent = Vec::new();
    while !sent.ends_with(end) {
        assert_ne!(stream.read_buf(&mut sent).await.expect("read"), 0, "{}", String::from_utf8_lossy(&sent));
    }
    // Who asked may have had enough of it.
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut sent).await;
    sent
}

#[tokio::test]
async fn heads_and_trailers_are_counted_as_bodies_are() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let name = format!("api.test:{}", listener.local_addr().expect("an address").port());
    let proxy = Proxy::start(outbound(&[&name], &[("api.test", LOOPBACK)], PLENTY, &Clock::system()), peers(), 8).await;
    let request = format!(
        "POST http://{name}/{} HTTP/1.1\r\nX-Carried: {}\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\
         Connection: close\r\n\r\n4\r\nbody\r\n0\r\nX-End: {}\r\n\r\n",
        "u".repeat(3_000),
        "h".repeat(2_000),
        "t".repeat(1_000)
    );
    let answer = format!(
        "HTTP/1.1 200 OK\r\nX-Carried: {}\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n\
         5\r\nhello\r\n0\r\nX-End: {}\r\n\r\n",
        "h".repeat(2_000),
        "t".repeat(1_000)
    );
    let (said, sent) =
        tokio::join!(exchange(&proxy, request.as_bytes()), one_answer(listener, b"\r\n\r\n", answer.as_bytes()));
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    let decision = proxy.decided(|decision| decision.took.is_some()).await;
    let moved = (decision.sent_bytes, decision.received_bytes);
    assert_eq!(moved, (sent.len() as u64, answer.len() as u64));
    assert!(moved.0 > 5_000 && moved.1 > 3_000, "{moved:?}");
    let totals = proxy.outbound.ledger.totals();
    let asked = "api.test".len() as u64;
    assert_eq!(
        (totals.sent_bytes, totals.received_bytes),
        (moved.0 + asked, moved.1),
        "and the name that was asked for"
    );
}

#[tokio::test]
async fn what_an_address_carries_is_within_the_budget_too() {
    let server = Server::start(|_, _| answer(200, &[], "hello")).await;
    let name = format!("api.test:{}", server.port());
    let proxy = Proxy::start(outbound(&[&name], &[("api.test", LOOPBACK)], 9_000, &Clock::system()), peers(), 8).await;
    let request = format!("GET http://{name}/{} HTTP/1.1\r\nConnection: close\r\n\r\n", "u".repeat(4_000));
    assert!(exchange(&proxy, request.as_bytes()).await.starts_with("HTTP/1.1 200"));
    assert!(exchange(&proxy, request.as_bytes()).await.starts_with("HTTP/1.1 200"));
    for _ in 0..2 {
        let said = exchange(&proxy, request.as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 403") && said.contains("used up its bytes"), "{said}");
    }
    let totals = proxy.outbound.ledger.totals();
    assert_eq!((totals.sent_bytes + totals.received_bytes, server.asked().len()), (9_000, 2));
}

#[tokio::test]
async fn answers_that_are_not_taken_are_told_from_what_does_not_answer() {
    let many: String = (0..=limits::EGRESS_HEADERS_MAX).map(|number| format!("x-{number}: v\r\n")).collect();
    let long = format!("x: {}\r\n", "v".repeat(limits::EGRESS_HEADER_BYTES_MAX));
    for (head, reason) in [
        (format!("HTTP/1.1 200 OK\r\n{many}\r\n"), Reason::Head),
        (format!("HTTP/1.1 200 OK\r\n{long}\r\n"), Reason::Head),
        ("220 mail.test ESMTP\r\n\r\n".to_owned(), Reason::Answer),
        (String::new(), Reason::Unreachable),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let name = format!("api.test:{}", listener.local_addr().expect("an address").port());
        let out = outbound(&[&name], &[("api.test", LOOPBACK)], PLENTY, &Clock::system());
        let proxy = Proxy::start(out, peers(), 8).await;
        let request = format!("GET http://{name}/ HTTP/1.1\r\nConnection: close\r\n\r\n");
        let (said, _) =
            tokio::join!(exchange(&proxy, request.as_bytes()), one_answer(listener, b"\r\n\r\n", head.as_bytes()));
        assert!(said.starts_with("HTTP/1.1 502") && said.contains(&reason.to_string()), "{said}");
        let refused = proxy.decisions().into_iter().find_map(|decision| decision.refused);
        assert_eq!(refused, Some(reason), "{head:.40}");
    }
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_and_counts_them() {
    let (port, _echo) = echo().await;
    let name = format!("api.test:{port}");
    let proxy = Proxy::start(outbound(&[&name], &[("api.test", LOOPBACK)], PLENTY, &Clock::system()), peers(), 8).await;
    let mut stream = tunnel(&proxy, &name).await;
    let sent = vec![7; 300_000];
    let (mut reader, mut writer) = stream.split();
    let write = async {
        writer.write_all(&sent).await.expect("sent");
        writer.shutdown().await.expect("ended");
    };
    let mut got = Vec::new();
    let (_, read) = tokio::join!(write, reader.read_to_end(&mut got));
    assert_eq!((read.expect("received"), got == sent), (sent.len(), true));
    let decision = proxy.decided(|decision| decision.took.is_some()).await;
    assert_eq!((decision.wish, decision.sent_bytes, decision.received_bytes), (Wish::Connect, 300_000, 300_000));
}

#[tokio::test]
async fn what_is_not_listed_is_refused_and_noted() {
    let names = ["api.test:9", "rebind.example.com", "nobody.test", "10.0.0.5:80"];
    let hosts = [("api.test", LOOPBACK), ("rebind.example.com", LOOPBACK)];
    let proxy = Proxy::start(outbound(&names, &hosts, PLENTY, &Clock::system()), peers(), 8).await;
    let connect = |target: &str| format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n");
    for (request, status, reason) in [
        (connect("127.0.0.1:9"), 403, Reason::Literal),
        (connect("169.254.169.254:80"), 403, Reason::Literal),
        (connect("10.0.0.5:81"), 403, Reason::Literal),
        (connect("[::1]:80"), 403, Reason::Literal),
        (connect("[::ffff:127.0.0.1]:80"), 403, Reason::Literal),
        (connect("other.test:443"), 403, Reason::NotListed),
        (connect("api.test:22"), 403, Reason::NotListed),
        (connect("api.test.evil.test:9"), 403, Reason::NotListed),
        (connect("rebind.example.com:443"), 403, Reason::Address(crate::primitives::net::Kind::Loopback)),
        (connect("nobody.test:443"), 502, Reason::Unresolved),
        (connect("api.test:9"), 502, Reason::Unreachable),
        (connect("api.test"), 400, Reason::Malformed),
        (connect("api.test:99999"), 400, Reason::Malformed),
        (get("http://0x7f.1/"), 403, Reason::Literal),
        (get("http://2130706433/"), 403, Reason::Literal),
        (get("http://api.test@127.0.0.1:9/"), 400, Reason::Malformed),
        (get("http://other.test/"), 403, Reason::NotListed),
        (get("https://api.test:9/?token=secret"), 400, Reason::Malformed),
        (get("http://ann:secret@api.test:9/"), 400, Reason::Malformed),
        (get("ftp://api.test:9/"), 400, Reason::Malformed),
        (get("/"), 400, Reason::Malformed),
        (get("*"), 400, Reason::Malformed),
    ] {
        let before = proxy.decisions().len();
        let said = exchange(&proxy, request.as_bytes()).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{request}{said}");
        let decisions = proxy.decisions();
        let last = decisions.last().map(|decision| decision.refused);
        assert_eq!((decisions.len(), last), (before + 1, Some(Some(reason))), "{request}");
        assert!(decisions.iter().all(|decision| !decision.host.contains("secret")), "{request}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_refused_within_bounds() {
    let proxy = Proxy::start(outbound(&["api.test:9"], &[], PLENTY, &Clock::system()), peers(), 8).await;
    let header = |count: usize, bytes: usize| {
        let lines: String = (0..count).map(|number| format!("x-{number}: {}\r\n", "v".repeat(bytes))).collect();
        format!("GET http://api.test:9/ HTTP/1.1\r\n{lines}\r\n")
    };
    for (what, request) in [
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
        ("binary", vec![0xff; 4_096]),
        ("no version", b"GET http://api.test:9/\r\n\r\n".to_vec()),
        ("a space in the target", b"GET http://api.test:9/ x HTTP/1.1\r\n\r\n".to_vec()),
        ("an endless line", [b"GET http://api.test:9/".to_vec(), vec![b'a'; 1 << 20]].concat()),
        ("too many headers", header(limits::EGRESS_HEADERS_MAX + 1, 1).into_bytes()),
        ("headers that are too long", header(60, 1_000).into_bytes()),
        (
            "two lengths",
            b"POST http://api.test:9/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_vec(),
        ),
        ("a negative length", b"POST http://api.test:9/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_vec()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
    ] {
        let said = exchange(&proxy, &request).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{what}: {said}");
        let last = proxy.decided(|decision| decision.refused.is_some()).await;
        assert_eq!(last.refused, Some(Reason::Malformed), "{what}");
    }
    assert_eq!(proxy.decisions().len(), 10, "one for each");
}

#[tokio::test]
async fn an_execution_that_has_used_up_its_bytes_is_cut_off() {
    let (port, _echo) = echo().await;
    let name = format!("api.test:{port}");
    let proxy = Proxy::start(outbound(&[&name], &[("api.test", LOOPBACK)], 1_000, &Clock::system()), peers(), 8).await;
    let mut stream = tunnel(&proxy, &name).await;
    stream.write_all(&[1; 400]).await.expect("sent");
    stream.read_exact(&mut [0; 400]).await.expect("it comes back");
    let _ = stream.write_all(&[1; 700]).await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.len() < 700, "{}", rest.len());
    let said = exchange(&proxy, format!("CONNECT {name} HTTP/1.1\r\n\r\n").as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 403") && said.contains("used up its bytes"), "{said}");
}

#[tokio::test]
async fn a_connection_on_which_nothing_moves_is_closed() {
    let (port, _echo) = echo().await;
    let name = format!("api.test:{port}");
    let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
    let proxy = Proxy::start(outbound(&[&name], &[("api.test", LOOPBACK)], PLENTY, &clock), peers(), 8).await;
    let mut stream = tunnel(&proxy, &name).await;
    stream.write_all(b"x").await.expect("sent");
    assert_eq!(stream.read_u8().await.expect("it comes back"), b'x');
    // One look may have been before the last byte.
    for _ in 0..2 {
        hand.advance(limits::EGRESS_IDLE_MAX + Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    let closed = tokio::time::timeout(Duration::from_secs(20), async {
        while !matches!(stream.try_read(&mut [0]), Ok(0)) {
            hand.advance(limits::EGRESS_IDLE_MAX);
            tokio::task::yield_now().await;
        }
    });
    closed.await.expect("closed");
    assert!(proxy.decided(|decision| decision.took.is_some()).await.took >= Some(limits::EGRESS_IDLE_MAX));
}

#[tokio::test]
async fn strangers_get_nothing_and_connections_are_bounded() {
    let out = outbound(&["api.test:9"], &[], PLENTY, &Clock::system());
    let others = Peers { subnet: "10.0.0.0/8".parse().expect("a network"), ..peers() };
    let closed = Proxy::start(out.clone(), others, 8).await;
    assert_eq!(exchange(&closed, b"CONNECT api.test:9 HTTP/1.1\r\n\r\n").await, "");
    assert!(closed.decisions().is_empty());

    let proxy = Proxy::start(out, peers(), 2).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(proxy.address).await.expect("connected");
        stream.write_all(b"GET http://other.test/ HTTP/1.1\r\n").await.expect("sent");
        held.push(stream);
    }
    let waiting = exchange(&proxy, b"GET http://other.test/ HTTP/1.1\r\n\r\n");
    let mut waiting = std::pin::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err() && proxy.decisions().is_empty(), "a third was served beside two");
    held.clear();
    assert!(waiting.await.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn executions_together_have_a_bound_and_one_too_many_is_told_so() {
    let shared = places(8);
    let all = u32::try_from(shared.all.available_permits()).expect("a few");
    let out = outbound(&["api.test:9"], &[], PLENTY, &Clock::system());
    let proxy = Proxy::start_within(out, peers(), shared.clone()).await;
    let taken = shared.all.clone().acquire_many_owned(all).await.expect("free");
    let mut stream = TcpStream::connect(proxy.address).await.expect("connected");
    let mut said = String::new();
    stream.read_to_string(&mut said).await.expect("an answer");
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains(&Reason::Crowded.to_string()), "{said}");
    assert_eq!(proxy.decisions().pop().and_then(|decision| decision.refused), Some(Reason::Crowded));
    drop(taken);
    assert!(exchange(&proxy, b"GET http://other.test/ HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 403"));
}

/// What comes back of `sent` in pieces of a size through a tunnel to a service that echoes.
async fn through(proxy: &Proxy, target: &str, sent: &[u8], piece: usize) -> Vec<u8> {
    let mut stream = tunnel(proxy, target).await;
    for piece in sent.chunks(piece) {
        // It may be refused before all of it was sent.
        let _ = stream.write_all(piece).await;
        let _ = stream.flush().await;
    }
    let _ = stream.shutdown().await;
    let mut back = Vec::new();
    let _ = stream.read_to_end(&mut back).await;
    back
}

#[tokio::test]
async fn tls_in_a_tunnel_asks_for_the_host_that_it_was_opened_to() {
    let (port, _echo) = echo().await;
    let (name, address) = (format!("api.test:{port}"), format!("127.0.0.1:{port}"));
    let out = outbound(&[&name, &address], &[("api.test", LOOPBACK)], PLENTY, &Clock::system());
    let proxy = Proxy::start(out, peers(), 8).await;
    let followed = [hello_to("API.test"), b"\x17\x03\x03\x00\x04data".to_vec()].concat();
    let cut_short = &hello_to("evil.test")[..30];
    for (target, sent, back) in [
        (&name, &followed[..], &followed[..]),
        (&name, &hello(&[]), &hello(&[])),
        (&name, b"SSH-2.0-client\r\n", b"SSH-2.0-client\r\n"),
        (&name, b"", b""),
        (&name, cut_short, b""),
        (&address, &hello_to("any.test"), &hello_to("any.test")),
    ] {
        for piece in [sent.len().max(1), 1] {
            assert_eq!(through(&proxy, target, sent, piece).await, back, "{target} {sent:?}");
        }
        assert_eq!(proxy.outbound.ledger.totals().refused, 0);
    }
    let before = proxy.outbound.ledger.totals();
    for (sent, host, reason) in [
        (hello_to("evil.test"), "evil.test", Reason::ServerName),
        (hello_to("api.test.evil.test"), "api.test.evil.test", Reason::ServerName),
        (hello_to("127.0.0.1"), "127.0.0.1", Reason::ServerName),
        (hello(&[0, 0]), "api.test", Reason::Hello),
        (b"\x16\x03\x01\xff\xff\x01".to_vec(), "api.test", Reason::Hello),
    ] {
        assert_eq!(through(&proxy, &name, &sent, 7).await, ALERT, "{host}");
        let refused = proxy.decisions().into_iter().rfind(|decision| decision.refused.is_some()).expect("noted");
        assert_eq!((refused.host.as_str(), refused.port, refused.refused), (host, Some(port), Some(reason)));
    }
    let after = proxy.outbound.ledger.totals();
    let asked = 5 * "api.test".len() as u64;
    assert_eq!((after.sent_bytes, after.refused), (before.sent_bytes + asked, 5), "nothing but the name has left");
}
