//! The connections of one source.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::address::Address;
use super::class::Class;
use super::connection::Connection;
use super::error::{Phase, Place, Problem};
use super::reply::Reply;
use super::source::Source;
use crate::base::clock::{later, since};
use crate::base::{Clock, ExposeSecret, Timestamp, limits};
use crate::primitives::notify::{Secrets, Setting};

/// What the pools of all sources have in common.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    pub secrets: Arc<dyn Secrets>,
    pub tls: Arc<rustls::ClientConfig>,
    pub clock: Clock,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    place: Place,
    source: Source,
    /// 2 or 3.
    protocol: u8,
    options: PoolOptions,
    slots: Arc<Semaphore>,
    /// The one that was used last at the end.
    idle: Mutex<Vec<(Connection, Timestamp)>>,
}

/// A connection for the time of one call.
#[derive(Debug)]
pub struct Lease {
    pool: Pool,
    /// Taken out for each exchange: what is dropped in the middle of one does not come back.
    connection: Option<Connection>,
    deadline: Timestamp,
    after: Duration,
    _slot: OwnedSemaphorePermit,
}

impl Pool {
    pub fn new(place: Place, source: Source, protocol: u8, options: PoolOptions) -> Self {
        let slots = Arc::new(Semaphore::new(source.max_connections));
        Self(Arc::new(Shared { place, source, protocol, options, slots, idle: Mutex::default() }))
    }

    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// `timeout` is of everything: the wait for a turn, the connection, all that is asked.
    pub async fn lease(&self, timeout: Duration) -> Result<Lease, Problem> {
        let clock = &self.0.options.clock;
        let deadline = later(clock.now(), timeout);
        let late = |phase| Problem::Timeout { phase, after: timeout };
        let slot = tokio::select! {
            slot = self.0.slots.clone().acquire_owned() => {
                slot.map_err(|_| Problem::Protocol("it is shut down".into()))?
            }
            () = clock.sleep_until(deadline) => return Err(late(Phase::Queue)),
        };
        let connection = match self.idle() {
            Some(connection) => connection,
            None => {
                let patience = limits::REDIS_CONNECT_TIMEOUT.min(since(deadline, clock.now()));
                tokio::select! {
                    opened = self.open() => opened?,
                    () = clock.sleep(patience) => {
                        return Err(Problem::Timeout { phase: Phase::Connect, after: patience });
                    }
                }
            }
        };
        Ok(Lease { pool: self.clone(), connection: Some(connection), deadline, after: timeout, _slot: slot })
    }

    /// The connection that was used last, if it is still there. Those that were not used for long are closed.
    fn idle(&self) -> Option<Connection> {
        let now = self.0.options.clock.now();
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, used)| since(now, *used) < limits::REDIS_IDLE_CONNECTION_MAX);
        while let Some((connection, _)) = idle.pop() {
            if connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    async fn open(&self) -> Result<Connection, Problem> {
        let Shared { source, options, protocol, .. } = &*self.0;
        let Some(url) = source.url.value(&*options.secrets) else {
            let name = match &source.url {
                Setting::Secret(name) => name.clone(),
                Setting::Plain(_) => String::new(),
            };
            return Err(Problem::NoSecret(name));
        };
        let address = Address::parse(url.expose_secret()).map_err(Problem::BadUrl)?;
        Connection::open(&address, &options.tls, *protocol).await
    }

    /// Whether the server answers.
    pub async fn ping(&self) -> Result<(), Problem> {
        let mut lease = self.lease(limits::HEALTH_PROBE_TIMEOUT).await?;
        lease.ask(&redis::cmd("PING")).await.map(drop)
    }
}

impl Lease {
    pub async fn ask(&mut self, command: &redis::Cmd) -> Result<Reply, Problem> {
        let values = self.exchange(&command.get_packed_command(), 1, limits::REDIS_REPLY_BYTES_MAX).await?;
        Reply::read(values.into_iter().next().unwrap_or_default())
    }

    /// See [`Connection::exchange`].
    pub async fn exchange(&mut self, packed: &[u8], count: usize, bytes_max: usize) -> Result<Vec<Value>, Problem> {
        let mut connection = self.take()?;
        let values = tokio::select! {
            values = connection.exchange(packed, count, bytes_max) => values?,
            () = self.pool.0.options.clock.sleep_until(self.deadline) => return Err(self.late()),
        };
        self.connection = Some(connection);
        Ok(values)
    }

    /// See [`Connection::class`].
    pub async fn class(&mut self, name: &str) -> Result<Option<Class>, Problem> {
        let mut connection = self.take()?;
        let class = tokio::select! {
            class = connection.class(name) => class?.cloned(),
            () = self.pool.0.options.clock.sleep_until(self.deadline) => return Err(self.late()),
        };
        self.connection = Some(connection);
        Ok(class)
    }

    fn take(&mut self) -> Result<Connection, Problem> {
        self.connection.take().ok_or_else(|| Problem::Lost { problem: "an earlier exchange failed".into() })
    }

    fn late(&self) -> Problem {
        Problem::Timeout { phase: Phase::Answer, after: self.after }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let now = self.pool.0.options.clock.now();
            self.pool.0.idle.lock().unwrap_or_else(PoisonError::into_inner).push((connection, now));
        }
    }
}
