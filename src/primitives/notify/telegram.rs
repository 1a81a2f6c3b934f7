//! Telegram's Bot API: `sendMessage`, with the HTML that it understands.

use serde_json::{Value, json};

use super::message::{Message, Severity};
use super::text::{cut_escaped, escape};

/// After the entities are read; counted before, what fits is sure to fit.
const TEXT_CHARS_MAX: usize = 4_096;
const TITLE_CHARS_MAX: usize = 300;
const URL_CHARS_MAX: usize = 1_000;

pub fn body(message: &Message, chat: &str, thread: Option<i64>) -> Value {
    let link = message.url.as_ref().map(|url| escape(url).replace('"', "&quot;"));
    let link = link.filter(|url| url.chars().count() <= URL_CHARS_MAX);
    let link = link.map(|url| format!("\n<a href=\"{url}\">Open</a>")).unwrap_or_default();
    let title = cut_escaped(message.headline().trim(), TITLE_CHARS_MAX);
    let head = format!("{} <b>{title}</b>", message.severity.mark());
    let lines = message.body_with_fields();
    let room = TEXT_CHARS_MAX - head.chars().count() - link.chars().count() - "\n".len();
    let text = cut_escaped(&lines, room);
    let text = if text.is_empty() { text } else { format!("\n{text}") };
    let chat = chat.parse::<i64>().map_or_else(|_| Value::from(chat), Value::from);
    let mut body = json!({
        "chat_id": chat,
        "text": format!("{head}{text}{link}"),
        "parse_mode": "HTML",
        "link_preview_options": { "is_disabled": true },
        "disable_notification": message.severity == Severity::Info,
    });
    if let Some(thread) = thread {
        body["message_thread_id"] = thread.into();
    }
    body
}
