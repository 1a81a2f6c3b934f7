//! Attempts to reach this machine with grants that open the public internet only, through the whole client, against a
//! server that listens and counts.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;

use super::testing::{Server, answer};
use super::{Http, Method, Options, Request};
use crate::base::{Clock, Fault};
use crate::model::Grants;
use crate::primitives::net::resolve::Lookup;
use crate::primitives::permit::{self, HttpPermit};

/// Says that every name is this machine, in the notations that a hostile zone has for it.
#[derive(Debug)]
struct HostileZone;

impl Lookup for HostileZone {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let address = match name.split('.').next() {
            Some("mapped") => "::ffff:127.0.0.1",
            Some("six") => "::1",
            Some("zero") => "0.0.0.0",
            Some("unspecified") => "::",
            Some("nat64") => "64:ff9b::7f00:1",
            Some("metadata") => "169.254.169.254",
            _ => "127.0.0.1",
        };
        Box::pin(async move { Ok(vec![address.parse().expect("an address")]) })
    }
}

/// An address that the grant names at first, another afterwards: what a check before the connection would not see.
#[derive(Debug, Default)]
struct Rebinding(AtomicUsize);

impl Lookup for Rebinding {
    fn lookup(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let first = self.0.fetch_add(1, Ordering::Relaxed) == 0;
        let address: IpAddr = [127, 0, 0, if first { 2 } else { 1 }].into();
        Box::pin(async move { Ok(vec![address]) })
    }
}

fn wide_open() -> HttpPermit {
    let http = ["*", "*.*", "*.example.com", "api.example.com"].map(str::to_owned).to_vec();
    permit::http(&Grants { http, ..Grants::default() })
}

const EVASIONS: [&str; 72] = [
    "http://127.0.0.1:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://127.255.255.254:PORT/",
    "http://0x7f.1:PORT/",
    "http://0x7f.0.0.1:PORT/",
    "http://0x7f000001:PORT/",
    "http://0X7F.0x0.0x0.0x1:PORT/",
    "http://2130706433:PORT/",
    "http://017700000001:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0177.0x0.0.1:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://127.1.:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://127%2e0%2e0%2e1:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://127。0。0。1:PORT/",
    "http://１２７.0.0.1:PORT/",
    "http://0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://0x0:PORT/",
    "http://00000000000:PORT/",
    "http://[::]:PORT/",
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[0000:0000::0001]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
    "http://[::ffff:0.0.0.0]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[::ffff:0:127.0.0.1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[64:ff9b:1::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://api.example.com@127.0.0.1:PORT/",
    "http://api.example.com:80@127.0.0.1:PORT/",
    "http://api.example.com%40@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT\\@api.example.com/",
    "http:\\\\127.0.0.1:PORT\\",
    "http:127.0.0.1:PORT/",
    "http:///127.0.0.1:PORT/",
    "ht\ntp://127.0.0.1:PORT/",
    "  http://127.0.0.1:PORT/",
    "http://localhost:PORT/",
    "http://LOCALHOST.:PORT/",
    "http://app.localhost:PORT/",
    "http://loopback.example.com:PORT/",
    "http://api.example.com:PORT/",
    "http://mapped.example.com:PORT/",
    "http://six.example.com:PORT/",
    "http://zero.example.com:PORT/",
    "http://unspecified.example.com:PORT/",
    "http://nat64.example.com:PORT/",
    "http://metadata.example.com/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/",
    "https://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT#@api.example.com/",
    "http://127.0.0.1:PORT?@api.example.com/",
    "http://127.0.0.1:PORT/@api.example.com/",
    "http://user:api.example.com@127.1:PORT/",
    "http://0x7F.0X1:PORT/",
    "http://127.0.0x1:PORT/",
    "http://[0::ffff:7f00:0001]:PORT/",
    "http://[::1%25lo]:PORT/",
    "http://[fe80::1]:PORT/",
    "http://[fd00::7f00:1]:PORT/",
    "http://10.0.0.1:PORT/",
    "http://192.168.0x1:PORT/",
    "http://100.64.0.1:PORT/",
    "http://2852039166/latest/meta-data/",
];

