use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::primitives::http::authority::Authority;
use crate::primitives::probe::tests::serve as serve_tls;
use crate::primitives::sql::testing as databases;
use crate::primitives::{Options, Primitives};

fn prober() -> Prober {
    let docker_host = "unix:///nonexistent/docker.sock".to_owned();
    let primitives = Primitives::new(Options { docker_host, ..Options::default() }).expect("plain options");
    primitives.prober
}

const TIMEOUT: Duration = Duration::from_secs(5);

/// A server that answers every connection with `answer`, or with nothing.
async fn serve(answer: Option<&'static str>) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            if let Some(answer) = answer {
                let _ = stream.write_all(answer.as_bytes()).await;
            } else {
                open.push(stream);
            }
        }
    });
    (address, server)
}

fn http(address: &str) -> HttpProbe {
    HttpProbe { url: format!("http://user:pw@{address}/health?key=1"), status: Vec::new(), contains: None }
}

#[tokio::test]
async fn an_http_answer_is_judged_by_status_and_text() {
    let (address, _server) =
        serve(Some("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 8\r\nconnection: close\r\n\r\ndegraded")).await;
    let plain = http(&address);
    assert_eq!(plain.target(), format!("http://{address}/health"));
    let cases = [
        (plain.clone(), Err("it answered 503".to_owned())),
        (HttpProbe { status: vec![200, 503], ..plain.clone() }, Ok(())),
        (HttpProbe { status: vec![503], contains: Some("grad".into()), ..plain.clone() }, Ok(())),
        (
            HttpProbe { status: vec![503], contains: Some("fine".into()), ..plain },
            Err("it answered 503, without \"fine\" in it".to_owned()),
        ),
    ];
    for (probe, expected) in cases {
        assert_eq!(prober().ask(&Probe::Http(probe.clone()), TIMEOUT).await.outcome.map(drop), expected, "{probe:?}");
    }
}

#[tokio::test]
async fn what_does_not_answer_in_time_is_down() {
    let (address, _server) = serve(None).await;
    let asked = prober().ask(&Probe::Http(http(&address)), Duration::from_millis(100)).await.outcome;
    let problem = asked.expect_err("it says nothing");
    assert!(problem.contains("100ms"), "{problem}");
}

#[tokio::test]
async fn a_port_is_open_or_not() {
    let (address, server) = serve(None).await;
    let probe = Probe::Tcp(TcpProbe { address: address.clone() });
    assert!(prober().ask(&probe, TIMEOUT).await.outcome.is_ok());
    drop(server);
    tokio::task::yield_now().await;
    let problem = prober().ask(&probe, TIMEOUT).await.outcome.expect_err("nobody listens any more");
    assert!(problem.starts_with("no connection to 127.0.0.1 port"), "{problem}");
    for wrong in ["web", "web:", ":80", "web:0", "web:99999"] {
        assert_eq!(TcpProbe { address: wrong.into() }.parts(), None, "{wrong}");
    }
    assert_eq!(TcpProbe { address: "[::1]:80".into() }.parts(), Some(("::1", 80)));
}

#[tokio::test]
async fn a_name_has_the_address_that_it_should_have() {
    let probe = |name: &str, address: Option<&str>| {
        Probe::Dns(DnsProbe { name: name.into(), address: address.map(|text| text.parse().expect("an address")) })
    };
    assert!(prober().ask(&probe("localhost", Some("127.0.0.1")), TIMEOUT).await.outcome.is_ok());
    let wrong =
        prober().ask(&probe("localhost", Some("10.1.2.3")), TIMEOUT).await.outcome.expect_err("another address");
    assert!(wrong.ends_with("and not 10.1.2.3"), "{wrong}");
    assert!(prober().ask(&probe("nowhere.invalid", None), TIMEOUT).await.outcome.is_err());
}

#[tokio::test]
async fn a_container_that_cannot_be_asked_for_is_down_with_the_reason() {
    let probe = Probe::Container(ContainerProbe { name: "web".into() });
    let problem = prober().ask(&probe, TIMEOUT).await.outcome.expect_err("no engine is there");
    assert!(problem.contains("/nonexistent/docker.sock"), "{problem}");
}

