//! A response that is read while it arrives: in pieces, in lines, or as server-sent events. Never more of it is in
//! memory than one page.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use reqwest::header::HeaderMap;

use super::error::HttpError;
use super::receive::Begun;
use crate::base::limits;

/// What a stream is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// As it arrives.
    Chunks,
    /// Without their line breaks.
    Lines,
    /// `text/event-stream`, as the HTML standard reads it.
    Events,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerEvent {
    /// `message` unless the server names another.
    pub kind: String,
    pub data: String,
    /// The latest that the server gave.
    pub id: Option<String>,
}

/// One piece of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Bytes(Vec<u8>),
    Event(ServerEvent),
}

pub struct Stream {
    /// None after the end.
    begun: Option<Begun>,
    cut: Cut,
    pub status: u16,
    pub headers: HeaderMap,
    pub url: String,
    rest: BytesMut,
    event: ServerEvent,
    has_data: bool,
    ready: VecDeque<Piece>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("status", &self.status).field("cut", &self.cut).finish_non_exhaustive()
    }
}

impl Stream {
    pub(super) fn new(begun: Begun, cut: Cut) -> Self {
        let (status, headers) = (begun.response.status().as_u16(), begun.response.headers().clone());
        let url = begun.url.clone();
        let event = ServerEvent::default();
        let (rest, ready) = (BytesMut::new(), VecDeque::new());
        Self { begun: Some(begun), cut, status, headers, url, rest, event, has_data: false, ready }
    }

    /// What has arrived, at least one piece of it; nothing at the end.
    pub async fn next(&mut self) -> Result<Vec<Piece>, HttpError> {
        while self.ready.is_empty() {
            let Some(begun) = &mut self.begun else { break };
            match begun.chunk().await? {
                Some(chunk) => self.take(&chunk)?,
                None => self.finish(),
            }
        }
        let count = self.ready.len().min(limits::HTTP_STREAM_PIECES);
        Ok(self.ready.drain(..count).collect())
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), HttpError> {
        if self.cut == Cut::Chunks {
            self.ready.push_back(Piece::Bytes(chunk.to_vec()));
            return Ok(());
        }
        self.rest.extend_from_slice(chunk);
        let mut seen = 0;
        while let Some(end) = memchr::memchr(b'\n', &self.rest[seen..]) {
            let line = self.rest.split_to(end);
            self.rest.advance(1);
            seen = 0;
            self.line(&line)?;
        }
        if self.rest.len() > limits::HTTP_LINE_BYTES_MAX { Err(self.too_long()) } else { Ok(()) }
    }

    fn finish(&mut self) {
        let rest = std::mem::take(&mut self.rest);
        // An event that was not ended by an empty line is not whole.
        if self.cut == Cut::Lines && !rest.is_empty() {
            self.ready.push_back(Piece::Bytes(without_return(&rest).to_vec()));
        }
        self.begun = None;
    }

    fn line(&mut self, line: &[u8]) -> Result<(), HttpError> {
        let line = without_return(line);
        if self.cut == Cut::Lines {
            self.ready.push_back(Piece::Bytes(line.to_vec()));
            return Ok(());
        }
        let line = String::from_utf8_lossy(line);
        if line.is_empty() {
            self.dispatch();
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.kind),
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
                if self.event.data.len() > limits::HTTP_LINE_BYTES_MAX {
                    return Err(self.too_long());
                }
            }
            // Comments keep the connection open; `retry` is for whoever connects again.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) {
        let id = self.event.id.clone();
        let mut event = std::mem::replace(&mut self.event, ServerEvent { id, ..ServerEvent::default() });
        if std::mem::take(&mut self.has_data) {
            if event.kind.is_empty() {
                "message".clone_into(&mut event.kind);
            }
            self.ready.push_back(Piece::Event(event));
        }
    }

    fn too_long(&self) -> HttpError {
        let target = self.begun.as_ref().map(|begun| begun.target.clone()).unwrap_or_default();
        HttpError::LineTooLong { target }
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
