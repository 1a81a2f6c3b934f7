//! Environment files: `.env`, `env_file`, `label_file`.

use std::sync::Arc;

use super::interpolate::{Environment, Variables, explain, fill};
use super::path::Path;
use super::problem::{Kind, Place, Problem};

/// Where a file's variables come from besides the file.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of a file. Those that `lookup` knows win when a value uses one.
pub(super) fn parse(file: &str, text: &str, lookup: Lookup<'_>) -> Result<Environment, Problem> {
    let mut parser = Parser { file: Arc::from(file), rest: text, line: 1, found: Environment::new(), lookup };
    while parser.skip_to_statement() {
        parser.statement()?;
    }
    Ok(parser.found)
}

struct Parser<'a> {
    file: Arc<str>,
    rest: &'a str,
    line: u32,
    found: Environment,
    lookup: Lookup<'a>,
}

struct Scope<'a, 'b> {
    found: &'b Environment,
    lookup: Lookup<'a>,
}

impl Variables for Scope<'_, '_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name).or_else(|| self.found.get(name).cloned())
    }

    fn unset(&mut self, _: &str) {}
}

impl<'a> Parser<'a> {
    /// Past blank lines and comments; false at the end.
    fn skip_to_statement(&mut self) -> bool {
        loop {
            let start = self.rest.find(|c: char| !c.is_whitespace()).unwrap_or(self.rest.len());
            self.advance(start);
            if !self.rest.starts_with('#') {
                return !self.rest.is_empty();
            }
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.advance(end);
        }
    }

    /// Moves on by so many bytes and counts the lines.
    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += u32::try_from(passed.matches('\n').count()).unwrap_or(0);
        self.rest = rest;
    }

    fn statement(&mut self) -> Result<(), Problem> {
        if let Some(after) = self.rest.strip_prefix("export")
            && after.starts_with(|c: char| c.is_ascii_whitespace())
        {
            self.advance("export".len());
            self.skip_blanks();
        }
        let (key, separator) = self.key()?;
        match separator {
            Some('=' | ':') => {
                self.skip_blanks();
                let value = self.value(&key)?;
                self.found.insert(key, value);
            }
            // A name alone takes its value from outside, if it has one there.
            _ => self.found.extend((self.lookup)(&key).map(|value| (key, value))),
        }
        Ok(())
    }

    fn key(&mut self) -> Result<(String, Option<char>), Problem> {
        let line = self.rest.split('\n').next().unwrap_or_default();
        let end = self.rest.find(['=', ':', '\n']).unwrap_or(self.rest.len());
        let key = self.rest[..end].trim_end();
        let is_part = |c: char| c.is_alphanumeric() || is_blank(c) || "_.-[]".contains(c);
        if let Some(bad) = key.chars().find(|c| !is_part(*c)) {
            let message = format!("{bad:?} cannot be in a variable's name: {line:?}");
            return Err(self.problem(&message, "write NAME=value, and put values of several lines in quotes"));
        }
        if key.contains(' ') {
            return Err(self.problem(&format!("the name {key:?} has a space in it"), "write NAME=value"));
        }
        let separator = self.rest[end..].chars().next();
        let key = key.to_owned();
        self.advance(end + separator.map_or(0, char::len_utf8));
        Ok((key, separator))
    }

    fn value(&mut self, key: &str) -> Result<String, Problem> {
        match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(key, quote),
            _ => {
                let line = self.rest.split('\n').next().unwrap_or_default();
                let value = line.split(" #").next().unwrap_or_default().trim_end();
                let filled = self.filled(key, value)?;
                self.advance(line.len());
                Ok(filled)
            }
        }
    }

    fn quoted(&mut self, key: &str, quote: char) -> Result<String, Problem> {
        let mut value = String::new();
        let mut is_escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            if is_escaped {
                is_escaped = false;
                if c != quote {
                    value.push('\\');
                }
                value.push(c);
            } else if c == '\\' {
                is_escaped = true;
            } else if c == quote {
                let value = if quote == '"' { self.filled(key, &unescape(&value))? } else { value };
                self.advance(at + 1);
                return Ok(value);
            } else {
                value.push(c);
            }
        }
        Err(self.problem(&format!("the quote of {key} is never closed"), &format!("end the value with {quote}")))
    }

    fn filled(&self, key: &str, value: &str) -> Result<String, Problem> {
        let mut scope = Scope { found: &self.found, lookup: self.lookup };
        fill(value, &mut scope).map_err(|flaw| explain(flaw, &self.place(), &Path::ROOT.key(key)))
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(is_blank);
    }

    fn place(&self) -> Place {
        Place { file: self.file.clone(), line: self.line, column: 1 }
    }

    fn problem(&self, message: &str, remedy: &str) -> Problem {
        Problem::new(Kind::Syntax, &self.place(), &Path::ROOT, message, remedy)
    }
}

