//! The message as it is, for receivers of your own.

use serde_json::{Value, json};

use super::message::Message;
use super::text::cut_bytes;
use crate::base::{Timestamp, limits};

pub(super) fn body(message: &Message, at: Timestamp) -> Value {
    json!({
        "title": cut_bytes(&message.title, limits::NOTIFY_TEXT_BYTES_MAX),
        "text": cut_bytes(&message.text, limits::NOTIFY_TEXT_BYTES_MAX),
        "severity": message.severity,
        "fields": message.fields,
        "url": message.url,
        "at": at.to_string(),
    })
}
