//! The proxy of one execution: tunnels (RFC 9110 section 9.3.6) and requests in plain HTTP (RFC 9112 section 3.2.2).

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri, client, http::uri::Scheme, server};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::body::{Body, Driven};
use super::ledger::{Reason, Wish};
use super::meter::Metered;
use super::outbound::Outbound;
use super::pulse::Pulse;
use super::rules;
use super::tunnel::Tunnel;
use crate::base::limits;
use crate::primitives::net::Target;
use crate::primitives::net::policy::Destination;

/// Of one hop (RFC 9110 section 7.6.1), with those that only proxies are sent.
const HOP_BY_HOP: [HeaderName; 8] = [
    HeaderName::from_static("connection"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-authorization"),
    HeaderName::from_static("proxy-authenticate"),
    HeaderName::from_static("te"),
    HeaderName::from_static("transfer-encoding"),
    HeaderName::from_static("upgrade"),
];
const HTTP_PORT: u16 = 80;

/// What was not done, and for whom.
struct Refusal {
    host: String,
    reason: Reason,
}

/// Serves one connection to its end, or until nothing moves on it for too long.
pub async fn serve(stream: TcpStream, outbound: Outbound) {
    let (clock, pulse) = (outbound.clock.clone(), Pulse::default());
    let begun: Arc<Mutex<Option<Tunnel>>> = Arc::default();
    let service = service_fn(|request| {
        let (outbound, begun, pulse) = (outbound.clone(), begun.clone(), pulse.clone());
        async move { Ok::<_, Infallible>(answer(&outbound, &begun, &pulse, request).await) }
    });
    let mut builder = server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Simple clients end their side when they have asked.
        .half_close(true)
        .header_read_timeout(limits::EGRESS_HEADER_WAIT)
        .max_buf_size(limits::EGRESS_HEADER_BYTES_MAX)
        .max_headers(limits::EGRESS_HEADERS_MAX);
    let work = async {
        let served = builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        if served.is_err_and(|failure| failure.is_parse()) {
            outbound.ledger.refuse(Wish::Http, "", None, Reason::Malformed);
        }
        let tunnel = begun.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tunnel) = tunnel {
            tunnel.run().await;
        }
    };
    tokio::select! {
        () = work => {}
        () = pulse.stops(&clock) => {}
    }
}

/// Tells a connection for which there is no room.
pub fn refuse(stream: &TcpStream, outbound: &Outbound) {
    let reason = Reason::Crowded;
    outbound.ledger.refuse(Wish::Http, "", None, reason);
    let (status, text) = (StatusCode::SERVICE_UNAVAILABLE, format!("aegis: {reason}\n"));
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", text.len());
    // A new connection has room for so little.
    let _ = stream.try_write((head + &text).as_bytes());
}

async fn answer(
    outbound: &Outbound,
    begun: &Mutex<Option<Tunnel>>,
    pulse: &Pulse,
    mut request: Request<Incoming>,
) -> Response<Body> {
    pulse.beat();
    let outcome = match *request.method() {
        Method::CONNECT => connect(outbound, pulse, &mut request).await.map(|tunnel| {
            *begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
            Response::new(said(""))
        }),
        _ => forward(outbound, pulse, request).await,
    };
    outcome.unwrap_or_else(|refusal| refused(&refusal))
}

async fn connect(outbound: &Outbound, pulse: &Pulse, request: &mut Request<Incoming>) -> Result<Tunnel, Refusal> {
    let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let Some(target) = rules::target(&host) else {
        return Err(malformed(outbound, Wish::Connect, shown(request.uri())));
    };
    let dialed = outbound.dial(Wish::Connect, &target).await;
    let (stream, flow) = dialed.map_err(|reason| Refusal { host, reason })?;
    let far = Metered::new(stream, flow, pulse.clone());
    Ok(Tunnel { upgrade: hyper::upgrade::on(request), far, target, ledger: outbound.ledger.clone() })
}

