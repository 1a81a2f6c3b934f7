//! The samples of the last while, for what depends on more than one.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::Timestamp;
use crate::base::clock::{earlier, since};
use crate::base::limits::ALERT_WINDOW_SAMPLES_MAX;

/// A counter's samples within a window, and one from before it, from which growth is counted if it is not older than
/// another window.
#[derive(Debug, Clone, Default)]
pub struct Window(VecDeque<(Timestamp, f64)>);

impl Window {
    pub fn push(&mut self, at: Timestamp, value: f64, window: Duration) {
        self.0.push_back((at, value));
        self.trim(at, window);
    }

    /// Forgets what lies before the window that ends at `at`, but for the newest of it.
    fn trim(&mut self, at: Timestamp, window: Duration) {
        let begin = earlier(at, window);
        while self.0.len() > ALERT_WINDOW_SAMPLES_MAX || self.0.get(1).is_some_and(|(second, _)| *second <= begin) {
            self.0.pop_front();
        }
        let oldest = earlier(begin, window);
        while self.0.front().is_some_and(|(first, _)| *first <= oldest) {
            self.0.pop_front();
        }
    }

    /// Whether anything of it matters at `at` or later.
    pub fn reaches(&self, at: Timestamp, window: Duration) -> bool {
        self.0.back().is_some_and(|(last, _)| *last > earlier(earlier(at, window), window))
    }

    /// By how much the counter grew, and in which time; None with fewer than two samples. A smaller value than the one
    /// before it is a counter that began anew.
    pub fn growth(&mut self, at: Timestamp, window: Duration) -> Option<(f64, Duration)> {
        self.trim(at, window);
        let (first, last) = (self.0.front()?, self.0.back()?);
        let span = since(last.0, first.0);
        if span.is_zero() {
            return None;
        }
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        let grown = pairs.map(|((_, before), (_, after))| if after >= before { after - before } else { *after });
        Some((grown.sum(), span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn growth_counts_from_the_edge_of_the_window_and_through_a_restart() {
        let mut window = Window::default();
        assert_eq!(window.growth(at(0), WINDOW), None);
        for (second, value) in [(0, 10.0), (30, 40.0), (60, 100.0), (90, 5.0)] {
            window.push(at(second), value, WINDOW);
        }
        // From 30 to 90: 60, and 5 after the restart.
        assert_eq!(window.growth(at(90), WINDOW), Some((65.0, Duration::from_secs(60))));
        window.push(at(90), 7.0, WINDOW);
        assert_eq!(window.growth(at(90), WINDOW), Some((67.0, Duration::from_secs(60))));
    }

    #[test]
    fn a_flood_of_samples_is_bounded() {
        let mut window = Window::default();
        for number in 0..2 * ALERT_WINDOW_SAMPLES_MAX {
            window.push(at(1), number as f64, WINDOW);
        }
        assert_eq!(window.0.len(), ALERT_WINDOW_SAMPLES_MAX);
    }
}
