//! Providers on loopback, for tests: each refuses what its documentation does not know, and answers as documented.

use serde_json::{Value, json};

use crate::primitives::http::testing::{Answer, Asked, answer};

pub const KEY: &str = "sk-test-0123456789";

/// What is wrong with an object: a required member is missing, a member is unknown, or has another type.
fn check(value: &Value, place: &str, required: &[(&str, &str)], optional: &[(&str, &str)]) -> Result<(), String> {
    let Some(object) = value.as_object() else { return Err(format!("{place}: not an object")) };
    for (name, kind) in required.iter().chain(optional) {
        match object.get(*name) {
            None if required.iter().any(|(own, _)| own == name) => {
                return Err(format!("{place}.{name}: field required"));
            }
            Some(found) if !is(found, kind) => return Err(format!("{place}.{name}: must be {kind}, got {found}")),
            _ => {}
        }
    }
    let known = |name: &&String| required.iter().chain(optional).any(|(own, _)| own == name);
    match object.keys().find(|name| !known(name)) {
        Some(name) => Err(format!("{place}.{name}: extra inputs are not permitted")),
        None => Ok(()),
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        "list" => value.as_array().is_some_and(|items| !items.is_empty()),
        "object" => value.is_object(),
        "texts" => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        constant => value == constant,
    }
}

fn each(value: &Value, check: impl Fn(&Value) -> Result<(), String>) -> Result<(), String> {
    value.as_array().into_iter().flatten().try_for_each(check)
}

/// `POST`, JSON, the path.
fn envelope(asked: &Asked, path: &str) -> Result<Value, (u16, String)> {
    if asked.path != path {
        return Err((404, format!("no such path: {}", asked.path)));
    }
    if asked.method != "POST" || asked.header("content-type") != "application/json" {
        return Err((400, format!("{} of {:?}", asked.method, asked.header("content-type"))));
    }
    serde_json::from_slice(&asked.body).map_err(|problem| (400, problem.to_string()))
}

pub fn json_answer(status: u16, body: &Value) -> Answer {
    answer(status, &[("content-type", "application/json")], body.to_string())
}

fn outcome(checked: Result<Value, (u16, String)>, error: impl Fn(u16, &str) -> Value) -> Answer {
    match checked {
        Ok(body) => json_answer(200, &body),
        Err((status, problem)) => json_answer(status, &error(status, &problem)),
    }
}

pub mod openai {
    use super::*;

    pub fn error(_: u16, message: &str) -> Value {
        json!({ "error": { "message": message, "type": "invalid_request_error", "param": null, "code": null } })
    }

    pub fn serve(asked: &Asked) -> Answer {
        let embeds = asked.path == "/v1/embeddings";
        outcome(if embeds { embeddings(asked) } else { chat(asked) }, error)
    }

    fn login(asked: &Asked) -> Result<(), (u16, String)> {
        match asked.header("authorization") == format!("Bearer {KEY}") {
            true => Ok(()),
            false => Err((401, format!("Incorrect API key provided: {}", asked.header("authorization")))),
        }
    }

    fn tool_call(call: &Value) -> Result<(), String> {
        check(call, "tool_call", &[("id", "string"), ("type", "function"), ("function", "object")], &[])?;
        check(&call["function"], "function", &[("name", "string"), ("arguments", "string")], &[])
    }

    fn message(message: &Value) -> Result<(), String> {
        let content = ("content", "string");
        match message["role"].as_str() {
            Some("system" | "user") => check(message, "message", &[("role", "string"), content], &[]),
            Some("assistant") => {
                check(message, "message", &[("role", "string")], &[content, ("tool_calls", "list")])?;
                each(&message["tool_calls"], tool_call)
            }
            Some("tool") => check(message, "message", &[("role", "string"), content, ("tool_call_id", "string")], &[]),
            other => Err(format!("message.role: {other:?}")),
        }
    }

    fn tool(tool: &Value) -> Result<(), String> {
        check(tool, "tool", &[("type", "function"), ("function", "object")], &[])?;
        check(
            &tool["function"],
            "function",
            &[("name", "string")],
            &[("description", "string"), ("parameters", "object")],
        )
    }

