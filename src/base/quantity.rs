//! Durations and sizes as people write them: `250ms 30s 5m 2h 7d`, `64MiB 10MB 512k`.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadQuantity {
    #[error("{0:?} is not a duration: write a number and a unit such as \"250ms\", \"30s\", \"5m\", \"2h\" or \"7d\"")]
    Duration(String),
    #[error("{0:?} is not a size: write a number of bytes or a number and a unit such as \"64MiB\" or \"10MB\"")]
    Size(String),
}

/// Parses `1h30m`, `250ms`, `1.5s`; a bare number counts seconds.
pub fn parse_duration(text: &str) -> Result<Duration, BadQuantity> {
    let bad = || BadQuantity::Duration(text.chars().take(40).collect());
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(bad());
    }
    if let Ok(seconds) = rest.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| bad());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, unit, tail) = split_number(rest).ok_or_else(bad)?;
        let seconds_each = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return Err(bad()),
        };
        let part = Duration::try_from_secs_f64(number * seconds_each).map_err(|_| bad())?;
        total = total.checked_add(part).ok_or_else(bad)?;
        rest = tail.trim_start();
    }
    Ok(total)
}

/// Parses `64MiB`, `10MB`, `512k` or a bare number of bytes. `k`, `m`, `g` alone are binary, as Docker has them.
pub fn parse_size(text: &str) -> Result<u64, BadQuantity> {
    let bad = || BadQuantity::Size(text.chars().take(40).collect());
    let trimmed = text.trim();
    if let Ok(bytes) = trimmed.parse::<u64>() {
        return Ok(bytes);
    }
    let (number, unit, tail) = split_number(trimmed).ok_or_else(bad)?;
    let bytes_each: u64 = match unit.to_ascii_lowercase().as_str() {
        "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(bad()),
    };
    let bytes = number * bytes_each as f64;
    if tail.is_empty() && bytes.is_finite() && bytes < u64::MAX as f64 { Ok(bytes as u64) } else { Err(bad()) }
}

/// `1h 30m`, `2.5s`, `250ms`: two units at most, for people.
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.subsec_millis() == 0 && !duration.is_zero() => format!("{}us", duration.subsec_micros()),
        0 => format!("{}ms", duration.subsec_millis()),
        1..=59 => format!("{}s", (duration.as_secs_f64() * 10.0).round() / 10.0),
        60..=3_599 => two_units(seconds / 60, "m", seconds % 60, "s"),
        3_600..=86_399 => two_units(seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => two_units(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// `1.5 MiB`, `512 B`.
pub fn show_size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

fn two_units(major: u64, major_unit: &str, minor: u64, minor_unit: &str) -> String {
    if minor == 0 { format!("{major}{major_unit}") } else { format!("{major}{major_unit} {minor}{minor_unit}") }
}

fn split_number(text: &str) -> Option<(f64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number = text[..digits].parse().ok()?;
    let rest = text[digits..].trim_start();
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    Some((number, &rest[..letters], &rest[letters..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse() {
        let cases =
            [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("1.5s", 1_500), ("2", 2_000)];
        for (text, millis) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "5", "x", "5 parsecs", "-1s", "1e999d", "5m5"].iter().filter(|text| **text != "5") {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_parse() {
        for (text, bytes) in
            [("64MiB", 64 << 20), ("10MB", 10_000_000), ("512k", 512 << 10), ("17", 17), ("1.5KiB", 1536)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "MiB", "5 parsecs", "-1", "1MiBx2"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn quantities_show_with_units() {
        assert_eq!(show_duration(Duration::from_millis(2_540)), "2.5s");
        assert_eq!(show_duration(Duration::from_secs(5_400)), "1h 30m");
        assert_eq!(show_duration(Duration::from_millis(7)), "7ms");
        assert_eq!(show_size(1_572_864), "1.5 MiB");
        assert_eq!(show_size(12), "12 B");
    }
}
