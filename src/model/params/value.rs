//! One value between text, JSON and the form in which it is kept.

use serde_json::Value;

use super::ParamType;
use crate::base::quantity::{parse_duration, parse_size};

/// Beyond it a double no longer tells neighbours apart.
const INTEGER_MAX: i64 = 1 << 53;

/// Reads a value as people type it on the command line and into forms.
pub fn from_text(kind: ParamType, text: &str) -> Result<Value, String> {
    let trimmed = text.trim();
    let wrong = || mismatch(kind, &Value::from(text));
    match kind {
        ParamType::String | ParamType::Secret => Ok(Value::from(text)),
        ParamType::Number => trimmed.parse().ok().and_then(number).ok_or_else(wrong),
        ParamType::Integer => trimmed
            .parse::<i64>()
            .ok()
            .map(Value::from)
            .or_else(|| trimmed.parse().ok().and_then(number))
            .ok_or_else(wrong)
            .and_then(|value| integer(&value)),
        ParamType::Boolean => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Value::Bool(true)),
            "false" | "no" | "off" | "0" => Ok(Value::Bool(false)),
            _ => Err(wrong()),
        },
        ParamType::Duration => {
            parse_duration(trimmed).ok().and_then(|duration| number(duration.as_secs_f64())).ok_or_else(wrong)
        }
        ParamType::Size => parse_size(trimmed).map_err(|_| wrong()).and_then(|bytes| integer(&Value::from(bytes))),
        ParamType::List | ParamType::Map => {
            let value = serde_json::from_str(trimmed).map_err(|_| wrong())?;
            coerce(kind, &value)
        }
    }
}

/// A value from any way in, in the form in which it is kept.
pub(super) fn coerce(kind: ParamType, given: &Value) -> Result<Value, String> {
    let wrong = || mismatch(kind, given);
    match (kind, given) {
        (_, Value::String(text)) => from_text(kind, text),
        (ParamType::Boolean, Value::Bool(_)) => Ok(given.clone()),
        (ParamType::Number, Value::Number(_)) => given.as_f64().and_then(number).ok_or_else(wrong),
        (ParamType::Integer, Value::Number(_)) => integer(given),
        (ParamType::Duration, Value::Number(seconds)) => {
            seconds.as_f64().filter(|seconds| *seconds >= 0.0).and_then(number).ok_or_else(wrong)
        }
        (ParamType::Size, Value::Number(_)) => {
            integer(given).ok().filter(|bytes| bytes.as_i64() >= Some(0)).ok_or_else(wrong)
        }
        (ParamType::List, Value::Array(_)) | (ParamType::Map, Value::Object(_)) => Ok(given.clone()),
        // Lua has one empty table for both.
        (ParamType::List, Value::Object(empty)) if empty.is_empty() => Ok(Value::Array(Vec::new())),
        (ParamType::Map, Value::Array(empty)) if empty.is_empty() => Ok(Value::Object(serde_json::Map::new())),
        _ => Err(wrong()),
    }
}

/// Whole numbers stay integers in JSON, so that `42`, `42.0` and `"42"` are kept alike.
fn number(value: f64) -> Option<Value> {
    if !value.is_finite() {
        return None;
    }
    let whole = value.fract() == 0.0 && value.abs() <= INTEGER_MAX as f64;
    Some(if whole { Value::from(value as i64) } else { Value::from(value) })
}

fn integer(value: &Value) -> Result<Value, String> {
    let exact = value.as_i64().or_else(|| number(value.as_f64()?)?.as_i64());
    match exact {
        Some(exact) if exact.abs() <= INTEGER_MAX => Ok(Value::from(exact)),
        None if value.as_f64().is_some_and(|float| float.abs() < INTEGER_MAX as f64) => {
            Err(mismatch(ParamType::Integer, value))
        }
        _ => Err(format!("expected an integer within ±2^53, got {}; pass larger ones as strings", describe(value))),
    }
}

fn mismatch(kind: ParamType, given: &Value) -> String {
    let expected = match kind {
        ParamType::String => "text",
        ParamType::Number => "a number such as 0.5",
        ParamType::Integer => "a whole number such as 42",
        ParamType::Boolean => "true or false",
        ParamType::Duration => "a duration such as \"30s\", \"5m\" or a number of seconds",
        ParamType::Size => "a size such as \"64MiB\" or a number of bytes",
        ParamType::Secret => "the name of a secret",
        ParamType::List => "a list such as [\"a\", \"b\"]",
        ParamType::Map => "a map such as {\"key\": \"value\"}",
    };
    format!("expected {expected}, got {}", describe(given))
}

/// A value for a message: its type where that tells more than the value.
pub(super) fn describe(value: &Value) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        Value::String(text) if text.chars().count() > SHOWN_CHARS_MAX => {
            format!("{:?}…", text.chars().take(SHOWN_CHARS_MAX).collect::<String>())
        }
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

/// A kept value as text that [`from_text`] reads back to it: for forms, lists of choices and command lines.
pub fn show(kind: ParamType, value: &Value) -> String {
    match (kind, value) {
        (_, Value::String(text)) => text.clone(),
        (ParamType::Duration, Value::Number(seconds)) => duration_text(seconds.as_f64().unwrap_or_default()),
        (ParamType::Size, Value::Number(bytes)) => size_text(bytes.as_f64().unwrap_or_default()),
        (_, other) => other.to_string(),
    }
}

fn duration_text(seconds: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m"), (1.0, "s")];
    let millis = seconds * 1e3;
    match UNITS.iter().find(|(unit, _)| seconds >= *unit && seconds % unit == 0.0) {
        Some((unit, name)) => format!("{}{name}", seconds / unit),
        None if seconds > 0.0 && seconds < 1.0 && millis.fract() == 0.0 => format!("{millis}ms"),
        None => format!("{seconds}s"),
    }
}

fn size_text(bytes: f64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let bytes = bytes as u64;
    match UNITS.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}
