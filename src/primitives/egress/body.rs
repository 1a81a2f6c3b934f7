//! Bodies that pass through: counted, and carried by the connection that they come from.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Fuse};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Frame, Incoming, SizeHint};

use super::ledger::{Flow, Way};
use super::pulse::Pulse;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;
pub type Body = UnsyncBoxBody<Bytes, Failure>;

/// A body whose bytes are counted.
pub struct Metered {
    pub body: Incoming,
    pub flow: Arc<Flow>,
    pub way: Way,
    pub pulse: Pulse,
}

impl hyper::body::Body for Metered {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.pulse.beat();
        Poll::Ready(frame.map(|frame| {
            let frame = frame?;
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            if self.flow.moved(self.way, bytes) { Ok(frame) } else { Err("the execution has used up its bytes".into()) }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer, with the connection that brings it: dropped, that is closed.
pub struct Driven {
    pub driver: Fuse<BoxFuture<'static, ()>>,
    pub body: Metered,
}

impl hyper::body::Body for Driven {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        // When it has ended, what it brought is still in the body.
        let _ = self.driver.poll_unpin(context);
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
