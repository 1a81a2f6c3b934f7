//! What is read off a job file before it runs.

use std::collections::BTreeMap;

use super::lexer::{Token, TokenKind, tokens};
use super::nesting::Nesting;

/// Names given to `require` as literals, each once, in order.
pub fn requires(source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        // `x.require "…"` and `function require(…)` are somebody else's.
        let own = index.checked_sub(1).is_none_or(|before| !matches!(tokens[before].text, "." | ":" | "function"));
        if token.kind != TokenKind::Name || token.text != "require" || !own {
            continue;
        }
        let argument = match tokens.get(index + 1) {
            Some(open) if open.is("(") => tokens.get(index + 2),
            other => other,
        };
        if let Some(name) = argument.and_then(literal)
            && !found.contains(&name)
        {
            found.push(name);
        }
    }
    found
}

/// The text of a string literal that has no escapes, which the name of a module has not.
fn literal(token: &Token<'_>) -> Option<String> {
    let text = token.text;
    if token.kind == TokenKind::Template {
        return text.strip_prefix('`')?.strip_suffix('`').map(str::to_owned);
    }
    if token.kind != TokenKind::String || text.contains('\\') {
        return None;
    }
    let quote = text.chars().next()?;
    if quote == '[' {
        let width = text.bytes().skip(1).take_while(|byte| *byte == b'=').count() + 2;
        return Some(text.get(width..text.len() - width)?.to_owned());
    }
    text.strip_prefix(quote)?.strip_suffix(quote).map(str::to_owned)
}

/// Source line of each key of the table literal passed to `aegis.job`, and of nested tables' keys as
/// `schedule.every`. Empty when the call has no literal.
pub fn key_lines(source: &str) -> BTreeMap<String, u32> {
    let tokens = tokens(source);
    let mut lines = BTreeMap::new();
    let calls = tokens.windows(3).position(|w| w[0].text == "aegis" && w[1].is(".") && w[2].text == "job");
    let Some(begin) = calls.map(|index| index + 3) else { return lines };
    let brace = if tokens.get(begin).is_some_and(|token| token.is("(")) { begin + 1 } else { begin };
    if tokens.get(brace).is_some_and(|token| token.is("{")) {
        table_keys(&tokens, brace + 1, "", &mut lines);
    }
    lines
}

/// Reads a table literal from behind its opening brace to behind its closing one.
fn table_keys(tokens: &[Token<'_>], mut at: usize, prefix: &str, lines: &mut BTreeMap<String, u32>) -> usize {
    let mut item = 0;
    while let Some(token) = tokens.get(at) {
        if token.is("}") {
            return at + 1;
        }
        let (key, value) = match key_of(tokens, at) {
            Some((key, value)) => (key, value),
            None => {
                item += 1;
                (format!("[{item}]"), at)
            }
        };
        let name = match (prefix.is_empty(), key.starts_with('[')) {
            (true, _) => key,
            (false, true) => format!("{prefix}{key}"),
            (false, false) => format!("{prefix}.{key}"),
        };
        lines.entry(name.clone()).or_insert(token.line);
        at = skip_value(tokens, value, &name, lines);
    }
    at
}

/// The key that begins here, and where its value begins.
fn key_of(tokens: &[Token<'_>], at: usize) -> Option<(String, usize)> {
    let token = tokens.get(at)?;
    if token.kind == TokenKind::Name && tokens.get(at + 1)?.is("=") {
        return Some((token.text.to_owned(), at + 2));
    }
    if token.is("[") && tokens.get(at + 2)?.is("]") && tokens.get(at + 3)?.is("=") {
        return Some((literal(tokens.get(at + 1)?)?, at + 4));
    }
    None
}

/// Goes behind the value and the separator that follows it. A value that is a table literal is read too.
fn skip_value(tokens: &[Token<'_>], mut at: usize, name: &str, lines: &mut BTreeMap<String, u32>) -> usize {
    if tokens.get(at).is_some_and(|token| token.is("{")) {
        at = table_keys(tokens, at + 1, name, lines);
    }
    let mut nesting = Nesting::default();
    while let Some(token) = tokens.get(at) {
        if nesting.depth == 0 && (token.is("}") || token.is(",") || token.is(";")) {
            return if token.is("}") { at } else { at + 1 };
        }
        nesting.feed(at.checked_sub(1).and_then(|before| tokens.get(before)), token);
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requires_are_found_in_code_only() {
        let source = r#"
            local a = require("@lib/a") -- require("@lib/comment")
            local b = require "lib.b"
            --[[ require("@lib/long") ]]
            local text = "require('@lib/string')"
            local c = require [[@std/c]]
            local again = require('@lib/a')
            loader.require("@lib/foreign")
            require(dynamic)
        "#;
        assert_eq!(requires(source), ["@lib/a", "lib.b", "@std/c"]);
    }

    #[test]
    fn keys_have_lines() {
        let source = "local x = 1\nreturn aegis.job {\n  description = 'a, b = c',\n  schedule = {\n    every = '5m',\n  },\n  \
                      [\"timeout\"] = '2m', run = function(ctx)\n    if x then y = 1 elseif z then w = 2 else v = 3 end\n    \
                      return { inner = 1 }\n  end,\n  mcp = true,\n}\n";
        let lines = key_lines(source);
        let line = |key: &str| lines.get(key).copied();
        assert_eq!(line("description"), Some(3));
        assert_eq!(line("schedule.every"), Some(5));
        assert_eq!((line("timeout"), line("run"), line("mcp")), (Some(7), Some(7), Some(11)));
        assert!(!lines.contains_key("inner") && !lines.contains_key("y"), "{lines:?}");
    }

    #[test]
    fn if_expressions_do_not_swallow_keys() {
        let source = "return aegis.job { a = if x then 1 elseif y then 2 else 3, b = 3, c = function() end, d = 4 }";
        let keys = key_lines(source).into_keys().collect::<Vec<_>>();
        assert_eq!(keys, ["a", "b", "c", "d"]);
    }
}
