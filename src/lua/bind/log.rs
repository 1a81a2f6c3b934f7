//! `aegis.log`: lines of the run's log.

use serde_json::Value;

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Type};
use crate::base::{Fault, limits};
use crate::lua::show::clip;
use crate::model::LogLevel;

pub const TEXT: Field = Field::required(
    "text",
    Type::OneOf(&[Type::Bytes, Type::Json]),
    "The line; a value that is not a string is written as JSON. Beyond 16 KiB it is cut",
);
pub const FIELDS: Field = Field::optional("fields", Type::Map(&Type::Json), "Particulars, by name");

const fn at(name: &'static str, doc: &'static str, call: Call) -> Function {
    Function { name, doc, params: &[TEXT, FIELDS], phase: Phase::Any, call, ..Function::DEFAULT }
}

pub const MODULE: Module = Module {
    name: "log",
    doc: "Lines of the run's log. `print` writes at level info too. While a file is only loaded, lines go nowhere.",
    functions: &[
        at(
            "debug",
            "A line for whoever looks closely.",
            Call::Sync(|context, args| line(context, LogLevel::Debug, args)),
        ),
        at("info", "A line.", Call::Sync(|context, args| line(context, LogLevel::Info, args))),
        at("warn", "A line that deserves attention.", Call::Sync(|context, args| line(context, LogLevel::Warn, args))),
        at(
            "error",
            "A line about a failure. It does not end the run.",
            Call::Sync(|context, args| line(context, LogLevel::Error, args)),
        ),
    ],
    ..Module::DEFAULT
};

/// `ctx:log(level, text, fields)`.
pub fn at_level(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    line(context, args.text("level").and_then(LogLevel::parse).unwrap_or(LogLevel::Info), args)
}

fn line(context: &CallContext, level: LogLevel, args: &Args) -> Result<Datum, Fault> {
    let Some(log) = &context.log else { return Ok(Datum::Null) };
    let text = match args.get("text") {
        Some(Datum::Bytes(bytes)) => {
            // No more than can be shown, before anything is copied.
            let shown = bytes.get(..limits::LOG_LINE_BYTES_MAX + 4).unwrap_or(bytes);
            let mut text = String::from_utf8_lossy(shown).into_owned();
            if shown.len() < bytes.len() {
                text = clip(&text, limits::LOG_LINE_BYTES_MAX);
            }
            text
        }
        Some(Datum::Json(value)) => value.to_string(),
        _ => String::new(),
    };
    let mut fields = args.json("fields");
    let bytes = fields.to_string().len();
    if bytes > limits::LOG_LINE_BYTES_MAX {
        fields = Value::from(format!("{bytes} bytes of fields were left out"));
    }
    log.line(level, clip(&text, limits::LOG_LINE_BYTES_MAX), fields);
    Ok(Datum::Null)
}
