use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::providers::{self, KEY, json_answer};
use super::*;
use crate::base::{Clock, Fault, Timestamp, limits};
use crate::model::Grants;
use crate::primitives::http::testing::{Answer as Served, Asked, Server, answer};
use crate::primitives::http::{self, Http};
use crate::primitives::notify::ProcessSecrets;
use crate::primitives::permit::{self, LlmPermit};

fn may(source: &str) -> LlmPermit {
    permit::llm(&Grants { llm: vec!["*".into()], ..Grants::default() }, source).expect("a permit")
}

fn service(sources: Value, clock: Clock) -> Llm {
    let http = Http::new(&http::Options::default(), clock.clone()).expect("a client");
    Llm::new(serde_json::from_value(sources).expect("sources"), http, Arc::new(ProcessSecrets), clock)
}

fn ask(prompt: &str) -> Ask {
    Ask {
        messages: vec![say(Role::User, prompt)],
        model: None,
        temperature: None,
        max_tokens: None,
        schema: None,
        tools: Vec::new(),
        timeout: None,
    }
}

fn say(role: Role, content: &str) -> Message {
    Message { role, content: content.into(), tool_calls: Vec::new(), tool_call_id: None, name: None }
}

fn weather() -> Tool {
    let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    Tool { name: "weather".into(), description: "Tells the weather".into(), parameters }
}

/// A server of each kind, strict about its own format.
async fn each_kind() -> Vec<(&'static str, Server, Llm)> {
    let mut all = Vec::new();
    type Serve = fn(&Asked) -> Served;
    let kinds: [(&str, Serve); 3] = [
        ("openai", providers::openai::serve),
        ("anthropic", providers::anthropic::serve),
        ("ollama", providers::ollama::serve),
    ];
    for (kind, serve) in kinds {
        let server = Server::start(move |_, asked| serve(asked)).await;
        let source = json!({ "kind": kind, "url": server.url(""), "key": KEY, "model": "m" });
        all.push((kind, server, service(json!({ "main": source }), Clock::system())));
    }
    all
}

#[tokio::test]
async fn every_provider_takes_what_is_sent_and_is_understood() {
    for (kind, server, llm) in each_kind().await {
        let answer = llm.chat(&may("main"), &ask("Hi")).await.expect(kind);
        assert_eq!((&*answer.text, &*answer.finish, &*answer.model), ("Hello", "stop", "m-2026"), "{kind}");
        assert_eq!(answer.usage, Usage { input_tokens: 9, output_tokens: 3 }, "{kind}");
        let full = Ask {
            messages: vec![say(Role::System, "Be short."), say(Role::System, "Be kind."), say(Role::User, "Hi")],
            model: Some("other".into()),
            temperature: Some(0.5),
            max_tokens: Some(100),
            schema: Some(json!({ "type": "object", "properties": { "n": { "type": "integer" } } })),
            ..ask("")
        };
        let answer = llm.chat(&may("main"), &full).await.expect(kind);
        assert_eq!(
            (answer.json, &*answer.model, &*answer.finish),
            (Some(json!({ "n": 5 })), "other-2026", "stop"),
            "{kind}"
        );
        let sent = server.asked()[1].json();
        let places = match kind {
            "openai" => ["/temperature", "/max_tokens", "/response_format/json_schema/schema/type"],
            "anthropic" => ["/temperature", "/max_tokens", "/tools/0/input_schema/type"],
            _ => ["/options/temperature", "/options/num_predict", "/format/type"],
        };
        let found = places.map(|place| sent.pointer(place).cloned().unwrap_or_default());
        assert_eq!(found, [json!(0.5), json!(100), json!("object")], "{kind}: {sent}");
        if kind == "anthropic" {
            assert_eq!(sent["system"], "Be short.\n\nBe kind.");
        }
    }
}

