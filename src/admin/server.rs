//! Accepts peers, serves the API to them, and keeps their consoles.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};
use tracing::{debug, info, warn};

use super::bind::{self, BindError, Bound};
use super::console::{self, Consoles};
use super::{CONSOLE_PATH, CONSOLE_UPGRADE, Options, peer};
use crate::base::{Clock, Fault, limits};
use crate::model::{Identity, TriggerKind};

/// After a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bound socket, not yet served.
#[derive(Debug)]
pub struct Server {
    bound: Bound,
}

/// A connection that becomes a console.
struct Opening {
    upgrade: hyper::upgrade::OnUpgrade,
    identity: Identity,
    permit: OwnedSemaphorePermit,
}

/// What a connection needs to answer.
#[derive(Clone)]
struct Desk<S> {
    api: S,
    openings: mpsc::Sender<Opening>,
    sessions: Arc<Semaphore>,
}

impl Server {
    /// Takes the path, so that a failure shows at start.
    pub async fn bind(options: &Options) -> Result<Self, BindError> {
        let bound = bind::bind(&options.socket).await?;
        info!(socket = %options.socket.display(), "the admin socket is open");
        Ok(Self { bound })
    }

    /// Serves `api` with each request's [`Identity`] in its extensions, and consoles, until `stop`; then gives open
    /// requests `ADMIN_DRAIN` to end.
    pub async fn run<S, B>(
        self,
        api: S,
        consoles: Arc<dyn Consoles>,
        clock: Clock,
        stop: CancellationToken,
    ) -> Result<(), Infallible>
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (openings, mut opened) = mpsc::channel(limits::ADMIN_SESSIONS_MAX);
        let desk = Desk { api, openings, sessions: Arc::new(Semaphore::new(limits::ADMIN_SESSIONS_MAX)) };
        let mut tasks = JoinSet::new();
        loop {
            let has_room = tasks.len() < limits::ADMIN_CONNECTIONS_MAX + limits::ADMIN_SESSIONS_MAX;
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.bound.listener.accept(), if has_room => match accepted {
                    Ok((stream, _)) => match peer::identify(&stream) {
                        Ok(identity) => drop(tasks.spawn(serve(stream, identity, desk.clone(), stop.clone()))),
                        Err(refused) => warn!(%refused, "a peer of the admin socket was refused"),
                    },
                    Err(error) => {
                        warn!(%error, "cannot accept on the admin socket");
                        clock.sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(opening) = opened.recv() => {
                    drop(tasks.spawn(open(opening, consoles.clone(), clock.clone(), stop.clone())));
                }
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended {
                        warn!(%error, "a connection of the admin socket was lost");
                    }
                }
            }
        }
        drop(self.bound);
        let drained = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limits::ADMIN_DRAIN, drained).await.is_err() {
            debug!(left = tasks.len(), "connections of the admin socket were cut");
            tasks.shutdown().await;
        }
        Ok(())
    }
}

/// One connection, request after request.
async fn serve<S, B>(stream: UnixStream, identity: Identity, desk: Desk<S>, stop: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let service = hyper::service::service_fn(move |request| answer(request, identity.clone(), desk.clone()));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::ADMIN_HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection of the admin socket broke");
    }
}

async fn answer<S, B>(
    mut request: Request<Incoming>,
    identity: Identity,
    desk: Desk<S>,
) -> Result<Response<Either<Full<Bytes>, B>>, Infallible>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Send,
{
    if request.uri().path() == CONSOLE_PATH {
        return Ok(upgrade(request, identity, &desk).map(Either::Left));
    }
    request.extensions_mut().insert(identity);
    desk.api.oneshot(request).await.map(|response| response.map(Either::Right))
}

/// 101 when the request asks for a console rightly and there is room for one.
fn upgrade<S>(mut request: Request<Incoming>, identity: Identity, desk: &Desk<S>) -> Response<Full<Bytes>> {
    let asks = request.headers().get(UPGRADE).is_some_and(|protocol| protocol == CONSOLE_UPGRADE);
    if request.method() != Method::GET || !asks {
        let fault = Fault::new("console.upgrade", format!("{CONSOLE_PATH} speaks {CONSOLE_UPGRADE} alone"))
            .hint(format!("send GET with Connection: upgrade and Upgrade: {CONSOLE_UPGRADE}"));
        return refuse(StatusCode::UPGRADE_REQUIRED, &fault);
    }
    let full = || {
        let limit = limits::ADMIN_SESSIONS_MAX;
        Fault::new("console.too_many", format!("{limit} consoles are open already"))
            .hint("close one of them")
            .retryable()
    };
    let Ok(permit) = desk.sessions.clone().try_acquire_owned() else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, &full());
    };
    let identity = Identity { via: TriggerKind::Repl, ..identity };
    let opening = Opening { upgrade: hyper::upgrade::on(&mut request), identity, permit };
    if desk.openings.try_send(opening).is_err() {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, &full());
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static(CONSOLE_UPGRADE));
    response
}

fn refuse(status: StatusCode, fault: &Fault) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "error": fault });
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn open(opening: Opening, consoles: Arc<dyn Consoles>, clock: Clock, stop: CancellationToken) {
    let Opening { upgrade, identity, permit } = opening;
    match upgrade.await {
        Ok(io) => console::session(TokioIo::new(io), identity, consoles, clock, stop).await,
        Err(error) => debug!(%error, "a console was asked for and not taken up"),
    }
    drop(permit);
}
