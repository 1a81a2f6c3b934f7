//! Variables in a text: `$VAR ${VAR} ${VAR:-d} ${VAR-d} ${VAR:?e} ${VAR?e} ${VAR:+r} ${VAR+r}`, nested, and `$$`.
//!
//! As in Compose, a default, a message and a replacement end at the brace that closes theirs, must not span lines, and
//! are filled in whether they are used or not.

use crate::base::limits::{COMPOSE_TEXT_BYTES_MAX, COMPOSE_VARIABLE_DEPTH_MAX};

/// What can be wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Flaw {
    /// A `$` that starts nothing; the text from it on.
    Malformed(String),
    /// A variable that must be set, and what the file says about it.
    Missing {
        name: String,
        reason: String,
    },
    TooDeep,
    TooLong,
}

/// Where variables come from, and who is told about those that are not there.
pub(in super::super) trait Variables {
    fn get(&self, name: &str) -> Option<String>;
    /// It is not set and has no default: it becomes empty.
    fn unset(&mut self, name: &str);
}

/// `text` with its variables filled in.
pub(in super::super) fn fill(text: &str, variables: &mut dyn Variables) -> Result<String, Flaw> {
    fill_at(text, variables, 0)
}

fn fill_at(text: &str, variables: &mut dyn Variables, depth: usize) -> Result<String, Flaw> {
    if depth > COMPOSE_VARIABLE_DEPTH_MAX {
        return Err(Flaw::TooDeep);
    }
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        let from = &rest[at..];
        let after = &from[1..];
        match after.as_bytes().first() {
            Some(b'$') => {
                filled.push('$');
                rest = &after[1..];
            }
            Some(b'{') => {
                let used = braced(from, &mut filled, variables, depth)?;
                rest = &from[used..];
            }
            Some(byte) if is_name_start(*byte) => {
                let name = &after[..name_length(after)];
                filled.push_str(&plain(name, variables));
                rest = &after[name.len()..];
            }
            _ => {
                filled.push('$');
                rest = after;
            }
        }
        if filled.len() > COMPOSE_TEXT_BYTES_MAX {
            return Err(Flaw::TooLong);
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

fn plain(name: &str, variables: &mut dyn Variables) -> String {
    variables.get(name).unwrap_or_else(|| {
        variables.unset(name);
        String::new()
    })
}

/// Fills in the `${…}` at the start of `from` and says how long it is.
fn braced(from: &str, filled: &mut String, variables: &mut dyn Variables, depth: usize) -> Result<usize, Flaw> {
    let malformed = || Flaw::Malformed(from.chars().take(60).collect());
    let inside = &from[2..];
    let name = &inside[..name_length(inside)];
    if !name.bytes().next().is_some_and(is_name_start) {
        return Err(malformed());
    }
    let operator = &inside[name.len()..];
    if operator.starts_with('}') {
        filled.push_str(&plain(name, variables));
        return Ok(name.len() + 3);
    }
    let (on_empty, sign_at) = if operator.starts_with(':') { (true, 1) } else { (false, 0) };
    let sign = operator.as_bytes().get(sign_at).copied().filter(|sign| b"-+?".contains(sign)).ok_or_else(malformed)?;
    let start = 2 + name.len() + sign_at + 1;
    let line = from[start..].find('\n').map_or(from.len(), |length| start + length);
    let end = closing_brace(&from[..line]).or_else(|| from[start..line].rfind('}').map(|at| start + at));
    let end = end.filter(|end| *end >= start).ok_or_else(malformed)?;
    let operand = fill_at(&from[start..end], variables, depth + 1)?;
    let value = variables.get(name);
    let is_there = value.as_ref().is_some_and(|value| !on_empty || !value.is_empty());
    match sign {
        b'-' if is_there => filled.push_str(&value.unwrap_or_default()),
        b'+' if !is_there => filled.push_str(&value.unwrap_or_default()),
        b'-' | b'+' => filled.push_str(&operand),
        _ if is_there => filled.push_str(&value.unwrap_or_default()),
        _ => return Err(Flaw::Missing { name: name.to_owned(), reason: operand }),
    }
    Ok(end + 1)
}

/// The brace that closes the first one. As in Compose, the character after an opening brace is not looked at.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'}' if open <= 1 => return Some(at),
            b'}' => open -= 1,
            b'{' => {
                open += 1;
                bytes.next();
            }
            _ => {}
        }
    }
    None
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn name_length(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Some3(Vec<String>);

    impl Variables for Some3 {
        fn get(&self, name: &str) -> Option<String> {
            match name {
                "FOO" => Some("first".into()),
                "BAR" => Some(String::new()),
                "json" => Some("{}".into()),
                _ => None,
            }
        }

        fn unset(&mut self, name: &str) {
            self.0.push(name.to_owned());
        }
    }

    fn filled(text: &str) -> Result<String, Flaw> {
        fill(text, &mut Some3(Vec::new()))
    }

    #[test]
    fn every_form_is_filled_in() {
        for (text, result) in [
            ("plain", "plain"),
            ("$FOO/${FOO}", "first/first"),
            ("$$FOO $$$FOO", "$FOO $first"),
            ("${NO:-d}${NO-d}${BAR:-e}${BAR-e}", "dde"),
            ("${FOO:-d}${FOO-d}", "firstfirst"),
            ("${FOO:+r}${FOO+r}${BAR:+r}${BAR+r}${NO:+r}${NO+r}", "rrr"),
            ("${FOO:?needed}${BAR?needed}", "first"),
            ("${NO:-${NO2:-${FOO}}}", "first"),
            ("${NO:-${NO2-a}${FOO}b}c", "afirstbc"),
            ("${NO:-{\"a\": {\"b\": 1}}}", "{\"a\": {\"b\": 1}}"),
            ("${NO:-{}}", "{}"),
            ("{\"x\": \"${NO:-y}\", \"z\": \"${FOO}\"}", "{\"x\": \"y\", \"z\": \"first\"}"),
            ("${NO:-a:-b?c}", "a:-b?c"),
            ("$ $1 a$", "$ $1 a$"),
            ("${NO}", ""),
            ("${NO:-$$x}", "$x"),
            ("é${FOO}é", "éfirsté"),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(result), "{text}");
        }
    }

    #[test]
    fn what_is_malformed_or_missing_is_told() {
        for text in ["${", "${}", "${1}", "${FOO", "${FOO:}", "${FOO!x}", "${ FOO}", "${FOO:-a\nb}"] {
            assert!(matches!(filled(text), Err(Flaw::Malformed(_))), "{text}");
        }
        let missing = Flaw::Missing { name: "NO".into(), reason: "set first".into() };
        assert_eq!(filled("${NO:?set $FOO}"), Err(missing.clone()));
        assert_eq!(filled("${NO?set ${FOO}}"), Err(missing));
        assert!(matches!(filled("${BAR:?}"), Err(Flaw::Missing { .. })));
    }

    #[test]
    fn unset_variables_are_told_and_depth_is_bounded() {
        let mut variables = Some3(Vec::new());
        assert_eq!(fill("$A ${B} ${C:-$D}", &mut variables).as_deref(), Ok("  "));
        assert_eq!(variables.0, ["A", "B", "D"]);
        let deep = "${N:-".repeat(40) + &"}".repeat(40);
        assert_eq!(filled(&deep), Err(Flaw::TooDeep));
    }
}
