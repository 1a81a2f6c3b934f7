//! What can be wrong with a schedule.

use crate::base::limits;
use crate::base::quantity::show_duration;

/// Says which part is wrong and shows one that is right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSchedule {
    #[error(
        "the cron expression {expression:?} has {found} fields; it takes 5 (minute hour day month weekday) or 6 with \
         seconds first, such as \"0 6 * * *\" for every day at 06:00"
    )]
    FieldCount { expression: String, found: usize },
    #[error("the {field} field {text:?} of {expression:?} is wrong: {expected}, such as {example:?}")]
    Field { expression: String, field: &'static str, text: String, expected: &'static str, example: &'static str },
    #[error("{text:?} is no cron nickname; there are @hourly, @daily, @weekly, @monthly and @yearly")]
    Nickname { text: String },
    #[error("the cron expression {expression:?} is never due: no month has such a day")]
    NeverDue { expression: String },
    #[error("{name:?} is not a time zone{hint}; use an IANA name such as \"UTC\" or \"Europe/Berlin\"")]
    Zone { name: String, hint: String },
    #[error(
        "the interval is shorter than {}; write for example {{ every = \"30s\" }}",
        show_duration(limits::SCHEDULE_INTERVAL_MIN)
    )]
    TooOften,
    #[error("the interval is longer than {} days; use a cron expression or a time", limits::SCHEDULE_INTERVAL_MAX.as_secs() / 86_400)]
    TooRare,
    #[error("the jitter {} is not shorter than the interval {}", show_duration(*jitter), show_duration(*interval))]
    JitterTooLong { jitter: std::time::Duration, interval: std::time::Duration },
}

impl BadSchedule {
    /// Whether it is the zone that is wrong, not the rule.
    pub fn is_zone(&self) -> bool {
        matches!(self, Self::Zone { .. })
    }
}
