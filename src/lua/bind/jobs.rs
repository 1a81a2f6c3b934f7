//! `aegis.jobs`: other jobs.

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::{Fault, RunId};
use crate::model::{Trigger, TriggerKind};
use crate::primitives::permit;

const TRIGGER: Record = Record {
    name: "JobsTrigger",
    doc: "With what the job runs.",
    fields: &[
        Field::optional("params", Type::Map(&Type::Json), "Its parameters"),
        Field::optional("dry_run", Type::Boolean, "Run it without changing anything"),
    ],
};

const RUN: Record = Record {
    name: "JobsRun",
    doc: "A run that has ended.",
    fields: &[
        Field::required("id", Type::String, "Its id"),
        Field::required("job", Type::String, "Its job"),
        Field::required("state", Type::String, "succeeded, failed, timed_out, cancelled or interrupted"),
        Field::optional("result", Type::Json, "What it returned"),
        Field::optional("error", Type::Json, "Its error: code, message, at"),
    ],
};

const INFO: Record = Record {
    name: "JobsInfo",
    doc: "A job of this daemon.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::optional("description", Type::String, "What it says of itself"),
    ],
};

const PERMISSION: &str = "jobs = { \"NAME\" }";

pub const MODULE: Module = Module {
    name: "jobs",
    doc: "Other jobs of this daemon.",
    functions: &[
        Function {
            name: "list",
            doc: "All jobs.",
            returns: Type::List(&Type::Record(&INFO)),
            call: Call::Async(|context, _| Box::pin(list(context))),
            ..Function::DEFAULT
        },
        Function {
            name: "trigger",
            doc: "Starts a run of another job and returns its id without waiting for it.",
            params: &[
                Field::required("job", Type::String, "The job's name"),
                Field::optional("options", Type::Record(&TRIGGER), "Parameters"),
            ],
            returns: Type::String,
            permission: Some(PERMISSION),
            call: Call::Async(|context, args| Box::pin(trigger(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "wait",
            doc: "Waits until a run has ended: one that this job has triggered, or one of a job that it may trigger.",
            params: &[Field::required("run", Type::String, "The id that `trigger` returned")],
            returns: Type::Record(&RUN),
            permission: Some(PERMISSION),
            call: Call::Async(|context, args| Box::pin(wait(context, args))),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

async fn list(context: CallContext) -> Result<Datum, Fault> {
    context.run()?.jobs.list().await.map(Datum::Json)
}

async fn trigger(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let run = context.run()?;
    let job = permit::jobs(&run.grants, args.need("job")?)?;
    let options = args.record("options");
    let params = if options.has("params") { options.json("params") } else { serde_json::json!({}) };
    let mut by = Trigger::new(TriggerKind::Job, format!("job:{}/{}", run.job, run.run));
    // What it starts may do no more than it may do itself.
    by.payload = run.grants.as_caller(&run.job);
    let started = run.jobs.trigger(job, params, by, context.dry_run(&args)).await?;
    Ok(Datum::Text(started.to_string()))
}

async fn wait(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let id: RunId = args.need("run")?.parse().map_err(|problem: crate::base::ids::BadRunId| {
        Fault::new("args.type", format!("{}: {problem}", context.name))
    })?;
    let own = context.run()?;
    let run = own.jobs.wait(id).await?;
    // What a job has started it may see the end of; other runs are those of jobs that it may trigger.
    if !run.trigger.actor.0.starts_with(&format!("job:{}/", own.job)) {
        permit::jobs(&own.grants, run.job.as_str())?;
    }
    let error = run.error.map(|fault| serde_json::to_value(fault).unwrap_or_default());
    Ok(Datum::record([
        ("id", run.id.to_string().into()),
        ("job", run.job.to_string().into()),
        ("state", run.state.as_str().into()),
        ("result", run.result.map_or(Datum::Null, Datum::Json)),
        ("error", error.map_or(Datum::Null, Datum::Json)),
    ]))
}
