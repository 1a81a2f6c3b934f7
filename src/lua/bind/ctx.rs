//! `ctx`: the run, as its script sees it.

use super::{Args, Call, CallContext, Constant, Datum, Field, Function, Module, ModuleKind, Phase, Record, Type};
use crate::base::Fault;
use crate::model::run::Progress;

const TRIGGER: Record = Record {
    name: "Trigger",
    doc: "What set the run off.",
    fields: &[
        Field::required(
            "kind",
            Type::String,
            "schedule, button, api, cli, repl, webhook, docker, file, job, alert or mcp",
        ),
        Field::required("actor", Type::String, "Who acted"),
        Field::optional("scheduled_for", Type::Time, "The due time, for runs of a schedule"),
        Field::optional("payload", Type::Json, "What the source sent along"),
    ],
};

const MAP: Record = Record {
    name: "MapOptions",
    doc: "How to go through the list.",
    fields: &[Field::optional("limit", Type::Integer, "At most this many at once; 8 unless said otherwise")],
};

pub const MODULE: Module = Module {
    name: "ctx",
    doc: "The run, handed to `run = function(ctx) … end`. Its functions are called with a colon.",
    functions: &[
        Function {
            name: "log",
            doc: "Writes a line into the run's log.",
            params: &[
                Field::required("level", Type::Choice(&["debug", "info", "warn", "error"]), "How much it matters"),
                super::log::TEXT,
                super::log::FIELDS,
            ],
            phase: Phase::Any,
            call: Call::Sync(super::log::at_level),
            ..Function::DEFAULT
        },
        Function {
            name: "progress",
            doc: "Says how far the run has come.",
            params: &[
                Field::required("done", Type::Number, "How much is done"),
                Field::optional("total", Type::Number, "Of how much"),
                Field::optional("text", Type::String, "What is being done"),
            ],
            call: Call::Sync(progress),
            ..Function::DEFAULT
        },
        Function {
            name: "cancelled",
            doc: "Whether the run, or the group of tasks around this one, is being cancelled.",
            returns: Type::Boolean,
            call: Call::Sync(|context, _| Ok(Datum::Bool(context.cancel.is_cancelled()))),
            ..Function::DEFAULT
        },
        Function {
            name: "sleep",
            doc: "Waits. Other runs go on meanwhile, and the run can be cancelled.",
            params: &[Field::required("duration", Type::Duration, "How long")],
            call: Call::Async(|context, args| Box::pin(super::root::sleep(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "all",
            doc: "Runs functions together and returns their results in order. The first error ends it: the others are \
                  cancelled and the error is raised.",
            params: &[Field::required("functions", Type::List(&Type::Function), "What to run")],
            returns: Type::List(&Type::Any),
            call: Call::Prelude,
            ..Function::DEFAULT
        },
        Function {
            name: "map",
            doc: "Calls `body(item, index)` for each item, several at once, and returns the results in order. The first \
                  error ends it: the others are cancelled and the error is raised.",
            params: &[
                Field::required("list", Type::List(&Type::Any), "The items"),
                Field::required("body", Type::Function, "What to call for each"),
                Field::optional("options", Type::Record(&MAP), "How many at once"),
            ],
            returns: Type::List(&Type::Any),
            call: Call::Prelude,
            ..Function::DEFAULT
        },
    ],
    constants: &[
        Constant { name: "run_id", kind: Type::String, doc: "The run's id" },
        Constant { name: "job", kind: Type::String, doc: "The job's name" },
        Constant { name: "attempt", kind: Type::Integer, doc: "Counted from 1" },
        Constant { name: "params", kind: Type::Map(&Type::Any), doc: "The parameters, defaults filled in" },
        Constant { name: "trigger", kind: Type::Record(&TRIGGER), doc: "What set the run off" },
        Constant { name: "deadline", kind: Type::Time, doc: "When the attempt's time is over" },
        Constant { name: "dry_run", kind: Type::Boolean, doc: "Whether the run shall change nothing" },
    ],
    kind: ModuleKind::Object,
};

fn progress(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    const TEXT_BYTES_MAX: usize = 500;
    let text = args.text("text").map(|text| crate::lua::show::clip(text, TEXT_BYTES_MAX));
    let done = args.number("done").filter(|done| done.is_finite()).unwrap_or(0.0);
    context.run()?.log.progress(Progress { done, total: args.number("total"), text });
    Ok(Datum::Null)
}
