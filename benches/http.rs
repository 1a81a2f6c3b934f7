//! Requests a second on loopback with 1 and 100 in flight, as `aegis.http` makes them (permit, address policy, bounds,
//! the host's turn), against curl and wrk in the same run, to the same server.
//!
//! `cargo bench --bench http`. What is not installed is said.

#![allow(clippy::print_stdout, clippy::expect_used)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aegis::base::Clock;
use aegis::model::Grants;
use aegis::primitives::http::{Http, Method, Options, Request};
use aegis::primitives::permit;
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

const ROUNDS: usize = 3;
const SECONDS: u64 = 3;
/// For curl, which counts requests and not seconds.
const ONE_BY_ONE: usize = 10_000;

fn main() {
    let address = serve();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for in_flight in [1, 100] {
        let mut own = 0.0_f64;
        let mut peers = vec![("wrk", None::<f64>), ("curl", None)];
        // In turns, so that what else the machine does strikes all of them.
        for _ in 0..ROUNDS {
            own = own.max(runtime.block_on(requests(address, in_flight)));
            let found = [wrk(address, in_flight), (in_flight == 1).then(|| curl(address)).flatten()];
            for ((_, best), rate) in peers.iter_mut().zip(found) {
                *best = rate.map(|rate| best.unwrap_or(0.0).max(rate)).or(*best);
            }
        }
        println!("{in_flight:>3} in flight  aegis {own:>8.0} requests/s");
        for (name, rate) in peers {
            match rate {
                Some(rate) => {
                    println!("               {name:<5} {rate:>8.0} requests/s   aegis has {:.2} of it", own / rate)
                }
                None if name == "curl" && in_flight > 1 => {}
                None => println!("               {name:<5} is not installed"),
            }
        }
    }
}

/// A server of one thread of its own, which answers 13 bytes.
fn serve() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener that does not block");
    let address = listener.local_addr().expect("an address");
    let work = async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let mut open = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            open.spawn(async move {
                let service = service_fn(async |_: hyper::Request<hyper::body::Incoming>| {
                    Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::from_static(b"Hello, world!"))))
                });
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(work)
    });
    address
}

async fn requests(address: SocketAddr, in_flight: usize) -> f64 {
    let http = Http::new(&Options::default(), Clock::system()).expect("a client");
    let permit = permit::http(&Grants { http: vec!["127.0.0.1".into()], ..Grants::default() });
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let (http, permit) = (http.clone(), permit.clone());
        let request = Request::new(Method::GET, format!("http://{address}/"));
        tasks.spawn(async move {
            let mut count = 0_usize;
            while began.elapsed() < Duration::from_secs(SECONDS) {
                let response = http.request(&permit, &request).await.expect("a response");
                assert_eq!((response.status, response.body.len()), (200, 13));
                count += 1;
            }
            count
        });
    }
    let count: usize = tasks.join_all().await.into_iter().sum();
    count as f64 / began.elapsed().as_secs_f64()
}

fn wrk(address: SocketAddr, in_flight: usize) -> Option<f64> {
    let (connections, seconds) = (format!("-c{in_flight}"), format!("-d{SECONDS}s"));
    let output =
        Command::new("wrk").args(["-t1", &connections, &seconds, &format!("http://{address}/")]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"))?.trim().parse().ok()
}

/// One process over one connection.
fn curl(address: SocketAddr) -> Option<f64> {
    let began = Instant::now();
    let url = format!("http://{address}/[1-{ONE_BY_ONE}]");
    let status = Command::new("curl").args(["-s", &url]).stdout(Stdio::null()).status().ok()?;
    status.success().then(|| ONE_BY_ONE as f64 / began.elapsed().as_secs_f64())
}
