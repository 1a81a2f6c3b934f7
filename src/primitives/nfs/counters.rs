//! How often each operation was called, how often it failed, how long it took and what it moved.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::v3::procedure::Procedure;

#[derive(Debug, Default)]
struct Counter {
    calls: AtomicU64,
    failures: AtomicU64,
    micros: AtomicU64,
}

/// Counted since the gateway was made. Metrics are made of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationCount {
    pub operation: &'static str,
    pub calls: u64,
    /// Answered with another status than OK.
    pub failures: u64,
    /// Of all calls together.
    pub took: Duration,
}

/// What is not about one operation.
#[derive(Debug, Default)]
pub struct Counters {
    operations: [Counter; Procedure::ALL.len()],
    pub connections_now: AtomicU64,
    pub connections_refused: AtomicU64,
    /// Records that are no calls, and arguments that no procedure takes.
    pub malformed: AtomicU64,
    /// Retransmissions that were answered from memory.
    pub replays: AtomicU64,
    /// Calls that ended without an answer, by a fault of ours.
    pub panics: AtomicU64,
    pub bytes_read: AtomicU64,
    pub bytes_written: AtomicU64,
}

/// A moment of [`Counters`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// In the order of the procedures' numbers.
    pub operations: Vec<OperationCount>,
    pub connections_now: u64,
    pub connections_refused: u64,
    pub malformed: u64,
    pub replays: u64,
    pub panics: u64,
    pub bytes_read: u64,
    pub bytes_written: u64,
}

pub fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Counters {
    pub fn count(&self, procedure: Procedure, status: u32, took: Duration) {
        let counter = &self.operations[procedure as usize];
        add(&counter.calls, 1);
        add(&counter.failures, u64::from(status != 0));
        add(&counter.micros, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn read(&self) -> Statistics {
        let at = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let operation = |procedure: Procedure| {
            let counter = &self.operations[procedure as usize];
            OperationCount {
                operation: procedure.name(),
                calls: at(&counter.calls),
                failures: at(&counter.failures),
                took: Duration::from_micros(at(&counter.micros)),
            }
        };
        Statistics {
            operations: Procedure::ALL.into_iter().map(operation).collect(),
            connections_now: at(&self.connections_now),
            connections_refused: at(&self.connections_refused),
            malformed: at(&self.malformed),
            replays: at(&self.replays),
            panics: at(&self.panics),
            bytes_read: at(&self.bytes_read),
            bytes_written: at(&self.bytes_written),
        }
    }
}
