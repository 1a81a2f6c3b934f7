//! Two readings of the same counters, and the time between them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::HostError;
use crate::base::clock::since;
use crate::base::{Clock, limits};

/// The previous reading.
#[derive(Debug)]
pub(super) struct Series<T>(Mutex<Option<(Timestamp, T)>>);

impl<T> Default for Series<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

#[derive(Debug, Clone)]
pub(super) struct Pair<T> {
    pub first: T,
    pub last: T,
    pub apart: Duration,
}

impl<T> Pair<T> {
    /// How much a counter grew in a second. One that went back has begun anew.
    pub fn rate(&self, counter: impl Fn(&T) -> u64) -> f64 {
        per_second(counter(&self.first), counter(&self.last), self.apart)
    }
}

pub(super) fn per_second(first: u64, last: u64, apart: Duration) -> f64 {
    let seconds = apart.as_secs_f64();
    if seconds > 0.0 { round(last.saturating_sub(first) as f64 / seconds) } else { 0.0 }
}

/// A part of a whole in percent.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { round(part as f64 * 100.0 / whole as f64) }
}

/// To two digits: more is noise.
pub(super) fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

impl<T: Clone> Series<T> {
    /// This reading with the previous one. When that is too old or too fresh to tell a rate, a third is waited for.
    pub async fn pair<F>(&self, clock: &Clock, read: impl Fn() -> F) -> Result<Pair<T>, HostError>
    where
        F: Future<Output = Result<T, HostError>>,
    {
        let now = read().await?;
        let at = clock.now();
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let previous = kept.filter(|(then, _)| *then <= at && since(at, *then) <= limits::HOST_SAMPLE_AGE_MAX);
        let (then, first) = previous.unwrap_or_else(|| (at, now.clone()));
        let apart = since(at, then);
        if apart >= limits::HOST_SAMPLE_INTERVAL {
            self.keep(at, now.clone());
            return Ok(Pair { first, last: now, apart });
        }
        clock.sleep(limits::HOST_SAMPLE_INTERVAL - apart).await;
        let last = read().await?;
        let at = clock.now();
        self.keep(at, last.clone());
        Ok(Pair { first, last, apart: since(at, then) })
    }

    fn keep(&self, at: Timestamp, reading: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, reading));
    }
}
