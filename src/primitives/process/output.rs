//! What a program prints: the end of it in memory, each line told, or all of it into a file.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::Lines;
use crate::base::{Masker, limits};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// One stream, as far as it was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The end of what was printed.
    pub bytes: Vec<u8>,
    /// How much was printed.
    pub total: u64,
    /// How much of the beginning is not in `bytes`.
    pub cut: u64,
}

impl Captured {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Why a stream was not read to its end.
#[derive(Debug)]
pub(super) enum Broken {
    TooLarge,
    File(std::io::Error),
}

pub(super) struct Pump {
    bytes_max: usize,
    lines: Option<Lines>,
    /// What is cut here is masked by others afterwards: half a secret would not be found.
    masker: Masker,
    stdout: Mutex<Tail>,
    stderr: Mutex<Tail>,
}

#[derive(Debug, Default)]
struct Tail {
    kept: VecDeque<u8>,
    total: u64,
    is_filed: bool,
    line: Vec<u8>,
}

impl Pump {
    pub fn new(bytes_max: usize, lines: Option<Lines>, masker: Masker) -> Self {
        let bytes_max = bytes_max.min(limits::PROCESS_OUTPUT_BYTES_MAX);
        Self { bytes_max, lines, masker, stdout: Mutex::default(), stderr: Mutex::default() }
    }

    /// What came until now.
    pub fn captured(&self) -> (Captured, Captured) {
        let take = |tail: &Mutex<Tail>| {
            let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            let kept: Vec<u8> = tail.kept.iter().copied().collect();
            let over = kept.len().saturating_sub(self.bytes_max);
            let bytes = kept[self.masker.cut(&kept, over)..].to_vec();
            let cut = if tail.is_filed { 0 } else { tail.total - bytes.len() as u64 };
            Captured { bytes, total: tail.total, cut }
        };
        (take(&self.stdout), take(&self.stderr))
    }

    /// Reads until the end of the stream; gives the file back.
    pub async fn read(
        &self,
        stream: Stream,
        mut from: impl AsyncRead + Unpin,
        mut file: Option<File>,
    ) -> Result<Option<File>, Broken> {
        let mut piece = vec![0; limits::PROCESS_PIECE_BYTES];
        loop {
            // A pipe that cannot be read has no more to say.
            let read = from.read(&mut piece).await.unwrap_or(0);
            if read == 0 {
                break;
            }
            let total = self.note(stream, &piece[..read], file.is_some());
            if let Some(file) = &mut file {
                if total > limits::PROCESS_FILE_BYTES_MAX {
                    return Err(Broken::TooLarge);
                }
                file.write_all(&piece[..read]).await.map_err(Broken::File)?;
            }
        }
        self.flush(stream);
        if let Some(file) = &mut file {
            file.flush().await.map_err(Broken::File)?;
        }
        Ok(file)
    }

    fn tail(&self, stream: Stream) -> &Mutex<Tail> {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }

    fn note(&self, stream: Stream, bytes: &[u8], is_filed: bool) -> u64 {
        let mut tail = self.tail(stream).lock().unwrap_or_else(PoisonError::into_inner);
        tail.total += bytes.len() as u64;
        tail.is_filed = is_filed;
        if is_filed {
            return tail.total;
        }
        tail.kept.extend(bytes);
        // So much more is kept in memory for the secret that may stand at the cut.
        let around = self.masker.reach();
        let over = tail.kept.len().saturating_sub(self.bytes_max + around);
        tail.kept.drain(..over);
        if let Some(lines) = &self.lines {
            for byte in bytes {
                if *byte == b'\n' {
                    self.tell(lines, stream, &mut tail.line);
                } else {
                    tail.line.push(*byte);
                }
                if tail.line.len() > limits::PROCESS_LINE_BYTES_MAX + around {
                    self.tell_piece(lines, stream, &mut tail.line);
                }
            }
        }
        tail.total
    }

    /// The last line need not end.
    fn flush(&self, stream: Stream) {
        let mut tail = self.tail(stream).lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(lines), false) = (&self.lines, tail.line.is_empty()) {
            self.tell(lines, stream, &mut tail.line);
        }
    }

    /// A line that is there to its end.
    fn tell(&self, lines: &Lines, stream: Stream, line: &mut Vec<u8>) {
        while line.len() > limits::PROCESS_LINE_BYTES_MAX {
            self.tell_piece(lines, stream, line);
            if line.is_empty() {
                return;
            }
        }
        lines(stream, String::from_utf8_lossy(line).trim_end_matches('\r'));
        line.clear();
    }

    fn tell_piece(&self, lines: &Lines, stream: Stream, line: &mut Vec<u8>) {
        let rest = line.split_off(self.masker.cut(line, limits::PROCESS_LINE_BYTES_MAX));
        lines(stream, &String::from_utf8_lossy(line));
        *line = rest;
    }
}