async fn forward(outbound: &Outbound, pulse: &Pulse, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    let authority = request.uri().authority().filter(|_| request.uri().scheme() == Some(&Scheme::HTTP));
    let Some(authority) = authority.map(ToString::to_string) else {
        return Err(malformed(outbound, Wish::Http, shown(request.uri())));
    };
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let host = if has_port { authority.clone() } else { format!("{authority}:{HTTP_PORT}") };
    let asked = rules::target(&host).and_then(|target| Some((HeaderValue::from_str(&named(&target)).ok()?, target)));
    let Some((named, target)) = asked else {
        return Err(malformed(outbound, Wish::Http, shown(request.uri())));
    };
    let dialed = outbound.dial(Wish::Http, &target).await;
    let (stream, flow) = dialed.map_err(|reason| Refusal { host: host.clone(), reason })?;
    let broke = |failure: hyper::Error| {
        let reason = broken(outbound, &failure);
        outbound.ledger.refuse(Wish::Http, &target.host.to_string(), Some(target.port), reason);
        Refusal { host: host.clone(), reason }
    };
    let mut builder = client::conn::http1::Builder::new();
    builder.max_headers(limits::EGRESS_HEADERS_MAX).max_buf_size(limits::EGRESS_HEADER_BYTES_MAX);
    let far = Metered::new(stream, flow, pulse.clone());
    let (mut sender, connection) = builder.handshake(TokioIo::new(far)).await.map_err(broke)?;
    let mut driver = async move { drop(connection.await) }.boxed().fuse();

    let (mut head, body) = request.into_parts();
    head.uri = head.uri.path_and_query().map_or("/", |path| path.as_str()).parse().unwrap_or_default();
    strip(&mut head.headers);
    // Whatever the container said: what is asked is who was looked at.
    head.headers.insert(HOST, named);
    head.extensions.clear();
    let mut answered = std::pin::pin!(sender.send_request(Request::from_parts(head, body)));
    let response = tokio::select! {
        response = &mut answered => response,
        () = &mut driver => answered.await,
    };
    let (mut head, body) = response.map_err(broke)?.into_parts();
    strip(&mut head.headers);
    Ok(Response::from_parts(head, Driven { driver, body }.boxed_unsync()))
}

/// Why a connection that was made brought no answer.
fn broken(outbound: &Outbound, failure: &hyper::Error) -> Reason {
    match failure {
        _ if outbound.ledger.is_spent() => Reason::Spent,
        _ if failure.is_parse_too_large() => Reason::Head,
        _ if failure.is_parse() => Reason::Answer,
        _ => Reason::Unreachable,
    }
}

/// The host as the other side is told of it (RFC 9110 section 7.2): the one that was looked at, however it was written.
fn named(target: &Target) -> String {
    let host = match &target.host {
        Destination::Address(IpAddr::V6(ip)) => format!("[{ip}]"),
        host => host.to_string(),
    };
    if target.port == HTTP_PORT { host } else { format!("{host}:{}", target.port) }
}

/// Takes out what is meant for this hop alone.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// What may be told of an address: no password before its host, nothing of its path.
fn shown(uri: &Uri) -> String {
    let scheme = uri.scheme_str().map(|scheme| format!("{scheme}://")).unwrap_or_default();
    let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}{}{port}", uri.host().unwrap_or_default())
}

fn malformed(outbound: &Outbound, wish: Wish, host: String) -> Refusal {
    outbound.ledger.refuse(wish, &host, None, Reason::Malformed);
    Refusal { host, reason: Reason::Malformed }
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let Refusal { host, reason } = refusal;
    let host: String = host.chars().take(limits::EGRESS_NAME_SHOWN_BYTES).collect();
    let mut response = Response::new(said(&format!("aegis: {host} is not reached: {reason}\n")));
    *response.status_mut() = match reason {
        Reason::Malformed => StatusCode::BAD_REQUEST,
        Reason::Unresolved | Reason::Unreachable | Reason::Head | Reason::Answer => StatusCode::BAD_GATEWAY,
        _ => StatusCode::FORBIDDEN,
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn said(text: &str) -> Body {
    Full::new(Bytes::copy_from_slice(text.as_bytes())).map_err(|never| match never {}).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_side_is_told_the_host_that_was_looked_at() {
        for (asked, told) in [
            ("API.Example.com.:80", "api.example.com"),
            ("api.example.com:8080", "api.example.com:8080"),
            ("0x7f.1:80", "127.0.0.1"),
            ("[0:0::1]:81", "[::1]:81"),
        ] {
            assert_eq!(named(&rules::target(asked).expect("a target")), told);
        }
    }
}
