//! `aegis.toml`.

use serde_json::{Map, Value};

use super::json::{decodable, within_bytes};
use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Type};
use crate::base::{Fault, limits};

pub const MODULE: Module = Module {
    name: "toml",
    doc: "TOML 1.0 to tables and back. Dates and times are texts; there is no null.",
    functions: &[
        Function {
            name: "decode",
            doc: "A document as a table.",
            params: &[Field::required("text", Type::String, "The document, at most 1 MiB")],
            returns: Type::Json,
            phase: Phase::Any,
            call: Call::Sync(decode),
            ..Function::DEFAULT
        },
        Function {
            name: "encode",
            doc: "A table as a document.",
            params: &[Field::required("value", Type::Json, "The table, at most 1 MiB")],
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
    let table: toml::Table = toml::from_str(text).map_err(|problem| {
        let line = problem.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        Fault::new("toml.syntax", format!("{}: line {line}: {}", context.name, problem.message()))
    })?;
    let value = Value::Object(table.into_iter().map(|(key, value)| (key, from_toml(value))).collect::<Map<_, _>>());
    decodable(context, value.to_string().as_bytes())?;
    Ok(Datum::Json(value))
}

/// Its parser does not nest deeper than 80, so this ends.
fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        // What JSON has no number for is its name.
        toml::Value::Float(number) => {
            serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
        }
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(from_toml).collect(),
        toml::Value::Table(entries) => {
            Value::Object(entries.into_iter().map(|(key, value)| (key, from_toml(value))).collect())
        }
    }
}

fn encode(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let failed = |problem: String| Fault::new("toml.encode", format!("{}: {problem}", context.name));
    let Value::Object(entries) = args.json("value") else {
        return Err(failed("a document is a table with names".into()));
    };
    let Some(toml::Value::Table(table)) = to_toml(Value::Object(entries)) else {
        return Err(failed("there is no null in TOML: leave the key out".into()));
    };
    toml::to_string(&table).map(Datum::Text).map_err(|problem| failed(problem.to_string()))
}

/// None: there is a null in it.
fn to_toml(value: Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => flag.into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64()?.into(),
        },
        Value::String(text) => text.into(),
        Value::Array(items) => toml::Value::Array(items.into_iter().map(to_toml).collect::<Option<_>>()?),
        Value::Object(entries) => {
            let entries = entries.into_iter().map(|(key, value)| Some((key, to_toml(value)?)));
            toml::Value::Table(entries.collect::<Option<_>>()?)
        }
    })
}
