//! Cutting texts to what a provider takes.

const MARK: &str = "…";

/// At most `most` UTF-16 units, which is how the strictest provider counts; a cut text ends in an ellipsis.
pub(super) fn cut(text: &str, most: usize) -> String {
    cut_by(text, most, char::len_utf16)
}

/// At most `most` bytes.
pub(super) fn cut_bytes(text: &str, most: usize) -> String {
    cut_by(text, most, char::len_utf8)
}

fn cut_by(text: &str, most: usize, size: fn(char) -> usize) -> String {
    let total: usize = text.chars().map(size).sum();
    if total <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(MARK.chars().map(size).sum());
    let mut used = 0;
    let kept = text.chars().take_while(|c| {
        used += size(*c);
        used <= room
    });
    kept.chain(MARK.chars()).collect()
}

pub(super) fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_fall_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("a🦀🦀", 4), "a🦀…");
        assert_eq!(cut_bytes("äää", 5), "ä…");
        assert_eq!(cut_bytes("äää", 6), "äää");
    }
}