    fn body(body: &Value) -> Result<(), String> {
        let optional = [
            ("temperature", "number"),
            ("max_tokens", "integer"),
            ("max_completion_tokens", "integer"),
            ("response_format", "object"),
            ("tools", "list"),
        ];
        check(body, "body", &[("model", "string"), ("messages", "list")], &optional)?;
        each(&body["messages"], message)?;
        each(&body["tools"], tool)?;
        if let Some(format) = body.get("response_format") {
            check(format, "response_format", &[("type", "json_schema"), ("json_schema", "object")], &[])?;
            let named = &format["json_schema"];
            check(named, "json_schema", &[("name", "string")], &[("schema", "object"), ("strict", "boolean")])?;
        }
        if body["model"] == "o-new" && body.get("max_tokens").is_some() {
            return Err("Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                        'max_completion_tokens' instead."
                .into());
        }
        Ok(())
    }

    fn chat(asked: &Asked) -> Result<Value, (u16, String)> {
        let request = envelope(asked, "/v1/chat/completions")?;
        login(asked)?;
        body(&request).map_err(|problem| (400, problem))?;
        let (message, finish) = if request.get("tools").is_some() {
            let call = json!({ "name": "weather", "arguments": "{\"city\":\"Oslo\"}" });
            let calls = json!([{ "id": "call_1", "type": "function", "function": call }]);
            (json!({ "role": "assistant", "content": null, "tool_calls": calls, "refusal": null }), "tool_calls")
        } else {
            let text = if request.get("response_format").is_some() { "{\"n\": 5}" } else { "Hello" };
            (json!({ "role": "assistant", "content": text, "refusal": null }), "stop")
        };
        Ok(json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": format!("{}-2026", request["model"].as_str().unwrap_or_default()),
            "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": finish }],
            "usage": { "prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12 },
        }))
    }

    fn embeddings(asked: &Asked) -> Result<Value, (u16, String)> {
        let request = envelope(asked, "/v1/embeddings")?;
        login(asked)?;
        let required = [("model", "string"), ("input", "texts")];
        check(&request, "body", &required, &[("encoding_format", "float")]).map_err(|problem| (400, problem))?;
        let count = request["input"].as_array().map_or(0, Vec::len);
        // Not in order, which nobody promises.
        let data: Vec<Value> =
            (0..count).rev().map(|at| json!({ "object": "embedding", "index": at, "embedding": [at, 0.5] })).collect();
        let usage = json!({ "prompt_tokens": 4, "total_tokens": 4 });
        Ok(json!({ "object": "list", "data": data, "model": "e-1", "usage": usage }))
    }
}

pub mod anthropic {
    use super::*;

    pub fn error(status: u16, message: &str) -> Value {
        let kind = if status == 401 { "authentication_error" } else { "invalid_request_error" };
        json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_1" })
    }

    pub fn serve(asked: &Asked) -> Answer {
        outcome(messages(asked), error)
    }

    fn block(block: &Value) -> Result<(), String> {
        match block["type"].as_str() {
            Some("text") if block["text"] == "" => Err("text content blocks must be non-empty".into()),
            Some("text") => check(block, "block", &[("type", "string"), ("text", "string")], &[]),
            Some("tool_use") => {
                let required = [("type", "string"), ("id", "string"), ("name", "string"), ("input", "object")];
                check(block, "block", &required, &[])
            }
            Some("tool_result") => {
                let required = [("type", "string"), ("tool_use_id", "string"), ("content", "string")];
                check(block, "block", &required, &[])
            }
            other => Err(format!("block.type: {other:?}")),
        }
    }

    fn body(body: &Value) -> Result<(), String> {
        let required = [("model", "string"), ("max_tokens", "integer"), ("messages", "list")];
        let optional = [("system", "string"), ("temperature", "number"), ("tools", "list"), ("tool_choice", "object")];
        check(body, "body", &required, &optional)?;
        let mut last = "";
        for message in body["messages"].as_array().into_iter().flatten() {
            check(message, "message", &[("role", "string"), ("content", "list")], &[])?;
            let role = message["role"].as_str().unwrap_or_default();
            if !["user", "assistant"].contains(&role) || role == last {
                return Err("messages: roles must alternate between \"user\" and \"assistant\"".into());
            }
            last = if role == "user" { "user" } else { "assistant" };
            each(&message["content"], block)?;
        }
        let tool = |tool: &Value| {
            check(tool, "tool", &[("name", "string"), ("input_schema", "object")], &[("description", "string")])
        };
        each(&body["tools"], tool)?;
        match body.get("tool_choice") {
            Some(choice) => check(choice, "tool_choice", &[("type", "tool"), ("name", "string")], &[]),
            None => Ok(()),
        }
    }

