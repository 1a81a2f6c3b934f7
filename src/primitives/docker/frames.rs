//! A container's output as bytes off the wire become lines: frames of stdout and stderr, or a terminal's plain bytes.

use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;

use crate::base::limits;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Splits the multiplexed stream: an eight-byte head (stream, length) before each piece. Holds no more than a head:
/// a piece is handed on as it arrives.
#[derive(Debug)]
pub(super) struct Frames {
    terminal: bool,
    head: BytesMut,
    /// Of the piece in progress.
    stream: Stream,
    left: usize,
}

const HEAD_BYTES: usize = 8;

impl Frames {
    /// A terminal's output has no heads.
    pub(super) fn new(terminal: bool) -> Self {
        Self { terminal, head: BytesMut::new(), stream: Stream::Stdout, left: 0 }
    }

    pub(super) fn feed(&mut self, mut data: Bytes, mut piece: impl FnMut(Stream, &[u8])) {
        if self.terminal {
            piece(Stream::Stdout, &data);
            return;
        }
        while !data.is_empty() {
            if self.left == 0 {
                let missing = HEAD_BYTES - self.head.len();
                self.head.extend_from_slice(&data.split_to(missing.min(data.len())));
                if self.head.len() < HEAD_BYTES {
                    return;
                }
                self.stream = if self.head[0] == 2 { Stream::Stderr } else { Stream::Stdout };
                self.head.advance(4);
                self.left = self.head.get_u32() as usize;
                self.head.clear();
                continue;
            }
            let part = data.split_to(self.left.min(data.len()));
            self.left -= part.len();
            piece(self.stream, &part);
        }
    }
}

/// One line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) stream: Stream,
    pub(super) text: String,
}

/// Joins pieces to lines; a line that is too long is cut, and says so.
#[derive(Debug, Default)]
pub(super) struct Lines {
    stdout: Partial,
    stderr: Partial,
}

#[derive(Debug, Default)]
struct Partial {
    bytes: Vec<u8>,
    cut: bool,
}

impl Lines {
    pub(super) fn feed(&mut self, stream: Stream, data: &[u8], mut line: impl FnMut(Line)) {
        let partial = if stream == Stream::Stderr { &mut self.stderr } else { &mut self.stdout };
        let mut parts = data.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            partial.push(part);
            if parts.peek().is_some() {
                line(Line { stream, text: partial.take() });
            }
        }
    }

    /// What is left when the output ends without a line end.
    pub(super) fn finish(&mut self, mut line: impl FnMut(Line)) {
        for (stream, partial) in [(Stream::Stdout, &mut self.stdout), (Stream::Stderr, &mut self.stderr)] {
            if !partial.bytes.is_empty() {
                line(Line { stream, text: partial.take() });
            }
        }
    }
}

impl Partial {
    fn push(&mut self, part: &[u8]) {
        let room = limits::LOG_LINE_BYTES_MAX.saturating_sub(self.bytes.len());
        self.cut |= part.len() > room;
        self.bytes.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn take(&mut self) -> String {
        let bytes = std::mem::take(&mut self.bytes);
        let mut text = String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(&bytes)).into_owned();
        if std::mem::take(&mut self.cut) {
            text.push_str(" … (line cut)");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, text: &str) -> Vec<u8> {
        let mut bytes = vec![stream, 0, 0, 0];
        bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    fn lines(terminal: bool, chunks: &[&[u8]]) -> Vec<Line> {
        let (mut frames, mut lines, mut out) = (Frames::new(terminal), Lines::default(), Vec::new());
        for chunk in chunks {
            frames.feed(Bytes::copy_from_slice(chunk), |stream, part| lines.feed(stream, part, |line| out.push(line)));
        }
        lines.finish(|line| out.push(line));
        out
    }

    #[test]
    fn frames_split_anywhere_give_the_same_lines() {
        let bytes = [frame(1, "one\ntw"), frame(2, "err\n"), frame(1, "o\r\n\nend")].concat();
        let whole = lines(false, &[&bytes]);
        let texts: Vec<_> = whole.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["one", "err", "two", "", "end"]);
        assert_eq!(whole[1].stream, Stream::Stderr);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(lines(false, &single), whole);
    }

    #[test]
    fn a_terminal_has_no_frames_and_may_start_with_any_byte() {
        let texts: Vec<_> = lines(true, &[b"\x01\x02a\n", b"b"]).into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["\u{1}\u{2}a", "b"]);
    }

    #[test]
    fn endless_lines_are_cut_not_kept() {
        let chunk = vec![b'x'; 1 << 20];
        let chunks = vec![chunk.as_slice(); 20];
        let out = lines(true, &chunks);
        assert_eq!(out.len(), 1);
        assert!(out[0].text.len() < limits::LOG_LINE_BYTES_MAX + 32 && out[0].text.ends_with("(line cut)"));
    }
}