#[tokio::test]
async fn a_certificate_is_trusted_and_valid_for_long_enough() {
    let authority = Authority::new();
    let soon = (Clock::system().now() + jiff::SignedDuration::from_hours(36)).strftime("%Y%m%d%H%M%SZ").to_string();
    let (port, _server) = serve_tls(authority.sign("good", "20200101000000Z", &soon)).await;
    let (expired, _other) = serve_tls(authority.sign("old", "20200101000000Z", "20210101000000Z")).await;
    let trusting = Primitives::new(Options { ca_file: Some(authority.file("ca.pem")), ..Options::default() })
        .expect("services")
        .prober;
    let probe = |port: u16, days| {
        let server_name = Some("service.test".to_owned());
        Probe::Tls(TlsProbe { address: format!("127.0.0.1:{port}"), server_name, days })
    };
    assert_eq!(trusting.ask(&probe(port, 1), TIMEOUT).await.outcome.map(drop), Ok(()));
    let short = trusting.ask(&probe(port, 14), TIMEOUT).await.outcome.expect_err("it expires the day after tomorrow");
    assert!(short.starts_with("its certificate expires in 1.") && short.ends_with("and 14 are wanted"), "{short}");
    let old = trusting.ask(&probe(expired, 1), TIMEOUT).await.outcome.expect_err("it has expired");
    assert!(old.starts_with("its certificate is not trusted") && old.contains("xpired"), "{old}");
    let strange = prober().ask(&probe(port, 1), TIMEOUT).await.outcome.expect_err("nobody knows that authority");
    assert!(strange.starts_with("its certificate is not trusted"), "{strange}");
    let (plain, _server) = serve(Some("no TLS here")).await;
    let probe = Probe::Tls(TlsProbe { address: plain, server_name: None, days: 1 });
    assert!(trusting.ask(&probe, TIMEOUT).await.outcome.is_err());
    let bare = TlsProbe { address: "www.example.com".into(), server_name: None, days: 1 };
    assert_eq!(bare.parts(), Some(("www.example.com", 443)));
}

#[tokio::test]
async fn a_database_answers_a_query_that_reads() {
    let (url, _) = databases::postgres().await;
    let prober =
        Primitives::new(Options { sql: databases::main_source(&url), ..Options::default() }).expect("services").prober;
    let ask = async |source: &str, query: &str| {
        let probe = Probe::Sql(SqlProbe { source: source.into(), query: query.into() });
        prober.ask(&probe, TIMEOUT).await.outcome.map(drop)
    };
    for good in ["SELECT 1", "SELECT true", "SELECT 'up'", "SELECT count(*) < 5 FROM pg_database WHERE false"] {
        assert_eq!(ask("main", good).await, Ok(()), "{good}");
    }
    let bad = [
        ("SELECT 1 WHERE false", "the query gives no row"),
        ("SELECT NULL", "the query gives null"),
        ("SELECT 1 > 2", "the query gives false"),
        ("SELECT 0", "the query gives 0"),
        ("CREATE TABLE x (y int)", "read-only"),
        ("SELECT * FROM nothing_here", "nothing_here"),
    ];
    for (query, problem) in bad {
        let found = ask("main", query).await.expect_err(query);
        assert!(found.contains(problem) || found.contains("may only be read"), "{query}: {found}");
    }
    assert!(ask("other", "SELECT 1").await.expect_err("no such source").contains("\"other\""));
}

#[tokio::test]
async fn a_redis_answers_a_ping_or_not() {
    let server = crate::primitives::redis::testing::Server::start().await;
    let sources = [("cache".to_owned(), server.source())].into();
    let prober = Primitives::new(Options { redis: sources, ..Options::default() }).expect("services").prober;
    let probe = Probe::Redis(RedisProbe { source: "cache".into() });
    assert_eq!((probe.kind(), probe.target().as_str()), ("redis", "cache"));
    assert_eq!(prober.ask(&probe, TIMEOUT).await.outcome.map(drop), Ok(()));
    drop(server);
    let problem = prober.ask(&probe, TIMEOUT).await.outcome.expect_err("it is gone");
    assert!(problem.contains("cache"), "{problem}");
}
