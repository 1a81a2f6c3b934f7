//! What a scalar means, by the rules of go-yaml 3: YAML 1.2 with the octal numbers of 1.1.

use super::super::node::Value;
use super::raw::Tag;

/// The value of a scalar.
pub(super) fn value(text: &str, is_plain: bool, tag: Option<&Tag>) -> Value {
    match tag {
        Some(Tag::Core(name)) => tagged(text, name),
        Some(Tag::Reset | Tag::Override | Tag::Other) => Value::Text(text.to_owned()),
        None if is_plain => plain(text),
        None => Value::Text(text.to_owned()),
    }
}

fn tagged(text: &str, name: &str) -> Value {
    let meant = plain(text);
    match (name, meant) {
        ("null", _) => Value::Null,
        ("float", Value::Int(number)) => Value::Float(number as f64),
        ("int" | "float" | "bool", meant) => meant,
        _ => Value::Text(text.to_owned()),
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Value::Text(text.to_owned());
    }
    let bare = text.replace('_', "");
    int(&bare)
        .map(Value::Int)
        .or_else(|| float(&bare).map(Value::Float))
        .unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// Decimal, `0x`, `0o`, `0b`, and octal with a leading zero, within 64 bits.
fn int(text: &str) -> Option<i128> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let number = sign * i128::from_str_radix(digits, radix).ok()?;
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number).then_some(number)
}

fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let is_scaled = exponent.is_none_or(|text| {
        let text = text.strip_prefix(['+', '-']).unwrap_or(text);
        !text.is_empty() && digits(text)
    });
    if is_number && is_scaled { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_mean_what_they_mean_to_compose() {
        for (text, meant) in [
            ("", Value::Null),
            ("yes", Value::Text("yes".into())),
            ("True", Value::Bool(true)),
            ("017", Value::Int(15)),
            ("08", Value::Float(8.0)),
            ("0x1F", Value::Int(31)),
            ("1_000", Value::Int(1000)),
            ("-5", Value::Int(-5)),
            ("1.50", Value::Float(1.5)),
            ("1e3", Value::Float(1000.0)),
            (".5", Value::Float(0.5)),
            ("22:22", Value::Text("22:22".into())),
            ("1.2.3", Value::Text("1.2.3".into())),
            ("--5", Value::Text("--5".into())),
            ("-", Value::Text("-".into())),
        ] {
            assert_eq!(value(text, true, None), meant, "{text:?}");
        }
        assert_eq!(value("5", false, None), Value::Text("5".into()));
        assert_eq!(value("5", true, Some(&Tag::Core("str".into()))), Value::Text("5".into()));
        assert_eq!(value("5", true, Some(&Tag::Core("float".into()))), Value::Float(5.0));
    }
}
