//! Colours while typing.

use reedline::{Color, Highlighter, StyledText};

use super::lexer::{Kind, tokens};

#[derive(Debug)]
pub(super) struct Luau;

impl Highlighter for Luau {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        if line.starts_with('.') {
            styled.push((Color::Cyan.normal(), line.to_owned()));
            return styled;
        }
        for token in tokens(line) {
            let style = match token.kind {
                Kind::Keyword => Color::Magenta.normal(),
                Kind::Global => Color::Cyan.normal(),
                Kind::Number => Color::Yellow.normal(),
                Kind::String => Color::Green.normal(),
                Kind::Comment => Color::DarkGray.normal(),
                Kind::Name | Kind::Other => Color::Default.normal(),
            };
            styled.push((style, token.text.to_owned()));
        }
        styled
    }
}
