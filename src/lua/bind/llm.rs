//! `aegis.llm`: language models that the operator has configured.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::{Fault, limits};
use crate::primitives::llm::{Ask, Kind, Message, Role, Tool, ToolCall, Usage};
use crate::primitives::permit;

const SOURCE: Field = Field::required("source", Type::String, "Its name under `llm` in the configuration");
const MODEL: Field = Field::optional("model", Type::String, "Instead of the source's");
const TIMEOUT: Field =
    Field::optional("timeout", Type::Duration, "Of one attempt; the source's (2m) unless said otherwise, 30m at most");

const TOOL_CALL: Record = Record {
    name: "LlmToolCall",
    doc: "What the model asks for. The script carries it out, or not.",
    fields: &[
        Field::required("id", Type::String, "By which the answer names it"),
        Field::required("name", Type::String, "The tool"),
        Field::optional("arguments", Type::Json, "By name; as the model wrote them, so look before you use them"),
    ],
};
const MESSAGE: Record = Record {
    name: "LlmMessage",
    doc: "One message of a conversation.",
    fields: &[
        Field::required("role", Type::Choice(Role::NAMES), "Who speaks"),
        Field::optional("content", Type::String, "What is said"),
        Field::optional("tool_calls", Type::List(&Type::Record(&TOOL_CALL)), "Of the assistant: as they were answered"),
        Field::optional("tool_call_id", Type::String, "Of a tool: which call this answers"),
        Field::optional("name", Type::String, "Of a tool: its name"),
    ],
};
const TOOL: Record = Record {
    name: "LlmTool",
    doc: "A function that the model may ask for.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::optional("description", Type::String, "What it does"),
        Field::optional("parameters", Type::Json, "A JSON schema of its arguments"),
    ],
};
const CHAT: Record = Record {
    name: "LlmChat",
    doc: "How a model is asked.",
    fields: &[
        MODEL,
        Field::optional("system", Type::String, "What goes before the conversation"),
        Field::optional("temperature", Type::Number, "0 for the most likely answer"),
        Field::optional("max_tokens", Type::Integer, "Of the answer"),
        Field::optional("json", Type::Json, "A JSON schema: the answer is JSON, and is read into `json`"),
        Field::optional("tools", Type::List(&Type::Record(&TOOL)), "What the model may ask for"),
        TIMEOUT,
    ],
};
const EMBED: Record = Record { name: "LlmEmbed", doc: "How texts are embedded.", fields: &[MODEL, TIMEOUT] };
const USAGE: Record = Record {
    name: "LlmUsage",
    doc: "What the provider counted.",
    fields: &[
        Field::required("input_tokens", Type::Integer, "Of what was asked"),
        Field::required("output_tokens", Type::Integer, "Of the answer"),
    ],
};
const ANSWER: Record = Record {
    name: "LlmAnswer",
    doc: "What a model answered.",
    fields: &[
        Field::required("text", Type::String, "What it says"),
        Field::optional(
            "json",
            Type::Json,
            "The text read, when a schema was given; it is JSON, and may still miss the schema",
        ),
        Field::required("tool_calls", Type::List(&Type::Record(&TOOL_CALL)), "What it asks for"),
        Field::required("finish", Type::String, "`stop`, `length`, `tool_calls`, or what else the provider says"),
        Field::required("model", Type::String, "As the provider calls it"),
        Field::required("usage", Type::Record(&USAGE), "What the provider counted"),
        Field::required("attempts", Type::Integer, "How often it was asked"),
        Field::required("took_ms", Type::Integer, "Attempts included"),
    ],
};
const EMBEDDED: Record = Record {
    name: "LlmEmbedded",
    doc: "Vectors of texts.",
    fields: &[
        Field::required("vectors", Type::List(&Type::List(&Type::Number)), "One for each text, in order"),
        Field::required("model", Type::String, "As the provider calls it"),
        Field::required("usage", Type::Record(&USAGE), "What the provider counted"),
        Field::required("attempts", Type::Integer, "How often it was asked"),
    ],
};
const SOURCE_RECORD: Record = Record {
    name: "LlmSource",
    doc: "A source of the configuration.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::required("kind", Type::String, "openai, anthropic or ollama"),
        Field::optional("model", Type::String, "Its model, unless a call names another"),
        Field::required("granted", Type::Boolean, "Whether this job may ask it"),
    ],
};

const ASKING: Function = Function { permission: Some("llm = { \"SOURCE\" }"), ..Function::DEFAULT };

