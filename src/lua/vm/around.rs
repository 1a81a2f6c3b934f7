//! What surrounds a call: the group of tasks that it belongs to, and its place in a durable run.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio_util::sync::CancellationToken;

use super::host::Host;
use crate::lua::durable::Place;
use crate::lua::interrupt::Rewake;

#[derive(Debug, Clone, Default)]
pub struct Around {
    /// Of the innermost group of tasks (`ctx:all`), the run's own outside of one.
    pub cancel: CancellationToken,
    pub place: Place,
}

/// A thread of Lua that is polled by Rust, with surroundings of its own while it is.
#[derive(Debug)]
pub struct Within<F> {
    future: Pin<Box<F>>,
    host: Rc<Host>,
    around: Around,
    rewake: Option<Rewake>,
}

impl<F: Future> Within<F> {
    pub fn new(host: Rc<Host>, around: Around, future: F) -> Self {
        let rewake = host.switch().map(Rewake::new);
        Self { future: Box::pin(future), host, around, rewake }
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let within = &mut *self;
        let outer = within.host.swap_around(within.around.clone());
        let polled = match &mut within.rewake {
            Some(rewake) => rewake.poll(cx, |cx| within.future.as_mut().poll(cx)),
            None => within.future.as_mut().poll(cx),
        };
        within.host.swap_around(outer);
        polled
    }
}
