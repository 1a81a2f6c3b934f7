//! What came back.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use super::error::HttpError;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Response {
    pub status: u16,
    /// Names in lower case; several values of one name are joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// Where the answer came from, after redirects.
    pub url: String,
    #[serde(skip)]
    pub body: Bytes,
    /// Of the attempt that brought it.
    pub elapsed_ms: u64,
    pub attempts: u32,
}

impl Response {
    /// 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Parsed when asked for, not before.
    pub fn json(&self) -> Result<serde_json::Value, HttpError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| HttpError::NotJson { url: self.url.clone(), problem: error.to_string() })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(&name.to_ascii_lowercase()).map(String::as_str)
    }
}
