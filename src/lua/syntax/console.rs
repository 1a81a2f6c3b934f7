//! What a console line needs: locals that outlive it, and a way to tell a beginning from a mistake.

use super::lexer::{Token, TokenKind, tokens};
use super::nesting::Nesting;

/// Turns declarations at the top of the line into assignments to the session: `local x = 1` becomes `x = 1`,
/// `local function f` becomes `function f`. Positions of lines stay as they are.
pub fn publish_locals(source: &str) -> String {
    let tokens = tokens(source);
    let mut out = String::with_capacity(source.len());
    let (mut copied, mut nesting, mut index) = (0, Nesting::default(), 0);
    while let Some(token) = tokens.get(index) {
        if nesting.depth == 0 && token.is("local") {
            let (text, next) = match tokens.get(index + 1) {
                Some(function) if function.is("function") => (String::new(), index + 1),
                _ => declaration(&tokens, index + 1),
            };
            out.push_str(&source[copied..token.at]);
            out.push_str(&text);
            copied = tokens.get(next).map_or(source.len(), |token| token.at);
            index = next;
            continue;
        }
        nesting.feed(index.checked_sub(1).and_then(|before| tokens.get(before)), token);
        index += 1;
    }
    out.push_str(&source[copied..]);
    out
}

/// The names of `local a: T, b = …` as the left side of an assignment, and the token behind the `=`.
fn declaration(tokens: &[Token<'_>], mut at: usize) -> (String, usize) {
    let mut names = Vec::new();
    while let Some(name) = tokens.get(at).filter(|token| token.kind == TokenKind::Name) {
        names.push(name.text);
        at += 1;
        if tokens.get(at).is_some_and(|token| token.is("<")) {
            at += 3;
        }
        if tokens.get(at).is_some_and(|token| token.is(":")) {
            at = skip_type(tokens, at + 1);
        }
        if !tokens.get(at).is_some_and(|token| token.is(",")) {
            break;
        }
        at += 1;
    }
    let names = names.join(", ");
    if tokens.get(at).is_some_and(|token| token.is("=")) {
        (format!("{names} = "), at + 1)
    } else {
        (format!("{names} = nil "), at)
    }
}

/// Goes behind a type annotation: up to `=`, `,` or a token that begins a statement, outside of brackets.
fn skip_type(tokens: &[Token<'_>], mut at: usize) -> usize {
    let (mut depth, mut line) = (0_usize, None);
    while let Some(token) = tokens.get(at) {
        match token.text {
            "(" | "{" | "[" | "<" => depth += 1,
            ")" | "}" | "]" | ">" => depth = depth.saturating_sub(1),
            "=" | "," if depth == 0 => break,
            _ if depth == 0 && (token.kind == TokenKind::Keyword && token.text != "nil" && line.is_some()) => break,
            _ if depth == 0 && line.is_some_and(|line| line != token.line) => break,
            _ => {}
        }
        line = Some(token.line);
        at += 1;
    }
    at
}

/// Whether the text is the beginning of something longer, given what the compiler says of it.
pub fn unfinished(source: &str, message: &str) -> bool {
    let at_end = message.contains("got <eof>") || message.ends_with("<eof>");
    at_end || tokens(source).last().is_some_and(|token| token.kind == TokenKind::Unfinished)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_level_locals_become_the_sessions() {
        for (line, published) in [
            ("local x = 1", "x = 1"),
            ("local a, b = f()", "a, b = f()"),
            ("local x", "x = nil "),
            ("local function f() local y = 1 return y end", "function f() local y = 1 return y end"),
            ("do local x = 1 end", "do local x = 1 end"),
            ("local x: number = 1 local y = x", "x = 1 y = x"),
            ("local t: { [string]: number }, u = {}, 2", "t, u = {}, 2"),
            ("f(function() local z end) local w = 2", "f(function() local z end) w = 2"),
            ("print('local x = 1')", "print('local x = 1')"),
            ("if a then local x = 1 else local y = 2 end", "if a then local x = 1 else local y = 2 end"),
        ] {
            assert_eq!(publish_locals(line), published, "{line}");
        }
    }
}