fn assert_refused(result: Result<super::Response, super::HttpError>, url: &str) {
    let fault: Fault = result.map(|response| response.status).expect_err(url).into();
    let codes = ["http.denied_address", "permission.denied", "http.bad_url", "http.redirects"];
    assert!(codes.contains(&fault.code.as_ref()), "{url}: {}: {fault}", fault.code);
}

#[tokio::test]
async fn no_notation_of_this_machine_passes() {
    let server = Server::start(|_, _| answer(200, &[], "inside")).await;
    let http = Http::with_lookup(&Options::default(), Clock::system(), Arc::new(HostileZone)).expect("a client");
    for pattern in EVASIONS {
        let url = pattern.replace("PORT", &server.port().to_string());
        assert_refused(http.request(&wide_open(), &Request::new(Method::GET, &*url)).await, &url);
    }
    assert_eq!(server.connections(), 0);
    // The same server is there for who may reach it: the refusals above were not for want of a server.
    let named = permit::http(&Grants { http: vec!["127.0.0.1".into()], ..Grants::default() });
    let inside = http.request(&named, &Request::new(Method::GET, server.url("/"))).await.expect("a response");
    assert_eq!(&inside.body[..], b"inside");
}

/// Each of them again as where a redirect leads, from a server that the grant names.
#[tokio::test]
async fn no_redirect_leads_there_either() {
    let inside = Server::start(|_, _| answer(200, &[], "inside")).await;
    let port = inside.port().to_string();
    let targets: Vec<String> = EVASIONS.iter().map(|one| one.trim().replace('\n', "").replace("PORT", &port)).collect();
    let locations = targets.clone();
    let door = Server::start(move |_, asked| {
        let index: usize = asked.path.trim_start_matches('/').parse().unwrap_or_default();
        let location = hyper::header::HeaderValue::from_bytes(locations[index].as_bytes()).expect("a header value");
        let mut redirect = answer(302, &[], "");
        redirect.headers_mut().insert("location", location);
        redirect
    })
    .await;
    let granted = ["*", "*.*", "api.example.com"].map(str::to_owned).into_iter().chain([door.address.to_string()]);
    let permit = permit::http(&Grants { http: granted.collect(), ..Grants::default() });
    let http = Http::with_lookup(&Options::default(), Clock::system(), Arc::new(HostileZone)).expect("a client");
    for (index, target) in targets.iter().enumerate() {
        // Without a scheme of its own, a location is relative to the server that gave it.
        if target.starts_with("http:127") {
            continue;
        }
        let request = Request::new(Method::GET, door.url(&format!("/{index}")));
        assert_refused(http.request(&permit, &request).await, target);
    }
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_asked_once_a_connection_and_checked_each_time() {
    let server = Server::start(|_, _| answer(200, &[], "inside")).await;
    let zone = Arc::new(Rebinding::default());
    let http = Http::with_lookup(&Options::default(), Clock::system(), zone.clone()).expect("a client");
    let url = format!("http://rebind.example.com:{}/", server.port());
    let named = ["*.example.com", "127.0.0.2"].map(str::to_owned).to_vec();
    let permit = permit::http(&Grants { http: named, ..Grants::default() });
    let request = Request::new(Method::GET, &*url);
    // At the first address nobody listens on this port.
    let fault: Fault = http.request(&permit, &request).await.expect_err("no listener").into();
    assert_eq!((fault.code.as_ref(), zone.0.load(Ordering::Relaxed)), ("http.connect", 1), "one connection asks once");
    assert_refused(http.request(&permit, &request).await, &url);
    assert_eq!((zone.0.load(Ordering::Relaxed), server.connections()), (2, 0));
}
