//! Cutting texts to what a provider takes. Whoever reads one sees that, and how much, is missing.

/// From this length on, what is missing is counted.
const COUNTED_FROM: usize = 200;

/// Room that the note takes, however much is missing.
const NOTE_CHARS: usize = 32;

/// At most `max` characters.
pub fn cut(text: &str, max: usize) -> String {
    let count = text.chars().count();
    if count <= max {
        return text.to_owned();
    }
    let kept = max.saturating_sub(if max < COUNTED_FROM { 1 } else { NOTE_CHARS });
    let note = missing(count - kept, max);
    text.chars().take(kept).chain(note.chars().take(max)).collect()
}

/// What stands at the end of a text of at most `max` that lost `count` characters.
fn missing(count: usize, max: usize) -> String {
    if max < COUNTED_FROM { "…".to_owned() } else { format!("… ({count} more characters)") }
}

/// At most `max` bytes.
pub fn cut_bytes(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max.saturating_sub(if max < COUNTED_FROM { "…".len() } else { NOTE_CHARS }));
    format!("{}{}", &text[..end], missing(text[end..].chars().count(), max))
}

/// Cut so that both the text and its form in JSON fit.
pub fn cut_json(text: &str, max: usize, json_max: usize) -> String {
    let whole = cut_bytes(text, max);
    if written(&whole) <= json_max {
        return whole;
    }
    let mut left = json_max.saturating_sub(written("…"));
    let fits = |c: &char| {
        let bytes = written(c.encode_utf8(&mut [0; 4]));
        left.checked_sub(bytes).map(|rest| left = rest).is_some()
    };
    let mut short: String = whole.chars().take_while(fits).collect();
    short.push('…');
    short
}

/// Bytes of a text in JSON, without the quotes.
fn written(text: &str) -> usize {
    serde_json::Value::from(text).to_string().len() - 2
}

/// The three characters to which Slack, and Telegram's HTML, give a meaning.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Cut so that the escaped text fits, and no escape is torn.
pub fn cut_escaped(text: &str, max: usize) -> String {
    let whole = escape(text);
    if whole.chars().count() <= max {
        return whole;
    }
    let mut room = max.saturating_sub(if max < COUNTED_FROM { 1 } else { NOTE_CHARS });
    let (mut out, mut kept) = (String::new(), 0);
    for c in text.chars() {
        let piece = escape(c.encode_utf8(&mut [0; 4]));
        let Some(left) = room.checked_sub(piece.chars().count()) else { break };
        (room, kept) = (left, kept + 1);
        out.push_str(&piece);
    }
    out + &missing(text.chars().count() - kept, max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_end_at_characters_and_escapes() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(cut_bytes("ääää", 7), "ää…");
        assert_eq!(cut_json("a\n\n\n", 10, 10), "a\n\n\n");
        assert_eq!(cut_json("a\n\n\n", 10, 6), "a\n…");
        assert_eq!(cut_escaped("a<b", 20), "a&lt;b");
        assert_eq!(cut_escaped("a<<<<", 8), "a&lt;…");
    }

    #[test]
    fn a_long_text_says_how_much_of_it_is_missing() {
        let long = "ü".repeat(5_000);
        let short = cut(&long, 1_000);
        assert!(short.chars().count() <= 1_000 && short.ends_with("ü… (4032 more characters)"), "{short}");
        let short = cut_bytes(&long, 1_000);
        assert!(short.len() <= 1_000 && short.ends_with(" more characters)"), "{short}");
    }
}
