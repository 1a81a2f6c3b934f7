//! Bodies that do not go through memory whole, and how much is asked of one host.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::testing::{Server, answer};
use super::*;
use crate::base::{Clock, Fault, Timestamp, limits};
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::fs::{self, Files, FsPath, Replace};
use crate::primitives::permit::{self, FsPermit, HttpPermit};

fn loopback() -> HttpPermit {
    permit::http(&Grants { http: vec!["127.0.0.1".into()], ..Grants::default() })
}

fn http() -> Http {
    Http::new(&Options::default(), Clock::system()).expect("a client")
}

fn get(url: impl Into<String>) -> Request {
    Request::new(Method::GET, url)
}

/// A folder that is open for writing as `out`.
struct Root {
    dir: tempfile::TempDir,
    files: Files,
    permit: FsPermit,
    path: FsPath,
}

impl Root {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let roots = BTreeMap::from([("out".to_owned(), dir.path().to_owned())]);
        let files = Files::new(fs::Options { roots }).expect("roots");
        let grants = Grants { fs: BTreeMap::from([("out".to_owned(), Access::Write)]), ..Grants::default() };
        let permit = permit::fs(&grants, "out", Access::Write).expect("a permit");
        Self { dir, files, permit, path: "out:file".parse().expect("a path") }
    }

    fn save<'a>(&'a self, progress: &'a (dyn Fn(u64, Option<u64>) + Send + Sync)) -> Save<'a> {
        Save {
            files: &self.files,
            permit: &self.permit,
            path: &self.path,
            bytes_max: 1 << 30,
            replace: Replace::Yes,
            sha256: None,
            progress,
        }
    }

    fn content(&self) -> Option<Vec<u8>> {
        std::fs::read(self.dir.path().join("file")).ok()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).expect("a folder").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

#[tokio::test]
async fn a_file_is_put_in_its_place_when_all_of_it_is_there() {
    let large: Vec<u8> = (0..5_000_000_u32).map(|n| n as u8).collect();
    let body = large.clone();
    let server = Server::start(move |_, _| answer(200, &[], body.clone())).await;
    let root = Root::new();
    let told = Mutex::new(Vec::new());
    let progress = |done, total| told.lock().expect("not poisoned").push((done, total));
    // The answer is larger than what may be kept in memory.
    let request = Request { body_bytes_max: 1_000, ..get(server.url("/")) };
    let response = http().download(&loopback(), &request, &root.save(&progress)).await.expect("a response");
    let saved = response.saved.expect("saved");
    assert_eq!((saved.bytes, root.content().as_deref() == Some(&large[..])), (5_000_000, true));
    assert_eq!((root.names(), response.body.len()), (vec!["file".to_owned()], 0));
    let told = told.lock().expect("not poisoned").clone();
    assert!(told.len() > 3 && told.is_sorted(), "{told:?}");
    assert_eq!(told.last(), Some(&(5_000_000, Some(5_000_000))));

    let ignored = |_, _| ();
    let wrong = Save { sha256: Some("00ff"), ..root.save(&ignored) };
    let fault = Fault::from(http().download(&loopback(), &request, &wrong).await.expect_err("another content"));
    assert!(fault.code == "http.checksum" && fault.message.contains(&saved.sha256), "{fault}");
    let right = Save { sha256: Some(&saved.sha256), ..root.save(&ignored) };
    http().download(&loopback(), &request, &right).await.expect("the content");
}

#[tokio::test]
async fn what_is_not_whole_changes_nothing() {
    let root = Root::new();
    std::fs::write(root.dir.path().join("file"), "old").expect("written");
    let ignored = |_, _| ();
    let large = Server::start(|_, _| answer(200, &[], vec![b'x'; 3_000])).await;
    let small = Save { bytes_max: 2_999, ..root.save(&ignored) };
    let fault = Fault::from(http().download(&loopback(), &get(large.url("/")), &small).await.expect_err("too large"));
    assert_eq!(fault.code, "http.body_too_large");
    let kept = Save { replace: Replace::No, ..root.save(&ignored) };
    let fault = Fault::from(http().download(&loopback(), &get(large.url("/")), &kept).await.expect_err("it is there"));
    assert_eq!(fault.code, "fs.exists");
    let torn = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    let request = get(format!("http://{torn}/"));
    let fault = Fault::from(http().download(&loopback(), &request, &root.save(&ignored)).await.expect_err("torn"));
    assert_eq!(fault.code, "http.protocol");
    let missing = Server::start(|_, _| answer(404, &[], "no such thing")).await;
    let response = http().download(&loopback(), &get(missing.url("/")), &root.save(&ignored)).await.expect("an answer");
    assert_eq!((response.status, &response.body[..], response.saved), (404, &b"no such thing"[..], None));
    assert_eq!((root.content().as_deref(), root.names().len()), (Some(&b"old"[..]), 1));
}

