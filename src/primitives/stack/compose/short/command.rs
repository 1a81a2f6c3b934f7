//! A command line as words, split as Compose splits it: quotes and backslashes, and no shell.

use super::Flaw;

const REMEDY: &str = "close the quotes, or write the command as a list";

/// The words of a command line. Like Compose, it stops at an unquoted `;`, `&`, `|`, `<` or `>`: those need a shell.
pub(in super::super) fn words(line: &str) -> Result<Vec<String>, Flaw> {
    let mut splitter = Splitter::default();
    for c in line.chars() {
        if !splitter.take(c)? {
            break;
        }
    }
    splitter.finish()
}

#[derive(Default)]
struct Splitter {
    words: Vec<String>,
    word: String,
    has_word: bool,
    is_escaped: bool,
    single: bool,
    double: bool,
    backquote: bool,
    dollar: bool,
}

impl Splitter {
    /// Takes a character; false ends the line.
    fn take(&mut self, c: char) -> Result<bool, Flaw> {
        if self.is_escaped {
            self.is_escaped = false;
            let meant = match c {
                't' => '\t',
                'n' => '\n',
                other => other,
            };
            return Ok(self.put(meant));
        }
        match c {
            '\\' if self.single => return Ok(self.keep(c)),
            '\\' => {
                self.is_escaped = true;
                return Ok(true);
            }
            ' ' | '\t' | '\r' | '\n' => return Ok(self.space(c)),
            '`' if !self.single && !self.double && !self.dollar => self.backquote = !self.backquote,
            ')' if !self.single && !self.double && !self.backquote => self.dollar = !self.dollar,
            '(' if !self.single && !self.double && !self.backquote => {
                if self.dollar || !self.word.ends_with('$') {
                    return Err(Flaw::new("a parenthesis opens nothing here", REMEDY));
                }
                self.dollar = true;
                return Ok(self.keep(c));
            }
            '"' if !self.single && !self.dollar => {
                self.has_word |= self.double;
                self.double = !self.double;
                return Ok(true);
            }
            '\'' if !self.double && !self.dollar => {
                self.has_word |= self.single;
                self.single = !self.single;
                return Ok(true);
            }
            ';' | '&' | '|' | '<' | '>' if !self.is_quoted() => {
                // A redirection's own number, as in `2>`, is no word.
                if c == '>' && self.word.starts_with(|c: char| c.is_ascii_digit()) {
                    self.has_word = false;
                }
                return Ok(false);
            }
            _ => {}
        }
        Ok(self.put(c))
    }

    fn put(&mut self, c: char) -> bool {
        self.has_word = true;
        self.keep(c)
    }

    fn keep(&mut self, c: char) -> bool {
        self.word.push(c);
        true
    }

    fn space(&mut self, c: char) -> bool {
        if self.is_quoted() {
            self.word.push(c);
        } else if self.has_word {
            self.words.push(std::mem::take(&mut self.word));
            self.has_word = false;
        }
        true
    }

    fn is_quoted(&self) -> bool {
        self.single || self.double || self.backquote || self.dollar
    }

    fn finish(mut self) -> Result<Vec<String>, Flaw> {
        if self.is_escaped || self.is_quoted() {
            return Err(Flaw::new("a quote, a parenthesis or a backslash is open at the end of the command", REMEDY));
        }
        if self.has_word {
            self.words.push(self.word);
        }
        Ok(self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split() {
        for (line, split) in [
            ("", vec![]),
            ("sleep  10", vec!["sleep", "10"]),
            ("sh -c 'echo \"a b\"'", vec!["sh", "-c", "echo \"a b\""]),
            ("echo \"it\\\"s\" a\\ b", vec!["echo", "it\"s", "a b"]),
            ("echo '' \"\"", vec!["echo", "", ""]),
            ("make && run", vec!["make"]),
            ("run 2>/dev/null", vec!["run"]),
            ("echo $(date +%s) x", vec!["echo", "$(date +%s)", "x"]),
            ("echo `date +%s` x", vec!["echo", "`date +%s`", "x"]),
            ("a\nb", vec!["a", "b"]),
        ] {
            assert_eq!(
                words(line).as_deref(),
                Ok(split.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()),
                "{line}"
            );
        }
        for bad in ["echo 'a", "echo \"a", "echo a\\", "f(x)", "echo $(x", "x)"] {
            assert!(words(bad).is_err(), "{bad}");
        }
    }
}
