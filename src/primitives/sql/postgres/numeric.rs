//! `numeric` between its binary format and text: digits to the base of 10,000, and how many decimals are shown.

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;
/// Digits of a text; PostgreSQL takes 131,072 before the point and 16,383 behind it.
const DIGITS_MAX: usize = 16_383;

pub fn to_text(bytes: &[u8]) -> Option<String> {
    let mut shorts = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let (count, weight) = (usize::from(shorts.next()?), i32::from(shorts.next()?.cast_signed()));
    let (sign, scale) = (shorts.next()?, usize::from(shorts.next()?));
    match sign {
        NAN => return Some("NaN".to_owned()),
        INFINITY => return Some("Infinity".to_owned()),
        MINUS_INFINITY => return Some("-Infinity".to_owned()),
        _ => {}
    }
    let digits: Vec<u16> = shorts.collect();
    if digits.len() != count {
        return None;
    }
    let digit = |place: i32| usize::try_from(place).ok().and_then(|place| digits.get(place)).copied().unwrap_or(0);
    let mut text = if sign == NEGATIVE { "-".to_owned() } else { String::new() };
    let mut whole = String::new();
    for place in 0..=weight.max(0) {
        if weight >= 0 {
            whole.push_str(&format!("{:04}", digit(place)));
        }
    }
    let whole = whole.trim_start_matches('0');
    text.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        let mut fraction = String::new();
        let mut place = weight + 1;
        // Digits that stand before the first one that was sent are noughts.
        for _ in 0..(-1 - weight).max(0) {
            fraction.push_str("0000");
        }
        place = place.max(0);
        while fraction.len() < scale {
            fraction.push_str(&format!("{:04}", digit(place)));
            place += 1;
        }
        fraction.truncate(scale);
        text.push('.');
        text.push_str(&fraction);
    }
    Some(text)
}

/// None for what is no decimal number. Exponents are allowed.
pub fn from_text(text: &str) -> Option<Vec<u8>> {
    let special = |sign: u16| Some([0, 0, sign, 0].iter().flat_map(|short: &u16| short.to_be_bytes()).collect());
    match text.trim() {
        "NaN" => return special(NAN),
        "Infinity" => return special(INFINITY),
        "-Infinity" => return special(MINUS_INFINITY),
        _ => {}
    }
    let (whole, fraction, negative) = parts(text.trim())?;
    let before = whole.len().div_ceil(4) * 4;
    let digits = format!("{whole:0>before$}");
    let after = fraction.len().div_ceil(4) * 4;
    let digits = format!("{digits}{fraction:0<after$}");
    let mut groups: Vec<u16> = Vec::new();
    for group in digits.as_bytes().chunks(4) {
        groups.push(group.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')));
    }
    let mut weight = i16::try_from(before / 4).ok()? - 1;
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    weight = weight.checked_sub(i16::try_from(leading).ok()?)?;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    let sign = if negative && !groups.is_empty() { NEGATIVE } else { POSITIVE };
    let head = [u16::try_from(groups.len()).ok()?, weight.cast_unsigned(), sign, u16::try_from(fraction.len()).ok()?];
    Some(head.iter().chain(&groups).flat_map(|short| short.to_be_bytes()).collect())
}

/// Digits before and behind the point, and whether there is a minus.
fn parts(text: &str) -> Option<(String, String, bool)> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_size = usize::try_from(exponent.unsigned_abs()).ok()?;
    let length = whole.len() + fraction.len() + exponent_size;
    if (whole.is_empty() && fraction.is_empty()) || !is_number(whole) || !is_number(fraction) || length > DIGITS_MAX {
        return None;
    }
    let (mut whole, mut fraction) = (whole.to_owned(), fraction.to_owned());
    for _ in 0..exponent_size {
        if exponent > 0 {
            whole.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
        } else {
            fraction.insert(0, whole.pop().unwrap_or('0'));
        }
    }
    Some((whole, fraction, negative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_went() {
        for text in [
            "0",
            "1",
            "-1",
            "1.50",
            "0.00",
            "-0.05",
            "10000",
            "9999.9999",
            "123456789012345678901234567890.000000001",
            "0.00000000000000000001",
            "100000000",
            "-0.00012300",
            "NaN",
            "Infinity",
            "-Infinity",
        ] {
            let bytes = from_text(text).expect(text);
            assert_eq!(to_text(&bytes).as_deref(), Some(text));
        }
        for (text, same) in
            [("1e3", "1000"), ("1.5e-3", "0.0015"), (".5", "0.5"), ("+7", "7"), ("-0", "0"), ("007", "7")]
        {
            assert_eq!(from_text(text).and_then(|bytes| to_text(&bytes)).as_deref(), Some(same), "{text}");
        }
        for text in ["", ".", "-", "1.2.3", "0x10", "1e99999", "eins"] {
            assert_eq!(from_text(text), None, "{text}");
        }
    }
}
