//! A durable run's journal, between its script and the store.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::error;

use super::settle::patiently;
use crate::base::{Clock, Fault, RunId};
use crate::lua::JournalPort;
use crate::model::journal::{Journal, Seen, to_undo};
use crate::model::{Entry, EntryKind, EntryState, StepKey};
use crate::store::{Guarded, JournalWrite, Store, StoreError};

/// The journal of a run that one daemon holds at one fence.
#[derive(Debug)]
pub struct RunJournal {
    pub run: RunId,
    pub fence: i64,
    pub store: Store,
    pub clock: Clock,
    /// Reads are made there; a lane has no network.
    pub io: Handle,
    entries: Mutex<Journal>,
    /// Writes that were begun and whose end is not known.
    under_way: AtomicUsize,
}

impl RunJournal {
    /// `entries` is what was recorded before, in that order.
    pub fn new(run: RunId, fence: i64, store: Store, clock: Clock, io: Handle, entries: Vec<Entry>) -> Arc<Self> {
        let entries = Mutex::new(entries.into_iter().collect());
        Arc::new(Self { run, fence, store, clock, io, entries, under_way: AtomicUsize::new(0) })
    }

    /// All of it; the entries themselves are shared.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.lock().shared()
    }

    /// Whether all that the script handed over is known to be on disk, so that what is here is what is there.
    pub fn is_settled(&self) -> bool {
        self.under_way.load(Ordering::Acquire) == 0
    }

    /// Why the run is being undone, if it is.
    pub fn unwinds(&self) -> Option<Fault> {
        let entries = self.lock();
        let entry = entries.iter().find(|entry| entry.kind == EntryKind::Unwind);
        entry.map(|entry| entry.error.clone().unwrap_or_else(|| Fault::new("run.failed", "the run failed")))
    }

    pub fn has_something_to_undo(&self) -> bool {
        !to_undo(self.lock().as_slice()).is_empty()
    }

    /// Why some of what the run did could not be undone.
    pub fn not_undone(&self) -> Vec<Fault> {
        let entries = self.lock();
        let failed = entries.iter().filter(|entry| entry.kind == EntryKind::Undo && entry.state == EntryState::Failed);
        failed.filter_map(|entry| entry.error.clone()).collect()
    }

    /// Whether an event or a decision is waited for.
    pub fn asks(&self) -> bool {
        self.lock().iter().any(|entry| {
            entry.state == EntryState::Waiting && matches!(entry.kind, EntryKind::Event | EntryKind::Approval)
        })
    }

    /// The failed entries that the next attempt makes anew: those that the run ended with. A failure that the script
    /// caught and went on from is part of its way, which the next attempt goes again.
    pub fn failed_with(&self, fault: &Fault) -> Vec<StepKey> {
        let entries = self.lock();
        let cause = |error: &Fault| error.code == fault.code && error.message == fault.message;
        let seen = Seen::by(entries.iter().map(|entry| &entry.key));
        let failed = entries.iter().filter(|entry| {
            entry.state == EntryState::Failed
                && entry.error.as_ref().is_some_and(cause)
                && !seen.has_gone_on(&entry.key)
        });
        failed.map(|entry| entry.key.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, changed: Vec<Entry>) {
        self.lock().extend(changed);
    }

    /// Writes the entries, however long the disk is full or the database away: work that was done is not given up.
    async fn commit(&self, entries: &[Entry]) -> Result<(), Fault> {
        let write = || JournalWrite { run: self.run, fence: self.fence, entries: entries.to_vec() };
        let tell = |error: &StoreError| {
            error!(run = %self.run, %error, "a step could not be stored yet; trying again");
        };
        match patiently(&self.clock, || self.store.journal_write(write()), tell).await? {
            Guarded::Applied => Ok(()),
            Guarded::Refused => Err(lost(self.run)),
        }
    }
}

fn lost(run: RunId) -> Fault {
    Fault::new("run.lost", format!("run {run} belongs to another daemon now, or was ended by one"))
}

impl JournalPort for RunJournal {
    fn record(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<(), Fault>> {
        async move {
            // Whoever drops this before its end cannot know what became of it.
            self.under_way.fetch_add(1, Ordering::AcqRel);
            let committed = self.commit(&entries).await;
            if committed.is_ok() {
                self.keep(entries);
            }
            self.under_way.fetch_sub(1, Ordering::AcqRel);
            committed
        }
        .boxed()
    }

    fn answered(&self, key: StepKey) -> BoxFuture<'_, Result<Entry, Fault>> {
        let (store, run, wanted) = (self.store.clone(), self.run, key);
        let task = AbortOnDropHandle::new(self.io.spawn(async move {
            let mut follow = store.follow(run);
            loop {
                match store.journal_entry(run, &wanted).await? {
                    Some(entry) if entry.state != EntryState::Waiting => return Ok(entry),
                    Some(_) => {}
                    None => return Err(lost(run)),
                }
                if !follow.changed().await {
                    return Err(Fault::from(StoreError::Closed));
                }
            }
        }));
        async move {
            let entry = task.await.unwrap_or_else(|problem| {
                Err(Fault::new("internal.panic", format!("waiting for an answer failed: {problem}")))
            })?;
            self.keep(vec![entry.clone()]);
            Ok(entry)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    #[tokio::test]
    async fn a_write_whose_end_nobody_saw_is_not_settled() {
        let clock = Clock::system();
        let options = store::Options { url: "sqlite::memory:".into(), node: "test".into() };
        // It writes nothing until it is run.
        let (store, writer) = Store::open(options, clock.clone()).await.expect("a store");
        let journal = RunJournal::new(RunId::generate(), 1, store, clock, Handle::current(), Vec::new());
        assert!(journal.is_settled());
        assert!(journal.record(Vec::new()).now_or_never().is_none(), "it is under way");
        assert!(!journal.is_settled());
        drop(writer);
    }
}
