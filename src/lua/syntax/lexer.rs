//! Tokens of Luau. Lenient: what is no Luau becomes symbols, and the compiler says what is wrong with it.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    Name,
    Keyword,
    Number,
    /// Quoted or long; escapes as written.
    String,
    /// A piece of an interpolated string; the expressions between pieces are tokens of their own.
    Template,
    Symbol,
    /// A long string, long comment or interpolated string whose end is missing.
    Unfinished,
}

/// A piece of the source, without comments and blanks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    pub kind: TokenKind,
    pub text: &'a str,
    /// Byte offset in the source.
    pub at: usize,
    /// Counted from 1.
    pub line: u32,
}

impl Token<'_> {
    pub fn is(&self, text: &str) -> bool {
        self.text == text && matches!(self.kind, TokenKind::Symbol | TokenKind::Keyword)
    }
}

const KEYWORDS: [&str; 21] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not", "or",
    "repeat", "return", "then", "true", "until", "while",
];

pub fn is_keyword(text: &str) -> bool {
    KEYWORDS.contains(&text)
}

pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { source, at: 0, line: 1, out: Vec::new(), templates: Vec::new() };
    while lexer.at < source.len() {
        lexer.step();
    }
    if !lexer.templates.is_empty() {
        lexer.push(TokenKind::Unfinished, source.len());
    }
    lexer.out
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: u32,
    out: Vec<Token<'a>>,
    /// For each interpolated string that is open, the braces open inside its current expression.
    templates: Vec<usize>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    /// Emits `at..end` and goes there.
    fn push(&mut self, kind: TokenKind, end: usize) {
        let text = &self.source[self.at..end];
        self.out.push(Token { kind, text, at: self.at, line: self.line });
        self.skip_to(end);
    }

    fn skip_to(&mut self, end: usize) {
        let newlines = self.source.as_bytes()[self.at..end].iter().filter(|byte| **byte == b'\n').count();
        self.line += u32::try_from(newlines).unwrap_or(u32::MAX);
        self.at = end;
    }

    fn step(&mut self) {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return };
        if first.is_whitespace() {
            self.skip_to(self.at + first.len_utf8());
        } else if rest.starts_with("--") {
            self.comment();
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let kind = if is_keyword(&rest[..length]) { TokenKind::Keyword } else { TokenKind::Name };
            self.push(kind, self.at + length);
        } else if first.is_ascii_digit() {
            let length =
                rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.')).unwrap_or(rest.len());
            self.push(TokenKind::Number, self.at + length);
        } else if first == '"' || first == '\'' {
            self.quoted(first);
        } else if let Some(end) = self.long_bracket() {
            match end {
                Some(end) => self.push(TokenKind::String, end),
                None => self.push(TokenKind::Unfinished, self.source.len()),
            }
        } else if first == '`' {
            self.template(1);
        } else {
            self.symbol(first);
        }
    }

    fn symbol(&mut self, first: char) {
        if let Some(depth) = self.templates.last_mut() {
            match first {
                '{' => *depth += 1,
                '}' if *depth == 0 => {
                    self.templates.pop();
                    return self.template(1);
                }
                '}' => *depth -= 1,
                _ => {}
            }
        }
        const LONG: [&str; 16] =
            ["...", "..=", "//=", "==", "~=", "<=", ">=", "..", "::", "->", "+=", "-=", "*=", "/=", "%=", "^="];
        let length = LONG.iter().find(|symbol| self.rest().starts_with(**symbol)).map_or(first.len_utf8(), |s| s.len());
        self.push(TokenKind::Symbol, self.at + length);
    }

    fn comment(&mut self) {
        let begin = self.at;
        self.at += 2;
        let long = self.long_bracket();
        self.at = begin;
        match long {
            Some(Some(end)) => self.skip_to(end),
            Some(None) => self.push(TokenKind::Unfinished, self.source.len()),
            None => self.skip_to(self.rest().find('\n').map_or(self.source.len(), |length| self.at + length)),
        }
    }

    /// Whether a long bracket begins here; its end, if it has one.
    fn long_bracket(&self) -> Option<Option<usize>> {
        let inner = self.rest().strip_prefix('[')?;
        let level = inner.bytes().take_while(|byte| *byte == b'=').count();
        inner[level..].strip_prefix('[')?;
        let closing = format!("]{}]", "=".repeat(level));
        let from = self.at + level + 2;
        Some(self.source[from..].find(&closing).map(|length| from + length + closing.len()))
    }

    fn quoted(&mut self, quote: char) {
        let mut end = self.source.len();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((offset, character)) = characters.next() {
            if character == '\\' {
                characters.next();
            } else if character == quote {
                end = self.at + offset + 1;
                break;
            } else if character == '\n' {
                end = self.at + offset;
                break;
            }
        }
        self.push(TokenKind::String, end);
    }

    /// A piece of an interpolated string, from its opening (`skip` bytes) to an expression or to its end.
    fn template(&mut self, skip: usize) {
        let mut characters = self.rest().char_indices().skip(skip);
        while let Some((offset, character)) = characters.next() {
            match character {
                '\\' => {
                    characters.next();
                }
                '`' => return self.push(TokenKind::Template, self.at + offset + 1),
                '{' => {
                    self.push(TokenKind::Template, self.at + offset + 1);
                    self.templates.push(0);
                    return;
                }
                _ => {}
            }
        }
        self.push(TokenKind::Unfinished, self.source.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_and_strings_are_told_apart() {
        let source = "x = 1 --[[ y\nz ]] + 'a\\'--b' .. [==[ -- ]] ]==] -- end\nreturn x";
        assert_eq!(texts(source), ["x", "=", "1", "+", "'a\\'--b'", "..", "[==[ -- ]] ]==]", "return", "x"]);
        assert_eq!(tokens(source).last().map(|token| token.line), Some(3));
    }

    #[test]
    fn templates_hold_expressions() {
        assert_eq!(texts("`a{ f({b = `c{d}`}) }e` .. g").len(), 14);
        assert_eq!(texts("`{x}`"), ["`{", "x", "}`"]);
    }

    #[test]
    fn what_has_no_end_is_said_to_have_none() {
        for source in ["[[ abc", "--[=[ abc ]]", "`abc", "`abc{ d"] {
            assert_eq!(tokens(source).last().map(|token| token.kind), Some(TokenKind::Unfinished), "{source}");
        }
    }

    #[test]
    fn any_text_becomes_tokens() {
        for source in ["", "äöü", "\"", "`", "]]", "[=", "--[", "\\\u{0}", "1e5", "`{`{`"] {
            let _ = tokens(source);
        }
    }
}
