//! Messages as Anthropic has them.

use serde_json::{Map, Value, json};

use super::neutral::{Answer, Ask, Message, Role, ToolCall, Usage};
use super::openai::ANSWER;
use super::service::{Unreadable, integer, text};
use crate::base::limits;

pub const VERSION: &str = "2023-06-01";

/// System messages stand apart, and roles take turns: what a tool answered is said by the user.
pub fn chat(ask: &Ask, model: &str) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("max_tokens".into(), ask.max_tokens.unwrap_or(limits::LLM_TOKENS_DEFAULT).into());
    let system: Vec<&str> =
        ask.messages.iter().filter(|one| one.role == Role::System).map(|one| one.content.as_str()).collect();
    if !system.is_empty() {
        body.insert("system".into(), system.join("\n\n").into());
    }
    body.insert("messages".into(), turns(&ask.messages));
    if let Some(temperature) = ask.temperature {
        body.insert("temperature".into(), temperature.into());
    }
    let mut tools: Vec<Value> = ask.tools.iter().map(tool).collect();
    if let Some(schema) = &ask.schema {
        // An answer of a certain form is a tool that has to be called.
        tools.push(json!({ "name": ANSWER, "description": "Gives the answer.", "input_schema": schema }));
        body.insert("tool_choice".into(), json!({ "type": "tool", "name": ANSWER }));
    }
    if !tools.is_empty() {
        body.insert("tools".into(), tools.into());
    }
    Value::Object(body)
}

fn tool(tool: &super::Tool) -> Value {
    json!({ "name": tool.name, "description": tool.description, "input_schema": tool.parameters })
}

fn turns(messages: &[Message]) -> Value {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages.iter().filter(|message| message.role != Role::System) {
        let role = if message.role == Role::Assistant { "assistant" } else { "user" };
        let blocks = blocks(message);
        match turns.last_mut() {
            Some((last, earlier)) if *last == role => earlier.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    turns.into_iter().map(|(role, content)| json!({ "role": role, "content": content })).collect()
}

fn blocks(message: &Message) -> Vec<Value> {
    if message.role == Role::Tool {
        let id = message.tool_call_id.as_deref().unwrap_or_default();
        return vec![json!({ "type": "tool_result", "tool_use_id": id, "content": message.content })];
    }
    // A block of text may not be empty.
    let text = (!message.content.is_empty()).then(|| json!({ "type": "text", "text": message.content }));
    let call =
        |call: &ToolCall| json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments });
    text.into_iter().chain(message.tool_calls.iter().map(call)).collect()
}

pub fn answer(body: &Value, has_schema: bool) -> Result<Answer, Unreadable> {
    let blocks = body.get("content").and_then(Value::as_array).ok_or("it has no content")?;
    let of = |kind: &'static str| blocks.iter().filter(move |block| block["type"] == kind);
    let call = |block: &Value| ToolCall {
        id: text(block, "id"),
        name: text(block, "name"),
        arguments: block.get("input").cloned().unwrap_or_else(|| json!({})),
    };
    let mut tool_calls: Vec<ToolCall> = of("tool_use").map(call).collect();
    let mut said: String = of("text").map(|block| text(block, "text")).collect();
    let mut finish = match text(body, "stop_reason").as_str() {
        "end_turn" | "stop_sequence" => "stop".to_owned(),
        "max_tokens" => "length".to_owned(),
        "tool_use" => "tool_calls".to_owned(),
        other => other.to_owned(),
    };
    if has_schema && let Some(at) = tool_calls.iter().position(|call| call.name == ANSWER) {
        said = tool_calls.remove(at).arguments.to_string();
        if finish == "tool_calls" {
            finish = "stop".into();
        }
    }
    let count = |name: &str| integer(body.pointer(&format!("/usage/{name}")));
    let usage = Usage { input_tokens: count("input_tokens"), output_tokens: count("output_tokens") };
    let model = text(body, "model");
    Ok(Answer { text: said, json: None, tool_calls, finish, model, usage, attempts: 0, took: Default::default() })
}
