//! Receivers for tests: each checks what it is sent against its provider's documentation, and refuses what breaks it.

use serde_json::{Value, json};

use crate::primitives::http::testing::{Answer, Asked, Server, answer};

/// A receiver's judgement: what it answers when all is well, or what it says is wrong.
pub type Verdict = Result<Answer, String>;

pub async fn start(judge: impl Fn(&Asked) -> Verdict + Send + Sync + 'static) -> Server {
    Server::start(move |_, asked| {
        judge(asked).unwrap_or_else(|problem| answer(400, &[], json!({ "message": problem }).to_string()))
    })
    .await
}

fn check(holds: bool, problem: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem.to_owned()) }
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value[key].as_str().ok_or_else(|| format!("{key} must be a string"))
}

/// `text` has 1 to `max` characters.
fn sized(text: &str, max: usize, what: &str) -> Result<usize, String> {
    let count = text.chars().count();
    check((1..=max).contains(&count), &format!("{what} has {count} characters, of 1 to {max}"))?;
    Ok(count)
}

fn known_keys(value: &Value, known: &[&str], what: &str) -> Result<(), String> {
    let object = value.as_object().ok_or_else(|| format!("{what} must be an object"))?;
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("{what} has no key {key}")),
        None => Ok(()),
    }
}

fn is_json_post(asked: &Asked) -> Result<Value, String> {
    check(asked.method == "POST", "the method must be POST")?;
    check(asked.header("content-type") == "application/json", "the content type must be application/json")?;
    serde_json::from_slice(&asked.body).map_err(|problem| problem.to_string())
}

