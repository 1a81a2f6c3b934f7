//! Servers of our own on loopback: TLS with certificates that openssl makes, a name server, ports.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CAA, CNAME, MX, NS, PTR, SOA, SRV, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use rustls::ServerConfig;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use super::*;
use crate::base::Fault;
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::http::authority::{Authority, Signed};
use crate::primitives::permit;

const QUICK: Duration = Duration::from_secs(10);

fn grants(hosts: &[&str]) -> Grants {
    let http = hosts.iter().map(|host| (*host).to_owned()).collect();
    Grants { host: Some(Access::Read), http, ..Grants::default() }
}

fn permit(hosts: &[&str]) -> ProbePermit {
    permit::probe(&grants(hosts)).expect("a permit")
}

/// Knows the names that a test made up.
#[derive(Debug, Clone, Default)]
struct Known(BTreeMap<String, Vec<IpAddr>>);

impl Lookup for Known {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let found = self.0.get(&name).cloned();
        Box::pin(async move { found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name")) })
    }
}

fn probe(ca_file: Option<&Path>) -> Probe {
    let local = vec![IpAddr::from([127, 0, 0, 1])];
    let known =
        Known(BTreeMap::from([("service.test".to_owned(), local.clone()), ("public.example.com".to_owned(), local)]));
    let deny: Vec<HostPattern> = vec!["10.66.0.0/16".parse().expect("a pattern")];
    Probe::new(Clock::system(), deny.into(), ca_file.map(Path::to_owned), Arc::new(known))
}

/// Shakes hands with everybody, as long as it is held.
pub(in crate::primitives) async fn serve((chain, key): Signed) -> (u16, JoinSet<()>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1]).await;
            }
        }
    });
    (port, tasks)
}

fn query(host: &str, port: u16) -> TlsQuery {
    TlsQuery { host: host.into(), port, server_name: None, timeout: QUICK }
}

#[tokio::test]
async fn certificates_are_told_whether_they_are_trusted_or_not() {
    let authority = Authority::new();
    let soon = (Clock::system().now() + jiff::SignedDuration::from_hours(36)).strftime("%Y%m%d%H%M%SZ").to_string();
    let good = serve(authority.sign("good", "20200101000000Z", &soon)).await;
    let expired = serve(authority.sign("expired", "20200101000000Z", "20210101000000Z")).await;
    let early = serve(authority.sign("early", "20990101000000Z", "21000101000000Z")).await;
    let ca = authority.file("ca.pem");
    let (trusting, strict, all) = (probe(Some(&ca)), probe(None), permit(&["service.test", "127.0.0.1"]));

    let found = trusting.tls(&all, &query("service.test", good.0)).await.expect("shaken");
    assert_eq!((found.trusted, found.reason, found.problem.as_deref()), (true, None, None));
    assert_eq!((found.protocol.as_str(), found.chain.len()), ("TLSv1.3", 2));
    assert!(found.cipher.starts_with("TLS13_"), "{}", found.cipher);
    let own = &found.chain[0];
    assert_eq!((own.subject.as_str(), own.issuer.as_str()), ("O=Tests, CN=service.test", "CN=Test Authority"));
    assert_eq!(own.sans, ["service.test", "*.service.test", "127.0.0.1"]);
    assert!(!own.is_ca && found.chain[1].is_ca);
    assert!(own.days_left > 1.4 && own.days_left < 1.51 && found.days_left == own.days_left, "{}", own.days_left);
    let said = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(authority.file("good.pem"))
        .output()
        .expect("openssl");
    let said = String::from_utf8(said.stdout).expect("text").replace(':', "").to_lowercase();
    assert!(said.contains(&own.sha256), "{said} and {}", own.sha256);

    let by_address = trusting.tls(&all, &query("127.0.0.1", good.0)).await.expect("shaken");
    assert!(by_address.trusted);
    let untrusted = strict.tls(&all, &query("service.test", good.0)).await.expect("shaken");
    assert_eq!((untrusted.trusted, untrusted.reason, untrusted.chain.len()), (false, Some("unknown_issuer"), 2));
    let other = TlsQuery { server_name: Some("other.test".into()), ..query("service.test", good.0) };
    let other = trusting.tls(&all, &other).await.expect("shaken");
    assert_eq!((other.trusted, other.reason), (false, Some("wrong_name")));
    let old = trusting.tls(&all, &query("service.test", expired.0)).await.expect("shaken");
    assert_eq!((old.trusted, old.reason), (false, Some("expired")));
    assert!(old.days_left < -300.0 && old.chain[0].not_after.to_string().starts_with("2021-01-01T00:00:00"));
    let young = trusting.tls(&all, &query("service.test", early.0)).await.expect("shaken");
    assert_eq!((young.trusted, young.reason), (false, Some("not_yet_valid")));
}