#[tokio::test]
async fn tools_are_asked_for_and_answered() {
    for (kind, server, llm) in each_kind().await {
        let first = Ask { tools: vec![weather()], ..ask("Weather in Oslo?") };
        let answer = llm.chat(&may("main"), &first).await.expect(kind);
        assert_eq!((&*answer.finish, answer.tool_calls.len()), ("tool_calls", 1), "{kind}");
        let call = answer.tool_calls[0].clone();
        assert_eq!((&*call.name, &call.arguments), ("weather", &json!({ "city": "Oslo" })), "{kind}");
        let mut messages = first.messages.clone();
        messages.push(Message { tool_calls: answer.tool_calls, ..say(Role::Assistant, &answer.text) });
        let told = Message { tool_call_id: Some(call.id), name: Some(call.name), ..say(Role::Tool, "snow") };
        messages.extend([told, say(Role::User, "In one word.")]);
        let answer = llm.chat(&may("main"), &Ask { messages, ..ask("") }).await.expect(kind);
        assert_eq!(answer.text, "Hello", "{kind}");
        assert_eq!(server.asked().len(), 2, "{kind}");
    }
}

#[tokio::test]
async fn texts_become_vectors_in_their_order() {
    for (kind, _server, llm) in each_kind().await {
        let texts = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let embedded = llm.embed(&may("main"), &texts, None, None).await;
        if kind == "anthropic" {
            assert_eq!(Fault::from(embedded.expect_err("none of its")).code, "llm.unsupported");
            continue;
        }
        let embedded = embedded.expect(kind);
        assert_eq!(embedded.vectors, [[0.0, 0.5], [1.0, 0.5], [2.0, 0.5]], "{kind}");
        assert_eq!(embedded.usage, Usage { input_tokens: 4, output_tokens: 0 }, "{kind}");
        assert!(llm.embed(&may("main"), &[], None, None).await.is_err());
    }
}

#[tokio::test]
async fn newer_models_get_the_limit_under_its_newer_name() {
    let (_, server, llm) = each_kind().await.remove(0);
    let limited = Ask { model: Some("o-new".into()), max_tokens: Some(7), ..ask("Hi") };
    assert_eq!(llm.chat(&may("main"), &limited).await.expect("an answer").text, "Hello");
    assert_eq!(server.asked()[1].json()["max_completion_tokens"], 7);
}

