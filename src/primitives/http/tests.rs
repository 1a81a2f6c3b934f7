//! Against real servers on this machine's loopback, with names resolved by the test.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response as Answer};
use axum::routing::{any, get};
use axum::{Json, Router};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{Http, Options, Request, Response};
use crate::base::{Clock, Fault};
use crate::model::Grants;
use crate::primitives::net::resolve::Lookup;
use crate::primitives::permit::{self, HttpPermit};

/// Answers for the DNS; each question takes the next of a name's answers, the last one for good.
#[derive(Debug, Default)]
struct FakeDns {
    answers: Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>,
}

impl FakeDns {
    fn with(names: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let ips = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().expect("an address")).collect();
        let entries = names.iter().map(|(name, answers)| ((*name).to_owned(), answers.iter().map(ips).collect()));
        Arc::new(Self { answers: Mutex::new(entries.collect()) })
    }
}

impl Lookup for FakeDns {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut answers = self.answers.lock().expect("not poisoned");
        let answer = match answers.get_mut(&name) {
            Some(list) if list.len() > 1 => Ok(list.remove(0)),
            Some(list) => Ok(list[0].clone()),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        };
        Box::pin(async move { answer })
    }
}

#[derive(Debug, Clone, Default)]
struct Hits(Arc<AtomicU32>);

async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Json<Value> {
    let headers: BTreeMap<_, _> =
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned())).collect();
    Json(json!({"method": method.as_str(), "uri": uri.to_string(), "headers": headers,
        "body": String::from_utf8_lossy(&body)}))
}

async fn hop(Query(to): Query<BTreeMap<String, String>>) -> Answer {
    let status: u16 = to.get("status").and_then(|status| status.parse().ok()).unwrap_or(302);
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [("location", to.get("to").cloned().unwrap_or_default())]).into_response()
}

async fn flaky(State(hits): State<Hits>) -> Answer {
    match hits.0.fetch_add(1, Ordering::SeqCst) {
        0 => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0.01")]).into_response(),
        1 => StatusCode::BAD_GATEWAY.into_response(),
        _ => "well".into_response(),
    }
}

async fn serve() -> (SocketAddr, Hits) {
    let hits = Hits::default();
    let app = Router::new()
        .route("/echo", any(echo))
        .route("/hop", any(hop))
        .route("/loop", get(|| async { Redirect::temporary("/loop") }))
        .route("/flaky", any(flaky))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_secs(60)).await }))
        .route("/big", get(|| async { vec![b'x'; 3 << 20] }))
        .with_state(hits.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, hits)
}

fn client(dns: Arc<FakeDns>) -> Http {
    Http::new(Options { lookup: dns, ..Options::default() }).expect("a client")
}

fn granted(patterns: &[&str]) -> HttpPermit {
    permit::http(&Grants { http: patterns.iter().map(|text| (*text).to_owned()).collect(), ..Grants::default() })
}

async fn send(http: &Http, permit: &HttpPermit, request: Value) -> Result<Response, Fault> {
    let request: Request = serde_json::from_value(request).expect("a request");
    http.send(permit, request).await.map_err(Fault::from)
}

fn code(outcome: Result<Response, Fault>) -> String {
    outcome.map_or_else(|fault| fault.code.into_owned(), |response| response.status.to_string())
}

