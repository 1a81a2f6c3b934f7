//! One client's connection: a reader that takes calls in, threads that execute them, a writer that sends answers. What
//! has to wait for nothing is executed by the reader itself, which is several times faster than the way to another
//! thread and back.
//!
//! Everything that a client can make pile up is bounded: calls by a semaphore, the bytes of calls and answers by
//! another. Both are given back when the answer has been sent, so that a client that reads nothing stops being read.

use std::fmt::Display;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::counters::add;
use super::replay::{Admission, Replays, Ticket};
use super::service::{Operation, Service};
use super::wire::record::{self, RecordError};
use super::wire::rpc::{self, Call, Incoming, Reply};
use super::wire::xdr::Malformed;
use crate::base::limits;

/// How long a client may take for what.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// From the connection to the end of its first call.
    pub handshake: Duration,
    /// Between calls.
    pub idle: Duration,
    /// From the first to the last byte of a call.
    pub record: Duration,
    /// Without taking anything of what is sent to it.
    pub send: Duration,
}

/// What the gateway gives each of its connections.
#[derive(Clone)]
pub struct Shared {
    pub service: Arc<Service>,
    pub replays: Arc<Replays>,
    /// A thread for each.
    pub running: Arc<Semaphore>,
    pub waits: Waits,
    pub stop: CancellationToken,
}

