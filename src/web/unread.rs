//! A request that is answered before all of its body was read. The rest cannot be told from a next request, so that the
//! connection ends with the answer; a client that is not told so may send its next request into the closing connection.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::http::{HeaderValue, Response, header};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

/// A request's body, which remembers whether it was read to its end.
#[derive(Debug)]
pub struct Watched {
    body: Incoming,
    read: Read,
}

/// Whether the body of a request was read to its end.
#[derive(Debug, Clone)]
pub struct Read(Arc<AtomicBool>);

impl Watched {
    pub fn new(body: Incoming) -> (Self, Read) {
        let read = Read(Arc::new(AtomicBool::new(body.is_end_stream())));
        (Self { body, read: read.clone() }, read)
    }
}

impl Read {
    /// Says in the answer that the connection ends with it, if it does.
    pub fn announce<B>(&self, response: &mut Response<B>) {
        if !self.0.load(Ordering::Relaxed) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.read.0.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