#[tokio::test]
async fn a_request_arrives_as_written() {
    let (address, _) = serve().await;
    let (http, permit) = (client(FakeDns::with(&[])), granted(&["127.0.0.1"]));
    let request = json!({"url": format!("http://{address}/echo?a=1"), "method": "put", "query": {"b": "ü"},
        "headers": {"X-One": ["1", "2"]}, "auth": {"bearer": "t"}, "json": {"k": [1, null]}});
    let response = send(&http, &permit, request).await.expect("an answer");
    assert!(response.is_success() && response.attempts == 1);
    let seen = response.json().expect("JSON");
    assert_eq!(seen["method"], "PUT");
    assert_eq!(seen["uri"], "/echo?a=1&b=%C3%BC");
    assert_eq!(seen["body"], r#"{"k":[1,null]}"#);
    assert_eq!(
        (&seen["headers"]["authorization"], &seen["headers"]["content-type"]),
        (&json!("Bearer t"), &json!("application/json"))
    );
    let parts = json!([{"name": "file", "content": "abc", "filename": "a.txt", "content_type": "text/plain"}]);
    let request = json!({"url": format!("http://{address}/echo"), "multipart": parts});
    let seen = send(&http, &permit, request).await.expect("an answer").json().expect("JSON");
    let body = seen["body"].as_str().expect("a text");
    assert!(body.contains("filename=\"a.txt\"") && body.contains("\r\n\r\nabc\r\n"), "{body}");
}

#[tokio::test]
async fn loopback_must_be_named_in_every_spelling() {
    let (address, hits) = serve().await;
    let http = client(FakeDns::with(&[("rebind.example.com", &[&["127.0.0.1"]]), ("localhost", &[&["127.0.0.1"]])]));
    let port = address.port();
    let everything = granted(&["*", "rebind.example.com"]);
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "[::ffff:127.0.0.1]",
        "localhost",
        "localhost.",
        "rebind.example.com",
        "x@127.0.0.1",
        "0.0.0.0",
        "[::]",
    ] {
        let outcome = send(&http, &everything, json!({"url": format!("http://{host}:{port}/flaky")})).await;
        let fault = outcome.expect_err(host);
        assert_eq!(fault.code, "permission.denied", "{host}: {fault}");
        assert!(
            fault.hint.is_some_and(|hint| hint.contains("permissions = { http = { \"*\", \"rebind.example.com\", ")),
            "{host}"
        );
    }
    assert_eq!(hits.0.load(Ordering::SeqCst), 0, "nothing arrived");
    let named = granted(&["localhost"]);
    assert_eq!(code(send(&http, &named, json!({"url": format!("http://localhost:{port}/echo")})).await), "200");
    let ranged = granted(&["rebind.example.com", "127.0.0.0/8"]);
    assert_eq!(
        code(send(&http, &ranged, json!({"url": format!("http://rebind.example.com:{port}/echo")})).await),
        "200"
    );
}