#[tokio::test]
async fn what_speaks_no_tls_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail ready\r\n").await;
        let _held = listener.accept().await;
        std::future::pending::<()>().await;
    });
    let (probe, all) = (probe(None), permit(&["127.0.0.1"]));
    assert_eq!(probe.tls(&all, &query("127.0.0.1", port)).await.expect_err("no TLS").code(), "probe.tls");
    let silent = TlsQuery { timeout: Duration::from_millis(50), ..query("127.0.0.1", port) };
    let fault = Fault::from(probe.tls(&all, &silent).await.expect_err("silent"));
    assert_eq!((&*fault.code, fault.retryable), ("probe.timeout", true));
}

#[tokio::test]
async fn a_port_is_reached_or_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (probe, all) = (probe(None), permit(&["service.test", "127.0.0.1", "unknown.test"]));
    let found = probe.tcp(&all, "service.test", port, QUICK).await.expect("probed");
    assert_eq!((found.reachable, found.address), (true, Some(format!("127.0.0.1:{port}"))));
    assert!(found.latency_ms.is_some_and(|ms| ms < 10_000.0));
    drop(listener);
    let found = probe.tcp(&all, "127.0.0.1", port, QUICK).await.expect("probed");
    assert_eq!((found.reachable, found.reason), (false, Some("refused")));
    let found = probe.tcp(&all, "unknown.test", 1, QUICK).await.expect("probed");
    assert_eq!((found.reachable, found.reason), (false, Some("unresolved")));
}

#[tokio::test]
async fn probes_go_only_where_requests_may_go() {
    let probe = probe(None);
    let all = permit(&["*", "10.66.0.0/16", "db.example.com:5432"]);
    let cases = [
        ("127.0.0.1", "probe.denied_address"),
        ("2130706433", "probe.denied_address"),
        ("0x7f.1", "probe.denied_address"),
        ("[::1]", "probe.denied_address"),
        ("::ffff:127.0.0.1", "probe.denied_address"),
        ("169.254.169.254", "probe.denied_address"),
        ("public.example.com", "probe.denied_address"),
        ("10.66.1.1", "probe.denied_address"),
        ("a/b", "probe.bad_host"),
        ("user@127.0.0.1", "probe.bad_host"),
        ("host:80", "probe.bad_host"),
        ("", "probe.bad_host"),
    ];
    for (host, code) in cases {
        let refused = probe.tcp(&all, host, 80, QUICK).await.expect_err(host);
        assert_eq!(refused.code(), code, "{host}");
        assert!(Fault::from(refused).hint.is_some_and(|hint| !hint.is_empty()), "{host}");
        let pinged = PingQuery { host: host.into(), count: 1, timeout: QUICK };
        assert_eq!(probe.ping(&all, &pinged).await.expect_err(host).code(), code, "{host}");
        assert_eq!(probe.tls(&all, &query(host, 80)).await.expect_err(host).code(), code, "{host}");
    }
    let narrow = permit(&["db.example.com:5432"]);
    let denied = Fault::from(probe.tcp(&narrow, "db.example.com", 22, QUICK).await.expect_err("another port"));
    assert_eq!(&*denied.code, "permission.denied");
    let line = r#"permissions = { http = { "db.example.com:5432", "db.example.com" } }"#;
    assert!(denied.to_string().contains(line), "{denied}");
    let none = Grants { http: vec!["*".into()], ..Grants::default() };
    assert_eq!(permit::probe(&none).expect_err("no host").needed, r#"host = "read""#);
}

/// Answers for `zone.test`, and that nothing else exists.
async fn name_server() -> (SocketAddr, JoinSet<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut packet = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            let Ok(asked) = Message::from_vec(&packet[..length]) else { continue };
            let Some(question) = asked.queries.first().cloned() else { continue };
            let mut answer = Message::response(asked.metadata.id, OpCode::Query);
            answer.add_query(question.clone());
            let name = question.name().clone();
            if name.to_string() == "silent.test." {
                continue;
            }
            let known = name.to_string().ends_with("zone.test.") || name.to_string().ends_with("arpa.");
            match data(question.query_type()).filter(|_| known) {
                Some(data) => drop(answer.add_answer(Record::from_rdata(name, 300, data))),
                None if known => {}
                None => answer.metadata.response_code = ResponseCode::NXDomain,
            }
            let _ = socket.send_to(&answer.to_vec().expect("a message"), from).await;
        }
    });
    (address, tasks)
}

