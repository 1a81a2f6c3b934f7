//! Numbers as Go writes them, because Compose shows them so in environments and labels.

/// A float in Go's shortest form: `1.5`, `1e+06`, `1e-05`.
pub(super) fn show_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Go switches to an exponent below 1e-4 and from 1e6 on.
    if (-4..6).contains(&exponent) {
        return format!("{number}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// `512m`, `1.5 GiB`, `64kb`: all units are binary, as Docker has them.
pub(super) fn parse_bytes(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if !number.starts_with(|c: char| c.is_ascii_digit()) || !number.ends_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let number: f64 = number.parse().ok()?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let scale = match unit {
        "" | "i" => 1.0,
        "k" | "ki" => 1024.0,
        "m" | "mi" => 1024.0_f64.powi(2),
        "g" | "gi" => 1024.0_f64.powi(3),
        "t" | "ti" => 1024.0_f64.powi(4),
        "p" | "pi" => 1024.0_f64.powi(5),
        _ => return None,
    };
    let bytes = number * scale;
    (bytes.is_finite() && bytes < i64::MAX as f64).then_some(bytes as i64)
}

/// `1h30m`, `1.5s`, `100us` in nanoseconds; units are required but for 0.
pub(super) fn parse_nanos(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_f64;
    let mut exact = 0_i128;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let stop = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(stop);
        let nanos_each: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        exact = exact.checked_add(whole.checked_mul(nanos_each)?)?;
        if !fraction.is_empty() {
            total += format!("0.{fraction}").parse::<f64>().ok()? * nanos_each as f64;
        }
        rest = tail;
    }
    i64::try_from(exact.checked_add(total as i128)?).ok().map(|nanos| nanos * sign)
}

/// `1m30s`, `1.5s`, `0s`, as Go shows durations.
pub(super) fn show_nanos(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let (unit, each) = match nanos {
        0..1_000 => ("ns", 1),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => return format!("{sign}{}", show_seconds(nanos)),
    };
    format!("{sign}{}{unit}", with_fraction(nanos, each))
}

fn show_seconds(nanos: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    let (hours, minutes) = (nanos / (3_600 * SECOND), nanos / (60 * SECOND) % 60);
    let seconds = with_fraction(nanos % (60 * SECOND), SECOND);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

fn with_fraction(value: u64, each: u64) -> String {
    let (whole, rest) = (value / each, value % each);
    if rest == 0 {
        return whole.to_string();
    }
    let width = each.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_show_as_go_shows_them() {
        for (number, shown) in [(1.5, "1.5"), (8.0, "8"), (1e6, "1e+06"), (1e-5, "1e-05"), (3.10, "3.1"), (0.0, "0")] {
            assert_eq!(show_float(number), shown, "{number}");
        }
    }

    #[test]
    fn bytes_parse() {
        for (text, bytes) in [("64m", 64 << 20), ("1.5GiB", 3 << 29), ("10 MB", 10 << 20), ("17", 17), ("20b", 20)] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for bad in ["", "m", "-1", "5x", "1..5m", "1 mm", "5.m"] {
            assert_eq!(parse_bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_go_there_and_back() {
        for (text, shown) in [
            ("90s", "1m30s"),
            ("1.5s", "1.5s"),
            ("0", "0s"),
            ("1h", "1h0m0s"),
            ("100ms", "100ms"),
            ("1500us", "1.5ms"),
            ("1h0.5m", "1h0m30s"),
            ("-2s", "-2s"),
        ] {
            assert_eq!(parse_nanos(text).map(show_nanos).as_deref(), Some(shown), "{text}");
        }
        for bad in ["", "5", "1d", "s", ".s", "1.2.3s", "99999999999h"] {
            assert_eq!(parse_nanos(bad), None, "{bad}");
        }
    }
}
