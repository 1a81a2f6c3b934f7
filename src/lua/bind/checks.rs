//! `aegis.checks`: what the checks of the configuration say.

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::Fault;
use crate::model::checks::Check;

const CHECK: Record = Record {
    name: "CheckEntry",
    doc: "One check.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::required("kind", Type::String, "http, tcp, dns or container"),
        Field::required("target", Type::String, "What is asked"),
        Field::required("state", Type::String, "up, down, or unknown before enough answers came"),
        Field::required("since", Type::Time, "Since when it is so"),
        Field::optional("last_at", Type::Time, "When it was asked last"),
        Field::optional("latency", Type::Duration, "How long the last good answer took"),
        Field::optional("problem", Type::String, "What was wrong with the last answer"),
    ],
};

pub const MODULE: Module = Module {
    name: "checks",
    doc: "What the checks of the configuration say. Their answers are metrics too: `check_up`, `check_ok` and \
          `check_latency_ms`, each with the label `check`.",
    functions: &[Function {
        name: "list",
        doc: "All checks, by name.",
        returns: Type::List(&Type::Record(&CHECK)),
        call: Call::Async(|context, args| Box::pin(list(context, args))),
        ..Function::DEFAULT
    }],
    ..Module::DEFAULT
};

async fn list(context: CallContext, _: Args) -> Result<Datum, Fault> {
    let found = context.run()?.watch.checks().await?;
    Ok(Datum::List(found.into_iter().map(entry).collect()))
}

fn entry(check: Check) -> Datum {
    let latency = check.latency_ms.map(|ms| std::time::Duration::from_secs_f64(ms.max(0.0) / 1_000.0));
    Datum::record([
        ("name", check.name.into()),
        ("kind", check.kind.into()),
        ("target", check.target.into()),
        ("state", check.state.as_str().into()),
        ("since", Datum::Time(check.since)),
        ("last_at", check.last_at.map_or(Datum::Null, Datum::Time)),
        ("latency", latency.map_or(Datum::Null, Datum::Duration)),
        ("problem", check.problem.into()),
    ])
}