pub const MODULE: Module = Module {
    name: "llm",
    doc: "Language models by the names that they have under `llm` in the configuration. A busy or absent provider is \
          asked again, 4 times at most, after the time that it asks for. A dry run asks too: an answer changes nothing.",
    functions: &[
        Function {
            name: "chat",
            doc: "Asks a model, with a prompt or with the messages of a conversation.",
            params: &[
                SOURCE,
                Field::required(
                    "messages",
                    Type::OneOf(&[Type::String, Type::List(&Type::Record(&MESSAGE))]),
                    "A prompt, or messages in order",
                ),
                Field::optional("options", Type::Record(&CHAT), "How it is asked"),
            ],
            returns: Type::Record(&ANSWER),
            call: Call::Async(|context, args| Box::pin(chat(context, args))),
            ..ASKING
        },
        Function {
            name: "embed",
            doc: "Vectors of texts, of which similar ones lie close together. Not of `anthropic`.",
            params: &[
                SOURCE,
                Field::required("texts", Type::List(&Type::String), "The texts, 2048 at most"),
                Field::optional("options", Type::Record(&EMBED), "How they are embedded"),
            ],
            returns: Type::Record(&EMBEDDED),
            call: Call::Async(|context, args| Box::pin(embed(context, args))),
            ..ASKING
        },
        Function {
            name: "sources",
            doc: "All sources, and whether this job may ask them.",
            returns: Type::List(&Type::Record(&SOURCE_RECORD)),
            call: Call::Sync(|context, _| sources(context)),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

/// None: the source's own.
fn timeout(context: &CallContext, options: &Args) -> Result<Option<Duration>, Fault> {
    let own = super::within(context, options, limits::LLM_TIMEOUT_DEFAULT, limits::LLM_TIMEOUT_MAX)?;
    Ok(options.has("timeout").then_some(own))
}

async fn chat(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let permit = permit::llm(&context.run()?.grants, args.need("source")?)?;
    let options = args.record("options");
    let plain = |role, content: &str| Message {
        role,
        content: content.to_owned(),
        tool_calls: Vec::new(),
        tool_call_id: None,
        name: None,
    };
    let mut messages: Vec<Message> = options.text("system").map(|text| plain(Role::System, text)).into_iter().collect();
    match args.text("messages") {
        Some(prompt) => messages.push(plain(Role::User, prompt)),
        None => messages.extend(records(args.list("messages")).map(|record| message(&record))),
    }
    let tool = |record: Args| Tool {
        name: record.text("name").unwrap_or_default().to_owned(),
        description: record.text("description").unwrap_or_default().to_owned(),
        parameters: schema(record.json("parameters")),
    };
    let ask = Ask {
        messages,
        model: options.text("model").map(str::to_owned),
        temperature: options.number("temperature"),
        max_tokens: options.integer("max_tokens"),
        schema: options.has("json").then(|| options.json("json")),
        tools: records(options.list("tools")).map(tool).collect(),
        timeout: timeout(&context, &options)?,
    };
    let answer = context.primitives.llm.chat(&permit, &ask).await?;
    let calls = answer.tool_calls.iter();
    let calls: Value =
        calls.map(|call| json!({ "id": call.id, "name": call.name, "arguments": call.arguments })).collect();
    let mut record = json!({
        "text": answer.text,
        "tool_calls": calls,
        "finish": answer.finish,
        "model": answer.model,
        "usage": usage(answer.usage),
        "attempts": answer.attempts,
        "took_ms": u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
    });
    if let Some(read) = answer.json {
        record["json"] = read;
    }
    Ok(Datum::Json(record))
}

fn records(list: Option<&[Datum]>) -> impl Iterator<Item = Args> {
    list.unwrap_or_default().iter().filter_map(|datum| match datum {
        Datum::Map(record) => Some(Args(record.clone())),
        _ => None,
    })
}

fn message(record: &Args) -> Message {
    let text = |name: &str| record.text(name).map(str::to_owned);
    let call = |call: Args| ToolCall {
        id: call.text("id").unwrap_or_default().to_owned(),
        name: call.text("name").unwrap_or_default().to_owned(),
        arguments: object(call.json("arguments")),
    };
    Message {
        role: record.text("role").and_then(Role::parse).unwrap_or(Role::User),
        content: text("content").unwrap_or_default(),
        tool_calls: records(record.list("tool_calls")).map(call).collect(),
        tool_call_id: text("tool_call_id"),
        name: text("name"),
    }
}

/// An empty table may be a list.
fn object(value: Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Array(items) if items.is_empty() => json!({}),
        other => other,
    }
}

/// Providers want one also of what takes no arguments.
fn schema(value: Value) -> Value {
    match object(value) {
        Value::Object(entries) if entries.is_empty() => json!({ "type": "object", "properties": {} }),
        other => other,
    }
}

fn usage(usage: Usage) -> Value {
    json!({ "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens })
}

async fn embed(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let permit = permit::llm(&context.run()?.grants, args.need("source")?)?;
    let options = args.record("options");
    let (texts, timeout) = (args.texts("texts").unwrap_or_default(), timeout(&context, &options)?);
    let embedded = context.primitives.llm.embed(&permit, &texts, options.text("model"), timeout).await?;
    Ok(Datum::Json(json!({
        "vectors": embedded.vectors,
        "model": embedded.model,
        "usage": usage(embedded.usage),
        "attempts": embedded.attempts,
    })))
}

fn sources(context: &CallContext) -> Result<Datum, Fault> {
    let grants = &context.run()?.grants;
    let source = |(name, kind, model): (&str, Kind, Option<&str>)| {
        Datum::record([
            ("name", name.into()),
            ("kind", kind.as_str().into()),
            ("model", model.into()),
            ("granted", permit::llm(grants, name).is_ok().into()),
        ])
    };
    Ok(Datum::List(context.primitives.llm.sources().map(source).collect()))
}