#[tokio::test]
async fn a_name_that_turns_inward_is_caught_on_each_connection() {
    let (address, hits) = serve().await;
    // The first answer would pass any check made ahead of connecting; what counts is the one that is connected to.
    let http = client(FakeDns::with(&[("evil.example.com", &[&["192.0.2.1", "127.0.0.1"], &["127.0.0.1"]])]));
    let permit = granted(&["evil.example.com"]);
    for _ in 0..3 {
        let url = format!("http://evil.example.com:{}/flaky", address.port());
        assert_eq!(code(send(&http, &permit, json!({"url": url})).await), "permission.denied");
    }
    assert_eq!(hits.0.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn connections_are_not_shared_across_grants() {
    let (address, _) = serve().await;
    let http = client(FakeDns::with(&[("app.example.com", &[&["127.0.0.1"]])]));
    let url = json!({"url": format!("http://app.example.com:{}/echo", address.port())});
    let (may, may_not) = (granted(&["app.example.com", "127.0.0.1"]), granted(&["app.example.com"]));
    assert_eq!(code(send(&http, &may, url.clone()).await), "200");
    assert_eq!(code(send(&http, &may_not, url).await), "permission.denied", "though a connection is open");
}

#[tokio::test]
async fn redirects_are_checked_like_requests() {
    let (outer, _) = serve().await;
    let (inner, hits) = serve().await;
    let http = client(FakeDns::with(&[("inner.example.com", &[&["127.0.0.1"]])]));
    let permit = granted(&[&format!("127.0.0.1:{}", outer.port())]);
    for to in [
        format!("http://127.0.0.1:{}/flaky", inner.port()),
        format!("http://0x7f.1:{}/flaky", inner.port()),
        format!("//127.0.0.1:{}/flaky", inner.port()),
        format!("http://inner.example.com:{}/flaky", inner.port()),
    ] {
        let url = json!({"url": format!("http://{outer}/hop"), "query": {"to": to}});
        assert_eq!(code(send(&http, &permit, url).await), "permission.denied", "{to}");
    }
    for to in ["file:///etc/passwd", "ftp://127.0.0.1/", "http://"] {
        let url = json!({"url": format!("http://{outer}/hop"), "query": {"to": to}});
        assert_eq!(code(send(&http, &permit, url).await), "http.blocked", "{to}");
    }
    assert_eq!(hits.0.load(Ordering::SeqCst), 0);
    assert_eq!(code(send(&http, &permit, json!({"url": format!("http://{outer}/loop")})).await), "http.redirects");
    let unfollowed = json!({"url": format!("http://{outer}/hop?to=/echo"), "redirects": 0});
    assert_eq!(code(send(&http, &permit, unfollowed).await), "302");
}

#[tokio::test]
async fn redirects_keep_or_drop_what_they_should() {
    let ((one, _), (two, _)) = (serve().await, serve().await);
    let (http, permit) = (client(FakeDns::with(&[])), granted(&["127.0.0.1"]));
    let via = |status: u16, to: String| {
        json!({"url": format!("http://{one}/hop"), "query": {"status": status, "to": to}, "json": {"a": 1},
            "headers": {"X-Api-Key": "k", "Accept": "text/x"}, "auth": {"bearer": "t"}})
    };
    let see = |request| {
        let (http, permit) = (http.clone(), permit.clone());
        async move { send(&http, &permit, request).await.expect("an answer").json().expect("JSON") }
    };
    let kept = see(via(307, "/echo".into())).await;
    assert_eq!((&kept["method"], &kept["body"]), (&json!("POST"), &json!(r#"{"a":1}"#)));
    assert_eq!(kept["headers"]["authorization"], "Bearer t");
    let turned = see(via(303, "/echo".into())).await;
    assert_eq!(
        (&turned["method"], &turned["body"], &turned["headers"]["content-type"]),
        (&json!("GET"), &json!(""), &Value::Null)
    );
    let foreign = see(via(307, format!("http://user:pass@{two}/echo"))).await;
    assert_eq!(foreign["headers"]["authorization"], Value::Null);
    assert_eq!(foreign["headers"]["x-api-key"], Value::Null);
    assert_eq!(foreign["headers"]["accept"], "text/x");
}

#[tokio::test]
async fn bounds_hold() {
    let (address, _) = serve().await;
    let (http, permit) = (client(FakeDns::with(&[])), granted(&["127.0.0.1"]));
    let url = |path: &str| format!("http://{address}/{path}");
    let large = send(&http, &permit, json!({"url": url("big"), "max_bytes": "1MiB"})).await.expect_err("too large");
    assert_eq!(large.code, "http.too_large");
    assert_eq!(send(&http, &permit, json!({"url": url("big")})).await.expect("it fits").body.len(), 3 << 20);
    let late = send(&http, &permit, json!({"url": url("slow"), "timeout": "100ms"})).await.expect_err("slow");
    assert!(late.code == "http.timeout" && late.message.contains("within 100ms") && late.retryable, "{late}");
}

#[tokio::test]
async fn passing_failures_are_retried() {
    let (address, hits) = serve().await;
    let (clock, hand) = Clock::fake("2026-01-01T00:00:00Z".parse().expect("a time"));
    let http = Http::new(Options { clock, lookup: FakeDns::with(&[]), ..Options::default() }).expect("a client");
    let permit = granted(&["127.0.0.1"]);
    let request = json!({"url": format!("http://{address}/flaky"), "retries": 2, "timeout": "1h"});
    let turn = async {
        loop {
            hand.advance(Duration::from_millis(100));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let response = tokio::select! { response = send(&http, &permit, request) => response, () = turn => unreachable!() };
    let response = response.expect("well in the end");
    assert_eq!((response.attempts, response.text().as_str()), (3, "well"));
    assert_eq!(hits.0.load(Ordering::SeqCst), 3);
    hits.0.store(0, Ordering::SeqCst);
    let once = send(&http, &permit, json!({"url": format!("http://{address}/flaky"), "timeout": "1h"})).await;
    assert_eq!(once.expect("an answer").status, 503);
}

#[tokio::test]
async fn failures_say_what_failed() {
    let http = client(FakeDns::with(&[]));
    let permit = granted(&["127.0.0.1", "gone.example.com"]);
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let refused =
        send(&http, &permit, json!({"url": format!("http://{closed}/?key=s3cret")})).await.expect_err("closed");
    assert_eq!(refused.code, "http.connect");
    assert!(refused.message.contains(&closed.to_string()) && !refused.message.contains("s3cret"), "{refused}");
    let unknown = send(&http, &permit, json!({"url": "http://gone.example.com/"})).await.expect_err("no such name");
    assert!(unknown.code == "http.resolve" && unknown.message.contains("gone.example.com"), "{unknown}");
    let (address, _) = serve().await;
    let plain =
        send(&http, &permit, json!({"url": format!("https://{address}/echo")})).await.expect_err("no TLS there");
    assert_eq!(plain.code, "http.tls", "{plain}");
    let other = send(&http, &permit, json!({"url": "http://api.example.com/"})).await.expect_err("not named");
    assert_eq!(
        other.details["line"],
        r#"permissions = { http = { "127.0.0.1", "gone.example.com", "api.example.com" } }"#
    );
}

#[tokio::test]
async fn the_operator_s_list_wins() {
    let (address, _) = serve().await;
    let options = Options { deny: vec!["127.0.0.0/8".into()], lookup: FakeDns::with(&[]), ..Options::default() };
    let http = Http::new(options).expect("a client");
    let outcome = send(&http, &granted(&["127.0.0.1"]), json!({"url": format!("http://{address}/echo")})).await;
    assert_eq!(code(outcome), "http.blocked");
    assert!(Http::new(Options { deny: vec!["0x7f.1".into()], ..Options::default() }).is_err());
}
