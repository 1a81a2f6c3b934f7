//! `aegis.yaml`.

use serde_json::Value;

use super::json::{decodable, within_bytes};
use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Type};
use crate::base::{Fault, limits};

pub const MODULE: Module = Module {
    name: "yaml",
    doc: "YAML 1.2 to values and back. Null is `aegis.null`; tags are not acted on, and a document whose aliases unfold \
          into very much is refused.",
    functions: &[
        Function {
            name: "decode",
            doc: "A document as a value. A key that is there twice is an error.",
            params: &[Field::required("text", Type::String, "The document, at most 1 MiB")],
            returns: Type::Json,
            phase: Phase::Any,
            call: Call::Sync(decode),
            ..Function::DEFAULT
        },
        Function {
            name: "encode",
            doc: "A value as a document.",
            params: &[Field::required("value", Type::Json, "The value, at most 1 MiB")],
            returns: Type::String,
            phase: Phase::Any,
            call: Call::Sync(encode),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

fn decode(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let text = args.need("text")?;
    within_bytes(context, text.len(), limits::DOCUMENT_BYTES_MAX)?;
    let value: Value = serde_saphyr::from_str_with_options(text, options()).map_err(|problem| {
        let place =
            problem.location().map_or_else(String::new, |at| format!("line {}, column {}: ", at.line(), at.column()));
        let plain = serde_saphyr::UserMessageFormatter;
        let said = serde_saphyr::MessageFormatter::format_message(&plain, problem.without_snippet()).into_owned();
        Fault::new("yaml.syntax", format!("{}: {place}{said}", context.name))
    })?;
    decodable(context, value.to_string().as_bytes())?;
    Ok(Datum::Json(value))
}

fn options() -> serde_saphyr::Options {
    let mut budget = serde_saphyr::Budget::default();
    budget.max_depth = limits::VALUE_DEPTH_MAX;
    budget.flow_nesting_limit = limits::VALUE_DEPTH_MAX;
    budget.max_nodes = limits::DOCUMENT_VALUES_MAX;
    budget.max_events = 3 * limits::DOCUMENT_VALUES_MAX;
    budget.max_documents = 1;
    let mut aliases = serde_saphyr::options::AliasLimits::default();
    aliases.max_total_replayed_events = limits::DOCUMENT_VALUES_MAX;
    aliases.max_replay_stack_depth = limits::VALUE_DEPTH_MAX;
    let mut options = serde_saphyr::Options::default();
    options.budget = Some(budget);
    options.alias_limits = aliases;
    options.with_snippet = false;
    options
}

fn encode(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    serde_saphyr::to_string(&args.json("value"))
        .map(Datum::Text)
        .map_err(|problem| Fault::new("yaml.encode", format!("{}: {problem}", context.name)))
}
