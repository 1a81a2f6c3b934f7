//! The listener, and the router with what holds for every request.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::error::ApiError;
use super::guard::Peer;
use super::parts::Web;
use super::patience::Patience;
use super::unread::Watched;
use super::{api, audit, mask, page};
use crate::base::limits;

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the listener on {address} failed: {source}")]
    Listener { address: String, source: std::io::Error },
}

/// Answers on `listener` until `stop`, then gives requests under way `API_DRAIN` to finish. Keeps readiness and metrics
/// up to date meanwhile.
pub async fn serve(listener: TcpListener, web: Web, stop: CancellationToken) -> Result<(), ServeError> {
    tokio::select! {
        outcome = accept(listener, &web, stop) => outcome,
        () = web.health.watch() => Ok(()),
    }
}

async fn accept(listener: TcpListener, web: &Web, stop: CancellationToken) -> Result<(), ServeError> {
    let address = listener.local_addr().map_or_else(|_| web.options.listen.to_string(), |address| address.to_string());
    let router = web.public_router();
    let slots = std::sync::Arc::new(Semaphore::new(limits::API_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(failure) if is_passing(&failure) => {
                    tracing::warn!(%failure, "cannot accept a connection");
                    web.parts.clock.sleep(limits::API_ACCEPT_PAUSE).await;
                    continue;
                }
                Err(source) => return Err(ServeError::Listener { address, source }),
            },
            () = stop.cancelled() => break,
        };
        let connection = connection(stream, Peer(peer), router.clone(), stop.clone());
        connections.spawn(async move {
            connection.await;
            drop(slot);
        });
    }
    drop(listener);
    web.close_streams();
    // A client that stalls in the middle of a request, or does not read its answer, is not waited for.
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits::API_DRAIN, drained).await.is_err() {
        tracing::debug!(left = connections.len(), "connections were cut");
        connections.shutdown().await;
    }
    Ok(())
}

/// A client that went away at once, or a shortage that ends when connections do.
fn is_passing(failure: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, OutOfMemory};
    let shortage = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::NOBUFS];
    matches!(failure.kind(), ConnectionAborted | ConnectionReset | Interrupted | OutOfMemory)
        || shortage.iter().any(|errno| failure.raw_os_error() == Some(errno.raw_os_error()))
}

async fn connection(stream: TcpStream, peer: Peer, router: Router, stop: CancellationToken) {
    // Answers are short and awaited; waiting to fill packets only delays them.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let (parts, body) = request.into_parts();
        let (body, read) = Watched::new(body);
        let mut request = hyper::Request::from_parts(parts, Body::new(body));
        request.extensions_mut().insert(peer);
        let answer = router.clone().oneshot(request);
        async move {
            let mut response = answer.await?;
            read.announce(&mut response);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits::API_HEADER_TIMEOUT)
        .max_buf_size(limits::API_HEADER_BYTES_MAX)
        .max_headers(limits::API_HEADERS_MAX);
    let mut connection = std::pin::pin!(
        builder.serve_connection(TokioIo::new(Patience::new(stream, limits::API_WRITE_TIMEOUT)), service)
    );
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(failure) = outcome {
        tracing::debug!(peer = %peer.0, %failure, "connection ended");
    }
}

/// All routes, for callers whose identity is known already or does not matter.
pub(super) fn router(web: &Web) -> Router {
    let (api, document) = api::router();
    let router = Router::new()
        .merge(api)
        .merge(page::router(document))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(limits::API_BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(web.clone(), page::errors))
        .layer(middleware::from_fn_with_state(web.clone(), mask::answers))
        .layer(middleware::from_fn_with_state(web.clone(), bounded))
        .layer(middleware::from_fn_with_state(web.clone(), audit::record));
    router.with_state(web.clone())
}

async fn no_such_route(request: Request) -> ApiError {
    let message = format!("there is nothing at {}", request.uri().path());
    ApiError::not_found("request.not_found", message).hint("GET /openapi.json lists every address of the API")
}

async fn no_such_method(request: Request) -> ApiError {
    let message = format!("{} does not answer {}", request.uri().path(), request.method());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "request.method", message)
}

/// Ends a request whose answer has not begun in time.
async fn bounded(State(web): State<Web>, request: Request, next: Next) -> Result<Response, Infallible> {
    let began = web.now();
    let answer = tokio::time::timeout(limits::API_REQUEST_TIMEOUT, next.run(request)).await;
    let response = answer.unwrap_or_else(|_| {
        let message = format!("no answer within {} s", limits::API_REQUEST_TIMEOUT.as_secs());
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "request.timeout", message).into_response()
    });
    let took = crate::base::clock::since(web.now(), began);
    web.parts.metrics.request(took, response.status().is_server_error());
    Ok(response)
}