/// A server that reads one request, writes `bytes` and closes.
async fn raw(bytes: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        assert!(stream.read(&mut [0; 4_096]).await.expect("a request") > 0);
        stream.write_all(bytes).await.ok();
    });
    tasks.detach_all();
    address
}

async fn pieces(body: &'static [u8], cut: Cut) -> Result<Vec<Piece>, HttpError> {
    // Byte by byte, as a network may deliver them.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        assert!(stream.read(&mut [0; 4_096]).await.expect("a request") > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.ok();
        for byte in body {
            stream.write_all(&[*byte]).await.ok();
            stream.flush().await.ok();
        }
    });
    let mut stream = http().stream(&loopback(), &get(format!("http://{address}/")), cut).await.expect("a stream");
    assert_eq!(stream.status, 200);
    let mut found = Vec::new();
    loop {
        let page = stream.next().await?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}

#[tokio::test]
async fn lines_come_whole_however_they_arrive() {
    let found = pieces(b"one\r\n\ntwo \xff\nlast", Cut::Lines).await.expect("lines");
    let expected: Vec<Piece> =
        [&b"one"[..], b"", b"two \xff", b"last"].into_iter().map(|line| Piece::Bytes(line.to_vec())).collect();
    assert_eq!(found, expected);
    let chunks = pieces(b"one\ntwo", Cut::Chunks).await.expect("chunks");
    let all: Vec<u8> =
        chunks.into_iter().flat_map(|piece| if let Piece::Bytes(b) = piece { b } else { vec![] }).collect();
    assert_eq!(all, b"one\ntwo");
}

#[tokio::test]
async fn events_are_read_as_the_standard_says() {
    let body = b": hello\n\ndata: a\ndata:b\nid: 7\n\nevent: add\ndata:  c\nretry: 5\n\nevent: lost\n\nignored\ndata\n\ndata: not whole";
    let found = pieces(body, Cut::Events).await.expect("events");
    let event = |kind: &str, data: &str| {
        Piece::Event(ServerEvent { kind: kind.into(), data: data.into(), id: Some("7".into()) })
    };
    assert_eq!(found, [event("message", "a\nb"), event("add", " c"), event("message", "")]);
}

#[tokio::test]
async fn a_line_without_end_is_an_error_and_not_memory() {
    let server = Server::start(|_, _| answer(200, &[], vec![b'x'; 3 << 20])).await;
    let mut stream = http().stream(&loopback(), &get(server.url("/")), Cut::Lines).await.expect("a stream");
    let fault = Fault::from(stream.next().await.expect_err("too long"));
    assert_eq!(fault.code, "http.line_too_long");
}

#[tokio::test]
async fn each_phase_has_a_bound_of_its_own() {
    for (head, phase) in [(&b""[..], "response"), (&b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"[..], "idle")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            assert!(stream.read(&mut [0; 4_096]).await.expect("a request") > 0);
            stream.write_all(head).await.ok();
            std::future::pending::<()>().await;
        });
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let http = Http::new(&Options::default(), clock).expect("a client");
        let three = Some(Duration::from_secs(3));
        let request = Request { first_byte: three, idle: three, ..get(format!("http://{address}/")) };
        let permit = loopback();
        let mut call = std::pin::pin!(http.request(&permit, &request));
        let outcome = loop {
            match tokio::time::timeout(Duration::from_millis(20), &mut call).await {
                Ok(outcome) => break outcome,
                Err(_) => hand.advance(Duration::from_millis(100)),
            }
        };
        let fault = Fault::from(outcome.expect_err("it is late"));
        assert_eq!((fault.code.as_ref(), &fault.details["phase"]), ("http.timeout", &phase.into()), "{fault}");
        assert_eq!(fault.details["timeout_ms"], 3_000);
    }
}

