//! When to try again, and how long to wait before.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::base::Timestamp;
use crate::base::clock::since;

/// Waits double from `initial` up to `max`. A server's Retry-After is kept to; one beyond `max` ends the attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The first one counts.
    pub attempts: u32,
    pub initial: Duration,
    pub max: Duration,
}

impl Retry {
    pub const NONE: Self = Self { attempts: 1, initial: Duration::from_millis(500), max: Duration::from_secs(30) };

    /// How long to wait after the failed attempt number `attempt` (from 1); None: no more.
    pub fn wait(&self, attempt: u32, asked: Option<Duration>) -> Option<Duration> {
        if attempt >= self.attempts || asked.is_some_and(|asked| asked > self.max) {
            return None;
        }
        let doubled = 2_u32.checked_pow(attempt - 1).and_then(|factor| self.initial.checked_mul(factor));
        let own = doubled.unwrap_or(self.max).min(self.max);
        Some(asked.map_or(own, |asked| asked.max(own)))
    }
}

/// Whether a response of this status may be another one later.
pub fn is_passing(status: u16) -> bool {
    [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ]
    .iter()
    .any(|passing| passing.as_u16() == status)
}

/// The Retry-After header: seconds or a date (RFC 9110, section 10.2.3).
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(since(at, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most() {
        let retry = Retry { attempts: 5, initial: Duration::from_secs(1), max: Duration::from_secs(3) };
        let waits: Vec<_> = (1..=5).map(|attempt| retry.wait(attempt, None).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [Some(1), Some(2), Some(3), Some(3), None]);
        assert_eq!(Retry::NONE.wait(1, None), None);
        let many = Retry { attempts: u32::MAX, ..retry };
        assert_eq!(many.wait(1_000, None), Some(retry.max));
    }

    #[test]
    fn what_the_server_asks_for_is_kept_to() {
        let retry = Retry { attempts: 2, initial: Duration::from_secs(1), max: Duration::from_secs(10) };
        assert_eq!(retry.wait(1, Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(retry.wait(1, Some(Duration::ZERO)), Some(Duration::from_secs(1)));
        assert_eq!(retry.wait(1, Some(Duration::from_secs(11))), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2027-01-01T00:00:00Z".parse().expect("a time");
        let cases = [
            ("120", Some(120)),
            (" 3 ", Some(3)),
            ("0.5", Some(0)),
            ("Fri, 01 Jan 2027 00:01:00 GMT", Some(60)),
            ("Thu, 31 Dec 2026 00:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ];
        for (text, expected) in cases {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().expect("a header value"))]);
            assert_eq!(retry_after(&headers, now).map(|wait| wait.as_secs()), expected, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
