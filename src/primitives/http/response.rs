//! What came back.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Version;
use reqwest::header::{CONTENT_TYPE, HeaderMap};

use super::receive::Saved;
use super::room::Held;

/// A whole response; any status is one.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub version: Version,
    pub headers: HeaderMap,
    /// Empty when it went into a file.
    pub body: Bytes,
    pub saved: Option<Saved>,
    /// Where it came from, after redirects; without user and password.
    pub url: String,
    /// From the first byte sent to the last received, all attempts included.
    pub took: Duration,
    /// 1 without retries.
    pub attempts: u32,
    /// The room that a large body takes, until the response is dropped.
    pub(super) _held: Option<Held>,
}

impl Response {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// `1.1` or `2`.
    pub fn protocol(&self) -> &'static str {
        match self.version {
            Version::HTTP_2 => "2",
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        }
    }

    /// Whether the sender says that the body is JSON: `application/json` or `…+json`.
    pub fn is_json(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        kind == "application/json" || kind.ends_with("+json")
    }

    /// The beginning of the body as text on one line, for messages.
    pub fn excerpt(&self) -> String {
        self.excerpt_hiding(str::to_owned)
    }

    /// The same, after `hide` took out what must not be shown: of what is cut first, a part would stay.
    pub fn excerpt_hiding(&self, hide: impl Fn(&str) -> String) -> String {
        const EXCERPT_CHARS_MAX: usize = 200;
        const LOOKED_AT_BYTES_MAX: usize = 64 * 1024;
        let start = hide(&String::from_utf8_lossy(&self.body[..self.body.len().min(LOOKED_AT_BYTES_MAX)]));
        let words: Vec<&str> = start.split_whitespace().take(EXCERPT_CHARS_MAX).collect();
        words.join(" ").chars().filter(|c| !c.is_control()).take(EXCERPT_CHARS_MAX).collect()
    }
}
