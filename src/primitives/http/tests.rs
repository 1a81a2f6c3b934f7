use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::testing::{Server, answer};
use super::*;
use crate::base::{Clock, Fault, Timestamp};
use crate::model::Grants;
use crate::primitives::net::resolve::Lookup;
use crate::primitives::permit::{self, HttpPermit};

fn granted(patterns: &[&str]) -> HttpPermit {
    let http = patterns.iter().map(|text| (*text).to_owned()).collect();
    permit::http(&Grants { http, ..Grants::default() })
}

fn loopback() -> HttpPermit {
    granted(&["127.0.0.1"])
}

fn http() -> Http {
    Http::new(&Options::default(), Clock::system()).expect("a client")
}

fn get(url: impl Into<String>) -> Request {
    Request::new(Method::GET, url)
}

fn post(url: impl Into<String>) -> Request {
    Request::new(Method::POST, url)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn fails(http: &Http, permit: &HttpPermit, request: Request) -> Fault {
    http.request(permit, &request).await.expect_err("it must fail").into()
}

#[derive(Debug)]
struct Answers(Vec<IpAddr>);

impl Lookup for Answers {
    fn lookup(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let found = self.0.clone();
        Box::pin(async move { Ok(found) })
    }
}

fn http_where_names_are(addresses: &[&str]) -> Http {
    let found = addresses.iter().map(|text| text.parse().expect("an address")).collect();
    Http::with_lookup(&Options::default(), Clock::system(), Arc::new(Answers(found))).expect("a client")
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made_and_any_status_is_a_response() {
    let server = Server::start(|_, _| answer(404, &[("x-made-by", "test")], "nobody here")).await;
    let request = Request {
        headers: pairs(&[("X-Api-Key", "k"), ("Accept", "text/plain")]),
        query: pairs(&[("q", "a b&c"), ("q", "ü")]),
        ..get(server.url("/find?from=1"))
    };
    let response = http().request(&loopback(), &request).await.expect("a response");
    assert_eq!((response.status, &response.body[..], response.attempts), (404, &b"nobody here"[..], 1));
    assert_eq!(response.headers["x-made-by"], "test");
    assert_eq!(response.url, server.url("/find?from=1&q=a+b%26c&q=%C3%BC"));
    let asked = server.asked().remove(0);
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/find?from=1&q=a+b%26c&q=%C3%BC"));
    assert_eq!((asked.header("x-api-key"), asked.header("accept")), ("k", "text/plain"));
    assert!(asked.header("user-agent").starts_with("aegis/"));
}

#[tokio::test]
async fn bodies_have_their_content_types() {
    let server = Server::start(|_, _| answer(200, &[], "")).await;
    let parts = vec![
        Part { name: "note".into(), content: "hello".into(), ..Part::default() },
        Part {
            name: "file".into(),
            content: "\u{0}\u{1}".into(),
            file_name: Some("a.bin".into()),
            content_type: Some("application/octet-stream".into()),
        },
    ];
    let bodies = [
        Body::Json(serde_json::json!({ "a": [1, null] })),
        Body::Form(pairs(&[("a", "1 2"), ("b", "&")])),
        Body::Bytes("raw".into()),
        Body::Multipart(parts),
    ];
    for body in bodies {
        let request = Request { body, ..post(server.url("/")) };
        http().request(&loopback(), &request).await.expect("a response");
    }
    let asked = server.asked();
    let seen: Vec<_> = asked.iter().map(|one| (one.header("content-type"), &one.body[..])).collect();
    assert_eq!(seen[0], ("application/json", &br#"{"a":[1,null]}"#[..]));
    assert_eq!(seen[1], ("application/x-www-form-urlencoded", &b"a=1+2&b=%26"[..]));
    assert_eq!(seen[2], ("", &b"raw"[..]));
    let boundary = seen[3].0.strip_prefix("multipart/form-data; boundary=").expect("a boundary");
    let text = String::from_utf8_lossy(seen[3].1);
    assert!(text.starts_with(&format!("--{boundary}\r\n")) && text.trim_end().ends_with(&format!("--{boundary}--")));
    assert!(text.contains("name=\"note\"\r\n\r\nhello\r\n"), "{text}");
    assert!(text.contains("filename=\"a.bin\"") && text.contains("application/octet-stream"), "{text}");
    assert!(asked.iter().all(|one| one.header("content-length") == one.body.len().to_string()));
}

#[tokio::test]
async fn user_and_password_become_a_header_and_show_nowhere() {
    let server = Server::start(|_, _| answer(200, &[], "")).await;
    let url = format!("http://us%20er:hunter2@{}/", server.address);
    let response = http().request(&loopback(), &get(url.clone())).await.expect("a response");
    assert_eq!(response.url, server.url("/"));
    assert_eq!(server.asked()[0].header("authorization"), "Basic dXMgZXI6aHVudGVyMg==");
    let fault = fails(&http(), &granted(&[]), get(format!("{url}?token=hunter2"))).await;
    assert_eq!(fault.code, "permission.denied");
    assert!(!fault.to_string().contains("hunter2"), "{fault}");
}

#[tokio::test]
async fn a_missing_permission_names_the_line_to_add() {
    let fault = fails(&http(), &granted(&["api.example.com"]), get("https://db.example.com:8443/x")).await;
    assert_eq!(fault.code, "permission.denied");
    assert_eq!(fault.details["line"], r#"permissions = { http = { "api.example.com", "db.example.com" } }"#);
    let fault = fails(&http(), &granted(&["*"]), get("http://10.1.2.3/")).await;
    assert_eq!((fault.code.as_ref(), fault.retryable), ("http.denied_address", false));
    assert_eq!(fault.details["line"], r#"permissions = { http = { "*", "10.1.2.3" } }"#);
    let deny = Options { deny: vec!["127.0.0.0/8".into()], ..Options::default() };
    let closed = Http::new(&deny, Clock::system()).expect("a client");
    let fault = fails(&closed, &loopback(), get("http://127.0.0.1:1/")).await;
    assert_eq!(fault.code, "http.denied_address");
    assert!(fault.hint.is_some_and(|hint| hint.contains("outgoing.deny")));
}

#[tokio::test]
async fn redirects_are_followed_as_the_standard_says() {
    let server = Server::start(|_, asked| match asked.path.split_once('/').map(|(_, path)| path) {
        Some("end") => answer(200, &[], "there"),
        Some(status) => answer(status.parse().unwrap_or(500), &[("location", "/end")], "moved"),
        None => answer(500, &[], ""),
    })
    .await;
    let cases = [
        (301, Method::POST, "GET"),
        (302, Method::POST, "GET"),
        (303, Method::PUT, "GET"),
        (303, Method::HEAD, "HEAD"),
        (302, Method::PUT, "PUT"),
        (307, Method::POST, "POST"),
        (308, Method::POST, "POST"),
    ];
    for (status, method, then) in cases {
        let request = Request {
            body: Body::Bytes("payload".into()),
            headers: pairs(&[("authorization", "Bearer t"), ("content-type", "text/plain")]),
            ..Request::new(method, server.url(&format!("/{status}")))
        };
        let response = http().request(&loopback(), &request).await.expect("a response");
        assert_eq!((response.status, response.url), (200, server.url("/end")), "{status}");
        let last = server.asked().pop().expect("a request");
        assert_eq!((last.method.as_str(), last.header("authorization")), (then, "Bearer t"), "{status}");
        let keeps = then != "GET";
        assert_eq!(last.header("content-type"), if keeps { "text/plain" } else { "" }, "{status}");
        assert_eq!(last.body.is_empty(), !keeps, "{status}");
    }
    let unfollowed = Request { redirects_max: 0, ..get(server.url("/302")) };
    let response = http().request(&loopback(), &unfollowed).await.expect("a response");
    assert_eq!((response.status, &response.body[..]), (302, &b"moved"[..]));
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let other = Server::start(|_, _| answer(200, &[], "")).await;
    let target = other.url("/landing");
    let first = Server::start(move |_, _| answer(307, &[("location", &target)], "")).await;
    let request = Request {
        headers: pairs(&[
            ("authorization", "Bearer t"),
            ("cookie", "session=1"),
            ("x-api-key", "k"),
            ("private-token", "p"),
            ("accept", "text/plain"),
        ]),
        body: Body::Json(serde_json::json!(1)),
        ..post(first.url("/").replace("http://", "http://user:word@"))
    };
    http().request(&loopback(), &request).await.expect("a response");
    let (before, after) = (first.asked().remove(0), other.asked().remove(0));
    for name in ["authorization", "cookie", "x-api-key", "private-token"] {
        assert!(!before.header(name).is_empty() && after.header(name).is_empty(), "{name}");
    }
    assert_eq!((after.header("accept"), after.header("content-type")), ("text/plain", "application/json"));
    assert_eq!(after.header("host"), other.address.to_string());
}

#[tokio::test]
async fn endless_redirects_end() {
    let server = Server::start(|number, _| answer(302, &[("location", &format!("/{number}"))], "")).await;
    let fault = fails(&http(), &loopback(), Request { redirects_max: 3, ..get(server.url("/")) }).await;
    assert_eq!((fault.code.as_ref(), server.asked().len()), ("http.redirects", 4));
    let bad = Server::start(|_, _| answer(302, &[("location", "http://[::")], "")).await;
    assert_eq!(fails(&http(), &loopback(), get(bad.url("/"))).await.code, "http.redirects");
}

#[tokio::test]
async fn a_body_beyond_its_bound_is_refused_whether_announced_or_not() {
    let server = Server::start(|_, _| answer(200, &[], vec![b'x'; 2_000])).await;
    let within = Request { body_bytes_max: 2_000, ..get(server.url("/")) };
    assert_eq!(http().request(&loopback(), &within).await.expect("a response").body.len(), 2_000);
    let fault = fails(&http(), &loopback(), Request { body_bytes_max: 1_999, ..get(server.url("/")) }).await;
    assert_eq!((fault.code.as_ref(), &fault.details["max_body"]), ("http.body_too_large", &serde_json::json!(1_999)));

    let address = raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", Some(b"endless ")).await;
    let request = Request { body_bytes_max: 100_000, ..get(format!("http://{address}/")) };
    assert_eq!(fails(&http(), &loopback(), request).await.code, "http.body_too_large");
}

/// A server that reads a request, writes `head`, then `forever` without end, or hangs.
async fn raw(head: &'static [u8], forever: Option<&'static [u8]>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let read = stream.read(&mut [0; 4_096]).await.expect("a request");
        assert!(read > 0);
        stream.write_all(head).await.ok();
        match forever {
            Some(piece) => while stream.write_all(piece).await.is_ok() {},
            None => std::future::pending().await,
        }
    });
    tasks.detach_all();
    address
}

#[tokio::test]
async fn a_timeout_says_what_was_waited_for() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    for (head, phase) in [(&b""[..], "response"), (&head[..], "body")] {
        let address = raw(head, None).await;
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let http = Http::new(&Options::default(), clock).expect("a client");
        let request = Request { timeout: Duration::from_secs(5), ..get(format!("http://{address}/")) };
        let permit = loopback();
        let mut call = std::pin::pin!(http.request(&permit, &request));
        // The head must have arrived before the clock is turned far, and nothing tells when it has.
        let outcome = loop {
            match tokio::time::timeout(Duration::from_millis(20), &mut call).await {
                Ok(outcome) => break outcome,
                Err(_) => hand.advance(Duration::from_millis(100)),
            }
        };
        let fault: Fault = outcome.expect_err("it is late").into();
        assert_eq!((fault.code.as_ref(), fault.retryable), ("http.timeout", true));
        assert_eq!((&fault.details["phase"], &fault.details["timeout_ms"]), (&phase.into(), &5_000.into()));
        assert!(fault.message.contains("within 5s"), "{fault}");
    }
}

#[tokio::test]
async fn each_failure_has_its_code_and_remedy() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        listener.local_addr().expect("an address")
    };
    let plain = Server::start(|_, _| answer(200, &[], "")).await;
    let garbage = raw(b"SSH-2.0-OpenSSH_9.2\r\n", None).await;
    let broken = Http::with_lookup(&Options::default(), Clock::system(), Arc::new(Answers(vec![]))).expect("a client");
    let tls = plain.url("/").replace("http:", "https:");
    let cases = [
        (http(), get(format!("http://{closed}/")), "http.connect", true),
        (http(), get(tls), "http.tls", false),
        (http(), get(format!("http://{garbage}/")), "http.protocol", true),
        (broken, get("http://gone.example.com/"), "http.dns", true),
        (http(), get("not a url"), "http.bad_url", false),
        (http(), get("ftp://127.0.0.1/"), "http.bad_url", false),
    ];
    for (http, request, code, retryable) in cases {
        let url = request.url.clone();
        let fault = fails(&http, &granted(&["127.0.0.1", "*.example.com"]), request).await;
        assert_eq!((fault.code.as_ref(), fault.retryable), (code, retryable), "{url}: {fault}");
        assert!(fault.hint.is_some(), "{url}: {fault}");
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_it_is() {
    let server = Server::start(|_, _| answer(200, &[], "")).await;
    let retry = Retry { attempts: 2, ..Retry::NONE };
    let url = || server.url("/");
    let cases = [
        Request { headers: pairs(&[("a b", "x")]), ..get(url()) },
        Request { headers: pairs(&[("a", "x\r\ninjected: 1")]), ..get(url()) },
        Request { headers: pairs(&[("Content-Length", "5")]), ..get(url()) },
        Request { headers: pairs(&[("transfer-encoding", "chunked")]), ..get(url()) },
        Request { headers: vec![("a".into(), "b".into()); 200], ..get(url()) },
        Request { headers: pairs(&[("host", "a/b")]), ..get(url()) },
        Request { timeout: Duration::ZERO, ..get(url()) },
        Request { body_bytes_max: usize::MAX, ..get(url()) },
        Request { redirects_max: 11, ..get(url()) },
        Request { retry: Retry { attempts: 0, ..Retry::NONE }, ..get(url()) },
        Request { retry, ..post(url()) },
    ];
    for request in cases {
        let fault = fails(&http(), &loopback(), request.clone()).await;
        assert_eq!(fault.code, "http.bad_request", "{request:?}: {fault}");
    }
    let large = Request { body: Body::Bytes(vec![0; (64 << 20) + 1].into()), ..post(url()) };
    assert_eq!(fails(&http(), &loopback(), large).await.code, "http.request_too_large");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_host_header_needs_the_permission_of_its_name() {
    let server = Server::start(|_, _| answer(200, &[], "")).await;
    let request = Request { headers: pairs(&[("host", "www.example.com")]), ..get(server.url("/")) };
    assert_eq!(fails(&http(), &loopback(), request.clone()).await.code, "permission.denied");
    let permit = granted(&["127.0.0.1", "www.example.com"]);
    http().request(&permit, &request).await.expect("a response");
    assert_eq!(server.asked()[0].header("host"), "www.example.com");
}

#[tokio::test]
async fn repeatable_requests_are_tried_again_with_patience() {
    let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
    let times = Arc::new(Mutex::new(Vec::new()));
    let (seen, now) = (times.clone(), clock.clone());
    let server = Server::start(move |number, _| {
        seen.lock().expect("not poisoned").push(now.now().as_second());
        match number {
            0 => answer(503, &[], ""),
            1 => answer(429, &[("retry-after", "7")], ""),
            _ => answer(200, &[], "at last"),
        }
    })
    .await;
    let http = Http::new(&Options::default(), clock).expect("a client");
    let retry = Retry { attempts: 3, initial: Duration::from_secs(2), max: Duration::from_secs(600) };
    let keyed = Request { retry, headers: pairs(&[("Idempotency-Key", "1")]), ..post(server.url("/")) };
    let request = Request { timeout: Duration::from_secs(600), ..keyed };
    let permit = loopback();
    let mut call = std::pin::pin!(http.request(&permit, &request));
    let response = loop {
        match tokio::time::timeout(Duration::from_millis(10), &mut call).await {
            Ok(response) => break response.expect("a response"),
            Err(_) => hand.advance(Duration::from_secs(1)),
        }
    };
    assert_eq!((response.status, response.attempts), (200, 3));
    let times = times.lock().expect("not poisoned").clone();
    assert!(times[1] - times[0] >= 2 && times[2] - times[1] >= 7, "{times:?}");
    assert!(response.took >= Duration::from_secs(9));

    let refusing = Server::start(|_, _| answer(503, &[("retry-after", "3600")], "")).await;
    let response = http.request(&permit, &Request { retry, ..get(refusing.url("/")) }).await.expect("a response");
    assert_eq!((response.status, refusing.asked().len()), (503, 1));
}

#[tokio::test]
async fn a_connection_serves_only_the_rights_it_was_made_with() {
    let server = Server::start(|_, _| answer(200, &[], "")).await;
    let http = http_where_names_are(&["127.0.0.1"]);
    let url = format!("http://app.example.com:{}/", server.port());
    let wide = granted(&["*.example.com", "127.0.0.0/8"]);
    for _ in 0..3 {
        http.request(&wide, &get(&*url)).await.expect("a response");
    }
    assert_eq!(server.connections(), 1, "connections are used again");
    let fault = fails(&http, &granted(&["*.example.com"]), get(&*url)).await;
    assert_eq!((fault.code.as_ref(), server.asked().len()), ("http.denied_address", 3));
}

#[tokio::test]
async fn a_plan_checks_and_sends_nothing() {
    let server = Server::start(|_, _| answer(200, &[], "")).await;
    let request = Request { body: Body::Bytes("12345".into()), ..post(server.url("/x?token=1")) };
    let plan = http().plan(&loopback(), &request).await.expect("a plan");
    assert_eq!(plan, Plan { method: "POST".into(), url: server.url("/x"), body_bytes: 5 });
    assert!(http().plan(&granted(&[]), &request).await.is_err());
    assert_eq!(server.connections(), 0);
}

#[test]
fn bad_settings_are_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "nothing").expect("written");
    let cases = [
        (Options { deny: vec!["http://x".into()], ..Options::default() }, "outgoing.deny"),
        (Options { ca_file: Some(dir.path().join("absent.pem")), ..Options::default() }, "absent.pem"),
        (Options { ca_file: Some(empty), ..Options::default() }, "holds no PEM certificate"),
    ];
    for (options, expected) in cases {
        let fault = Fault::from(Http::new(&options, Clock::system()).expect_err("a bad setting"));
        assert!(fault.code == "http.setup" && fault.message.contains(expected), "{fault}");
    }
}
