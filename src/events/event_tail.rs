//! The event log, followed.

use std::collections::VecDeque;

use futures_util::stream;
use tokio::sync::watch;
use tokio_stream::Stream;

use crate::base::limits::STORE_TAIL_PAGE_ROWS;
use crate::model::Event;
use crate::store::{CommitMark, Store, StoreError};

struct Cursor {
    store: Store,
    marks: watch::Receiver<CommitMark>,
    /// The last event given or about to be given.
    after: i64,
    page: VecDeque<Event>,
    /// The writer has ended: what it committed before is read once more, then the tail ends too.
    closed: bool,
    ended: bool,
}

pub(super) fn follow(store: Store, after: Option<i64>) -> impl Stream<Item = Result<Event, StoreError>> + Send + use<> {
    let marks = store.commits();
    let after = after.unwrap_or_else(|| marks.borrow().event_seq);
    let cursor = Cursor { store, marks, after, page: VecDeque::new(), closed: false, ended: false };
    stream::unfold(cursor, |mut cursor| async move { cursor.next().await.map(|item| (item, cursor)) })
}

impl Cursor {
    async fn next(&mut self) -> Option<Result<Event, StoreError>> {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.after = event.seq;
                return Some(Ok(event));
            }
            if self.ended {
                return None;
            }
            // Seen before it is read: a commit from here on wakes the wait below.
            self.marks.mark_unchanged();
            match self.store.events(self.after, STORE_TAIL_PAGE_ROWS).await {
                Ok(page) if page.is_empty() => self.wait().await,
                Ok(page) => self.page = page.into(),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Until there is an event to read, or the writer has ended and none will come.
    async fn wait(&mut self) {
        let after = self.after;
        while self.marks.changed().await.is_ok() {
            // Commits that hold only log lines wake this too.
            if self.marks.borrow_and_update().event_seq > after {
                return;
            }
        }
        self.ended = std::mem::replace(&mut self.closed, true);
    }
}