#[tokio::test]
async fn one_host_is_not_asked_more_than_the_operator_allows() {
    let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
    let times = Arc::new(Mutex::new(Vec::new()));
    let (seen, now) = (times.clone(), clock.clone());
    let server = Server::start(move |_, _| {
        seen.lock().expect("not poisoned").push(now.now().as_millisecond());
        answer(200, &[], "")
    })
    .await;
    let slow = HostOptions { per_second: Some(2.0), ..HostOptions::default() };
    let options = Options { hosts: BTreeMap::from([("127.0.0.0/8".to_owned(), slow)]), ..Options::default() };
    let http = Http::new(&options, clock).expect("a client");
    let permit = loopback();
    let (one, request) = (&http, get(server.url("/")));
    let calls = (0..4).map(|_| one.request(&permit, &request));
    let mut calls = std::pin::pin!(futures_util::future::join_all(calls));
    let answers = loop {
        match tokio::time::timeout(Duration::from_millis(20), &mut calls).await {
            Ok(answers) => break answers,
            Err(_) => hand.advance(Duration::from_millis(100)),
        }
    };
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let times = times.lock().expect("not poisoned").clone();
    assert!(times.len() == 4 && times.iter().max() >= Some(&1_500), "{times:?}");
}

#[tokio::test]
async fn whoever_waits_for_a_host_s_turn_holds_nobody_else_s() {
    // Answers to nobody: its one turn is taken as long as the call is.
    let hung = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = hung.local_addr().expect("an address");
    let other = Server::start(|_, _| answer(200, &[], "")).await;
    let single = HostOptions { concurrency: Some(1), ..HostOptions::default() };
    let options = Options { hosts: BTreeMap::from([("127.0.0.1".to_owned(), single)]), ..Options::default() };
    let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
    let http = Http::new(&options, clock).expect("a client");
    let permit = loopback();
    let patient = Request { timeout: Duration::from_secs(600), ..get(format!("http://{address}/")) };
    let hasty = Request { timeout: Duration::from_secs(5), ..get(format!("http://{address}/")) };
    let mut first = std::pin::pin!(http.request(&permit, &patient));
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut first).await.is_err());
    let mut second = std::pin::pin!(http.request(&permit, &hasty));
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut second).await.is_err());
    http.request(&permit, &get(other.url("/"))).await.expect("another port is another server");
    hand.advance(Duration::from_secs(6));
    let fault = Fault::from(second.await.expect_err("its turn does not come"));
    assert_eq!((fault.code.as_ref(), &fault.details["phase"]), ("http.timeout", &"queue".into()), "{fault}");
}

#[tokio::test]
async fn open_streams_of_scripts_keep_no_alert_from_getting_out() {
    let half = limits::HTTP_REQUESTS_PER_HOST_MAX;
    let servers = [Server::start(|_, _| answer(200, &[], "")).await, Server::start(|_, _| answer(200, &[], "")).await];
    let (http, permit) = (http(), loopback());
    let mut open = Vec::new();
    for server in &servers {
        for _ in 0..half {
            open.push(http.stream(&permit, &get(server.url("/")), Cut::Lines).await.expect("a stream"));
        }
    }
    let third = Server::start(|_, _| answer(200, &[], "")).await;
    let hasty = Request { timeout: Duration::from_millis(50), ..get(third.url("/")) };
    let fault = Fault::from(http.request(&permit, &hasty).await.expect_err("no place is left"));
    assert_eq!((fault.code.as_ref(), open.len()), ("http.timeout", limits::HTTP_REQUESTS_AT_ONCE_MAX));
    let through = async |on_behalf, server: &Server| {
        http.request_for_operator(&Request { url: server.url("/"), ..hasty.clone() }, on_behalf).await.is_ok()
    };
    assert!(!through(OnBehalf::Script, &third).await, "a script takes a script's place, wherever it asks");
    assert!(through(OnBehalf::Daemon, &third).await, "the daemon has places of its own");
    assert!(through(OnBehalf::Daemon, &servers[0]).await, "and a turn of its own at each host");
}

#[test]
fn what_is_said_of_hosts_is_checked() {
    let rule = |concurrency, per_second| HostOptions { concurrency, per_second, ..HostOptions::default() };
    let cases = [
        ("http://x", rule(None, None)),
        ("a.example.com", rule(Some(0), None)),
        ("a.example.com", rule(Some(100_000), None)),
        ("a.example.com", rule(None, Some(0.0))),
        ("a.example.com", rule(None, Some(f64::NAN))),
    ];
    for (host, rule) in cases {
        let options = Options { hosts: BTreeMap::from([(host.to_owned(), rule)]), ..Options::default() };
        let fault = Fault::from(Http::new(&options, Clock::system()).expect_err("a bad rule"));
        assert!(fault.code == "http.setup" && fault.message.starts_with("outgoing.hosts: "), "{fault}");
    }
}
