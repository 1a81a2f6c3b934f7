//! Chat completions and embeddings as OpenAI has them, and many others who are compatible with it.

use serde_json::{Map, Value, json};

use super::neutral::{Answer, Ask, Embedded, Message, Role, ToolCall, Usage};
use super::service::{Unreadable, integer, text, vector};

/// The name under which the schema of an answer goes.
pub const ANSWER: &str = "answer";

/// `limit_key` is `max_tokens`, which most know, or `max_completion_tokens`, which newer models of OpenAI insist on.
pub fn chat(ask: &Ask, model: &str, limit_key: &str) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("messages".into(), ask.messages.iter().map(message).collect());
    if let Some(temperature) = ask.temperature {
        body.insert("temperature".into(), temperature.into());
    }
    if let Some(tokens) = ask.max_tokens {
        body.insert(limit_key.into(), tokens.into());
    }
    if let Some(schema) = &ask.schema {
        let named = json!({ "name": ANSWER, "schema": schema });
        body.insert("response_format".into(), json!({ "type": "json_schema", "json_schema": named }));
    }
    if !ask.tools.is_empty() {
        body.insert("tools".into(), tools(ask));
    }
    Value::Object(body)
}

/// Ollama takes tools in the same form.
pub fn tools(ask: &Ask) -> Value {
    let tool = |tool: &super::Tool| {
        let function = json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters });
        json!({ "type": "function", "function": function })
    };
    ask.tools.iter().map(tool).collect()
}

fn message(message: &Message) -> Value {
    let mut body = json!({ "role": message.role.as_str(), "content": message.content });
    if message.role == Role::Tool {
        body["tool_call_id"] = message.tool_call_id.as_deref().unwrap_or_default().into();
    }
    if !message.tool_calls.is_empty() {
        let call = |call: &ToolCall| {
            let function = json!({ "name": call.name, "arguments": call.arguments.to_string() });
            json!({ "id": call.id, "type": "function", "function": function })
        };
        body["tool_calls"] = message.tool_calls.iter().map(call).collect();
    }
    body
}

pub fn answer(body: &Value) -> Result<Answer, Unreadable> {
    let choice = body.pointer("/choices/0").ok_or("it has no choices")?;
    let said = choice.get("message").ok_or("it has no message")?;
    let calls = said.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let call = |call: &Value| -> Result<ToolCall, Unreadable> {
        let function = call.get("function").ok_or("a tool call has no function")?;
        let arguments = function.get("arguments").and_then(Value::as_str).unwrap_or("{}");
        let arguments = serde_json::from_str(arguments).map_err(|_| "a tool call's arguments are not JSON")?;
        Ok(ToolCall { id: text(call, "id"), name: text(function, "name"), arguments })
    };
    Ok(Answer {
        text: match said.get("refusal").and_then(Value::as_str) {
            Some(refusal) if said.get("content").is_none_or(Value::is_null) => refusal.to_owned(),
            _ => text(said, "content"),
        },
        json: None,
        tool_calls: calls.iter().map(call).collect::<Result<_, _>>()?,
        finish: text(choice, "finish_reason"),
        model: text(body, "model"),
        usage: usage(body),
        attempts: 0,
        took: Default::default(),
    })
}

fn usage(body: &Value) -> Usage {
    let count = |name: &str| integer(body.pointer(&format!("/usage/{name}")));
    Usage { input_tokens: count("prompt_tokens"), output_tokens: count("completion_tokens") }
}

pub fn embed(texts: &[String], model: &str) -> Value {
    json!({ "model": model, "input": texts, "encoding_format": "float" })
}

/// The vectors say themselves which text they are of.
pub fn embedded(body: &Value, count: usize) -> Result<Embedded, Unreadable> {
    let data = body.get("data").and_then(Value::as_array).ok_or("it has no data")?;
    let mut vectors = vec![Vec::new(); count];
    for entry in data {
        let index = entry.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
        let place = index.and_then(|index| vectors.get_mut(index)).ok_or("a vector is of no text")?;
        *place = vector(entry.get("embedding"))?;
    }
    Ok(Embedded { vectors, model: text(body, "model"), usage: usage(body), attempts: 0 })
}
