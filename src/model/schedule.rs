//! When a job is due: pure arithmetic on schedules, with the rules for clocks that change.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;

/// One entry of a job's `schedule`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleSpec {
    pub rule: Rule,
    /// Each due time moves by up to this, always the same for the same job and due time.
    #[serde(default)]
    pub jitter: Duration,
    #[serde(default)]
    pub catch_up: CatchUp,
    /// Due times older than this are not caught up.
    #[serde(default)]
    pub window: Option<Duration>,
    /// Calendars on whose times it is held.
    #[serde(default)]
    pub skip: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Five fields, or six with seconds first; `L` and `#` as croner has them. `timezone` is an IANA name.
    Cron {
        expression: String,
        timezone: String,
    },
    /// Elapsed time between due times, counted from the Unix epoch so that restarts do not move them.
    Every {
        interval: Duration,
    },
    At {
        at: Timestamp,
    },
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    None,
    #[default]
    Latest,
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
