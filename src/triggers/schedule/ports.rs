//! What the scheduler needs of the runner and the store, so that tests can stand in for both.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;

use crate::base::{JobName, Timestamp};
use crate::model::{NewEvent, Occurrence};
use crate::runner::{self, Submission, SubmitError, SubmitRequest};
use crate::store::{Store, StoreError};

/// Takes wishes for runs.
pub trait Submit: Debug + Clone + Send + Sync + 'static {
    fn submit(&self, request: SubmitRequest) -> impl Future<Output = Result<Submission, SubmitError>> + Send;
}

impl Submit for runner::Handle {
    async fn submit(&self, request: SubmitRequest) -> Result<Submission, SubmitError> {
        Self::submit(self, request).await
    }
}

/// Remembers what became of due times.
pub trait Ledger: Debug + Clone + Send + Sync + 'static {
    /// Records an occurrence that led to no run; false when it was settled before.
    fn settle(
        &self,
        occurrence: Occurrence,
        events: Vec<NewEvent>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Up to when all due times of each job are settled.
    fn settled_until(&self) -> impl Future<Output = Result<BTreeMap<JobName, Timestamp>, StoreError>> + Send;

    fn set_settled_until(
        &self,
        jobs: Vec<JobName>,
        until: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Ledger for Store {
    async fn settle(&self, occurrence: Occurrence, events: Vec<NewEvent>) -> Result<bool, StoreError> {
        self.settle_occurrence(occurrence, events).await
    }

    async fn settled_until(&self) -> Result<BTreeMap<JobName, Timestamp>, StoreError> {
        let marks = self.jobs().await?.into_iter().filter_map(|row| Some((row.name, row.scheduled_until?)));
        let mut until: BTreeMap<_, _> = marks.collect();
        for (job, last) in self.last_occurrences().await? {
            let known = until.entry(job).or_insert(last);
            *known = last.max(*known);
        }
        Ok(until)
    }

    async fn set_settled_until(&self, jobs: Vec<JobName>, until: Timestamp) -> Result<(), StoreError> {
        self.set_scheduled_until(jobs, until).await
    }
}
