//! Whether Enter sends the text or begins another line of it.

use reedline::{ValidationResult, Validator};

use super::lexer::{Kind, tokens};

/// Open brackets, long strings and comments are known here; for the rest the daemon says that more is needed.
#[derive(Debug)]
pub(super) struct Brackets;

impl Validator for Brackets {
    fn validate(&self, line: &str) -> ValidationResult {
        if is_open(line) { ValidationResult::Incomplete } else { ValidationResult::Complete }
    }
}

fn is_open(text: &str) -> bool {
    let mut depth = 0_i64;
    for token in tokens(text) {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth -= 1,
            _ if token.open_ended => return true,
            _ => {}
        }
    }
    depth > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_brackets_ask_for_more() {
        for open in ["f(", "{ 1,\n", "x = [[a", "--[[", "`a"] {
            assert!(is_open(open), "{open}");
        }
        for whole in ["f()", "x = \")\"", "1)", "if x then", "-- (", "\"unclosed"] {
            assert!(!is_open(whole), "{whole}");
        }
    }
}
