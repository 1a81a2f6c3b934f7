//! The far side of a connection: whatever moves on it is counted, heads and what else carries the content included.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::ledger::{Flow, Way};
use super::pulse::Pulse;
use crate::base::limits;

/// A connection to where an execution may go. It moves nothing more once the execution has used up its bytes.
pub struct Metered {
    stream: TcpStream,
    flow: Flow,
    pulse: Pulse,
}

impl Metered {
    pub fn new(stream: TcpStream, flow: Flow, pulse: Pulse) -> Self {
        Self { stream, flow, pulse }
    }

    /// How many of `wanted` bytes may move now.
    fn room(&self, wanted: usize) -> io::Result<usize> {
        match self.flow.room() {
            0 => Err(io::Error::other("the execution has used up its bytes")),
            room => Ok(wanted.min(usize::try_from(room).unwrap_or(usize::MAX)).min(limits::EGRESS_COPY_BYTES)),
        }
    }

    fn moved(&self, way: Way, bytes: usize) {
        self.pulse.beat();
        self.flow.moved(way, bytes);
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = self.room(buffer.remaining())?;
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut part))?;
        let read = part.filled().len();
        buffer.advance(read);
        self.moved(Way::In, read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let room = self.room(bytes.len())?;
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[..room]))?;
        self.moved(Way::Out, written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
