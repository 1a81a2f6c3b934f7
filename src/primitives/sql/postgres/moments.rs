//! Times between PostgreSQL's microseconds since 2000 and text.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// 2000-01-01 in seconds since 1970.
const EPOCH_SECONDS: i64 = 946_684_800;

fn epoch() -> DateTime {
    DateTime::constant(2000, 1, 1, 0, 0, 0, 0)
}

fn infinity(value: i64, least: i64, most: i64) -> Option<&'static str> {
    if value == most {
        Some("infinity")
    } else if value == least {
        Some("-infinity")
    } else {
        None
    }
}

/// `2027-01-01T00:00:00Z`.
pub fn timestamptz(micros: i64) -> Option<String> {
    if let Some(word) = infinity(micros, i64::MIN, i64::MAX) {
        return Some(word.to_owned());
    }
    let moment = Timestamp::from_microsecond(micros.checked_add(EPOCH_SECONDS * 1_000_000)?).ok()?;
    Some(moment.to_string())
}

/// `2027-01-01T00:00:00`: PostgreSQL does not know in which zone.
pub fn timestamp(micros: i64) -> Option<String> {
    if let Some(word) = infinity(micros, i64::MIN, i64::MAX) {
        return Some(word.to_owned());
    }
    epoch().checked_add(SignedDuration::from_micros(micros)).ok().map(|civil| civil.to_string())
}

pub fn date(days: i32) -> Option<String> {
    if let Some(word) = infinity(days.into(), i32::MIN.into(), i32::MAX.into()) {
        return Some(word.to_owned());
    }
    epoch().date().checked_add(i64::from(days).days()).ok().map(|date| date.to_string())
}

/// `13:45:10.5`; 24:00 is a time that PostgreSQL knows.
pub fn time(micros: i64) -> Option<String> {
    const DAY: i64 = 86_400_000_000;
    if micros == DAY {
        return Some("24:00:00".to_owned());
    }
    Time::midnight().checked_add(SignedDuration::from_micros(micros)).ok().map(|time| time.to_string())
}

/// `13:45:10+02:00`; PostgreSQL counts seconds west of Greenwich.
pub fn timetz(micros: i64, west_seconds: i32) -> Option<String> {
    let east = west_seconds.checked_neg()?;
    let (sign, size) = (if east < 0 { '-' } else { '+' }, east.unsigned_abs());
    Some(format!("{}{sign}{:02}:{:02}", time(micros)?, size / 3600, size / 60 % 60))
}

/// ISO 8601: `P1Y2M3DT4H5M6.7S`.
pub fn interval(months: i32, days: i32, micros: i64) -> Option<String> {
    let mut text = "P".to_owned();
    let mut add = |count: i64, unit: char| {
        if count != 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    };
    add((months / 12).into(), 'Y');
    add((months % 12).into(), 'M');
    add(days.into(), 'D');
    let (hours, minutes) = (micros / 3_600_000_000, micros / 60_000_000 % 60);
    let rest = micros % 60_000_000;
    if micros != 0 {
        text.push('T');
        let mut add = |count: i64, unit: char| {
            if count != 0 {
                text.push_str(&format!("{count}{unit}"));
            }
        };
        add(hours, 'H');
        add(minutes, 'M');
        if rest != 0 {
            let sign = if rest < 0 { "-" } else { "" };
            let (whole, fraction) = (rest.unsigned_abs() / 1_000_000, rest.unsigned_abs() % 1_000_000);
            let fraction = format!(".{fraction:06}");
            text.push_str(&format!("{sign}{whole}{}S", fraction.trim_end_matches('0').trim_end_matches('.')));
        }
    }
    if text == "P" {
        text.push_str("T0S");
    }
    Some(text)
}

/// Of text with an offset, or without one, where UTC is meant.
pub fn read_timestamptz(text: &str) -> Option<i64> {
    if let Some(found) = read_infinity(text) {
        return Some(found);
    }
    let moment = match text.parse::<Timestamp>() {
        Ok(moment) => moment,
        Err(_) => Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?,
    };
    moment.as_microsecond().checked_sub(EPOCH_SECONDS * 1_000_000)
}

/// Of text without an offset; with one it is taken as UTC has it.
pub fn read_timestamp(text: &str) -> Option<i64> {
    if let Some(found) = read_infinity(text) {
        return Some(found);
    }
    let civil = match text.parse::<Timestamp>() {
        Ok(moment) => Offset::UTC.to_datetime(moment),
        Err(_) => text.parse().ok()?,
    };
    i64::try_from(civil.duration_since(epoch()).as_micros()).ok()
}

pub fn read_date(text: &str) -> Option<i32> {
    match text {
        "infinity" => return Some(i32::MAX),
        "-infinity" => return Some(i32::MIN),
        _ => {}
    }
    let date: Date = text.parse().ok()?;
    i32::try_from(date.duration_since(epoch().date()).as_hours() / 24).ok()
}

pub fn read_time(text: &str) -> Option<i64> {
    if text == "24:00:00" {
        return Some(86_400_000_000);
    }
    let time: Time = text.parse().ok()?;
    i64::try_from(time.duration_since(Time::midnight()).as_micros()).ok()
}

fn read_infinity(text: &str) -> Option<i64> {
    match text {
        "infinity" => Some(i64::MAX),
        "-infinity" => Some(i64::MIN),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_come_back_as_they_went() {
        for text in ["2027-01-01T00:00:00Z", "1969-12-31T23:59:59.123456Z", "0001-01-01T00:00:00Z", "infinity"] {
            assert_eq!(read_timestamptz(text).and_then(timestamptz).as_deref(), Some(text));
        }
        for text in ["2027-01-01T00:00:00", "1969-12-31T23:59:59.123456", "-infinity"] {
            assert_eq!(read_timestamp(text).and_then(timestamp).as_deref(), Some(text));
        }
        for text in ["2027-03-28", "0001-01-01", "1999-12-31", "infinity"] {
            assert_eq!(read_date(text).and_then(date).as_deref(), Some(text));
        }
        for text in ["00:00:00", "23:59:59.5", "24:00:00"] {
            assert_eq!(read_time(text).and_then(time).as_deref(), Some(text));
        }
        assert_eq!(
            read_timestamptz("2027-01-01T02:00:00+02:00").and_then(timestamptz).as_deref(),
            Some("2027-01-01T00:00:00Z")
        );
        assert_eq!(
            read_timestamptz("2027-01-01 00:00:00").and_then(timestamptz).as_deref(),
            Some("2027-01-01T00:00:00Z")
        );
        assert_eq!(read_timestamptz("tomorrow"), None);
    }

    #[test]
    fn intervals_are_iso_8601() {
        let cases = [
            ((0, 0, 0), "PT0S"),
            ((14, 3, 14_706_700_000), "P1Y2M3DT4H5M6.7S"),
            ((0, -1, -1_500_000), "P-1DT-1.5S"),
            ((0, 0, 3_600_000_000), "PT1H"),
        ];
        for ((months, days, micros), text) in cases {
            assert_eq!(interval(months, days, micros).as_deref(), Some(text));
        }
        assert_eq!(timetz(3_600_000_000, -7200).as_deref(), Some("01:00:00+02:00"));
    }
}
