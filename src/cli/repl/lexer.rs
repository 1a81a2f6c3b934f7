//! Luau text as tokens, as far as colours need them, with nothing left out. Never fails: what it does not know is
//! `Other`.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Keyword,
    /// `aegis`, `print` and the libraries.
    Global,
    Name,
    Number,
    String,
    Comment,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
}

const KEYWORDS: [&str; 22] = [
    "and", "break", "continue", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
];
const GLOBALS: [&str; 16] = [
    "aegis",
    "assert",
    "bit32",
    "buffer",
    "coroutine",
    "error",
    "ipairs",
    "math",
    "next",
    "pairs",
    "pcall",
    "print",
    "string",
    "table",
    "type",
    "utf8",
];

/// The tokens of `text`, one after another; their texts together are `text`.
pub(super) fn tokens(mut text: &str) -> impl Iterator<Item = Token<'_>> {
    std::iter::from_fn(move || {
        let (kind, length) = first(text)?;
        let (token, rest) = text.split_at(length);
        text = rest;
        Some(Token { kind, text: token })
    })
}

fn first(text: &str) -> Option<(Kind, usize)> {
    let start = text.chars().next()?;
    let run = |is: fn(char) -> bool| text.find(|c| !is(c)).unwrap_or(text.len());
    Some(match start {
        'a'..='z' | 'A'..='Z' | '_' => {
            let length = run(|c| c.is_ascii_alphanumeric() || c == '_');
            let kind = match &text[..length] {
                word if KEYWORDS.contains(&word) => Kind::Keyword,
                word if GLOBALS.contains(&word) => Kind::Global,
                _ => Kind::Name,
            };
            (kind, length)
        }
        '0'..='9' => (Kind::Number, run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))),
        '"' | '\'' | '`' => (Kind::String, quoted(text, start)),
        '-' if text.starts_with("--") => match long_bracket(&text[2..]) {
            Some(length) => (Kind::Comment, 2 + length),
            None => (Kind::Comment, text.find('\n').unwrap_or(text.len())),
        },
        '[' => match long_bracket(text) {
            Some(length) => (Kind::String, length),
            None => (Kind::Other, 1),
        },
        other => (Kind::Other, other.len_utf8()),
    })
}

/// A quoted string ends at its quote or at the end of its line; only a backtick string goes on.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\n' if quote != '`' => return at,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `[[…]]` or `[=[…]=]` at the start of `text`, or what there is of it.
fn long_bracket(text: &str) -> Option<usize> {
    let level = text.strip_prefix('[')?.find(|c| c != '=')?;
    text[1 + level..].strip_prefix('[')?;
    let end = format!("]{}]", "=".repeat(level));
    Some(text.find(&end).map_or(text.len(), |at| at + end.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        tokens(text).filter(|token| token.text != " ").map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn tokens_are_told_apart() {
        use Kind::{Comment, Global, Keyword, Name, Number, Other, String};
        let words = kinds("local x = aegis.kv[\"a\\\"b\"] -- why");
        let expected = [
            (Keyword, "local"),
            (Name, "x"),
            (Other, "="),
            (Global, "aegis"),
            (Other, "."),
            (Name, "kv"),
            (Other, "["),
            (String, "\"a\\\"b\""),
            (Other, "]"),
            (Comment, "-- why"),
        ];
        assert_eq!(words, expected);
        assert_eq!(kinds("[==[a]]b]==] 0x1F"), [(String, "[==[a]]b]==]"), (Number, "0x1F")]);
    }

    #[test]
    fn nothing_is_lost_whatever_is_typed() {
        for text in ["", "[", "[=", "--[[", "`ä\n", "\"\\", "ü→\u{1}", "--[==[ x ]]", "'a\nb"] {
            assert_eq!(tokens(text).map(|token| token.text).collect::<String>(), text);
        }
    }
}
