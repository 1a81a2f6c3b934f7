//! Handshakes that succeed, with an authority of our own: trusted by `ca_file`, by both sides, over HTTP/2.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::authority::Authority;
use super::testing::{Server, answer};
use super::{HostOptions, Http, Method, Options, Request};
use crate::base::{Clock, Fault};
use crate::model::Grants;
use crate::primitives::permit::{self, HttpPermit};

const LONG: (&str, &str) = ("20200101000000Z", "20990101000000Z");

fn loopback() -> HttpPermit {
    permit::http(&Grants { http: vec!["127.0.0.1".into()], ..Grants::default() })
}

/// Speaks TLS and answers everything with `location`, or with 200. `asks` for a certificate of that authority.
struct Secure {
    port: u16,
    _tasks: JoinSet<()>,
}

impl Secure {
    async fn start(authority: &Authority, protocols: &[&[u8]], asks: bool, location: Option<String>) -> Self {
        let (chain, key) = authority.sign("server", LONG.0, LONG.1);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let mut config = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(chain.last().expect("the authority").clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        }
        .with_single_cert(chain, key)
        .expect("a certificate");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let is_second = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let location = location.clone();
                let service = service_fn(move |_| {
                    let response = match &location {
                        Some(location) => hyper::Response::builder().status(302).header("location", location),
                        None => hyper::Response::builder(),
                    };
                    async move { response.body(Full::new(Bytes::from("secure"))) }
                });
                let io = TokioIo::new(stream);
                open.spawn(async move {
                    if is_second {
                        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        builder.serve_connection(io, service).await.ok();
                    } else {
                        hyper::server::conn::http1::Builder::new().serve_connection(io, service).await.ok();
                    }
                });
            }
        });
        Self { port, _tasks: tasks }
    }

    fn request(&self) -> Request {
        Request::new(Method::GET, format!("https://127.0.0.1:{}/", self.port))
    }
}

fn trusting(authority: &Authority, hosts: BTreeMap<String, HostOptions>) -> Http {
    let options = Options { ca_file: Some(authority.file("ca.pem")), hosts, ..Options::default() };
    Http::new(&options, Clock::system()).expect("a client")
}

async fn code(http: &Http, request: &Request) -> String {
    let failed = http.request(&loopback(), request).await.map(|response| response.status);
    Fault::from(failed.expect_err("no handshake")).code.into_owned()
}

#[tokio::test]
async fn an_authority_is_trusted_when_the_operator_says_so() {
    let authority = Authority::new();
    let server = Secure::start(&authority, &[b"h2", b"http/1.1"], false, None).await;
    let stranger = Http::new(&Options::default(), Clock::system()).expect("a client");
    assert_eq!(code(&stranger, &server.request()).await, "http.tls");
    let other = trusting(&Authority::new(), BTreeMap::new());
    assert_eq!(code(&other, &server.request()).await, "http.tls");
    let http = trusting(&authority, BTreeMap::new());
    let response = http.request(&loopback(), &server.request()).await.expect("a response");
    assert_eq!((response.status, &response.body[..], response.protocol()), (200, &b"secure"[..], "2"));
    let first = Secure::start(&authority, &[b"http/1.1"], false, None).await;
    let response = http.request(&loopback(), &first.request()).await.expect("a response");
    assert_eq!((response.status, response.protocol()), (200, "1.1"));
}

#[tokio::test]
async fn a_name_that_the_certificate_has_not_is_refused() {
    let authority = Authority::new();
    let server = Secure::start(&authority, &[], false, None).await;
    let http = trusting(&authority, BTreeMap::new());
    let permit = permit::http(&Grants { http: vec!["localhost".into()], ..Grants::default() });
    let request = Request::new(Method::GET, format!("https://localhost:{}/", server.port));
    let failed = http.request(&permit, &request).await.map(|response| response.status);
    assert_eq!(Fault::from(failed.expect_err("another name")).code, "http.tls");
}

#[tokio::test]
async fn who_we_are_is_shown_to_the_host_that_it_is_for() {
    let authority = Authority::new();
    let server = Secure::start(&authority, &[], true, None).await;
    authority.sign("client", LONG.0, LONG.1);
    let own = HostOptions {
        certificate: Some(authority.file("client.pem")),
        key: Some(authority.file("client.key")),
        ..HostOptions::default()
    };
    let named = trusting(&authority, BTreeMap::from([("127.0.0.1".to_owned(), own.clone())]));
    let response = named.request(&loopback(), &server.request()).await.expect("a response");
    assert_eq!((response.status, &response.body[..]), (200, &b"secure"[..]));
    let elsewhere = trusting(&authority, BTreeMap::from([("api.example.com".to_owned(), own)]));
    for nobody in [trusting(&authority, BTreeMap::new()), elsewhere] {
        let code = code(&nobody, &server.request()).await;
        assert!(code == "http.tls" || code == "http.protocol", "{code}");
    }
}

#[tokio::test]
async fn what_was_asked_in_secret_is_not_continued_in_the_open() {
    let authority = Authority::new();
    let open = Server::start(|_, _| answer(200, &[], "")).await;
    let server = Secure::start(&authority, &[], false, Some(open.url("/"))).await;
    let http = trusting(&authority, BTreeMap::new());
    let failed = http.request(&loopback(), &server.request()).await.map(|response| response.status);
    let fault = Fault::from(failed.expect_err("a way down"));
    assert_eq!((fault.code.as_ref(), open.connections()), ("http.redirects", 0), "{fault}");
    assert!(fault.message.contains("could be read on the way"), "{fault}");
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    authority.sign("client", LONG.0, LONG.1);
    let file = |name: &str| Some(authority.file(name));
    let cases = [
        (file("absent.pem"), file("client.key"), "absent.pem"),
        (file("client.pem"), file("absent.key"), "absent.key"),
        (file("client.key"), file("client.key"), "client.key"),
        (file("client.pem"), file("ca.key"), "client.pem"),
        (file("client.pem"), None, "a certificate needs its key"),
    ];
    for (certificate, key, expected) in cases {
        let own = HostOptions { certificate, key, ..HostOptions::default() };
        let options = Options { hosts: BTreeMap::from([("a.example.com".into(), own)]), ..Options::default() };
        let fault = Fault::from(Http::new(&options, Clock::system()).expect_err("a bad certificate"));
        assert!(fault.code == "http.setup" && fault.message.contains(expected), "{fault}");
    }
}
