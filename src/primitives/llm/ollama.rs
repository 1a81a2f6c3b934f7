//! Chats and embeddings as Ollama has them.

use serde_json::{Map, Value, json};

use super::neutral::{Answer, Ask, Embedded, Message, Role, ToolCall, Usage};
use super::openai::tools;
use super::service::{Unreadable, integer, text, vector};

pub fn chat(ask: &Ask, model: &str) -> Value {
    let mut options = Map::new();
    if let Some(temperature) = ask.temperature {
        options.insert("temperature".into(), temperature.into());
    }
    if let Some(tokens) = ask.max_tokens {
        options.insert("num_predict".into(), tokens.into());
    }
    let messages: Value = ask.messages.iter().map(message).collect();
    let mut body = json!({ "model": model, "messages": messages, "stream": false });
    if !options.is_empty() {
        body["options"] = Value::Object(options);
    }
    if let Some(schema) = &ask.schema {
        body["format"] = schema.clone();
    }
    if !ask.tools.is_empty() {
        body["tools"] = tools(ask);
    }
    body
}

fn message(message: &Message) -> Value {
    let mut body = json!({ "role": message.role.as_str(), "content": message.content });
    if let (Role::Tool, Some(name)) = (message.role, &message.name) {
        body["tool_name"] = name.as_str().into();
    }
    if !message.tool_calls.is_empty() {
        let call = |call: &ToolCall| json!({ "function": { "name": call.name, "arguments": call.arguments } });
        body["tool_calls"] = message.tool_calls.iter().map(call).collect();
    }
    body
}

pub fn answer(body: &Value) -> Result<Answer, Unreadable> {
    let said = body.get("message").ok_or("it has no message")?;
    let calls = said.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    // It numbers none of them; a number makes the answers tell whose they are.
    let call = |(index, call): (usize, &Value)| {
        let function = call.get("function").ok_or("a tool call has no function")?;
        let arguments = function.get("arguments").cloned().unwrap_or_else(|| json!({}));
        Ok(ToolCall { id: format!("call_{}", index + 1), name: text(function, "name"), arguments })
    };
    let tool_calls: Vec<ToolCall> = calls.iter().enumerate().map(call).collect::<Result<_, Unreadable>>()?;
    let finish = match text(body, "done_reason") {
        _ if !tool_calls.is_empty() => "tool_calls".to_owned(),
        reason => reason,
    };
    let model = text(body, "model");
    let (usage, text) = (usage(body), text(said, "content"));
    Ok(Answer { text, json: None, tool_calls, finish, model, usage, attempts: 0, took: Default::default() })
}

fn usage(body: &Value) -> Usage {
    Usage { input_tokens: integer(body.get("prompt_eval_count")), output_tokens: integer(body.get("eval_count")) }
}

pub fn embed(texts: &[String], model: &str) -> Value {
    json!({ "model": model, "input": texts })
}

pub fn embedded(body: &Value) -> Result<Embedded, Unreadable> {
    let found = body.get("embeddings").and_then(Value::as_array).ok_or("it has no embeddings")?;
    let vectors = found.iter().map(|one| vector(Some(one))).collect::<Result<_, _>>()?;
    Ok(Embedded { vectors, model: text(body, "model"), usage: usage(body), attempts: 0 })
}
