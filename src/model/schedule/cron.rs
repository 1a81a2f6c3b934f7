//! Cron expressions on a clock that changes.
//!
//! croner finds matching local times on a clock without changes; what a change of the clock does to them is decided
//! here, one stretch of constant offset after the other.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone, TimeZoneTransition};

use super::BadSchedule;
use crate::base::{Timestamp, suggest};

/// A cron expression in a time zone.
///
/// The clock of a zone changes in two ways. In spring a range of local times does not exist (a gap), in autumn a range
/// exists twice (an overlap). The rules, whatever the length of the range:
///
/// 1. **Times of day**: an expression whose hour field leaves out some hour, such as `30 2 * * *`, `0 9-17 * * *` or
///    `0 */2 * * *`. A local time that does not exist is due at the moment the gap closes, once however many of them
///    fell into it. A local time that exists twice is due once, the first time.
/// 2. **Regular times**: an expression whose hour field names every hour, such as `0 * * * *` or `*/30 * * * *`. It is
///    due whenever the clock reads a matching time, in both passes of an overlap, so that each real hour or half hour
///    has its one due time. In a gap nothing is missing as long as the times after it carry the rhythm on: a local
///    time in a gap is due at the moment it closes only if the local time as far behind the gap is not due itself
///    (hourly on Lord Howe, whose gap is half an hour).
///
/// Nothing is lost, and no local time of day is due twice.
#[derive(Debug, Clone)]
pub struct CronRule {
    cron: Cron,
    zone: TimeZone,
    every_hour: bool,
}

const HOURS_A_DAY: usize = 24;

impl CronRule {
    pub fn parse(expression: &str, zone: TimeZone) -> Result<Self, BadSchedule> {
        let cron = parse(expression)?;
        let every_hour = cron.pattern.hours.values().len() == HOURS_A_DAY;
        let rule = Self { cron, zone, every_hour };
        // Any moment will do: the calendar repeats itself.
        match rule.match_from(DateTime::constant(2000, 1, 1, 0, 0, 0, 0), true) {
            Some(_) => Ok(rule),
            None => Err(BadSchedule::NeverDue { expression: expression.to_owned() }),
        }
    }

    /// The first due time later than `after`, and whether a gap moved it.
    pub fn next_after(&self, after: Timestamp) -> Option<(Timestamp, bool)> {
        let mut offset = self.zone.to_offset(after);
        let mut local = match self.repeated_until(after) {
            Some(end) if offset.to_datetime(after) < end => self.match_from(end, true)?,
            _ => self.match_from(offset.to_datetime(after), false)?,
        };
        for change in self.zone.following(after) {
            let moment = change.timestamp();
            match offset.to_timestamp(local) {
                Ok(due) if due < moment => return Some((due, false)),
                _ => {}
            }
            let (old, new) = (offset.to_datetime(moment), change.offset().to_datetime(moment));
            if new > old {
                match self.over_gap(local, old, new)? {
                    Gap::DueAtItsEnd { shifted } => return Some((moment, shifted)),
                    Gap::Passed(next) => local = next,
                }
            } else if new < old && self.every_hour {
                local = self.match_from(new, true)?;
            }
            offset = change.offset();
        }
        offset.to_timestamp(local).ok().map(|due| (due, false))
    }

    /// What a gap from `old` to `new` does, if `local` is the next match from `old` on.
    fn over_gap(&self, mut local: DateTime, old: DateTime, new: DateTime) -> Option<Gap> {
        let width = new.duration_since(old);
        while local < new {
            let carried_on = self.every_hour && self.matches(local.checked_add(width).ok()?);
            if !carried_on {
                return Some(Gap::DueAtItsEnd { shifted: !self.matches(new) });
            }
            local = self.match_from(local, false)?;
        }
        Some(Gap::Passed(local))
    }

    /// If `at` may be in the second pass of an overlap whose first pass counted: the local time at which that ends.
    fn repeated_until(&self, at: Timestamp) -> Option<DateTime> {
        if self.every_hour {
            return None;
        }
        let last: TimeZoneTransition<'_> = self.zone.preceding(just_after(at)).next()?;
        let before: Offset = self.zone.to_offset(just_before(last.timestamp()));
        (before > last.offset()).then(|| before.to_datetime(last.timestamp()))
    }

