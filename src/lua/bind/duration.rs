//! `aegis.duration`.

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Type};
use crate::base::Fault;
use crate::base::quantity::show_duration;

const DURATION: Field = Field::required("duration", Type::Duration, "Text such as \"1h30m\", or seconds");

pub const MODULE: Module = Module {
    name: "duration",
    doc: "Lengths of time, as text and as seconds.",
    functions: &[
        Function {
            name: "seconds",
            doc: "A duration in seconds.",
            params: &[DURATION],
            returns: Type::Number,
            phase: Phase::Any,
            call: Call::Sync(seconds),
            ..Function::DEFAULT
        },
        Function {
            name: "format",
            doc: "A duration for people: `1h 30m`, `2.5s`, `250ms`.",
            params: &[DURATION],
            returns: Type::String,
            phase: Phase::Any,
            call: Call::Sync(format),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

fn seconds(_: &CallContext, args: &Args) -> Result<Datum, Fault> {
    Ok(Datum::Number(args.duration("duration").unwrap_or_default().as_secs_f64()))
}

fn format(_: &CallContext, args: &Args) -> Result<Datum, Fault> {
    Ok(Datum::Text(show_duration(args.duration("duration").unwrap_or_default())))
}