#[tokio::test]
async fn a_busy_provider_is_asked_again_when_it_says_so() {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let (clock, hand) = Clock::fake(start);
    let server = Server::start(|number, asked| match number {
        0 => answer(429, &[("retry-after", "7")], "{}"),
        1 => answer(529, &[], r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#),
        _ => providers::anthropic::serve(asked),
    })
    .await;
    let source = json!({ "kind": "anthropic", "url": server.url("/v1"), "key": KEY, "model": "m", "timeout": "10m" });
    let llm = service(json!({ "main": source }), clock);
    let (permit, question) = (may("main"), ask("Hi"));
    let mut asking = std::pin::pin!(llm.chat(&permit, &question));
    let (mut waited, real) = (Vec::new(), Clock::system());
    let answer = loop {
        let before = server.asked().len();
        tokio::select! {
            answer = &mut asking => break answer.expect("an answer"),
            () = real.sleep(Duration::from_millis(20)) => {
                // Time stands while a request is under way: only the waits between them are turned.
                hand.advance(Duration::from_secs(1));
                waited.push(before);
            }
        }
    };
    assert_eq!((answer.attempts, &*answer.text), (3, "Hello"));
    assert!(waited.iter().filter(|asked| **asked == 1).count() >= 6, "Retry-After was kept to: {waited:?}");
}

#[tokio::test]
async fn what_providers_refuse_is_named_without_the_key() {
    let server = Server::start(|_, asked| match asked.path.as_str() {
        "/html/api/chat" => answer(200, &[], "<html>"),
        "/empty/chat/completions" => json_answer(200, &json!({ "choices": [] })),
        "/moved/chat/completions" => answer(302, &[("location", "http://203.0.113.1/")], ""),
        "/prose/chat/completions" => {
            let message = json!({ "role": "assistant", "content": "Sure! n is 5" });
            json_answer(200, &json!({ "choices": [{ "message": message, "finish_reason": "length" }] }))
        }
        path if path.starts_with("/api") => providers::ollama::serve(asked),
        _ => providers::openai::serve(asked),
    })
    .await;
    let source =
        |kind: &str, path: &str, key: &str| json!({ "kind": kind, "url": server.url(path), "key": key, "model": "m" });
    let nowhere = json!({ "kind": "ollama", "url": "http://127.0.0.1:1", "model": "m" });
    let llm = service(
        json!({
            "main": source("openai", "", KEY), "login": source("openai", "", "sk-wrong-secret"), "path": source("openai", "/v2", KEY),
            "html": source("ollama", "/html", KEY), "empty": source("openai", "/empty", KEY), "moved": source("openai", "/moved", KEY),
            "prose": source("openai", "/prose", KEY), "local": source("ollama", "/api", KEY),
            "unnamed": { "kind": "openai", "url": server.url("") }, "hidden": { "kind": "openai", "url": server.url(""), "key": "secret:AEGIS_NONE", "model": "m" },
        }),
        Clock::system(),
    );
    let schema = Ask { schema: Some(json!({ "type": "object" })), ..ask("Hi") };
    let cases = [
        ("login", ask("Hi"), "llm.login"),
        ("path", ask("Hi"), "llm.refused"),
        ("html", ask("Hi"), "llm.protocol"),
        ("empty", ask("Hi"), "llm.protocol"),
        ("moved", ask("Hi"), "llm.refused"),
        ("prose", schema, "llm.not_json"),
        ("unnamed", ask("Hi"), "llm.no_model"),
        ("hidden", ask("Hi"), "llm.setup"),
        ("mian", ask("Hi"), "llm.unknown_source"),
        ("local", Ask { model: Some("absent".into()), ..ask("Hi") }, "llm.refused"),
        ("main", Ask { messages: vec![say(Role::System, "x")], ..ask("") }, "llm.bad_request"),
        ("main", Ask { messages: vec![say(Role::Tool, "x")], ..ask("") }, "llm.bad_request"),
        ("main", Ask { max_tokens: Some(0), ..ask("Hi") }, "llm.bad_request"),
        ("main", Ask { tools: vec![weather(); limits::LLM_TOOLS_MAX + 1], ..ask("Hi") }, "llm.bad_request"),
        ("main", ask(&"x".repeat(limits::LLM_REQUEST_BYTES_MAX)), "llm.bad_request"),
    ];
    for (name, question, code) in cases {
        let fault: Fault = llm.chat(&may(name), &question).await.expect_err(name).into();
        assert_eq!(fault.code, code, "{name}: {fault}");
        assert!(!fault.to_string().contains("sk-"), "{fault}");
        assert!(fault.hint.is_some(), "{fault}");
    }
    let llm = service(json!({ "away": nowhere }), Clock::fake(Timestamp::UNIX_EPOCH).0);
    let soon = tokio::time::timeout(Duration::from_millis(200), llm.chat(&may("away"), &ask("Hi"))).await;
    assert!(soon.is_err(), "it waits before it tries again");
}

#[test]
fn sources_are_checked_where_they_stand() {
    let cases = [
        (json!({ "kind": "gpt", "url": "https://llm.example" }), "unknown variant"),
        (json!({ "kind": "openai" }), "missing field `url`"),
        (json!({ "kind": "openai", "url": "nonsense" }), "url: this is not a URL"),
        (json!({ "kind": "openai", "url": "https://llm.example", "timeout": 0 }), "timeout: more than 0"),
        (json!({ "kind": "openai", "url": "https://llm.example", "modle": "x" }), "unknown field"),
    ];
    for (value, part) in cases {
        let problem = serde_json::from_value::<Source>(value).expect_err(part).to_string();
        assert!(problem.contains(part), "{problem}");
    }
}
