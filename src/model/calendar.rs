//! Times at which schedules are held: holidays and maintenance windows. Pure arithmetic in time zones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::schedule::{BadSchedule, CronRule, zone};
use crate::base::clock::earlier;
use crate::base::{Timestamp, limits};

/// A whole day, once or every year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Day {
    Once(Date),
    /// The 29th of February comes in leap years only.
    Yearly {
        month: i8,
        day: i8,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a day: write \"2026-12-25\", or \"12-25\" for every year")]
pub struct BadDay(String);

impl FromStr for Day {
    type Err = BadDay;

    fn from_str(text: &str) -> Result<Self, BadDay> {
        let bad = || BadDay(text.chars().take(40).collect());
        // A leap year has every day that a year can have.
        let dated = if text.len() == "12-25".len() { format!("2000-{text}") } else { text.to_owned() };
        if dated.len() != "2026-12-25".len() {
            return Err(bad());
        }
        let date = Date::strptime("%Y-%m-%d", &dated).map_err(|_| bad())?;
        Ok(if dated == text { Self::Once(date) } else { Self::Yearly { month: date.month(), day: date.day() } })
    }
}

impl TryFrom<String> for Day {
    type Error = BadDay;

    fn try_from(text: String) -> Result<Self, BadDay> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once(date) => write!(f, "{date}"),
            Self::Yearly { month, day } => write!(f, "{month:02}-{day:02}"),
        }
    }
}

/// A calendar's closed times.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
    days: BTreeSet<Day>,
    windows: Vec<Window>,
}

#[derive(Debug, Clone)]
struct Window {
    begins: CronRule,
    /// Elapsed time, also over a change of the clock.
    lasts: Duration,
}

impl Calendar {
    /// Days are whole days in the zone called `zone`. A window begins when its cron expression is due there, by the
    /// rules of [`CronRule`], and lasts for the elapsed time that stands with it.
    ///
    /// # Errors
    /// A zone or an expression that is none.
    pub fn new(
        zone_name: &str,
        days: impl IntoIterator<Item = Day>,
        windows: impl IntoIterator<Item = (String, Duration)>,
    ) -> Result<Self, BadSchedule> {
        let zone = zone(zone_name)?;
        let window =
            |(cron, lasts): (String, Duration)| Ok(Window { begins: CronRule::parse(&cron, zone.clone())?, lasts });
        let windows = windows.into_iter().map(window).collect::<Result<_, BadSchedule>>()?;
        Ok(Self { zone, days: days.into_iter().collect(), windows })
    }

    pub fn is_closed(&self, at: Timestamp) -> bool {
        self.is_closed_day(at) || self.windows.iter().any(|window| window.is_open(at))
    }

    fn is_closed_day(&self, at: Timestamp) -> bool {
        let date = self.zone.to_datetime(at).date();
        let yearly = Day::Yearly { month: date.month(), day: date.day() };
        self.days.contains(&Day::Once(date)) || self.days.contains(&yearly)
    }
}

impl Window {
    /// Its first moment belongs to it, its last does not.
    fn is_open(&self, at: Timestamp) -> bool {
        self.begins.next_after(earlier(at, self.lasts)).is_some_and(|(begin, _)| begin <= at)
    }
}

/// The calendars of an installation by name.
#[derive(Debug, Clone, Default)]
pub struct Calendars(BTreeMap<String, Calendar>);

impl Calendars {
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The first of the calendars `names` that is closed at `at`. Names that are none close nothing: a job that has one
    /// does not load.
    pub fn closing<'a>(&self, names: &'a [String], at: Timestamp) -> Option<&'a str> {
        let is_closed = |name: &&String| self.0.get(*name).is_some_and(|calendar| calendar.is_closed(at));
        names.iter().find(is_closed).map(String::as_str)
    }

    /// Why a due time at `at` is held, if it is to skip the calendars `names`.
    pub fn hold(&self, names: &[String], at: Timestamp) -> Option<String> {
        self.closing(names, at).map(|name| format!("the calendar {name:?} is closed"))
    }
}

impl FromIterator<(String, Calendar)> for Calendars {
    fn from_iter<T: IntoIterator<Item = (String, Calendar)>>(list: T) -> Self {
        Self(list.into_iter().collect())
    }
}

/// Whether a window may last so long.
///
/// # Errors
/// What is wrong with it, in words.
pub fn check_window(lasts: Duration) -> Result<Duration, String> {
    if lasts.is_zero() || lasts > limits::CALENDAR_WINDOW_MAX {
        let days = limits::CALENDAR_WINDOW_MAX.as_secs() / 86_400;
        return Err(format!("a window lasts longer than nothing and at most {days} days, such as \"4h\""));
    }
    Ok(lasts)
}

#[cfg(test)]
#[path = "calendar_tests.rs"]
mod tests;
