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
    /// Places of streams that are being opened.
    reserved: usize,
    streams: BTreeMap<i64, Arc<AsyncMutex<Stream>>>,
}

/// A stream's place while it is being opened.
#[derive(Debug)]
pub struct Place(Arc<Open>);

impl Place {
    /// The stream's number.
    pub fn fill(self, stream: Stream) -> i64 {
        self.0.add(stream)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.with(|numbered| numbered.reserved -= 1);
    }
}

impl Open {
    /// Room for one more, before anything is sent: others may be opened at the same time.
    pub fn room(self: &Arc<Self>) -> Result<Place, HttpError> {
        self.with(|numbered| {
            if numbered.streams.len() + numbered.reserved >= limits::HTTP_STREAMS_OPEN_MAX {
                return Err(HttpError::TooManyStreams);
            }
            numbered.reserved += 1;
            Ok(Place(self.clone()))
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

    fn add(&self, stream: Stream) -> i64 {
        self.with(|numbered| {
            numbered.last += 1;
            numbered.streams.insert(numbered.last, Arc::new(AsyncMutex::new(stream)));
            numbered.last
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Numbered) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_opened_counts() {
        let open = Arc::new(Open::default());
        let places: Vec<_> = (0..limits::HTTP_STREAMS_OPEN_MAX).map(|_| open.room().expect("room")).collect();
        assert!(matches!(open.room(), Err(HttpError::TooManyStreams)));
        drop(places);
        assert!(open.room().is_ok());
    }
}