/// White space within a line.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// The escapes of double quotes: `\n` and the like, octal `\0123`, and `\$` for a dollar that starts no variable.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let known = after.chars().next().and_then(|c| match c {
            'a' => Some("\u{7}"),
            'b' => Some("\u{8}"),
            'f' => Some("\u{c}"),
            'n' => Some("\n"),
            'r' => Some("\r"),
            't' => Some("\t"),
            'v' => Some("\u{b}"),
            '$' => Some("$$"),
            '"' => Some("\""),
            '\\' => Some("\\"),
            _ => None,
        });
        if let Some(known) = known {
            plain.push_str(known);
            rest = &after[1..];
        } else if let Some((byte, length)) = octal(after) {
            plain.push(char::from(byte));
            rest = &after[length..];
        } else {
            plain.push('\\');
            rest = after;
        }
    }
    plain.push_str(rest);
    plain
}

/// `0` and three octal digits.
fn octal(text: &str) -> Option<(u8, usize)> {
    let digits = text.strip_prefix('0')?.get(..3)?;
    u8::from_str_radix(digits, 8).ok().map(|byte| (byte, 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(String, String)>, String> {
        let lookup = |name: &str| (name == "HOST").then(|| "outside".to_owned());
        parse("/p/.env", text, &lookup).map(|found| found.into_iter().collect()).map_err(|problem| problem.to_string())
    }

    #[test]
    fn values_parse() {
        for (text, value) in [
            ("A=1", "1"),
            ("export A=1", "1"),
            ("A: 1", "1"),
            ("A = 1  ", "1"),
            ("A=1 # note", "1"),
            ("A=1#2", "1#2"),
            ("A='1 # $HOST'", "1 # $HOST"),
            ("A=\"1 # $HOST\"", "1 # outside"),
            ("A=$HOST", "outside"),
            ("A=\"a\\nb\"", "a\nb"),
            ("A='a\\nb'", "a\\nb"),
            ("A=\"\\$HOST\"", "$HOST"),
            ("A=\"say \\\"x\\\"\"", "say \"x\""),
            ("A='it\\'s'", "it's"),
            ("A=\"two\nlines\"", "two\nlines"),
            ("A=", ""),
            ("A=\"\"", ""),
            ("A=${NO:-d}", "d"),
            ("A=a=b:c", "a=b:c"),
            ("A=1\r\n", "1"),
        ] {
            assert_eq!(parsed(text), Ok(vec![("A".into(), value.into())]), "{text:?}");
        }
        assert_eq!(parsed("# only\n\n  # notes\n"), Ok(vec![]));
        assert_eq!(parsed("HOST\nNO\n"), Ok(vec![("HOST".into(), "outside".into())]));
        assert_eq!(parsed("A=1\nB=$A-2\n"), Ok(vec![("A".into(), "1".into()), ("B".into(), "1-2".into())]));
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, place) in [
            ("A=1\n!x=2", "/p/.env:2:1"),
            ("A=1\n\nB=\"x", "/p/.env:3:1"),
            ("a b=1", "/p/.env:1:1"),
            ("A=\"1\n2\"\nB=${", "/p/.env:3:1"),
        ] {
            let found = parsed(text).expect_err(text);
            assert!(found.starts_with(place), "{text:?}: {found}");
        }
    }
}
