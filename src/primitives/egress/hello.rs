//! With whom a tunnel begins to speak TLS: the name in its first message (RFC 8446 section 4.1.2, RFC 6066 section 3).
//!
//! It is read and passed on as it is, not taken part in.

use crate::base::limits;

/// Of records: change of cipher, alert, handshake, data and heartbeat.
const RECORD_KINDS: std::ops::RangeInclusive<u8> = 20..=24;
const HANDSHAKE: u8 = 22;
const VERSION_MAJOR: u8 = 3;
const RECORD_HEAD_BYTES: usize = 5;
/// RFC 8446 section 5.1.
const RECORD_BYTES_MAX: usize = 1 << 14;
const CLIENT_HELLO: u8 = 1;
const MESSAGE_HEAD_BYTES: usize = 4;
const RANDOM_BYTES: usize = 32;
const SERVER_NAME: usize = 0;
const HOST_NAME: usize = 0;
/// The alert `unrecognized_name`, fatal, as a record.
pub const ALERT: [u8; 7] = [21, VERSION_MAJOR, 3, 0, 2, 2, 112];

/// What a client's first bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// So many bytes are needed, at least, before more can be said.
    Unfinished(usize),
    /// Something else than TLS.
    Other,
    /// TLS, with the server's name, in small letters and without a dot at its end, if it has one.
    Hello(Option<String>),
    /// TLS that does not begin as it must, or is larger than it needs to be.
    Malformed,
}

pub fn opening(bytes: &[u8]) -> Opening {
    match bytes.first() {
        None => Opening::Unfinished(1),
        Some(first) if !RECORD_KINDS.contains(first) => Opening::Other,
        Some(_) => {
            records(bytes).unwrap_or_else(|unfinished| unfinished.map_or(Opening::Malformed, Opening::Unfinished))
        }
    }
}

/// How many bytes are needed; None when no more would help.
type Unfinished = Option<usize>;

fn missing(needed: usize) -> Unfinished {
    Some(needed).filter(|needed| *needed <= limits::EGRESS_HELLO_BYTES_MAX)
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// A hello may be in several records.
fn records(bytes: &[u8]) -> Result<Opening, Unfinished> {
    let (mut message, mut rest) = (Vec::new(), bytes);
    for _ in 0..limits::EGRESS_HELLO_RECORDS_MAX {
        let known = [HANDSHAKE, VERSION_MAJOR];
        if rest.iter().zip(known).any(|(byte, known)| *byte != known) {
            return Err(None);
        }
        let mut fields = Fields(rest);
        let head =
            fields.take(RECORD_HEAD_BYTES).ok_or_else(|| missing(bytes.len() - rest.len() + RECORD_HEAD_BYTES))?;
        let length = number(&head[known.len() + 1..]);
        if length == 0 || length > RECORD_BYTES_MAX {
            return Err(None);
        }
        let behind = bytes.len() - fields.0.len() + length;
        message.extend_from_slice(fields.take(length).ok_or_else(|| missing(behind))?);
        if let Some([kind, size @ ..]) = message.first_chunk::<MESSAGE_HEAD_BYTES>() {
            let size = number(size);
            if *kind != CLIENT_HELLO || size > limits::EGRESS_HELLO_BYTES_MAX {
                return Err(None);
            }
            let content = &message[MESSAGE_HEAD_BYTES..];
            if content.len() >= size {
                // Nobody says more before there was an answer.
                return named(content).filter(|_| content.len() == size).map(Opening::Hello).ok_or(None);
            }
        }
        rest = fields.0;
    }
    Err(None)
}

/// The name in a hello; None when it is not made as it must be.
fn named(hello: &[u8]) -> Option<Option<String>> {
    let mut hello = Fields(hello);
    let _version = hello.take(2)?;
    let _random = hello.take(RANDOM_BYTES)?;
    for length_bytes in [1, 2, 1] {
        // The session, the ciphers and the compressions.
        hello.vector(length_bytes)?;
    }
    if hello.0.is_empty() {
        return Some(None);
    }
    let mut extensions = Fields(hello.vector(2)?);
    let mut name = None;
    while !extensions.0.is_empty() {
        let (kind, content) = (extensions.number(2)?, extensions.vector(2)?);
        // One that is there twice may be read either way.
        if kind == SERVER_NAME && name.replace(host_name(content)?).is_some() {
            return None;
        }
    }
    hello.0.is_empty().then_some(name)
}

/// Of a list which, as all clients have it, has one name.
fn host_name(extension: &[u8]) -> Option<String> {
    let mut extension = Fields(extension);
    let mut list = Fields(extension.vector(2)?);
    let (kind, name) = (list.number(1)?, list.vector(2)?);
    let name = std::str::from_utf8(name).ok()?;
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    let is_whole = kind == HOST_NAME && list.0.is_empty() && extension.0.is_empty();
    (is_name && is_whole).then(|| name.to_ascii_lowercase())
}

/// What is not read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<usize> {
        self.take(bytes).map(number)
    }

    /// Bytes behind their count.
    fn vector(&mut self, length_bytes: usize) -> Option<&'a [u8]> {
        let length = self.number(length_bytes)?;
        self.take(length)
    }
}

#[cfg(test)]
#[path = "hello_tests.rs"]
pub mod tests;