    /// The first local time that matches, at or after `from` if `inclusive`.
    fn match_from(&self, from: DateTime, inclusive: bool) -> Option<DateTime> {
        self.cron.find_next_occurrence(&from, inclusive).ok()
    }

    fn matches(&self, local: DateTime) -> bool {
        self.cron.is_time_matching(&local).unwrap_or(false)
    }

    /// Whether its hour field names every hour: the second of the two kinds above.
    pub fn is_regular(&self) -> bool {
        self.every_hour
    }

    pub(super) fn croner(&self) -> &Cron {
        &self.cron
    }
}

enum Gap {
    DueAtItsEnd {
        shifted: bool,
    },
    /// The first match behind it.
    Passed(DateTime),
}

fn just_after(at: Timestamp) -> Timestamp {
    at.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX)
}

fn just_before(at: Timestamp) -> Timestamp {
    at.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MIN)
}

/// The zone of that name.
pub fn zone(name: &str) -> Result<TimeZone, BadSchedule> {
    TimeZone::get(name).map_err(|_| {
        let known: Vec<String> = jiff::tz::db().available().map(|known| known.as_str().to_owned()).collect();
        let hint = suggest::did_you_mean(name, known.iter().map(String::as_str));
        BadSchedule::Zone { name: name.chars().take(64).collect(), hint }
    })
}

/// What a field takes.
struct Field {
    name: &'static str,
    expected: &'static str,
    example: &'static str,
    /// Steps beyond it would only ever give the first value.
    step_max: u32,
}

const fn field(name: &'static str, step_max: u32, expected: &'static str, example: &'static str) -> Field {
    Field { name, expected, example, step_max }
}

/// In the order of six fields.
const FIELDS: [Field; 6] = [
    field("second", 59, "seconds and their steps go from 0 to 59", "*/10 * * * * *"),
    field("minute", 59, "minutes and their steps go from 0 to 59", "*/15 * * * *"),
    field("hour", 23, "hours and their steps go from 0 to 23", "0 6,18 * * *"),
    field("day", 31, "days go from 1 to 31, L is the last day and 15W the weekday nearest to the 15th", "0 6 1,15 * *"),
    field("month", 12, "months go from 1 to 12 or from JAN to DEC", "0 6 1 JAN,JUL *"),
    field(
        "weekday",
        7,
        "weekdays go from 0 to 7 or from SUN to SAT, SUN#1 is the first Sunday and 5L the last Friday",
        "0 6 * * MON-FRI",
    ),
];

fn parse(expression: &str) -> Result<Cron, BadSchedule> {
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    let text = expression.trim();
    if text.starts_with('@') {
        let known = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually"];
        let found = known.iter().any(|nickname| nickname.eq_ignore_ascii_case(text));
        let parsed = found.then(|| parser.parse(text).ok()).flatten();
        return parsed.ok_or_else(|| BadSchedule::Nickname { text: shortened(text) });
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    if !(5..=6).contains(&fields.len()) {
        return Err(BadSchedule::FieldCount { expression: shortened(text), found: fields.len() });
    }
    let described = &FIELDS[FIELDS.len() - fields.len()..];
    let well_formed = fields.iter().zip(described).all(|(written, field)| is_well_formed(written, field.step_max));
    match parser.parse(text) {
        Ok(cron) if well_formed => Ok(cron),
        _ => Err(wrong_field(&parser, text, &fields, described)),
    }
}

/// Finds the field that is wrong by trying each on its own.
fn wrong_field(parser: &CronParser, text: &str, fields: &[&str], described: &[Field]) -> BadSchedule {
    for (index, (written, field)) in fields.iter().zip(described).enumerate() {
        let mut alone = vec!["*"; fields.len()];
        alone[index] = written;
        if !is_well_formed(written, field.step_max) || parser.parse(&alone.join(" ")).is_err() {
            return BadSchedule::Field {
                expression: shortened(text),
                field: field.name,
                text: shortened(written),
                expected: field.expected,
                example: field.example,
            };
        }
    }
    BadSchedule::FieldCount { expression: shortened(text), found: fields.len() }
}

/// croner reads over empty elements of a list, and takes a step that leaves the field.
fn is_well_formed(written: &str, step_max: u32) -> bool {
    written.split(',').all(|element| {
        let step = element.split_once('/').map(|(_, step)| step.parse::<u32>());
        !element.is_empty() && step.is_none_or(|step| step.is_ok_and(|step| (1..=step_max).contains(&step)))
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
