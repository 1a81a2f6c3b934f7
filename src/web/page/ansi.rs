//! Terminal colours in log lines, as class names. All other control sequences are left out; nothing is markup.

use maud::{Markup, html};
use serde::Serialize;

/// Text of one look: `(class names, text)`. The classes are from a closed set; the text is plain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span(pub String, pub String);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Look {
    colour: Option<u8>,
    background: Option<u8>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
}

impl Look {
    fn classes(self) -> String {
        let mut classes = Vec::new();
        classes.extend(self.colour.map(|colour| format!("fg{colour}")));
        classes.extend(self.background.map(|colour| format!("bg{colour}")));
        let flags = [(self.bold, "bold"), (self.dim, "dim"), (self.italic, "italic"), (self.underline, "underline")];
        classes.extend(flags.iter().filter(|(on, _)| *on).map(|(_, name)| (*name).to_owned()));
        classes.join(" ")
    }

    /// Applies one "select graphic rendition" sequence.
    fn select(&mut self, parameters: &str) {
        let mut codes = parameters.split([';', ':']).map(|code| code.parse::<u8>().unwrap_or(0));
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                3 => self.italic = true,
                4 => self.underline = true,
                22 => (self.bold, self.dim) = (false, false),
                23 => self.italic = false,
                24 => self.underline = false,
                30..=37 => self.colour = Some(code - 30),
                90..=97 => self.colour = Some(code - 90 + 8),
                40..=47 => self.background = Some(code - 40),
                100..=107 => self.background = Some(code - 100 + 8),
                39 => self.colour = None,
                49 => self.background = None,
                38 => self.colour = extended(&mut codes),
                48 => self.background = extended(&mut codes),
                _ => {}
            }
        }
    }
}

/// The 16 named colours of `5;n`; richer ones have no class and keep the text's own colour.
fn extended(codes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    match codes.next()? {
        5 => codes.next().filter(|colour| *colour < 16),
        2 => {
            codes.by_ref().take(3).for_each(drop);
            None
        }
        _ => None,
    }
}

/// Splits a line into spans of one look each.
pub fn spans(text: &str) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    let mut look = Look::default();
    let mut plain = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' if rest.next_if_eq(&'[').is_some() => {
                let mut parameters = String::new();
                let end = loop {
                    match rest.next() {
                        Some(c @ '\u{20}'..='\u{3f}') => parameters.push(c),
                        end => break end,
                    }
                };
                if end == Some('m') {
                    push(&mut found, look, &mut plain);
                    look.select(&parameters);
                }
            }
            // An operating system command (a window title, a link) ends with BEL or ESC \.
            '\u{1b}' if rest.next_if_eq(&']').is_some() => {
                while let Some(c) = rest.next() {
                    if c == '\u{7}' || (c == '\u{1b}' && rest.next_if_eq(&'\\').is_some()) {
                        break;
                    }
                }
            }
            // Any other: intermediate bytes and a final one.
            '\u{1b}' => {
                while rest.next_if(|c| ('\u{20}'..='\u{2f}').contains(c)).is_some() {}
                rest.next();
            }
            '\t' | '\n' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    push(&mut found, look, &mut plain);
    found
}

fn push(found: &mut Vec<Span>, look: Look, plain: &mut String) {
    if !plain.is_empty() {
        found.push(Span(look.classes(), std::mem::take(plain)));
    }
}

pub fn markup(text: &str) -> Markup {
    html! {
        @for Span(classes, text) in spans(text) {
            @if classes.is_empty() { (text) } @else { span class=(classes) { (text) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(String, String)> {
        spans(text).into_iter().map(|Span(classes, text)| (classes, text)).collect()
    }

    #[test]
    fn colours_become_classes() {
        let spans = shown("plain \u{1b}[1;31mred\u{1b}[0m \u{1b}[38;5;12mblue\u{1b}[39;4mline");
        let expected = [("", "plain "), ("fg1 bold", "red"), ("", " "), ("fg12", "blue"), ("underline", "line")];
        assert_eq!(spans, expected.map(|(classes, text)| (classes.to_owned(), text.to_owned())));
    }

    #[test]
    fn other_sequences_vanish() {
        let text = "a\u{1b}[2Kb\u{1b}]0;title\u{7}c\u{1b}]8;;x\u{1b}\\d\u{1b}(Be\rf\u{8}g\u{1b}[38;2;1;2;3mh\u{1b}";
        assert_eq!(shown(text), [("".to_owned(), "abcdefg".to_owned()), ("".to_owned(), "h".to_owned())]);
        assert_eq!(shown("unfinished \u{1b}[31"), [(String::new(), "unfinished ".to_owned())]);
    }

    #[test]
    fn text_is_never_markup() {
        let html = markup("\u{1b}[31m<script>alert(1)</script>").into_string();
        assert_eq!(html, "<span class=\"fg1\">&lt;script&gt;alert(1)&lt;/script&gt;</span>");
    }
}
