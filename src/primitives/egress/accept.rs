//! Connections of one execution, as many at once as it may have.

use std::future::Future;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::peers::Peers;
use crate::base::{Clock, limits};

/// Serves connections until it is dropped, and them with it. One too many waits until another has ended; one that does
/// not come from the execution is closed.
pub async fn accept<F>(
    listener: TcpListener,
    peers: Peers,
    most: usize,
    clock: Clock,
    serve: impl Fn(TcpStream) -> F + Send,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    while let Ok(slot) = slots.clone().acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) if peers.has(peer.ip()) => {
                let _ = stream.set_nodelay(true);
                let connection = serve(stream);
                connections.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            Ok((_, peer)) => tracing::debug!(%peer, "a stranger at an execution's way out"),
            Err(failure) => {
                tracing::debug!(%failure, "a connection of an execution was not accepted");
                clock.sleep(limits::EGRESS_ACCEPT_PAUSE).await;
            }
        }
    }
}
