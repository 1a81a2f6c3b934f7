//! Where triggers hand in what they want: the runner for runs, the store for due times that lead to none.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::base::{JobName, Timestamp};
use crate::model::{Absence, NewEvent, Occurrence};
use crate::runner::{Handle, Submission, SubmitError, SubmitRequest};
use crate::store::{Store, StoreError};

/// What a trigger needs of the rest of the daemon.
pub trait Desk: Send + Sync + 'static {
    fn submit(&self, request: SubmitRequest) -> BoxFuture<'_, Result<Submission, SubmitError>>;

    /// Records an occurrence that led to no run of its own. False when it was settled before.
    fn settle(&self, occurrence: Occurrence, events: Vec<NewEvent>) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Records what a job missed, with one event; returns how many of them were not settled before.
    fn miss(&self, absence: Absence) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Remembers for the next daemon that the due times of these jobs up to `until` have their rows.
    fn mark(&self, jobs: Vec<JobName>, until: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// The running daemon.
#[derive(Debug, Clone)]
pub struct LiveDesk {
    pub runner: Handle,
    pub store: Store,
}

impl Desk for LiveDesk {
    fn submit(&self, request: SubmitRequest) -> BoxFuture<'_, Result<Submission, SubmitError>> {
        self.runner.submit(request).boxed()
    }

    fn settle(&self, occurrence: Occurrence, events: Vec<NewEvent>) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.store.settle_occurrence(occurrence, events).boxed()
    }

    fn miss(&self, absence: Absence) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.store.settle_absence(absence).boxed()
    }

    fn mark(&self, jobs: Vec<JobName>, until: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.set_scheduled_until(jobs, until).boxed()
    }
}
