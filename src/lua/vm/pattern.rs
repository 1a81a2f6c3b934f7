//! Searches that Luau's own library would carry out in one piece, without a safepoint.

use memchr::memmem;
use mlua::Value;

use crate::base::Fault;
use crate::base::limits::PATTERN_STEPS_MAX;

/// Plain search from `init`, which counts as in `string.find`; the place of the first match, or nil. Linear in time.
pub fn find(text: &Value, needle: &Value, init: &Value) -> Value {
    let (Value::String(text), Value::String(needle)) = (text, needle) else { return Value::Nil };
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    let length = text.len() as i64;
    let init = match init {
        Value::Integer(init) => *init,
        Value::Number(init) => *init as i64,
        _ => 1,
    };
    let from = if init < 0 { (length + init).max(0) } else { (init - 1).max(0) };
    match text.get(from as usize..).and_then(|rest| memmem::find(rest, &needle)) {
        Some(found) => Value::Number((from + found as i64 + 1) as f64),
        None => Value::Nil,
    }
}

/// Repeating a set such as `[a-z0-9]*` tests each character against each member, in one go. Refuses sets that would
/// make that long for this text.
pub fn check(text: &Value, pattern: &Value) -> Result<(), Fault> {
    let (Value::String(text), Value::String(pattern)) = (text, pattern) else { return Ok(()) };
    let (text, pattern) = (text.as_bytes().len(), pattern.as_bytes());
    let set = longest_set(&pattern);
    if text.saturating_mul(set) <= PATTERN_STEPS_MAX {
        return Ok(());
    }
    let message = format!("a pattern with a set of {set} characters is too much work on a text of {text} bytes");
    Err(Fault::new("string.pattern", message).hint("search the text line by line, or use a class such as %w"))
}

/// Length of the longest `[…]` in a pattern.
fn longest_set(pattern: &[u8]) -> usize {
    let (mut longest, mut at) = (0, 0);
    while at < pattern.len() {
        match pattern[at] {
            b'%' => at += 2,
            b'[' => {
                let begin = at;
                at += 1;
                // A bracket that comes first stands for itself.
                if pattern.get(at) == Some(&b'^') {
                    at += 1;
                }
                if pattern.get(at) == Some(&b']') {
                    at += 1;
                }
                while at < pattern.len() && pattern[at] != b']' {
                    at += if pattern[at] == b'%' { 2 } else { 1 };
                }
                longest = longest.max(at - begin);
            }
            _ => at += 1,
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_measured() {
        for (pattern, length) in [("abc", 0), ("[abc]*", 4), ("%[abcdef]", 0), ("[]abc][x]", 5), ("[^%]ab]", 6)] {
            assert_eq!(longest_set(pattern.as_bytes()), length, "{pattern}");
        }
    }
}
