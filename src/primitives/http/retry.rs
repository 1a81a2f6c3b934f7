//! When to try again, and how long to wait first.

use std::time::Duration;

use reqwest::Method;

use crate::base::{Timestamp, limits};

/// Methods that may arrive twice without harm (RFC 9110, 9.2.2).
pub(in crate::primitives) fn is_repeatable(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS)
}

/// Statuses by which a server says that it may be another answer later.
pub(in crate::primitives) fn is_passing(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

/// The pause before attempt `attempt + 1`: what the server asks for, else twice as long each time.
pub(in crate::primitives) fn pause(attempt: u32, retry_after: Option<Duration>, most: Duration) -> Duration {
    let doubled = Duration::from_millis(200).saturating_mul(1 << attempt.saturating_sub(1).min(16));
    retry_after.unwrap_or(doubled).min(most)
}

/// `Retry-After`: seconds (some send a fraction) or a date.
pub(in crate::primitives) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(crate::base::clock::since(at, now))
}

pub(in crate::primitives) fn pause_max() -> Duration {
    limits::HTTP_RETRY_DELAY_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_heed_the_server() {
        let most = Duration::from_secs(60);
        assert_eq!([1, 2, 3].map(|attempt| pause(attempt, None, most).as_millis()), [200, 400, 800]);
        assert_eq!(pause(40, None, most), most);
        assert_eq!(pause(1, Some(Duration::from_secs(7)), most).as_secs(), 7);
        assert_eq!(pause(1, Some(Duration::from_secs(700)), most), most);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        assert_eq!(retry_after("3", now), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("0.25", now), Some(Duration::from_millis(250)));
        assert_eq!(retry_after("Thu, 01 Jan 2026 00:01:00 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("Wed, 31 Dec 2025 00:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-5", now), None);
    }
}
