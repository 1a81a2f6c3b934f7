use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
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
        assert_eq!(prober().ask(&Probe::Http(probe.clone()), TIMEOUT).await.map(drop), expected, "{probe:?}");
    }
}

#[tokio::test]
async fn what_does_not_answer_in_time_is_down() {
    let (address, _server) = serve(None).await;
    let asked = prober().ask(&Probe::Http(http(&address)), Duration::from_millis(100)).await;
    let problem = asked.expect_err("it says nothing");
    assert!(problem.contains("100ms"), "{problem}");
}

#[tokio::test]
async fn a_port_is_open_or_not() {
    let (address, server) = serve(None).await;
    let probe = Probe::Tcp(TcpProbe { address: address.clone() });
    assert!(prober().ask(&probe, TIMEOUT).await.is_ok());
    drop(server);
    tokio::task::yield_now().await;
    let problem = prober().ask(&probe, TIMEOUT).await.expect_err("nobody listens any more");
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
    assert!(prober().ask(&probe("localhost", Some("127.0.0.1")), TIMEOUT).await.is_ok());
    let wrong = prober().ask(&probe("localhost", Some("10.1.2.3")), TIMEOUT).await.expect_err("another address");
    assert!(wrong.ends_with("and not 10.1.2.3"), "{wrong}");
    assert!(prober().ask(&probe("nowhere.invalid", None), TIMEOUT).await.is_err());
}

#[tokio::test]
async fn a_container_that_cannot_be_asked_for_is_down_with_the_reason() {
    let probe = Probe::Container(ContainerProbe { name: "web".into() });
    let problem = prober().ask(&probe, TIMEOUT).await.expect_err("no engine is there");
    assert!(problem.contains("/nonexistent/docker.sock"), "{problem}");
}