    fn messages(asked: &Asked) -> Result<Value, (u16, String)> {
        let request = envelope(asked, "/v1/messages")?;
        if asked.header("x-api-key") != KEY {
            return Err((401, "invalid x-api-key".into()));
        }
        if asked.header("anthropic-version") != "2023-06-01" {
            return Err((400, "anthropic-version: header is required".into()));
        }
        body(&request).map_err(|problem| (400, problem))?;
        let tool =
            |name: &str, input: Value| json!({ "type": "tool_use", "id": "toolu_1", "name": name, "input": input });
        let (content, reason) = if let Some(choice) = request.get("tool_choice") {
            (json!([tool(choice["name"].as_str().unwrap_or_default(), json!({ "n": 5 }))]), "tool_use")
        } else if request.get("tools").is_some() {
            (json!([{ "type": "text", "text": "Let me see." }, tool("weather", json!({ "city": "Oslo" }))]), "tool_use")
        } else {
            (json!([{ "type": "text", "text": "Hello" }]), "end_turn")
        };
        Ok(json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": format!("{}-2026", request["model"].as_str().unwrap_or_default()),
            "content": content, "stop_reason": reason, "stop_sequence": null,
            "usage": { "input_tokens": 9, "output_tokens": 3 },
        }))
    }
}

pub mod ollama {
    use super::*;

    pub fn error(_: u16, message: &str) -> Value {
        json!({ "error": message })
    }

    pub fn serve(asked: &Asked) -> Answer {
        let embeds = asked.path == "/api/embed";
        outcome(if embeds { embed(asked) } else { chat(asked) }, error)
    }

    fn message(message: &Value) -> Result<(), String> {
        let optional = [("tool_calls", "list"), ("tool_name", "string")];
        check(message, "message", &[("role", "string"), ("content", "string")], &optional)?;
        each(&message["tool_calls"], |call| {
            check(call, "tool_call", &[("function", "object")], &[])?;
            check(&call["function"], "function", &[("name", "string"), ("arguments", "object")], &[])
        })
    }

    fn body(body: &Value) -> Result<(), String> {
        let required = [("model", "string"), ("messages", "list"), ("stream", "boolean")];
        check(body, "body", &required, &[("format", "object"), ("options", "object"), ("tools", "list")])?;
        if let Some(options) = body.get("options") {
            check(options, "options", &[], &[("temperature", "number"), ("num_predict", "integer")])?;
        }
        each(&body["messages"], message)
    }

    fn chat(asked: &Asked) -> Result<Value, (u16, String)> {
        let request = envelope(asked, "/api/chat")?;
        body(&request).map_err(|problem| (400, problem))?;
        if request["model"] == "absent" {
            return Err((404, "model \"absent\" not found, try pulling it first".into()));
        }
        let message = if request.get("tools").is_some() {
            let function = json!({ "name": "weather", "arguments": { "city": "Oslo" } });
            json!({ "role": "assistant", "content": "", "tool_calls": [{ "function": function }] })
        } else {
            let text = if request.get("format").is_some() { "{\"n\": 5}" } else { "Hello" };
            json!({ "role": "assistant", "content": text })
        };
        Ok(json!({
            "model": format!("{}-2026", request["model"].as_str().unwrap_or_default()), "created_at": "2026-01-01T00:00:00Z", "message": message,
            "done": true, "done_reason": "stop", "total_duration": 1, "load_duration": 1, "prompt_eval_count": 9,
            "prompt_eval_duration": 1, "eval_count": 3, "eval_duration": 1,
        }))
    }

    fn embed(asked: &Asked) -> Result<Value, (u16, String)> {
        let request = envelope(asked, "/api/embed")?;
        check(&request, "body", &[("model", "string"), ("input", "texts")], &[]).map_err(|problem| (400, problem))?;
        let count = request["input"].as_array().map_or(0, Vec::len);
        let vectors: Vec<Value> = (0..count).map(|at| json!([at, 0.5])).collect();
        Ok(
            json!({ "model": "e-1", "embeddings": vectors, "total_duration": 1, "load_duration": 1, "prompt_eval_count": 4 }),
        )
    }
}
