//! The streams that a script holds open, by number. They go away with the script.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as AsyncMutex;

use super::error::HttpError;
use super::stream::Stream;
use crate::base::limits;

/// One for each virtual machine. Dropped, the connections of everything in it are closed.
#[derive(Debug, Default)]
pub struct Open(Mutex<Numbered>);

#[derive(Debug, Default)]
struct Numbered {
    last: i64,
    streams: BTreeMap<i64, Arc<AsyncMutex<Stream>>>,
}

impl Open {
    /// Whether there is room for one more, before anything is sent.
    pub fn room(&self) -> Result<(), HttpError> {
        let open = self.with(|numbered| numbered.streams.len());
        if open < limits::HTTP_STREAMS_OPEN_MAX { Ok(()) } else { Err(HttpError::TooManyStreams) }
    }

    pub fn add(&self, stream: Stream) -> i64 {
        self.with(|numbered| {
            numbered.last += 1;
            numbered.streams.insert(numbered.last, Arc::new(AsyncMutex::new(stream)));
            numbered.last
        })
    }

    pub fn stream(&self, number: i64) -> Result<Arc<AsyncMutex<Stream>>, HttpError> {
        self.with(|numbered| numbered.streams.get(&number).cloned()).ok_or(HttpError::NoStream(number))
    }

    pub fn remove(&self, number: i64) {
        let gone = self.with(|numbered| numbered.streams.remove(&number));
        // Outside of the lock.
        drop(gone);
    }

    fn with<T>(&self, change: impl FnOnce(&mut Numbered) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