fn data(kind: RecordType) -> Option<RData> {
    let name = |text: &str| text.parse::<Name>().expect("a name");
    Some(match kind {
        RecordType::A => RData::A(A::new(192, 0, 2, 7)),
        RecordType::CNAME => RData::CNAME(CNAME(name("www.zone.test."))),
        RecordType::MX => RData::MX(MX::new(10, name("mail.zone.test."))),
        RecordType::TXT => RData::TXT(TXT::new(vec!["v=spf1 ".into(), "-all".into()])),
        RecordType::NS => RData::NS(NS(name("ns.zone.test."))),
        RecordType::SRV => RData::SRV(SRV::new(1, 2, 389, name("ldap.zone.test."))),
        RecordType::PTR => RData::PTR(PTR(name("host.zone.test."))),
        RecordType::SOA => RData::SOA(SOA::new(name("ns.zone.test."), name("admin.zone.test."), 2026, 1, 2, 3, 4)),
        RecordType::CAA => RData::CAA(CAA::new_issue(false, Some(name("ca.test")), vec![])),
        _ => return None,
    })
}

#[tokio::test]
async fn names_are_asked_for_by_type() {
    let (server, _tasks) = name_server().await;
    let (probe, all) = (probe(None), permit(&["*.test", "zone.test", "127.0.0.1", "192.0.2.7"]));
    let ask = |name: &str, kind: &str| DnsQuery {
        name: name.into(),
        kind: kind.into(),
        server: Some(server.to_string()),
        timeout: QUICK,
    };
    let cases = [
        ("A", "192.0.2.7"),
        ("CNAME", "www.zone.test"),
        ("MX", "mail.zone.test"),
        ("TXT", "v=spf1 -all"),
        ("NS", "ns.zone.test"),
        ("SRV", "ldap.zone.test"),
        ("SOA", "ns.zone.test"),
        ("CAA", "ca.test"),
    ];
    for (kind, value) in cases {
        let answer = probe.dns(&all, &ask("zone.test", kind)).await.expect(kind);
        assert!(answer.exists && answer.records.len() == 1, "{kind}: {answer:?}");
        let record = &answer.records[0];
        assert_eq!(
            (record.r#type.as_str(), record.value.trim_end_matches('.'), record.ttl),
            (kind, value, 300),
            "{kind}"
        );
        assert_eq!(
            record.priority,
            match kind {
                "MX" => Some(10),
                "SRV" => Some(1),
                _ => None,
            }
        );
    }
    let reverse = probe.dns(&all, &ask("192.0.2.7", "PTR")).await.expect("answered");
    assert_eq!(
        (reverse.records[0].name.as_str(), reverse.records[0].value.as_str()),
        ("7.2.0.192.in-addr.arpa", "host.zone.test")
    );
    let none = probe.dns(&all, &ask("zone.test", "AAAA")).await.expect("answered");
    assert!(none.exists && none.records.is_empty(), "{none:?}");
    let nothing = probe.dns(&all, &ask("nothing.test", "A")).await.expect("answered");
    assert!(!nothing.exists && nothing.records.is_empty(), "{nothing:?}");
    let silent = DnsQuery { timeout: Duration::from_millis(200), ..ask("silent.test", "A") };
    assert_eq!(probe.dns(&all, &silent).await.expect_err("silent").code(), "probe.timeout");

    assert_eq!(probe.dns(&all, &ask("example.com", "A")).await.expect_err("not named").code(), "permission.denied");
    let elsewhere = DnsQuery { server: Some("10.66.0.1".into()), ..ask("zone.test", "A") };
    assert_eq!(probe.dns(&all, &elsewhere).await.expect_err("not named").code(), "permission.denied");
    let named = DnsQuery { server: Some("ns.zone.test".into()), ..ask("zone.test", "A") };
    assert_eq!(probe.dns(&all, &named).await.expect_err("no address").code(), "probe.bad_server");
}

/// Where the system lets nobody send echoes, the error says how to permit it; elsewhere loopback answers.
#[tokio::test]
async fn a_ping_comes_back_or_says_how_it_could() {
    let (probe, all) = (probe(None), permit(&["127.0.0.1:80"]));
    let outcome = probe.ping(&all, &PingQuery { host: "127.0.0.1".into(), count: 2, timeout: QUICK }).await;
    match outcome {
        Ok(ping) => {
            assert_eq!((ping.reachable, ping.sent, ping.received, ping.loss_percent), (true, 2, 2, 0.0));
            assert!(ping.min_ms <= ping.average_ms && ping.average_ms <= ping.max_ms);
        }
        Err(error) => {
            let fault = Fault::from(error);
            assert_eq!(&*fault.code, "probe.ping_not_permitted");
            assert!(fault.hint.is_some_and(|hint| hint.contains("net.ipv4.ping_group_range")));
        }
    }
}
