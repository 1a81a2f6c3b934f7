//! `aegis` itself.

use super::declaration::JOB;
use super::{Args, Call, CallContext, Constant, Datum, Field, Function, Module, Phase, Type};
use crate::base::Fault;

pub const MODULE: Module = Module {
    name: "",
    doc: "Everything that the daemon offers to scripts.",
    functions: &[
        Function {
            name: "job",
            doc: "Declares the job of this file. A file calls it once and returns what it returns.",
            params: &[Field::required("declaration", Type::Record(&JOB), "The job table")],
            returns: Type::Record(&JOB),
            phase: Phase::Load,
            call: Call::Prelude,
            ..Function::DEFAULT
        },
        Function {
            name: "try",
            doc: "Calls a function and returns true with its results, or false with the error object. Unlike `pcall` it \
                  makes an object of every error, so that `err.code` is always there.",
            params: &[
                Field::required("body", Type::Function, "What to call"),
                Field::optional("...", Type::Any, "Its arguments"),
            ],
            returns: Type::Any,
            phase: Phase::Any,
            call: Call::Prelude,
            ..Function::DEFAULT
        },
        Function {
            name: "sleep",
            doc: "Waits. Other runs go on meanwhile, and the run can be cancelled.",
            params: &[Field::required("duration", Type::Duration, "How long")],
            call: Call::Async(|context, args| Box::pin(sleep(context, args))),
            ..Function::DEFAULT
        },
    ],
    constants: &[Constant {
        name: "null",
        kind: Type::Any,
        doc: "Null, as JSON and databases have it; it is not nil and counts as true.",
    }],
    ..Module::DEFAULT
};

pub async fn sleep(context: CallContext, args: Args) -> Result<Datum, Fault> {
    context.clock.sleep(args.duration("duration").unwrap_or_default()).await;
    Ok(Datum::Null)
}
