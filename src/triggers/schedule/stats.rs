//! How late due times were handed over, for metrics.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the histogram's buckets; one more bucket takes what is above.
pub const LATENESS_BUCKETS: [Duration; 9] = [
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Shared between the scheduler, which writes, and the metrics page.
#[derive(Debug, Default)]
pub struct Stats(Mutex<Lateness>);

/// From the moment a time was due, jitter included, to its submission. Times that passed while no daemon ran, or while
/// the clock jumped, are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lateness {
    pub count: u64,
    pub last: Duration,
    pub max: Duration,
    pub sum: Duration,
    /// Not cumulative: each due time is in one.
    pub buckets: [u64; LATENESS_BUCKETS.len() + 1],
}

impl Stats {
    pub fn lateness(&self) -> Lateness {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, late: Duration) {
        let mut lateness = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lateness.count += 1;
        lateness.last = late;
        lateness.max = lateness.max.max(late);
        lateness.sum = lateness.sum.saturating_add(late);
        let bucket = LATENESS_BUCKETS.iter().position(|bound| late <= *bound).unwrap_or(LATENESS_BUCKETS.len());
        lateness.buckets[bucket] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_due_time_is_in_one_bucket() {
        let stats = Stats::default();
        for millis in [0, 1, 7, 60_000] {
            stats.record(Duration::from_millis(millis));
        }
        let lateness = stats.lateness();
        assert_eq!(
            (lateness.count, lateness.last, lateness.max),
            (4, Duration::from_secs(60), Duration::from_secs(60))
        );
        assert_eq!(lateness.buckets, [2, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
    }
}
