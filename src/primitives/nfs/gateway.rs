//! The gateway: listens, lets clients in, and stops without breaking off what it is doing.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::audit::Audit;
use super::backend::Backend;
use super::connection::{self, Shared, Waits};
use super::counters::{Counters, Statistics, add};
use super::error::Error;
use super::export::{Export, ExportOptions, Exports};
use super::mount::Mounts;
use super::replay::Replays;
use super::service::Service;
use super::v3::handle::HandleKey;
use crate::base::limits;

/// How the gateway is run.
#[derive(Clone)]
pub struct Options {
    /// Port 0 takes a free one: see [`Gateway::address`].
    pub listen: SocketAddr,
    /// Where the key of file handles is kept. Whoever reads it can forge handles; without it every mount is stale.
    pub key_path: PathBuf,
    pub connections_max: usize,
    pub waits: Waits,
    /// How long calls in execution may take once the gateway is told to stop.
    pub drain: Duration,
    pub audit: Option<Arc<dyn Audit>>,
}

impl Options {
    pub fn new(listen: SocketAddr, key_path: PathBuf) -> Self {
        Self {
            listen,
            key_path,
            connections_max: limits::NFS_CONNECTIONS_MAX,
            waits: Waits {
                handshake: limits::NFS_HANDSHAKE_WAIT,
                idle: limits::NFS_IDLE_MAX,
                record: limits::NFS_RECORD_WAIT,
                send: limits::NFS_SEND_WAIT,
            },
            drain: limits::NFS_DRAIN_WAIT,
            audit: None,
        }
    }
}

/// A gateway that listens and is not yet running.
pub struct Gateway {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
    service: Arc<Service>,
}

/// Changes what a gateway exports while it runs, and reads its counters.
#[derive(Clone)]
pub struct Handle {
    service: Arc<Service>,
    address: SocketAddr,
}

impl Gateway {
    pub async fn bind(options: Options) -> Result<Self, Error> {
        let key = HandleKey::load_or_create(&options.key_path)
            .map_err(|source| Error::Key { path: options.key_path.clone(), source })?;
        let failed = |source: io::Error| Error::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let service = Arc::new(Service {
            exports: Exports::default(),
            key,
            mounts: Mounts::default(),
            counters: Counters::default(),
            audit: options.audit.clone(),
        });
        Ok(Self { listener, address, options, service })
    }

    pub fn handle(&self) -> Handle {
        Handle { service: self.service.clone(), address: self.address }
    }

    /// Lets clients in until `stop`; then no call is taken any more, those in execution are answered, and connections
    /// are closed.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let shared = Shared {
            service: self.service.clone(),
            replays: Arc::new(Replays::default()),
            running: Arc::new(Semaphore::new(limits::NFS_CALLS_RUNNING_MAX)),
            waits: self.options.waits,
            stop: stop.clone(),
        };
        info!(address = %self.address, "NFS gateway is listening");
        let places = Arc::new(Semaphore::new(self.options.connections_max));
        let mut connections = JoinSet::new();
        let cut = CancellationToken::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            while let Some(ended) = connections.try_join_next() {
                if let Err(failure) = ended {
                    warn!(%failure, "an NFS connection ended badly");
                }
            }
            match accepted {
                Ok((stream, peer)) => match places.clone().try_acquire_owned() {
                    Ok(place) => {
                        let shared = shared.clone();
                        let cut = cut.clone();
                        connections.spawn_blocking(move || {
                            if let Err(failure) = serve_alone(stream, peer, shared, &cut) {
                                debug!(%peer, %failure, "NFS connection was not served");
                            }
                            drop(place);
                        });
                    }
                    Err(_) => {
                        add(&self.service.counters.connections_refused, 1);
                        warn!(%peer, max = self.options.connections_max, "NFS connection refused: there are too many");
                    }
                },
                Err(failure) => {
                    // A client that is gone again, or no descriptors: neither is a reason to stop.
                    debug!(%failure, "NFS connection not accepted");
                    sleep(limits::NFS_ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        let drained = timeout(self.options.drain, async { while connections.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            warn!(connections = connections.len(), "NFS connections did not end in time and were dropped");
        }
        cut.cancel();
        let ended =
            timeout(limits::SHUTDOWN_PART_WAIT / 2, async { while connections.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            warn!(
                connections = connections.len(),
                "NFS connections wait for a disk that does not answer; they are left"
            );
            connections.detach_all();
        }
        Ok(())
    }
}

/// A connection that is there.
struct Counted(Arc<Service>);

impl Counted {
    fn new(service: Arc<Service>) -> Self {
        add(&service.counters.connections_now, 1);
        Self(service)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.counters.connections_now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection on this thread, with threads of its own for calls that wait: nothing that it does holds up
/// another connection, or the rest of the daemon.
fn serve_alone(stream: TcpStream, peer: SocketAddr, shared: Shared, cut: &CancellationToken) -> io::Result<()> {
    let stream = stream.into_std()?;
    let _counted = Counted::new(shared.service.clone());
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(limits::NFS_CALLS_IN_FLIGHT_MAX)
        .thread_keep_alive(limits::NFS_THREAD_IDLE_MAX)
        .thread_name("aegis-nfs")
        .build()?;
    let served = runtime.block_on(async {
        let stream = TcpStream::from_std(stream)?;
        tokio::select! {
            () = serve(stream, peer, shared) => {}
            () = cut.cancelled() => {}
        }
        Ok(())
    });
    // Whoever is still in execution after a cut is left to the disk that it waits for.
    runtime.shutdown_background();
    served
}

async fn serve(stream: TcpStream, peer: SocketAddr, shared: Shared) {
    match connection::serve(stream, peer.ip().to_canonical(), shared).await {
        Ok(()) => debug!(%peer, "NFS connection ended"),
        Err(failure) => debug!(%peer, %failure, "NFS connection was ended"),
    }
}

impl Handle {
    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Exports a volume from now on.
    pub fn add_export(&self, options: ExportOptions, backend: Arc<dyn Backend>) -> Result<(), Error> {
        self.service.exports.add(Export::new(options, backend)?)
    }

    /// Ends an export; its path is `/<tenant>/<volume>`. Clients that still have it mounted get `STALE`.
    pub fn remove_export(&self, path: &str) -> Result<(), Error> {
        self.service.exports.remove(path)
    }

    /// The paths that are exported now, sorted.
    pub fn exports(&self) -> Vec<String> {
        self.service.exports.all().iter().map(|export| export.path.clone()).collect()
    }

    pub(super) fn export(&self, path: &str) -> Option<Arc<Export>> {
        self.service.exports.by_path(path.as_bytes())
    }

    pub fn statistics(&self) -> Statistics {
        self.service.counters.read()
    }
}
