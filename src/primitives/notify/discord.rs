//! Discord's "Execute Webhook": <https://discord.com/developers/docs/resources/webhook#execute-webhook>.

use serde_json::{Value, json};

use super::destination::Discord;
use super::message::{Message, Severity};
use super::text::{cut, utf16_len};
use crate::base::Timestamp;

const TITLE_MAX: usize = 256;
const DESCRIPTION_MAX: usize = 4_096;
const FIELDS_MAX: usize = 25;
const FIELD_NAME_MAX: usize = 256;
const FIELD_VALUE_MAX: usize = 1_024;
/// Over title, description and fields of all embeds.
const EMBED_TOTAL_MAX: usize = 6_000;
const USERNAME_MAX: usize = 80;

pub(super) fn body(discord: &Discord, message: &Message, at: Timestamp) -> Value {
    let title = cut(&message.title, TITLE_MAX);
    let mut left = EMBED_TOTAL_MAX - utf16_len(&title);
    let description = cut(&message.text, DESCRIPTION_MAX);
    left -= utf16_len(&description);
    let mut fields = Vec::new();
    for (name, value) in message.fields.0.iter().take(FIELDS_MAX) {
        // Empty names and values are refused by Discord.
        let name = if name.trim().is_empty() { "-".to_owned() } else { cut(name, FIELD_NAME_MAX) };
        let value = if value.trim().is_empty() { "-".to_owned() } else { cut(value, FIELD_VALUE_MAX) };
        let size = utf16_len(&name) + utf16_len(&value);
        if size > left {
            break;
        }
        left -= size;
        fields.push(json!({ "name": name, "value": value, "inline": utf16_len(&value) <= 40 }));
    }
    let mut embed = json!({ "color": color(message.severity), "timestamp": at.to_string(), "fields": fields });
    for (key, text) in [("title", title), ("description", description)] {
        if !text.trim().is_empty() {
            embed[key] = json!(text);
        }
    }
    if let Some(url) = &message.url {
        embed["url"] = json!(url);
    }
    // Text from containers must not call whole channels.
    let mut body = json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } });
    if let Some(username) = &discord.username {
        body["username"] = json!(cut(username, USERNAME_MAX));
    }
    body
}

fn color(severity: Severity) -> u32 {
    match severity {
        Severity::Info => 0x34_98_db,
        Severity::Warning => 0xf1_c4_0f,
        Severity::Error => 0xe7_4c_3c,
        Severity::Critical => 0x8e_00_1c,
    }
}
