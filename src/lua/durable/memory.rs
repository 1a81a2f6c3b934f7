//! A journal that lasts as long as the process: for `aegis run`, which has no store, and for tests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use crate::base::Fault;
use crate::lua::scope::JournalPort;
use crate::model::journal::Journal;
use crate::model::{Entry, EntryState, StepKey};

#[derive(Debug, Default)]
pub struct MemoryJournal {
    kept: Mutex<Kept>,
    answers: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    entries: Journal,
    writes: usize,
    /// Writes that succeed before all others fail.
    writes_max: Option<usize>,
}

impl MemoryJournal {
    /// What is recorded, in the order in which it was recorded first.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.iter().cloned().collect()
    }

    /// The same, as a VM is given it.
    pub fn shared(&self) -> Arc<Vec<Arc<Entry>>> {
        Arc::new(self.lock().entries.shared())
    }

    /// How often something was written, each time with one or more entries.
    pub fn writes(&self) -> usize {
        self.lock().writes
    }

    /// Lets so many further writes succeed, and then none; None lifts the limit.
    pub fn allow(&self, writes: Option<usize>) {
        let mut kept = self.lock();
        kept.writes_max = writes.map(|more| kept.writes + more);
    }

    /// Answers the first entry of this name that waits. False when there is none.
    pub fn answer(&self, name: &str, change: impl FnOnce(&mut Entry)) -> bool {
        let mut kept = self.lock();
        let waiting = kept.entries.iter().find(|entry| entry.name == name && entry.state == EntryState::Waiting);
        let Some(mut entry) = waiting.cloned() else { return false };
        entry.answered = true;
        change(&mut entry);
        kept.entries.put(entry);
        drop(kept);
        self.answers.notify_waiters();
        true
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered_at(&self, key: &StepKey) -> Option<Entry> {
        let kept = self.lock();
        kept.entries.get(key).filter(|entry| entry.state != EntryState::Waiting).cloned()
    }
}

impl JournalPort for MemoryJournal {
    fn record(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<(), Fault>> {
        let mut kept = self.lock();
        let recorded = if kept.writes_max.is_some_and(|max| kept.writes >= max) {
            Err(Fault::new("run.lost", "the journal takes no more entries"))
        } else {
            kept.writes += 1;
            // Whoever answered was told so: who gave up waiting does not take that back.
            let stands = |entry: &Entry| {
                let known = kept.entries.get(&entry.key);
                entry.state != EntryState::Failed || !known.is_some_and(|known| known.answered)
            };
            let entries: Vec<Entry> = entries.into_iter().filter(stands).collect();
            kept.entries.extend(entries);
            Ok(())
        };
        Box::pin(async { recorded })
    }

    fn answered(&self, key: StepKey) -> BoxFuture<'_, Result<Entry, Fault>> {
        Box::pin(async move {
            loop {
                let mut changed = std::pin::pin!(self.answers.notified());
                changed.as_mut().enable();
                if let Some(entry) = self.answered_at(&key) {
                    return Ok(entry);
                }
                changed.await;
            }
        })
    }
}
