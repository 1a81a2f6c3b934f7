//! ntfy's publishing as JSON, which unlike its headers takes any character: <https://docs.ntfy.sh/publish/>.

use serde_json::{Value, json};

use super::message::{Message, Severity};
use super::text::cut_bytes;

const TITLE_BYTES_MAX: usize = 250;
/// A longer message would become an attachment.
const MESSAGE_BYTES_MAX: usize = 4_096;

pub(super) fn body(topic: &str, message: &Message) -> Value {
    let mut text = message.text.clone();
    for (name, value) in &message.fields.0 {
        text.push_str(&format!("\n{name}: {value}"));
    }
    let text = if text.trim().is_empty() { message.title.clone() } else { text };
    let (priority, tag) = match message.severity {
        Severity::Info => (3, "information_source"),
        Severity::Warning => (4, "warning"),
        Severity::Error => (4, "x"),
        Severity::Critical => (5, "rotating_light"),
    };
    let mut body = json!({
        "topic": topic,
        "message": cut_bytes(text.trim(), MESSAGE_BYTES_MAX),
        "priority": priority,
        "tags": [tag],
    });
    if !message.title.trim().is_empty() {
        body["title"] = json!(cut_bytes(&message.title, TITLE_BYTES_MAX));
    }
    if let Some(url) = &message.url {
        body["click"] = json!(url);
    }
    body
}
