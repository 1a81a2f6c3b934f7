//! `ctx`: the run, as its script sees it.

use super::{Args, Call, CallContext, Constant, Datum, Field, Function, Module, ModuleKind, Phase, Record, Type};
use crate::base::{Fault, limits};
use crate::lua::durable::{Operation, check_name};
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

const STEP: Record = Record {
    name: "StepOptions",
    doc: "What happens when a step fails.",
    fields: &[
        Field::optional("retries", Type::Integer, "How often it is tried again; 0 unless said otherwise"),
        Field::optional(
            "backoff",
            Type::Duration,
            "The pause before the second try, 1s unless said otherwise; doubled before each further one, up to 5m",
        ),
        Field::optional("timeout", Type::Duration, "How long one try may take: `step.timeout`"),
        Field::optional(
            "undo",
            Type::Callback("(result: any) -> any"),
            "Called with the step's result if the run fails, times out or is cancelled later; the latest step first",
        ),
    ],
};

const EVENT: Record = Record {
    name: "EventOptions",
    doc: "Which event, and how long it is waited for.",
    fields: &[
        Field::optional("key", Type::String, "Only an event with this key"),
        Field::optional("timeout", Type::Duration, "Raises `event.timeout` after so long"),
    ],
};

const APPROVAL: Record = Record {
    name: "ApprovalOptions",
    doc: "What is shown to whoever decides, and how long they have.",
    fields: &[
        Field::optional("show", Type::Json, "Shown beside the question"),
        Field::optional("timeout", Type::Duration, "Raises `approval.timeout` after so long"),
    ],
};

const APPROVED: Record = Record {
    name: "Approved",
    doc: "A decision.",
    fields: &[
        Field::required("approved", Type::Boolean, "True"),
        Field::optional("by", Type::String, "Who decided"),
        Field::optional("comment", Type::String, "What they wrote"),
        Field::optional("at", Type::Time, "When"),
    ],
};

const ARTIFACT: Record = Record {
    name: "ArtifactOptions",
    doc: "What is kept.",
    fields: &[Field::optional(
        "media_type",
        Type::String,
        "`text/plain` or `application/octet-stream` unless said otherwise, as the data is text or not",
    )],
};

const EVENT_NAME: Field = Field::required("name", Type::String, "The event's name");

pub const MODULE: Module = Module {
    name: "ctx",
    doc: "The run, handed to `run = function(ctx) … end`. Its functions are called with a colon.\n\nA job with \
          `resume = true` is durable: its run keeps a journal of `step`, `sleep`, `wait_event`, `approval` and \
          `compensate`, and after a crash or a long wait its script runs again from the top, where all that is in the \
          journal is answered from it instead of being done. So outside of steps the script has to make the same calls \
          in the same order each time, or the run ends with `run.diverged`. The clock (`aegis.time.now`, `os.time`, \
          `os.date`, `os.clock`), `math.random` and `aegis.uuid` give the same values again by themselves. What else \
          can change belongs into a step: answers of `aegis.docker`, `aegis.http`, `aegis.kv` and the like, \
          `ctx:cancelled`, `ctx.attempt`, the text of a table's or function's address, and the order of a table whose \
          keys are tables or functions. A step that a crash interrupts before its result was kept is done again.",
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
            doc: "Waits. Other runs go on meanwhile, and the run can be cancelled. In a durable run a long wait holds \
                  no memory and outlasts restarts.",
            params: &[Field::required("duration", Type::Duration, "How long")],
            call: Call::Durable(Operation::Sleep),
            ..Function::DEFAULT
        },
        Function {
            name: "step",
            doc: "Calls a function once in the life of a durable run: its result is on disk before the script goes on, \
                  and is returned without calling it when the run is resumed. The result is a value as JSON has it. An \
                  error that is left after the retries is kept and raised likewise. Steps do not contain steps.",
            params: &[
                Field::required("name", Type::String, "What the step is called"),
                Field::required("body", Type::Callback("() -> any"), "What to do"),
                Field::optional("options", Type::Record(&STEP), "Retries, timeout and undoing"),
            ],
            returns: Type::Any,
            call: Call::Durable(Operation::Step),
            ..Function::DEFAULT
        },
        Function {
            name: "wait_event",
            doc: "Waits for an event and returns its payload: the first of its name that was sent since the run was \
                  accepted and that no earlier wait of the run took. Only in durable runs.",
            params: &[EVENT_NAME, Field::optional("options", Type::Record(&EVENT), "Key and timeout")],
            returns: Type::Json,
            call: Call::Durable(Operation::Event),
            ..Function::DEFAULT
        },
        Function {
            name: "approval",
            doc: "Waits for somebody to approve. A rejection raises `approval.rejected`, whose details say who and why. \
                  Only in durable runs.",
            params: &[
                Field::required("name", Type::String, "What is to be approved"),
                Field::optional("options", Type::Record(&APPROVAL), "What is shown, and timeout"),
            ],
            returns: Type::Record(&APPROVED),
            call: Call::Durable(Operation::Approval),
            ..Function::DEFAULT
        },
        Function {
            name: "compensate",
            doc: "Has a function called if the run fails, times out or is cancelled later, together with the `undo` of \
                  its steps, the latest first. Only in durable runs.",
            params: &[
                Field::required("name", Type::String, "What is undone"),
                Field::required("undo", Type::Callback("() -> any"), "What to call"),
            ],
            call: Call::Durable(Operation::Compensate),
            ..Function::DEFAULT
        },
        Function {
            name: "artifact",
            doc: "Keeps a file with the run, such as a report, for people to see. Replaces one of the same name.",
            params: &[
                Field::required("name", Type::String, "Its name, such as `report.html`"),
                Field::required("data", Type::Bytes, "Its content"),
                Field::optional("options", Type::Record(&ARTIFACT), "Its media type"),
            ],
            call: Call::Async(|context, args| Box::pin(artifact(context, args))),
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
    context.run()?;
    // None while a durable run is replayed, when it would go backwards.
    if let Some(log) = &context.log {
        log.progress(Progress { done, total: args.number("total"), text });
    }
    Ok(Datum::Null)
}

async fn artifact(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let run = context.run()?;
    let name = args.need("name")?.to_owned();
    check_name(&context.name, "argument \"name\"", &name)?;
    let data = args.bytes("data").unwrap_or_default();
    if data.len() > limits::ARTIFACT_BYTES_MAX {
        let message = format!("{}: the artifact \"{name}\" has {} bytes", context.name, data.len());
        let hint = format!("an artifact has at most {} bytes", limits::ARTIFACT_BYTES_MAX);
        return Err(Fault::new("args.size", message).hint(hint));
    }
    let is_text = std::str::from_utf8(data).is_ok();
    let guessed = if is_text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
    let media_type = args.record("options").text("media_type").unwrap_or(guessed).to_owned();
    check_name(&context.name, "option \"media_type\"", &media_type)?;
    let content = bytes::Bytes::copy_from_slice(data);
    run.artifacts.keep(run.run, name, media_type, content).await?;
    Ok(Datum::Null)
}
