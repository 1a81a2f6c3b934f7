//! What these triggers need of the rest of the daemon.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::base::{JobName, Timestamp};
use crate::model::NewEvent;
use crate::runner::{Submission, SubmitError, SubmitRequest};
use crate::store::StoreError;
use crate::triggers::LiveDesk;

pub trait EventDesk: Send + Sync + 'static {
    fn submit(&self, request: SubmitRequest) -> BoxFuture<'_, Result<Submission, SubmitError>>;

    /// Records what people should know.
    fn report(&self, events: Vec<NewEvent>) -> BoxFuture<'_, Result<(), StoreError>>;

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

    fn versions(&self) -> BoxFuture<'_, Result<BTreeMap<JobName, Timestamp>, StoreError>> {
        async { Ok(self.store.jobs().await?.into_iter().map(|job| (job.name, job.version_at)).collect()) }.boxed()
    }
}
