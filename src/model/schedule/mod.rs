//! When a job is due: pure arithmetic on schedules, with the rules for clocks that change.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::millis;
use crate::base::{JobName, Timestamp};

mod cron;
mod describe;
mod error;
mod merge;
mod plan;

pub use cron::{CronRule, zone};
pub use error::BadSchedule;
pub use merge::{DueOf, Merge};
pub use plan::Plan;

/// One entry of a job's `schedule`. Durations serialise as milliseconds (`…_ms`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleSpec {
    pub rule: Rule,
    /// Each due time moves by up to this, always the same for the same job and due time.
    #[serde(default, rename = "jitter_ms", with = "millis")]
    pub jitter: Duration,
    #[serde(default)]
    pub catch_up: CatchUp,
    /// Due times older than this are not caught up.
    #[serde(default, rename = "window_ms", with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
    /// Calendars on whose times it is held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Five fields, or six with seconds first; `L`, `W` and `#` as croner has them. `timezone` is an IANA name.
    /// [`CronRule`] says what happens when clocks change.
    Cron { expression: String, timezone: String },
    /// Elapsed time between due times, counted from the Unix epoch so that restarts do not move them.
    Every {
        #[serde(rename = "interval_ms", with = "millis")]
        interval: Duration,
    },
    /// Once.
    At { at: Timestamp },
}

/// What happens to due times that passed while nobody was there to fire them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They are recorded as missed. What `every` does unless told otherwise: the next one is never far.
    None,
    /// The newest of them fires, the others are recorded as missed. What `cron` and `at` do unless told otherwise.
    #[default]
    Latest,
    /// All fire, oldest first.
    All,
}

/// One due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// The identity of the occurrence, and the moment without jitter.
    pub scheduled_for: Timestamp,
    /// When it shall fire.
    pub fire_at: Timestamp,
    /// The local time asked for did not exist; this is the moment the gap closed.
    pub dst_shifted: bool,
}

impl ScheduleSpec {
    /// The rule with no jitter and the rule's own way of catching up.
    pub fn new(rule: Rule) -> Self {
        let catch_up = match rule {
            Rule::Every { .. } => CatchUp::None,
            Rule::Cron { .. } | Rule::At { .. } => CatchUp::Latest,
        };
        Self { rule, jitter: Duration::ZERO, catch_up, window: None, skip: Vec::new() }
    }

    /// The first due time whose `scheduled_for` is later than `after`. None when there is none, or the rule is not
    /// valid. Parses the rule on each call: for more than one due time make a [`Plan`].
    pub fn next_after(&self, job: &JobName, after: Timestamp) -> Option<Due> {
        self.plan(job).ok()?.next_after(after)
    }

    /// The schedule made ready for arithmetic, or what is wrong with it.
    pub fn plan(&self, job: &JobName) -> Result<Plan, BadSchedule> {
        Plan::new(self, job)
    }

    /// One phrase for people: `every day at 06:00 UTC`.
    pub fn describe(&self) -> String {
        describe::phrase(self)
    }
}
