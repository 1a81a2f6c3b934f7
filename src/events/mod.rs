//! Rank 3: following what was committed. A tail replays from the log, then goes on live; nothing is lost between.
//!
//! The store's rows are the only source. Commits merely wake a tail, which then reads on from where it is; a reader
//! that is slow reads later, in pages, and holds nothing up.

mod event_tail;
mod log_tail;
#[cfg(test)]
mod tests;

use tokio_stream::Stream;

use crate::base::RunId;
use crate::model::{Event, LogLine};
use crate::store::{Store, StoreError};

/// Follows events and logs of a store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tail {
    store: Store,
}

impl Tail {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Every event after `after`, until the store's writer ends. `None` begins with the next event from this call on.
    /// A read that fails is the last item.
    pub fn events(&self, after: Option<i64>) -> impl Stream<Item = Result<Event, StoreError>> + Send + use<> {
        event_tail::follow(self.store.clone(), after)
    }

    /// Every log line of `run` with `seq > after`; ends when the run is final (or gone) and all its lines were given.
    /// A read that fails is the last item.
    pub fn logs(&self, run: RunId, after: u64) -> impl Stream<Item = Result<LogLine, StoreError>> + Send + use<> {
        log_tail::follow(self.store.clone(), run, after)
    }
}
