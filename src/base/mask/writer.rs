//! A stream of bytes without secrets.

use std::io::{self, Write};

use super::Masker;
use crate::base::limits::MASK_LINE_BYTES_MAX;

/// Passes on whole lines, so that a secret that is written in several pieces is found. What is left is passed on when
/// it is flushed or dropped.
#[derive(Debug)]
pub struct MaskWriter<W: Write> {
    to: W,
    masker: Masker,
    line: Vec<u8>,
}

impl<W: Write> MaskWriter<W> {
    pub fn new(to: W, masker: Masker) -> Self {
        Self { to, masker, line: Vec::new() }
    }

    fn pass_on(&mut self, bytes: usize) -> io::Result<()> {
        let rest = self.line.split_off(bytes);
        let written = self.to.write_all(&self.masker.bytes(&self.line));
        self.line = rest;
        written
    }
}

impl<W: Write> Write for MaskWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if let Some(newline) = memchr::memrchr(b'\n', &self.line) {
            self.pass_on(newline + 1)?;
        }
        while self.line.len() > MASK_LINE_BYTES_MAX + self.masker.reach() {
            self.pass_on(self.masker.cut(&self.line, MASK_LINE_BYTES_MAX))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on(self.line.len())?;
        self.to.flush()
    }
}

impl<W: Write> Drop for MaskWriter<W> {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}
