//! Files of `NAME=VALUE` lines, as systemd reads them for `EnvironmentFile=`.
//!
//! Lines that are empty or begin with `#` or `;` say nothing. A value may be in single quotes, where nothing is special,
//! or in double quotes, where a backslash stands before `"`, `\`, `` ` `` and `$`; outside of quotes a backslash stands
//! before any character. Quotes are special only where a value begins. Quoted values may go over several lines, and a
//! backslash at the end of a line joins it with the next one. Space around an unquoted value goes away. The last line of
//! a name counts. What systemd passes over in silence, a line without `=` or a name that is none, is an error.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// Names with their values, or the line that cannot be read and why.
pub fn parse(text: &str) -> Result<BTreeMap<String, String>, (usize, &'static str)> {
    let mut values = BTreeMap::new();
    let mut reader = Reader { left: text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable(), line: 1 };
    while let Some(next) = reader.left.peek() {
        match next {
            '\n' | '\r' | ' ' | '\t' => drop(reader.take()),
            '#' | ';' => reader.comment(),
            _ => {
                let line = reader.line;
                let name = reader.name().map_err(|problem| (line, problem))?;
                let value = reader.value().map_err(|problem| (line, problem))?;
                if value.contains('\0') {
                    return Err((line, "the value has a zero byte"));
                }
                values.insert(name, value);
            }
        }
    }
    Ok(values)
}

struct Reader<'a> {
    left: Peekable<Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    fn take(&mut self) -> Option<char> {
        let next = self.left.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn comment(&mut self) {
        while self.take().is_some_and(|next| next != '\n') {}
    }

    fn name(&mut self) -> Result<String, &'static str> {
        let mut name = String::new();
        loop {
            match self.take() {
                Some('=') => break,
                None | Some('\n') => return Err("there is no = in the line"),
                Some(other) => name.push(other),
            }
        }
        let name = name.trim_end();
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(legal) {
            return Err("a name is of letters, digits and '_', and begins with no digit");
        }
        Ok(name.to_owned())
    }

    fn value(&mut self) -> Result<String, &'static str> {
        let mut value = String::new();
        // What of the value is no space that goes away at its end.
        let mut kept = 0;
        // Quotes are special where the value begins, and where another quoted piece ends.
        let mut begins = true;
        while let Some(next) = self.take() {
            match next {
                '\n' | '\r' => break,
                '\'' if begins => self.single(&mut value)?,
                '"' if begins => self.double(&mut value)?,
                ' ' | '\t' if begins => continue,
                '\\' => {
                    begins = false;
                    value.extend(self.take().filter(|escaped| !matches!(escaped, '\n' | '\r')));
                }
                other => {
                    begins = false;
                    value.push(other);
                    if matches!(other, ' ' | '\t') {
                        continue;
                    }
                }
            }
            kept = value.len();
        }
        value.truncate(kept);
        Ok(value)
    }

    fn single(&mut self, value: &mut String) -> Result<(), &'static str> {
        loop {
            match self.take().ok_or("a quote is not closed")? {
                '\'' => return Ok(()),
                other => value.push(other),
            }
        }
    }

    fn double(&mut self, value: &mut String) -> Result<(), &'static str> {
        loop {
            match self.take().ok_or("a quote is not closed")? {
                '"' => return Ok(()),
                '\\' => match self.take().ok_or("a quote is not closed")? {
                    '\n' => {}
                    special @ ('"' | '\\' | '`' | '$') => value.push(special),
                    other => value.extend(['\\', other]),
                },
                other => value.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> String {
        parse(text).expect("it parses").remove("A").expect("a value")
    }

    #[test]
    fn values_are_read_as_systemd_reads_them() {
        let cases = [
            ("A=plain", "plain"),
            ("A=", ""),
            ("A =  spaced out \t", "spaced out"),
            ("A=a=b#c;d", "a=b#c;d"),
            ("A='single $HOME \\n \"x\"'", "single $HOME \\n \"x\""),
            ("A=\"double \\\"x\\\" \\$y \\`z\\` \\\\ \\n\"", "double \"x\" $y `z` \\ \\n"),
            ("A='two\nlines'", "two\nlines"),
            ("A=\"two\nlines\"", "two\nlines"),
            ("A=one \\\n  two", "one   two"),
            ("A=\"one \\\ntwo\"", "one two"),
            ("A=back\\slash", "backslash"),
            ("A='a'\"b\" c", "abc"),
            ("A=it's \"plain\"", "it's \"plain\""),
            ("A=' padded '", " padded "),
            ("# no\\\nA=1\nB=2\r\n; no", "1"),
            ("\u{feff}A=bom", "bom"),
            ("A=first\nA=last", "last"),
            ("A=grüße €", "grüße €"),
        ];
        for (text, value) in cases {
            assert_eq!(one(text), value, "{text:?}");
        }
        assert_eq!(parse("# nothing\n\n;at all\n"), Ok(BTreeMap::new()));
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line() {
        for (text, line, problem) in [
            ("A=1\nno sign", 2, "no ="),
            ("\n1A=x", 2, "begins with no digit"),
            ("A-B=x", 1, "letters"),
            ("export A=x", 1, "letters"),
            ("A=1\nB='open\n\n", 2, "not closed"),
            ("A=\"open", 1, "not closed"),
            ("A=\0", 1, "zero byte"),
        ] {
            let (at, said) = parse(text).expect_err(text);
            assert!(at == line && said.contains(problem), "{text:?}: {at}: {said}");
        }
    }
}