/// Why a connection ended before its client closed it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("what came is no call: {0}")]
    Malformed(#[from] Malformed),
    #[error("the client was silent for too long")]
    Silent,
    #[error("the client takes no answers")]
    Deaf,
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// An answer on its way out and what it holds until it is there.
struct Outgoing {
    reply: Arc<Reply>,
    _held: Held,
}

/// A call's share of the connection's bounds.
struct Held {
    _call: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

struct Connection {
    shared: Shared,
    peer: IpAddr,
    calls: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    answers: mpsc::Sender<Outgoing>,
    tasks: JoinSet<()>,
}

/// Serves a client until it closes, misbehaves, or the gateway stops; then what is in execution is still answered.
pub async fn serve(stream: TcpStream, peer: IpAddr, shared: Shared) -> Result<(), ConnectionError> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let (answers, outgoing) = mpsc::channel(limits::NFS_CALLS_IN_FLIGHT_MAX);
    let mut writer = JoinSet::new();
    writer.spawn(send_all(write, outgoing, shared.waits.send));
    let mut connection = Connection {
        shared,
        peer,
        calls: Arc::new(Semaphore::new(limits::NFS_CALLS_IN_FLIGHT_MAX)),
        bytes: Arc::new(Semaphore::new(limits::NFS_CONNECTION_BYTES_MAX / BYTES_UNIT)),
        answers,
        tasks: JoinSet::new(),
    };
    let outcome = tokio::select! {
        read = connection.read_all(read) => read,
        // The writer ends first only when it cannot go on.
        written = writer.join_next() => Err(written.and_then(|ended| ended.ok()?.err()).unwrap_or(ConnectionError::Deaf)),
    };
    while let Some(ended) = connection.tasks.join_next().await {
        connection.note(&ended);
    }
    drop(connection);
    while writer.join_next().await.is_some() {}
    outcome
}

/// Semaphores count in 32 bits at most, and nothing here is smaller.
const BYTES_UNIT: usize = 1024;

impl Connection {
    async fn read_all(&mut self, read: OwnedReadHalf) -> Result<(), ConnectionError> {
        let mut stream = BufReader::with_capacity(limits::NFS_RECORD_EARLY_BYTES, read);
        let mut wait = self.shared.waits.handshake;
        loop {
            let header = tokio::select! {
                () = self.shared.stop.cancelled() => return Ok(()),
                header = timeout(wait, record::read_header(&mut stream)) => header,
            };
            let Some(header) = header.map_err(|_| ConnectionError::Silent)?? else { return Ok(()) };
            let body = timeout(self.shared.waits.record.min(wait), record::read_body(&mut stream, header));
            let record = body.await.map_err(|_| ConnectionError::Silent)??;
            self.take(record).await.inspect_err(|_| add(&self.shared.service.counters.malformed, 1))?;
            wait = self.shared.waits.idle;
            while let Some(ended) = self.tasks.try_join_next() {
                self.note(&ended);
            }
        }
    }

    /// A call that panicked gets no answer; its client will ask again, and others are not concerned.
    fn note(&self, ended: &Result<(), JoinError>) {
        if let Err(failure) = ended
            && failure.is_panic()
        {
            self.note_panic(failure);
        }
    }

    fn note_panic(&self, failure: &dyn Display) {
        add(&self.shared.service.counters.panics, 1);
        error!(peer = %self.peer, %failure, "an NFS call panicked");
    }

    /// Takes a call in: answers it, has it executed, or waits for the answer that is on its way already.
    async fn take(&mut self, record: Bytes) -> Result<(), ConnectionError> {
        let call = match rpc::parse(&record)? {
            Incoming::Call(call) => call,
            Incoming::Refused(reply) => return self.send(reply, &record).await,
        };
        let operation = match Operation::of(&call) {
            Ok(operation) => operation,
            Err(reply) => return self.send(reply, &record).await,
        };
        let held = self.hold(record.len() + operation.answer_bytes_max(&call.arguments)).await?;
        let ticket = if operation.changes() {
            match self.shared.replays.admit(self.peer, &call) {
                Admission::New(ticket) => Some(ticket),
                Admission::Again(mut answered) => {
                    add(&self.shared.service.counters.replays, 1);
                    let answers = self.answers.clone();
                    self.tasks.spawn(async move {
                        let reply = answered.wait_for(Option::is_some).await.ok().and_then(|reply| reply.clone());
                        if let Some(reply) = reply {
                            let _ = answers.try_send(Outgoing { reply, _held: held });
                        }
                    });
                    return Ok(());
                }
            }
        } else {
            None
        };
        self.execute(operation, call, ticket, held).await
    }

    async fn execute(
        &mut self,
        operation: Operation,
        call: Call,
        ticket: Option<Ticket>,
        held: Held,
    ) -> Result<(), ConnectionError> {
        let (ticket, held) = match self.at_once(operation, &call, ticket, held) {
            Some(unanswered) => unanswered,
            None => return Ok(()),
        };
        let running = self.shared.running.clone().acquire_owned().await.map_err(|_| ConnectionError::Deaf)?;
        let (service, answers, peer) = (self.shared.service.clone(), self.answers.clone(), self.peer);
        self.tasks.spawn_blocking(move || {
            let reply = service.answer(peer, operation, &call);
            drop(running);
            if let Some(ticket) = ticket {
                ticket.answer(&reply);
            }
            // There is room for the answer of every call that was let in.
            let _ = answers.try_send(Outgoing { reply: Arc::new(reply), _held: held });
        });
        Ok(())
    }

    /// Executes a call on this thread if it has nothing to wait for; gives back what an answer needs otherwise.
    fn at_once(
        &self,
        operation: Operation,
        call: &Call,
        ticket: Option<Ticket>,
        held: Held,
    ) -> Option<(Option<Ticket>, Held)> {
        if !operation.is_quick(self.tasks.is_empty()) {
            return Some((ticket, held));
        }
        let service = &self.shared.service;
        let reply = catch_unwind(AssertUnwindSafe(|| service.answer_at_once(self.peer, operation, call)));
        match reply {
            Ok(Some(reply)) => {
                if let Some(ticket) = ticket {
                    ticket.answer(&reply);
                }
                let _ = self.answers.try_send(Outgoing { reply: Arc::new(reply), _held: held });
                None
            }
            Ok(None) => Some((ticket, held)),
            Err(_) => {
                self.note_panic(&"a call that was executed at once");
                None
            }
        }
    }

    async fn send(&self, reply: Reply, record: &Bytes) -> Result<(), ConnectionError> {
        let held = self.hold(record.len() + reply.bytes()).await?;
        let _ = self.answers.try_send(Outgoing { reply: Arc::new(reply), _held: held });
        Ok(())
    }

    /// Waits until the connection has room for one more call with so many bytes.
    async fn hold(&self, bytes: usize) -> Result<Held, ConnectionError> {
        let units = bytes.div_ceil(BYTES_UNIT).min(limits::NFS_CONNECTION_BYTES_MAX / BYTES_UNIT);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let call = self.calls.clone().acquire_owned().await.map_err(|_| ConnectionError::Deaf)?;
        let bytes = self.bytes.clone().acquire_many_owned(units).await.map_err(|_| ConnectionError::Deaf)?;
        Ok(Held { _call: call, _bytes: bytes })
    }
}

/// Sends answers as they come, and together what is there together.
async fn send_all(
    write: OwnedWriteHalf,
    mut outgoing: mpsc::Receiver<Outgoing>,
    wait: Duration,
) -> Result<(), ConnectionError> {
    let mut stream = BufWriter::with_capacity(limits::NFS_RECORD_EARLY_BYTES, write);
    while let Some(answer) = outgoing.recv().await {
        send(&mut stream, &answer.reply, wait).await?;
        if outgoing.is_empty() {
            timeout(wait, stream.flush()).await.map_err(|_| ConnectionError::Deaf)??;
        }
    }
    let _ = timeout(wait, stream.shutdown()).await;
    Ok(())
}

async fn send(stream: &mut BufWriter<OwnedWriteHalf>, reply: &Reply, wait: Duration) -> Result<(), ConnectionError> {
    timeout(wait, record::write(stream, reply)).await.map_err(|_| ConnectionError::Deaf)??;
    Ok(())
}
