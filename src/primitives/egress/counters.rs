//! What all executions together have asked for, used and become since the daemon started.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ledger::{Moved, Reason, Way, Wish};

/// How an iteration of an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    Succeeded,
    Failed,
    TimedOut,
    OutOfMemory,
    /// It cannot be killed.
    Stuck,
    /// It could not be started, or not be waited for.
    Broken,
}

impl Ended {
    pub const NAMES: &[&str] = &["succeeded", "failed", "timed_out", "out_of_memory", "stuck", "broken"];
    const ALL: [Self; 6] =
        [Self::Succeeded, Self::Failed, Self::TimedOut, Self::OutOfMemory, Self::Stuck, Self::Broken];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ended| ended.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// The numbers of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Ways out that are open, and connections on them.
    pub gates: usize,
    pub connections: usize,
    /// By what was asked for, and `allowed` or the reason's code.
    pub decisions: BTreeMap<(&'static str, &'static str), u64>,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub ended: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Default)]
pub struct Counters {
    counted: Mutex<Counted>,
    moved: Moved,
}

#[derive(Debug, Default)]
struct Counted {
    decisions: BTreeMap<(&'static str, &'static str), u64>,
    ended: BTreeMap<&'static str, u64>,
}

impl Counters {
    pub(super) fn decided(&self, wish: Wish, refused: Option<Reason>) {
        let outcome = refused.map_or("allowed", Reason::code);
        *self.counted().decisions.entry((wish.as_str(), outcome)).or_default() += 1;
    }

    pub(super) fn moved(&self, way: Way, bytes: usize) {
        self.moved.add(way, bytes);
    }

    pub(super) fn ended(&self, how: Ended) {
        *self.counted().ended.entry(how.as_str()).or_default() += 1;
    }

    pub(super) fn read(&self, gates: usize, connections: usize) -> Statistics {
        let (sent_bytes, received_bytes) = self.moved.now();
        let counted = self.counted();
        let (decisions, ended) = (counted.decisions.clone(), counted.ended.clone());
        Statistics { gates, connections, decisions, sent_bytes, received_bytes, ended }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_name() {
        for (name, ended) in Ended::NAMES.iter().zip(Ended::ALL) {
            assert_eq!((Ended::parse(name), ended.as_str()), (Some(ended), *name));
        }
        assert_eq!(Ended::parse("vanished"), None);
    }
}
