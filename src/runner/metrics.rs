//! What the runner counts about itself. Written by the dispatcher and the lanes, read by `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::RunState;

/// Upper bounds of the buckets of run durations, in seconds.
pub const DURATION_BUCKETS_S: [f64; 12] =
    [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0];

/// Shared counters.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Numbers>);

/// The counters at one moment.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    pub accepted: u64,
    pub skipped: u64,
    pub coalesced: u64,
    pub retried: u64,
    pub finished: BTreeMap<&'static str, u64>,
    /// Counts by bucket of [`DURATION_BUCKETS_S`], not cumulative; the last is everything longer.
    pub durations: [u64; DURATION_BUCKETS_S.len() + 1],
    pub duration_sum_s: f64,
    pub running: usize,
    pub waiting: usize,
    pub log_lines_dropped: u64,
    pub store_retries: u64,
}

impl Metrics {
    pub fn read(&self) -> Numbers {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn update(&self, change: impl FnOnce(&mut Numbers)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn finished(&self, state: RunState, took: Duration) {
        self.update(|numbers| {
            *numbers.finished.entry(state.as_str()).or_default() += 1;
            let seconds = took.as_secs_f64();
            numbers.duration_sum_s += seconds;
            let bucket = DURATION_BUCKETS_S.iter().position(|bound| seconds <= *bound);
            numbers.durations[bucket.unwrap_or(DURATION_BUCKETS_S.len())] += 1;
        });
    }
}
