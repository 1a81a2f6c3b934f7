//! Files and directories that stay open between calls, so that not every READ opens and closes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fd::OwnedFd;

use crate::base::limits;

/// An open file or directory.
#[derive(Debug, Clone)]
pub struct Open {
    pub descriptor: Arc<OwnedFd>,
    pub writable: bool,
}

#[derive(Debug, Default)]
struct Held {
    /// With the turn in which each was last wanted.
    open: HashMap<u64, (Open, u64)>,
    turn: u64,
}

/// Open files by number. Beyond the bound, the quarter that nobody wanted for longest is closed.
#[derive(Debug, Default)]
pub struct Descriptors {
    held: Mutex<Held>,
}

impl Descriptors {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, number: u64) -> Option<Open> {
        let mut held = self.held();
        held.turn += 1;
        let turn = held.turn;
        let (open, wanted) = held.open.get_mut(&number)?;
        *wanted = turn;
        Some(open.clone())
    }

    pub fn put(&self, number: u64, open: Open) {
        let closed = {
            let mut held = self.held();
            held.turn += 1;
            let turn = held.turn;
            let mut closed: Vec<_> = held.open.insert(number, (open, turn)).into_iter().collect();
            if held.open.len() > limits::NFS_OPEN_FILES_MAX {
                closed.extend(held.oldest_quarter());
            }
            closed
        };
        // Closing may write; others need not wait for it.
        drop(closed);
    }

    /// Gives the file back, for its owner to drop where that disturbs nobody: freeing a large one takes time.
    pub fn remove(&self, number: u64) -> Option<Open> {
        self.held().open.remove(&number).map(|(open, _)| open)
    }
}

impl Held {
    fn oldest_quarter(&mut self) -> Vec<(Open, u64)> {
        let mut turns: Vec<u64> = self.open.values().map(|(_, turn)| *turn).collect();
        turns.sort_unstable();
        let Some(until) = turns.get(turns.len() / 4).copied() else { return Vec::new() };
        let oldest: Vec<u64> =
            self.open.iter().filter(|(_, (_, turn))| *turn < until).map(|(number, _)| *number).collect();
        oldest.iter().filter_map(|number| self.open.remove(number)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_wants_is_closed_first() {
        let descriptors = Descriptors::default();
        let descriptor = Arc::new(OwnedFd::from(std::fs::File::open("/dev/null").expect("open")));
        for number in 0..=limits::NFS_OPEN_FILES_MAX as u64 {
            descriptors.put(number, Open { descriptor: descriptor.clone(), writable: false });
            assert!(descriptors.get(0).is_some());
        }
        assert!(descriptors.get(0).is_some());
        assert!(descriptors.get(1).is_none());
        assert!(descriptors.get(limits::NFS_OPEN_FILES_MAX as u64).is_some());
        assert_eq!(Arc::strong_count(&descriptor) - 1, descriptors.held().open.len());
    }
}
