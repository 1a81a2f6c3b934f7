//! A message in each provider's documented form, cut to what the provider takes.

use serde_json::{Value, json};

use super::message::{Message, Severity};
use super::text::{cut, cut_bytes, cut_escaped, cut_json, escape};
use crate::base::Timestamp;

/// Discord's limits for embeds, in characters.
mod discord_max {
    pub const TITLE: usize = 256;
    pub const DESCRIPTION: usize = 4_096;
    pub const FIELDS: usize = 25;
    pub const FIELD_NAME: usize = 256;
    pub const FIELD_VALUE: usize = 1_024;
    pub const URL: usize = 2_048;
    /// Of all texts of a message's embeds together.
    pub const TOTAL: usize = 6_000;
}

/// Slack's limits for blocks, in characters.
mod slack_max {
    pub const HEADER: usize = 150;
    pub const SECTION: usize = 3_000;
    pub const FIELD: usize = 2_000;
    pub const FIELDS_PER_SECTION: usize = 10;
    pub const FALLBACK: usize = 4_000;
}

/// ntfy turns what is longer into an attachment.
const NTFY_MESSAGE_BYTES_MAX: usize = 4_096;
const NTFY_TITLE_BYTES_MAX: usize = 256;
const NTFY_URL_BYTES_MAX: usize = 1_024;
/// ntfy reads no more of a JSON body; what is cut off there is no JSON.
const NTFY_BODY_BYTES_MAX: usize = 2 * NTFY_MESSAGE_BYTES_MAX;

/// An execute-webhook body: one embed, and nobody is mentioned whatever the text says.
pub fn discord(message: &Message, now: Timestamp) -> Value {
    let color = match message.severity {
        Severity::Info => 0x2f_80_ed,
        Severity::Warning => 0xf2_a1_00,
        Severity::Critical => 0xd9_2d_20,
    };
    let mut left = discord_max::TOTAL;
    let mut take = |text: &str, max: usize| {
        let taken = cut(text, max.min(left));
        left -= taken.chars().count();
        taken
    };
    let mut embed = json!({ "color": color, "timestamp": now.to_string(), "footer": { "text": take(message.severity.as_str(), 16) } });
    if !message.title.trim().is_empty() {
        embed["title"] = take(&message.title, discord_max::TITLE).into();
    }
    if !message.text.trim().is_empty() {
        embed["description"] = take(&message.text, discord_max::DESCRIPTION).into();
    }
    if let Some(url) = message.url.as_ref().filter(|url| url.chars().count() <= discord_max::URL) {
        embed["url"] = url.clone().into();
        // Discord shows an embed's link on its title alone.
        if message.title.trim().is_empty() {
            embed["title"] = take(message.headline(), discord_max::TITLE).into();
        }
    }
    let mut fields = Vec::new();
    for (name, value) in message.fields.iter().take(discord_max::FIELDS) {
        let name = take(filled(name), discord_max::FIELD_NAME);
        let value = take(filled(value), discord_max::FIELD_VALUE);
        if name.is_empty() || value.is_empty() {
            break;
        }
        let is_short = value.chars().count() <= 40;
        fields.push(json!({ "name": name, "value": value, "inline": is_short }));
    }
    if !fields.is_empty() {
        embed["fields"] = fields.into();
    }
    json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } })
}

/// An incoming webhook's body: blocks, and `text` for notifications and for services that know no blocks.
pub fn slack(message: &Message) -> Value {
    let mut blocks = Vec::new();
    if !message.title.trim().is_empty() {
        let title = cut(&format!("{} {}", message.severity.mark(), message.title), slack_max::HEADER);
        blocks.push(json!({ "type": "header", "text": { "type": "plain_text", "text": title } }));
    }
    if !message.text.trim().is_empty() {
        let text = cut_escaped(&message.text, slack_max::SECTION);
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
    }
    for chunk in message.fields.chunks(slack_max::FIELDS_PER_SECTION) {
        let field = |(name, value): &(String, String)| {
            let name = cut_escaped(filled(name), 200);
            let text = format!("*{name}*\n{}", cut_escaped(filled(value), slack_max::FIELD - 210));
            json!({ "type": "mrkdwn", "text": text })
        };
        blocks.push(json!({ "type": "section", "fields": chunk.iter().map(field).collect::<Vec<_>>() }));
    }
    let link = message.url.as_ref().map(|url| format!("<{}|Open>", escape(url)));
    if let Some(text) = link.filter(|link| link.chars().count() <= slack_max::SECTION) {
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
    }
    json!({ "text": cut_escaped(&message.plain(), slack_max::FALLBACK), "blocks": blocks })
}

/// A body for publishing as JSON, which goes to the server's root.
pub fn ntfy(message: &Message, topic: &str) -> Value {
    let (priority, tag) = match message.severity {
        Severity::Info => (3, "information_source"),
        Severity::Warning => (4, "warning"),
        Severity::Critical => (5, "rotating_light"),
    };
    let title = cut_bytes(message.headline(), NTFY_TITLE_BYTES_MAX);
    let text = if message.title.trim().is_empty() || !message.text.trim().is_empty() { &message.text } else { "" };
    let text = with_fields(text, message);
    let mut body = json!({ "topic": topic, "title": title, "message": "", "priority": priority, "tags": [tag] });
    if let Some(url) = message.url.as_ref().filter(|url| url.len() <= NTFY_URL_BYTES_MAX) {
        body["click"] = url.clone().into();
    }
    let room = NTFY_BODY_BYTES_MAX.saturating_sub(body.to_string().len());
    let text = if text.is_empty() { body["title"].as_str().unwrap_or_default() } else { &text };
    body["message"] = cut_json(text, NTFY_MESSAGE_BYTES_MAX, room).into();
    body
}

/// Our own form. `id` stays the same when a delivery is tried again.
pub fn webhook(message: &Message, route: &str, id: &str, now: Timestamp) -> Value {
    let fields: Vec<Value> =
        message.fields.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({
        "id": id,
        "route": route,
        "sent_at": now.to_string(),
        "severity": message.severity.as_str(),
        "title": message.title,
        "text": message.text,
        "fields": fields,
        "url": message.url,
    })
}

fn with_fields(text: &str, message: &Message) -> String {
    let lines = message.fields.iter().map(|(name, value)| format!("{name}: {value}"));
    let all: Vec<String> = Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().chain(lines).collect();
    all.join("\n")
}

/// Providers refuse empty field texts.
fn filled(text: &str) -> &str {
    if text.trim().is_empty() { "–" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_alone_is_the_message_too() {
        let message = Message { title: "db is down".into(), ..Message::default() };
        let body = ntfy(&message, "alerts");
        assert_eq!((&body["title"], &body["message"]), (&json!("db is down"), &json!("db is down")));
    }
}
