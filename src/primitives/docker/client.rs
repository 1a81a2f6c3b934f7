//! The wire: one connection a request, shared by bollard and by our own reads.
//!
//! Calls that change something go through bollard. Lists, inspections, logs and events are read as plain JSON or bytes
//! over the same transport instead, because bollard's typed answers fail as a whole on one value that is newer than
//! they are, drop what they do not know, and buffer a terminal's output up to its next line end.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bollard::errors::Error as BollardError;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::base::limits;

/// bollard's own timeout, which covers headers only. Ours, one a call, are shorter and cover everything.
pub(super) const HEADERS_TIMEOUT: Duration = Duration::from_secs(8 * 86_400);

/// Where the engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Unix(PathBuf),
    Tcp(String),
}

impl Address {
    /// `unix:///var/run/docker.sock`, a path alone, `tcp://host:2375` or `http://host:2375`.
    pub(super) fn parse(host: &str) -> Result<Self, String> {
        if let Some(path) = host.strip_prefix("unix://").or_else(|| host.starts_with('/').then_some(host)) {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(unusable(host)) };
        }
        let plain =
            host.strip_prefix("tcp://").or_else(|| host.strip_prefix("http://")).ok_or_else(|| unusable(host))?;
        match plain.trim_end_matches('/') {
            "" => Err(unusable(host)),
            name if name.parse::<Uri>().is_ok_and(|uri| uri.port().is_some()) => Ok(Self::Tcp(name.into())),
            name => Ok(Self::Tcp(format!("{name}:2375"))),
        }
    }
}

fn unusable(host: &str) -> String {
    format!("docker.host {host:?} is not usable: write unix:///var/run/docker.sock or tcp://host:2375")
}

/// Marks an I/O error as one of connecting, so that it is told apart from one in the middle of an answer.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct Unreached(pub(super) io::Error);

#[derive(Debug)]
pub(super) enum WireError {
    Connect(io::Error),
    Talk(hyper::Error),
}

/// Sends one request on a connection of its own.
pub(super) async fn send<B>(address: &Address, mut request: Request<B>) -> Result<Response<Incoming>, WireError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // The engine is addressed by path alone; the host part of the URI only names the socket.
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    *request.uri_mut() = path.parse().unwrap_or_default();
    request.headers_mut().insert(hyper::header::HOST, hyper::header::HeaderValue::from_static("docker"));
    match address {
        Address::Unix(path) => exchange(UnixStream::connect(path).await.map_err(WireError::Connect)?, request).await,
        Address::Tcp(name) => exchange(TcpStream::connect(name).await.map_err(WireError::Connect)?, request).await,
    }
}

async fn exchange<S, B>(stream: S, request: Request<B>) -> Result<Response<Incoming>, WireError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(WireError::Talk)?;
    // The driver ends with the response's body, or at once when that is dropped: it needs no owner.
    #[allow(clippy::disallowed_methods)]
    tokio::spawn(connection.with_upgrades());
    sender.send_request(request).await.map_err(WireError::Talk)
}

/// A bollard client on this wire. Connects to nothing yet.
pub(super) fn bollard(address: Address) -> Result<bollard::Docker, BollardError> {
    let transport = move |request: bollard::BollardRequest| {
        let address = address.clone();
        async move {
            send(&address, request).await.map_err(|error| match error {
                WireError::Connect(err) => BollardError::IOError { err: io::Error::new(err.kind(), Unreached(err)) },
                WireError::Talk(err) => BollardError::HyperResponseError { err },
            })
        }
    };
    bollard::Docker::connect_with_custom_transport(
        transport,
        Some("http://docker"),
        HEADERS_TIMEOUT.as_secs(),
        bollard::API_DEFAULT_VERSION,
    )
}

/// A GET whose answer is wanted as it comes.
pub(super) async fn get(
    address: &Address,
    path: &str,
    query: &[(&str, String)],
) -> Result<Response<Incoming>, GetError> {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let uri = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let request = Request::builder()
        .method(Method::GET)
        .uri(uri)
        .body(Full::<Bytes>::default())
        .map_err(|error| GetError::Unreadable(error.to_string()))?;
    answered(send(address, request).await.map_err(GetError::Wire)?).await
}

/// A POST whose answer is read as it comes.
pub(super) async fn post<B>(
    address: &Address,
    path: &str,
    query: &[(&str, String)],
    headers: &[(&str, String)],
    body: B,
) -> Result<Incoming, GetError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let mut request = Request::builder().method(Method::POST).uri(format!("{path}?{query}"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(body).map_err(|error| GetError::Unreadable(error.to_string()))?;
    let response = send(address, request).await.map_err(GetError::Wire)?;
    answered(response).await.map(Response::into_body)
}

/// An answer that says that it was done, or what the engine says instead.
async fn answered(response: Response<Incoming>) -> Result<Response<Incoming>, GetError> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let body = collect(response).await?;
    let message = serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|body| body.get("message").and_then(|text| text.as_str()).map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
    Err(GetError::Answered { status, message })
}

/// The whole body, bounded.
pub(super) async fn collect(response: Response<Incoming>) -> Result<Bytes, GetError> {
    let limited = Limited::new(response.into_body(), limits::DOCKER_ANSWER_BYTES_MAX);
    match limited.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => Err(GetError::Wire(WireError::Talk(*error))),
            Err(_) => Err(GetError::Unreadable(format!("it is over {} bytes", limits::DOCKER_ANSWER_BYTES_MAX))),
        },
    }
}

#[derive(Debug)]
pub(super) enum GetError {
    Wire(WireError),
    Answered { status: u16, message: String },
    Unreadable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_parse() {
        let unix = |path: &str| Ok(Address::Unix(path.into()));
        assert_eq!(Address::parse("unix:///var/run/docker.sock"), unix("/var/run/docker.sock"));
        assert_eq!(Address::parse("/run/d.sock"), unix("/run/d.sock"));
        assert_eq!(Address::parse("tcp://10.0.0.5:2375"), Ok(Address::Tcp("10.0.0.5:2375".into())));
        assert_eq!(Address::parse("http://build/"), Ok(Address::Tcp("build:2375".into())));
        for bad in ["", "unix://x", "tcp://", "ssh://host", "docker.sock"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
