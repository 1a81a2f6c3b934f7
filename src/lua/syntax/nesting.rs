//! How deep inside brackets and blocks a token stands.

use super::lexer::{Token, TokenKind};

/// Fed with the tokens in order. `if` expressions, which have no `end`, are told from `if` statements by what stands
/// before them.
#[derive(Debug, Default)]
pub struct Nesting {
    pub depth: usize,
    /// `if` expressions whose `else`, which they must have, is still to come.
    if_expressions: usize,
    /// `then`s to come that open no block.
    plain_thens: usize,
}

impl Nesting {
    pub fn feed(&mut self, before: Option<&Token<'_>>, token: &Token<'_>) {
        if !matches!(token.kind, TokenKind::Symbol | TokenKind::Keyword) {
            return;
        }
        match token.text {
            "if" if begins_expression(before) => {
                self.if_expressions += 1;
                self.plain_thens += 1;
            }
            "then" if self.plain_thens > 0 => self.plain_thens -= 1,
            "elseif" if self.if_expressions > 0 => self.plain_thens += 1,
            "else" if self.if_expressions > 0 => self.if_expressions -= 1,
            "(" | "[" | "{" | "function" | "do" | "then" | "repeat" => self.depth += 1,
            // What follows `elseif` opens with a `then` of its own.
            ")" | "]" | "}" | "end" | "until" | "elseif" => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

fn begins_expression(before: Option<&Token<'_>>) -> bool {
    let Some(before) = before else { return false };
    match before.kind {
        TokenKind::Symbol => !matches!(before.text, ")" | "]" | "}" | ";"),
        TokenKind::Keyword => matches!(before.text, "return" | "and" | "or" | "not" | "in" | "until" | "while"),
        TokenKind::Template => before.text.ends_with('{'),
        _ => false,
    }
}
