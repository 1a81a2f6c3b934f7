//! What these triggers need of the rest of the daemon.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};

use crate::base::{JobName, Timestamp};
use crate::events::Tail;
use crate::model::{Event, NewEvent};
use crate::runner::{Submission, SubmitError, SubmitRequest};
use crate::store::StoreError;
use crate::triggers::LiveDesk;

/// The kinds of events that tell of the end of a run.
const ENDS_OF_RUNS: [&str; 5] = ["run.succeeded", "run.failed", "run.timed_out", "run.cancelled", "run.interrupted"];

pub trait EventDesk: Send + Sync + 'static {
    fn submit(&self, request: SubmitRequest) -> BoxFuture<'_, Result<Submission, SubmitError>>;

    /// Records what people should know.
    fn report(&self, events: Vec<NewEvent>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Every event after `after`; None begins with the next one from this call on.
    fn events(&self, after: Option<i64>) -> BoxStream<'static, Result<Event, StoreError>>;

    /// The newest ends of runs and alerts, newest first.
    fn past_events(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, StoreError>>;

    /// Since when each job has the version that it has.
    fn versions(&self) -> BoxFuture<'_, Result<BTreeMap<JobName, Timestamp>, StoreError>>;
}

impl EventDesk for LiveDesk {
    fn submit(&self, request: SubmitRequest) -> BoxFuture<'_, Result<Submission, SubmitError>> {
        self.runner.submit(request).boxed()
    }

    fn report(&self, events: Vec<NewEvent>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.append_events(events).boxed()
    }

    fn events(&self, after: Option<i64>) -> BoxStream<'static, Result<Event, StoreError>> {
        Tail::new(self.store.clone()).events(after).boxed()
    }

    fn past_events(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        async move {
            let mut found = self.store.events_latest(&["alert."], limit).await?;
            found.extend(self.store.events_latest(&ENDS_OF_RUNS, limit).await?);
            found.sort_by_key(|event| std::cmp::Reverse(event.seq));
            Ok(found)
        }
        .boxed()
    }

    fn versions(&self) -> BoxFuture<'_, Result<BTreeMap<JobName, Timestamp>, StoreError>> {
        async { Ok(self.store.jobs().await?.into_iter().map(|job| (job.name, job.version_at)).collect()) }.boxed()
    }
}
