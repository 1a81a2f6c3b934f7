//! How values become the text and integers of a row.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use super::StoreError;
use crate::base::Timestamp;

/// An hour of `run_hours`.
pub(super) const HOUR_MICROS: i64 = 3_600_000_000;

/// A minute and an hour: the steps of `rollups`, in microseconds.
pub(super) const ROLLUP_STEPS: [i64; 2] = [60_000_000, HOUR_MICROS];

/// A double as the integer of the same bits: databases differ in how they write a fraction.
pub(super) fn to_bits(value: f64) -> i64 {
    value.to_bits().cast_signed()
}

pub(super) fn from_bits(bits: i64) -> f64 {
    f64::from_bits(bits.cast_unsigned())
}

/// PostgreSQL has no NUL in text; both databases get the replacement character, so that they hold the same.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// JSON text, with `null` as NULL.
pub(super) fn json(value: &Value) -> Option<String> {
    (!value.is_null()).then(|| value.to_string())
}

pub(super) fn json_of(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Refused { reason: format!("a value has no JSON form: {error}") })
}

pub(super) fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_microsecond)
}

/// The beginning of the hour in which `at` lies, in microseconds since the epoch.
pub(super) fn hour_of(at: Timestamp) -> i64 {
    let micros = at.as_microsecond();
    micros - micros.rem_euclid(HOUR_MICROS)
}

/// The text that sorts after everything that begins with `prefix`, by bytes.
pub(super) fn after_prefix(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

pub(super) fn limit_rows(asked: usize) -> usize {
    use crate::base::limits::{STORE_PAGE_ROWS_DEFAULT, STORE_PAGE_ROWS_MAX};
    if asked == 0 { STORE_PAGE_ROWS_DEFAULT } else { asked.min(STORE_PAGE_ROWS_MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_replaced() {
        assert_eq!(clean("a\0b"), "a\u{fffd}b");
        assert!(matches!(clean("ab"), Cow::Borrowed("ab")));
    }

    #[test]
    fn a_prefix_ends_after_all_its_texts() {
        let end = after_prefix("job.");
        assert!("job.loaded" < end.as_str() && "job.\u{ffff}" < end.as_str() && end.as_str() < "job/");
    }
}
