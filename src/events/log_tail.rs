//! A run's log lines, followed to their end.

use std::collections::VecDeque;

use futures_util::stream;
use tokio_stream::Stream;

use crate::base::RunId;
use crate::base::limits::STORE_TAIL_PAGE_ROWS;
use crate::model::{LogLine, RunState};
use crate::store::{Follow, Store, StoreError};

struct Cursor {
    store: Store,
    run: RunId,
    commits: Follow,
    after: u64,
    page: VecDeque<LogLine>,
    ended: bool,
}

pub(super) fn follow(
    store: Store,
    run: RunId,
    after: u64,
) -> impl Stream<Item = Result<LogLine, StoreError>> + Send + use<> {
    let commits = store.follow(run);
    let cursor = Cursor { store, run, commits, after, page: VecDeque::new(), ended: false };
    stream::unfold(cursor, |mut cursor| async move { cursor.next().await.map(|item| (item, cursor)) })
}

impl Cursor {
    async fn next(&mut self) -> Option<Result<LogLine, StoreError>> {
        loop {
            if let Some(line) = self.page.pop_front() {
                self.after = line.seq;
                return Some(Ok(line));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.read_on().await {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }

    /// Reads the next page, or waits for something to read.
    async fn read_on(&mut self) -> Result<(), StoreError> {
        // Seen before it is read: a commit from here on wakes the wait below. The state is asked for before the lines,
        // because the last lines are committed together with the final state.
        self.commits.mark_seen();
        let complete = self.store.run_state(self.run).await?.is_none_or(RunState::is_final);
        let page = self.store.logs(self.run, self.after, STORE_TAIL_PAGE_ROWS).await?;
        let full = page.len() == STORE_TAIL_PAGE_ROWS;
        self.page = page.into();
        if complete && !full {
            self.ended = true;
        } else if self.page.is_empty() {
            self.ended = !self.commits.changed().await;
        }
        Ok(())
    }
}
