//! `aegis.json`.

use super::{Args, Call, CallContext, Constant, Datum, Field, Function, Module, Phase, Record, Type};
use crate::base::quantity::show_size;
use crate::base::{Fault, limits};
use crate::lua::json::decoded_bytes;

const ENCODE: Record = Record {
    name: "JsonEncode",
    doc: "How to write.",
    fields: &[Field::optional("pretty", Type::Boolean, "Over several lines, indented")],
};

pub const MODULE: Module = Module {
    name: "json",
    doc: "JSON to values and back. Null is `aegis.null`; whole numbers beyond 2^53 are strings.",
    functions: &[
        Function {
            name: "encode",
            doc: "A value as JSON text. A table with the keys 1 to n is a list, any other an object; an empty one is an \
                  object unless `aegis.json.list` marked it.",
            params: &[
                Field::required("value", Type::Json, "The value, at most 1 MiB"),
                Field::optional("options", Type::Record(&ENCODE), "How to write"),
            ],
            returns: Type::String,
            phase: Phase::Any,
            call: Call::Sync(encode),
            ..Function::DEFAULT
        },
        Function {
            name: "decode",
            doc: "JSON text as a value.",
            params: &[Field::required("text", Type::String, "The text, at most 16 MiB")],
            returns: Type::Json,
            phase: Phase::Any,
            call: Call::Sync(decode),
            ..Function::DEFAULT
        },
        Function {
            name: "list",
            doc: "Marks a table as a list, so that it is one in JSON even when it is empty; returns it.",
            params: &[Field::required("list", Type::List(&Type::Any), "The table")],
            returns: Type::List(&Type::Any),
            phase: Phase::Any,
            call: Call::Prelude,
            ..Function::DEFAULT
        },
    ],
    constants: &[Constant { name: "null", kind: Type::Any, doc: "The same as `aegis.null`" }],
    ..Module::DEFAULT
};

fn encode(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let value = args.json("value");
    let written = if args.record("options").flag("pretty") {
        serde_json::to_string_pretty(&value)
    } else {
        serde_json::to_string(&value)
    };
    written.map(Datum::Text).map_err(|problem| Fault::new("json.encode", format!("{}: {problem}", context.name)))
}

fn decode(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let text = args.need("text")?;
    bounded(context, text.len())?;
    decodable(context, text.as_bytes())?;
    serde_json::from_str(text)
        .map(Datum::Json)
        .map_err(|problem| Fault::new("json.syntax", format!("{}: not JSON: {problem}", context.name)))
}

/// Refuses JSON whose values would take more memory than the run has.
pub fn decodable(context: &CallContext, text: &[u8]) -> Result<(), Fault> {
    let (bytes, limit) = (decoded_bytes(text), context.memory_bytes());
    if bytes <= limit {
        return Ok(());
    }
    let (needed, limit) = (show_size(bytes as u64), show_size(limit as u64));
    let message = format!("{}: the JSON would take about {needed} as values, and the run has {limit}", context.name);
    let hint = "ask for less of it, or raise memory = \"…\" in the job's table";
    Err(Fault::new("json.too_large", message).hint(hint))
}

/// Refuses an input that would keep the lane for too long.
pub fn bounded(context: &CallContext, bytes: usize) -> Result<(), Fault> {
    within_bytes(context, bytes, limits::CODEC_INPUT_BYTES_MAX)
}

/// The same for what takes longer.
pub fn within_bytes(context: &CallContext, bytes: usize, bytes_max: usize) -> Result<(), Fault> {
    if bytes <= bytes_max {
        return Ok(());
    }
    let message = format!("{}: {bytes} bytes are too many at once", context.name);
    Err(Fault::new("args.size", message).hint(format!("at most {bytes_max} bytes")))
}
