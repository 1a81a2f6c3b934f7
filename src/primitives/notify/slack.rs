//! Slack's incoming webhooks with blocks: <https://api.slack.com/messaging/webhooks>.

use serde_json::{Value, json};

use super::message::{Message, Severity};
use super::text::cut;

const HEADER_MAX: usize = 150;
const SECTION_MAX: usize = 3_000;
const FIELDS_PER_SECTION_MAX: usize = 10;
const FIELD_MAX: usize = 2_000;

pub(super) fn body(message: &Message) -> Value {
    let mark = mark(message.severity);
    let mut blocks = Vec::new();
    if !message.title.trim().is_empty() {
        // Plain text is not escaped: it is no markup.
        let title = cut(&format!("{mark} {}", message.title), HEADER_MAX);
        blocks.push(json!({ "type": "header", "text": { "type": "plain_text", "text": title, "emoji": true } }));
    }
    if !message.text.trim().is_empty() {
        blocks.push(
            json!({ "type": "section", "text": { "type": "mrkdwn", "text": markup(&message.text, SECTION_MAX) } }),
        );
    }
    let fields: Vec<_> = message.fields.0.iter().collect();
    for group in fields.chunks(FIELDS_PER_SECTION_MAX) {
        let group = group.iter().map(|(name, value)| {
            let text = format!("*{}*\n{}", markup(name, FIELD_MAX / 4), markup(value, FIELD_MAX / 2));
            json!({ "type": "mrkdwn", "text": text })
        });
        blocks.push(json!({ "type": "section", "fields": group.collect::<Vec<_>>() }));
    }
    if let Some(url) = &message.url {
        let link = format!("<{}|Read on>", escape(&url.replace(['|', '>'], "")));
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": cut(&link, SECTION_MAX) } }));
    }
    let fallback = if message.title.trim().is_empty() { &message.text } else { &message.title };
    json!({ "text": format!("{mark} {}", markup(fallback, SECTION_MAX)), "blocks": blocks })
}

/// Cut before it is escaped, so that no entity is cut in two, and so short that the escaped text fits too.
fn markup(text: &str, most: usize) -> String {
    let mut room = most;
    loop {
        let escaped = escape(&cut(text, room));
        let size = super::text::utf16_len(&escaped);
        if size <= most || room == 0 {
            return escaped;
        }
        room = room.saturating_sub((size - most).div_ceil(4).max(1));
    }
}

/// The three characters that Slack's markup gives a meaning to.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => ":information_source:",
        Severity::Warning => ":warning:",
        Severity::Error => ":x:",
        Severity::Critical => ":rotating_light:",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_and_still_fits() {
        assert_eq!(markup("<!channel> & co", 100), "&lt;!channel&gt; &amp; co");
        let long = markup(&"<".repeat(5_000), SECTION_MAX);
        assert!(super::super::text::utf16_len(&long) <= SECTION_MAX && long.len() > SECTION_MAX - 20);
        assert!(long.ends_with("&lt;…"), "no entity is cut in two");
    }
}