/// "Execute Webhook", with the limits of embeds.
pub fn discord(asked: &Asked) -> Verdict {
    check(asked.path == "/api/webhooks/111/discord-token?wait=true", "unknown webhook")?;
    let body = is_json_post(asked)?;
    known_keys(&body, &["content", "username", "embeds", "allowed_mentions"], "the message")?;
    check(body["allowed_mentions"] == json!({ "parse": [] }), "somebody could be mentioned")?;
    let embeds = body["embeds"].as_array().ok_or("embeds must be a list")?;
    check((1..=10).contains(&embeds.len()), "1 to 10 embeds")?;
    let mut total = 0;
    for embed in embeds {
        known_keys(embed, &["title", "description", "url", "color", "timestamp", "footer", "fields"], "an embed")?;
        for (key, max) in [("title", 256), ("description", 4_096)] {
            total += if embed[key].is_null() { 0 } else { sized(text(embed, key)?, max, key)? };
        }
        total += sized(text(&embed["footer"], "text")?, 2_048, "the footer")?;
        let url = embed["url"].as_str().unwrap_or_default();
        check(url.chars().count() <= 2_048, "an embed's url has at most 2048 characters")?;
        check(embed["color"].as_u64().is_some_and(|color| color <= 0xff_ff_ff), "color")?;
        check(text(embed, "timestamp")?.parse::<crate::base::Timestamp>().is_ok(), "timestamp must be ISO 8601")?;
        let none = Vec::new();
        let fields = embed["fields"].as_array().unwrap_or(&none);
        check(fields.len() <= 25, "at most 25 fields")?;
        for field in fields {
            known_keys(field, &["name", "value", "inline"], "a field")?;
            total += sized(text(field, "name")?, 256, "a field's name")?;
            total += sized(text(field, "value")?, 1_024, "a field's value")?;
            check(field["inline"].is_boolean(), "inline must be a boolean")?;
        }
    }
    check(total <= 6_000, &format!("the embeds have {total} characters, of at most 6000"))?;
    Ok(answer(200, &[("content-type", "application/json")], r#"{"id":"1"}"#))
}

/// Incoming webhooks and the block kit.
pub fn slack(asked: &Asked) -> Verdict {
    check(asked.path == "/services/T0/B0/slack-token", "no_service")?;
    let body = is_json_post(asked)?;
    known_keys(&body, &["text", "blocks"], "the message")?;
    sized(text(&body, "text")?, 40_000, "text")?;
    let blocks = body["blocks"].as_array().ok_or("blocks must be a list")?;
    check((1..=50).contains(&blocks.len()), "1 to 50 blocks")?;
    for block in blocks {
        match text(block, "type")? {
            "header" => {
                check(block["text"]["type"] == "plain_text", "a header is plain text")?;
                sized(text(&block["text"], "text")?, 150, "a header")?;
            }
            "section" if block["fields"].is_array() => {
                let fields = block["fields"].as_array().ok_or("fields must be a list")?;
                check((1..=10).contains(&fields.len()), "a section has 1 to 10 fields")?;
                for field in fields {
                    check(field["type"] == "mrkdwn", "a field is mrkdwn")?;
                    sized(text(field, "text")?, 2_000, "a field")?;
                }
            }
            "section" => {
                check(block["text"]["type"] == "mrkdwn", "a section is mrkdwn")?;
                sized(text(&block["text"], "text")?, 3_000, "a section")?;
            }
            other => return Err(format!("invalid_blocks: {other}")),
        }
    }
    Ok(answer(200, &[], "ok"))
}

/// "Publish as JSON", at the server's root, with an access token.
pub fn ntfy(asked: &Asked) -> Verdict {
    check(asked.path == "/", "JSON is published at the root")?;
    if asked.header("authorization") != "Bearer tk_ntfy_token" {
        return Ok(answer(403, &[], "forbidden"));
    }
    check(asked.body.len() <= 2 * 4_096, "a body has at most 8192 bytes")?;
    let body = is_json_post(asked)?;
    known_keys(&body, &["topic", "title", "message", "priority", "tags", "click"], "the message")?;
    check(text(&body, "topic")? == "ops-alerts", "unknown topic")?;
    check((1..=4_096).contains(&text(&body, "message")?.len()), "a message has 1 to 4096 bytes")?;
    check(!text(&body, "title")?.contains('\n'), "a title is one line")?;
    check(body["priority"].as_u64().is_some_and(|priority| (1..=5).contains(&priority)), "priority is 1 to 5")?;
    check(body["tags"].as_array().is_some_and(|tags| tags.iter().all(Value::is_string)), "tags are strings")?;
    check(body["click"].is_null() || body["click"].is_string(), "click is a string")?;
    Ok(answer(200, &[("content-type", "application/json")], r#"{"id":"x"}"#))
}

/// `sendMessage` of the Bot API, with the tags and entities of its HTML.
pub fn telegram(asked: &Asked) -> Verdict {
    let refuse = |problem: String| Ok(answer(400, &[], json!({ "ok": false, "description": problem }).to_string()));
    let judged = || -> Result<(), String> {
        check(asked.path == "/bot123:telegram-token/sendMessage", "Not Found")?;
        let body = is_json_post(asked)?;
        let known =
            ["chat_id", "text", "parse_mode", "link_preview_options", "disable_notification", "message_thread_id"];
        known_keys(&body, &known, "the message")?;
        check(body["chat_id"] == -1_000_000_000_000_i64, "chat not found")?;
        check(body["parse_mode"] == "HTML", "unsupported parse_mode")?;
        check(body["disable_notification"].is_boolean(), "disable_notification must be a boolean")?;
        let plain = telegram_plain(text(&body, "text")?)?;
        sized(plain.trim(), 4_096, "the text").map(drop)
    };
    match judged() {
        Ok(()) => Ok(answer(200, &[("content-type", "application/json")], r#"{"ok":true,"result":{"message_id":1}}"#)),
        Err(problem) => refuse(problem),
    }
}

/// What is left of a text when its entities are read; the tags must be known and closed in order.
fn telegram_plain(html: &str) -> Result<String, String> {
    let (mut plain, mut open, mut rest) = (String::new(), Vec::new(), html);
    while let Some(at) = rest.find(['<', '>', '&']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix('&') {
            let (name, after) = after.split_once(';').ok_or("an entity does not end")?;
            plain.push_str(match name {
                "lt" => "<",
                "gt" => ">",
                "amp" => "&",
                "quot" => "\"",
                _ => return Err(format!("unsupported entity {name}")),
            });
            rest = after;
            continue;
        }
        let inside = rest.strip_prefix('<').ok_or("a > stands alone")?;
        let (tag, after) = inside.split_once('>').ok_or("a tag does not end")?;
        match tag.strip_prefix('/') {
            Some(name) => check(open.pop() == Some(name), "can't parse entities: a tag is closed that is not open")?,
            None => {
                let name = tag.split(' ').next().unwrap_or_default();
                check(["b", "i", "a", "code", "pre"].contains(&name), &format!("unsupported start tag {name}"))?;
                open.push(name);
            }
        }
        rest = after;
    }
    check(open.is_empty(), "can't parse entities: a tag is not closed")?;
    plain.push_str(rest);
    Ok(plain)
}

/// "Send a message" of the Messages API, channel WhatsApp: 202 with the message's UUID.
pub fn vonage(asked: &Asked) -> Verdict {
    check(asked.path == "/v1/messages", "not found")?;
    let authorization = asked.header("authorization");
    let is_known = authorization == "Basic dm9uYWdlLWtleTp2b25hZ2Utc2VjcmV0" || authorization.starts_with("Bearer ");
    if !is_known {
        return Ok(answer(401, &[], r#"{"title":"Unauthorized"}"#));
    }
    let body = is_json_post(asked)?;
    known_keys(&body, &["message_type", "channel", "from", "to", "text", "client_ref"], "the message")?;
    check(body["message_type"] == "text" && body["channel"] == "whatsapp", "message_type and channel")?;
    for key in ["from", "to"] {
        let number = text(&body, key)?;
        let is_number = (7..=15).contains(&number.len()) && number.chars().all(|c| c.is_ascii_digit());
        check(is_number, &format!("{key} must be a number without leading + or 00"))?;
    }
    sized(text(&body, "text")?, 4_096, "text")?;
    sized(text(&body, "client_ref")?, 100, "client_ref")?;
    Ok(answer(
        202,
        &[("content-type", "application/json")],
        r#"{"message_uuid":"aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"}"#,
    ))
}

/// "Send Email", with an idempotency key.
pub fn resend(asked: &Asked) -> Verdict {
    check(asked.path == "/emails", "not found")?;
    if asked.header("authorization") != "Bearer re_resend_key" {
        return Ok(answer(401, &[], r#"{"name":"missing_api_key"}"#));
    }
    check(!asked.header("user-agent").is_empty(), "a request without User-Agent is refused with 403")?;
    sized(asked.header("idempotency-key"), 256, "the idempotency key")?;
    let body = is_json_post(asked)?;
    known_keys(&body, &["from", "to", "subject", "text", "html"], "the email")?;
    check(text(&body, "from")?.contains('@'), "from must be an address")?;
    let to = body["to"].as_array().ok_or("to must be a list")?;
    check((1..=50).contains(&to.len()) && to.iter().all(Value::is_string), "1 to 50 recipients")?;
    let subject = text(&body, "subject")?;
    sized(subject, 998, "subject")?;
    check(!subject.contains(['\n', '\r']), "subject is one line")?;
    check(!text(&body, "text")?.is_empty() && text(&body, "html")?.starts_with("<!doctype html>"), "text and html")?;
    Ok(answer(200, &[("content-type", "application/json")], r#"{"id":"49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"}"#))
}
