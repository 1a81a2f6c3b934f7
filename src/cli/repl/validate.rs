//! Whether Enter sends the text or begins another line of it.

use reedline::{ValidationResult, Validator};

use crate::lua;

/// Asks the compiler, which is in the client too.
#[derive(Debug)]
pub(super) struct Compiler;

impl Validator for Compiler {
    fn validate(&self, line: &str) -> ValidationResult {
        if is_open(line) { ValidationResult::Incomplete } else { ValidationResult::Complete }
    }
}

/// An empty last line sends the text as it is, so that nobody is held by a beginning without an end.
fn is_open(text: &str) -> bool {
    !text.starts_with('.') && !text.ends_with("\n\n") && lua::is_incomplete(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_ask_for_more() {
        for open in ["f(", "{ 1,\n", "if x then", "for i = 1, 3 do\nprint(i)", "x = [[a", "--[[", "1 +"] {
            assert!(is_open(open), "{open}");
        }
        for whole in
            ["f()", "x = \")\"", "1)", "if x then end", "x = if a then 1 else 2", "", ".doc f(", "if x then\n\n"]
        {
            assert!(!is_open(whole), "{whole}");
        }
    }
}
