//! Calendars: times at which the schedules that name them are held.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::values;
use crate::base::limits;
use crate::model;
use crate::model::calendar::Day;
use crate::model::schedule::BadSchedule;

pub type Calendars = BTreeMap<CalendarName, Calendar>;

/// What schedules call a calendar: letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CalendarName(String);

impl TryFrom<String> for CalendarName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let is_short = (1..=limits::CALENDAR_NAME_BYTES_MAX).contains(&name.len());
        match is_short && name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_')) {
            true => Ok(Self(name)),
            false => Err(format!(
                "a calendar's name has 1 to {} letters, digits, - and _, such as \"holidays\"",
                limits::CALENDAR_NAME_BYTES_MAX
            )),
        }
    }
}

impl std::fmt::Display for CalendarName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calendar {
    /// IANA name of the time zone in which days and windows are meant.
    #[serde(deserialize_with = "values::zone")]
    pub zone: String,
    /// Whole days: `2026-12-25`, or `12-25` for every year.
    pub days: Vec<Day>,
    pub windows: Vec<Window>,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { zone: "UTC".into(), days: Vec::new(), windows: Vec::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// When it begins.
    #[serde(deserialize_with = "values::cron")]
    pub cron: String,
    /// How long it lasts.
    #[serde(rename = "for", with = "values::window")]
    pub lasts: Duration,
}

/// The calendars, ready for arithmetic.
///
/// # Errors
/// A zone or an expression that is none; what was read from a file was checked there.
pub fn calendars(section: &Calendars) -> Result<model::Calendars, BadSchedule> {
    let made = section.iter().map(|(name, calendar)| {
        let windows = calendar.windows.iter().map(|window| (window.cron.clone(), window.lasts));
        let calendar = model::Calendar::new(&calendar.zone, calendar.days.iter().copied(), windows)?;
        Ok((name.0.clone(), calendar))
    });
    made.collect()
}
