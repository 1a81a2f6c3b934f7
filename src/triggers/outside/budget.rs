//! How many runs events may start for one job: a burst, and then so many a minute. A container that dies over and over
//! must not fill the queue.

use std::time::Duration;

use crate::base::Timestamp;
use crate::base::clock::since;
use crate::base::limits::{TRIGGER_BURST_MAX, TRIGGER_RUNS_PER_MINUTE_MAX};

/// How often it is told that events are left out.
const TOLD_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Budget {
    left: f64,
    at: Timestamp,
    dropped: u64,
    told_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowance {
    Go,
    /// One too many.
    Drop,
    /// The same, and it is time to tell how many they are by now.
    Tell(u64),
}

impl Budget {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { left: f64::from(TRIGGER_BURST_MAX), at: now, dropped: 0, told_at: None }
    }

    pub(super) fn take(&mut self, now: Timestamp) -> Allowance {
        let minutes = since(now, self.at).as_secs_f64() / 60.0;
        self.left = (self.left + minutes * f64::from(TRIGGER_RUNS_PER_MINUTE_MAX)).min(f64::from(TRIGGER_BURST_MAX));
        self.at = now;
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Allowance::Go;
        }
        self.dropped += 1;
        if self.told_at.is_some_and(|at| since(now, at) < TOLD_EVERY) {
            return Allowance::Drop;
        }
        self.told_at = Some(now);
        Allowance::Tell(std::mem::take(&mut self.dropped))
    }

    /// What was taken last started nothing.
    pub(super) fn give_back(&mut self) {
        self.left = (self.left + 1.0).min(f64::from(TRIGGER_BURST_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_bounded_and_told_of_once_a_minute() {
        let at = |second: i64| Timestamp::from_second(second).expect("a time");
        let mut budget = Budget::new(at(0));
        let count = |budget: &mut Budget, second, wanted: Allowance| {
            (0..1_000).filter(|_| budget.take(at(second)) == wanted).count()
        };
        assert_eq!(count(&mut budget, 0, Allowance::Go), TRIGGER_BURST_MAX as usize);
        let mut told = Vec::new();
        for second in 1..=120 {
            for _ in 0..100 {
                if let Allowance::Tell(dropped) = budget.take(at(second)) {
                    told.push((second, dropped));
                }
            }
        }
        assert_eq!(told.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [60, 120]);
        assert!(told.iter().all(|(_, dropped)| *dropped > 4_000), "{told:?}");
        budget.give_back();
        assert_eq!(count(&mut budget, 120, Allowance::Go), 1);
        assert_eq!(count(&mut budget, 120 + 600, Allowance::Go), TRIGGER_BURST_MAX as usize, "it recovers");
    }
}
