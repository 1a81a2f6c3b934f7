//! `aegis.events`: what durable runs wait for.

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::{Fault, RunId, limits};
use crate::lua::durable::{check_name, check_open};
use crate::model::{Actor, Signal};
use crate::primitives::permit;

const SEND: Record = Record {
    name: "EventsSend",
    doc: "Whom the event reaches, and what it carries.",
    fields: &[
        Field::optional("key", Type::String, "Only waits with this key, and those without any"),
        Field::optional("run", Type::String, "Only the run with this id"),
        Field::optional("payload", Type::Json, "What `ctx:wait_event` returns"),
        Field::DRY_RUN,
    ],
};

pub const MODULE: Module = Module {
    name: "events",
    doc: "Events that durable runs wait for.",
    functions: &[Function {
        name: "send",
        doc: "Sends an event to the runs that wait for its name with `ctx:wait_event`, now or later in their course. \
              Returns once it is kept, not when it is taken.",
        params: &[
            Field::required("name", Type::String, "The event's name"),
            Field::optional("options", Type::Record(&SEND), "Key, run and payload"),
        ],
        permission: Some("events = { \"NAME\" }"),
        call: Call::Async(|context, args| Box::pin(send(context, args))),
        ..Function::DEFAULT
    }],
    ..Module::DEFAULT
};

async fn send(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let run = context.run()?;
    let name = args.need("name")?.to_owned();
    check_name(&context.name, "argument \"name\"", &name)?;
    let permit = permit::event(&run.grants, &name)?;
    let options = args.record("options");
    check_open(&context, "argument \"name\"", &name)?;
    check_open(&context, "option \"key\"", options.text("key").unwrap_or_default())?;
    let only: Option<RunId> = match options.text("run").map(str::parse) {
        None => None,
        Some(Ok(run)) => Some(run),
        Some(Err(problem)) => {
            let problem: crate::base::ids::BadRunId = problem;
            return Err(Fault::new("args.type", format!("{}: option \"run\": {problem}", context.name)));
        }
    };
    let payload = options.json("payload");
    let bytes = payload.to_string().len();
    if bytes > limits::STEP_SHOWN_BYTES_MAX {
        let message = format!("{}: option \"payload\" has {bytes} bytes as JSON", context.name);
        let hint =
            format!("an event carries at most {} bytes; send where to find the rest", limits::STEP_SHOWN_BYTES_MAX);
        return Err(Fault::new("args.size", message).hint(hint));
    }
    if context.dry_run(&args) {
        return Ok(Datum::Null);
    }
    let key = options.text("key").map(str::to_owned);
    let actor = Actor::new(format!("job:{}/{}", run.job, run.run));
    run.jobs.signal(permit, Signal { name, key, run: only, payload, actor, at: context.clock.now() }).await?;
    Ok(Datum::Null)
}
