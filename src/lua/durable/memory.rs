//! A journal that lasts as long as the process: for `aegis run`, which has no store, and for tests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use crate::base::Fault;
use crate::lua::scope::JournalPort;
use crate::model::{Entry, EntryState, StepKey};

#[derive(Debug, Default)]
pub struct MemoryJournal {
    kept: Mutex<Kept>,
    answers: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    entries: Vec<Arc<Entry>>,
    writes: usize,
    /// Writes that succeed before all others fail.
    writes_max: Option<usize>,
}

impl MemoryJournal {
    /// What is recorded, in the order in which it was recorded first.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.iter().map(|entry| Entry::clone(entry)).collect()
    }

    /// The same, as a VM is given it.
    pub fn shared(&self) -> Arc<Vec<Arc<Entry>>> {
        Arc::new(self.lock().entries.clone())
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
        let waiting = kept.entries.iter_mut().find(|entry| entry.name == name && entry.state == EntryState::Waiting);
        let found = waiting.map(Arc::make_mut).map(|entry| {
            entry.answered = true;
            change(entry);
        });
        let found = found.is_some();
        drop(kept);
        self.answers.notify_waiters();
        found
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered_at(&self, key: &StepKey) -> Option<Entry> {
        let kept = self.lock();
        let found = kept.entries.iter().find(|entry| entry.key == *key && entry.state != EntryState::Waiting);
        found.map(|entry| Entry::clone(entry))
    }
}

impl Kept {
    fn put(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            match self.entries.iter_mut().find(|known| known.key == entry.key) {
                // Whoever answered it was told so.
                Some(known) if known.answered && entry.state == EntryState::Failed => {}
                Some(known) => *known = Arc::new(entry),
                None => self.entries.push(Arc::new(entry)),
            }
        }
    }
}

impl JournalPort for MemoryJournal {
    fn record(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<(), Fault>> {
        let mut kept = self.lock();
        let recorded = if kept.writes_max.is_some_and(|max| kept.writes >= max) {
            Err(Fault::new("run.lost", "the journal takes no more entries"))
        } else {
            kept.writes += 1;
            kept.put(entries);
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
