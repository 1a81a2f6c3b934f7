//! Counters of the writer's work, for `/metrics` and for tests.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;

#[derive(Debug, Default)]
pub(super) struct Counters {
    commits: AtomicU64,
    commands: AtomicU64,
    batch_commands_max: AtomicU64,
    last_commit_micros: AtomicU64,
    failed_batches: AtomicU64,
    reconnects: AtomicU64,
}

/// A snapshot of the writer's counters since the store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StoreMetrics {
    /// Transactions committed.
    pub commits: u64,
    /// Commands answered out of those transactions.
    pub commands: u64,
    /// The most commands that shared one commit.
    pub batch_commands_max: u64,
    /// Commands that wait for the writer now.
    pub queue_commands: u64,
    /// From the first statement of the last transaction to the end of its commit.
    pub last_commit_micros: u64,
    /// Batches whose commands were answered with an error.
    pub failed_batches: u64,
    /// How often the writer's connection was opened anew.
    pub reconnects: u64,
}

impl Counters {
    pub fn committed(&self, commands: usize, took: Duration) {
        let commands = u64::try_from(commands).unwrap_or(u64::MAX);
        self.commits.fetch_add(1, Relaxed);
        self.commands.fetch_add(commands, Relaxed);
        self.batch_commands_max.fetch_max(commands, Relaxed);
        self.last_commit_micros.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub fn failed(&self) {
        self.failed_batches.fetch_add(1, Relaxed);
    }

    pub fn reconnected(&self) {
        self.reconnects.fetch_add(1, Relaxed);
    }

    pub fn snapshot(&self, queue_commands: usize) -> StoreMetrics {
        StoreMetrics {
            commits: self.commits.load(Relaxed),
            commands: self.commands.load(Relaxed),
            batch_commands_max: self.batch_commands_max.load(Relaxed),
            queue_commands: u64::try_from(queue_commands).unwrap_or(u64::MAX),
            last_commit_micros: self.last_commit_micros.load(Relaxed),
            failed_batches: self.failed_batches.load(Relaxed),
            reconnects: self.reconnects.load(Relaxed),
        }
    }
}
