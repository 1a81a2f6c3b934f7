//! Connections of one execution, as many at once as it may have, and of all together.

use std::future::Future;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::peers::Peers;
use crate::base::{Clock, limits};

/// How many connections there may be at once.
#[derive(Debug, Clone)]
pub struct Places {
    /// Of this kind, for one execution.
    pub own: usize,
    /// Of all kinds, for all executions.
    pub all: Arc<Semaphore>,
}

/// How many connections all executions may have, of a process that may have `files` open.
pub fn all_connections(files: Option<u64>) -> usize {
    let share = files.map_or(u64::MAX, |files| files / limits::EGRESS_CONNECTION_FILES_SHARE);
    usize::try_from(share).unwrap_or(usize::MAX).clamp(1, limits::EGRESS_CONNECTIONS_ALL_MAX)
}

/// Serves connections until it is dropped, and them with it. One too many of the execution's own waits until another has
/// ended; one too many of all is refused; one that does not come from the execution is closed.
pub async fn accept<F>(
    listener: TcpListener,
    peers: Peers,
    places: Places,
    clock: Clock,
    serve: impl Fn(TcpStream) -> F + Send,
    refuse: impl Fn(TcpStream) + Send,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(places.own));
    let mut connections = JoinSet::new();
    while let Ok(slot) = slots.clone().acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) if peers.has(peer.ip()) => {
                let Ok(place) = places.all.clone().try_acquire_owned() else {
                    refuse(stream);
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let connection = serve(stream);
                connections.spawn(async move {
                    connection.await;
                    drop((slot, place));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_take_a_share_of_the_files_that_may_be_open() {
        for (files, expected) in [
            (Some(1_024), 128),
            (Some(16_384), 2_048),
            (Some(1 << 20), limits::EGRESS_CONNECTIONS_ALL_MAX),
            (None, limits::EGRESS_CONNECTIONS_ALL_MAX),
            (Some(3), 1),
        ] {
            assert_eq!(all_connections(files), expected, "{files:?}");
        }
    }
}
