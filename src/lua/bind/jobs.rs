//! `aegis.jobs`: other jobs.

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::{Fault, JobName, RunId, Timestamp, limits};
use crate::model::{Run, RunState, Trigger, TriggerKind};
use crate::primitives::permit;
use crate::store::RunFilter;

const TRIGGER: Record = Record {
    name: "JobsTrigger",
    doc: "With what the job runs.",
    fields: &[
        Field::optional("params", Type::Map(&Type::Json), "Its parameters"),
        Field::optional("dry_run", Type::Boolean, "Run it without changing anything"),
        Field::optional(
            "idempotency_key",
            Type::String,
            "Asked again with the same text, this job gets the run that it started the first time",
        ),
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
        Field::required("tags", Type::List(&Type::String), "Words to find it by"),
        Field::required("enabled", Type::Boolean, "Whether its schedules fire"),
        Field::required("schedules", Type::List(&Type::Record(&SCHEDULE)), "When it is due"),
    ],
};

const SCHEDULE: Record = Record {
    name: "JobsSchedule",
    doc: "One schedule of a job.",
    fields: &[
        Field::required("text", Type::String, "In words, such as `every day at 06:00 UTC`"),
        Field::optional("every", Type::Number, "Of intervals: their length in seconds"),
        Field::optional("next_at", Type::Time, "The next due time; nil when there is none any more"),
    ],
};

const RUNS: Record = Record {
    name: "JobsRuns",
    doc: "Which runs: those that fit every given field.",
    fields: &[
        Field::optional("job", Type::String, "Of this job; of all but the console unless said otherwise"),
        Field::optional("states", Type::List(&Type::String), "queued, running, succeeded, failed, timed_out, …"),
        Field::optional("since", Type::Time, "Accepted at this moment or later"),
        Field::optional("limit", Type::Integer, "At most so many; 50 unless said otherwise, 1000 at most"),
    ],
};

const PAST: Record = Record {
    name: "JobsPastRun",
    doc: "A run, without its parameters and its result.",
    fields: &[
        Field::required("id", Type::String, "Its id"),
        Field::required("job", Type::String, "Its job"),
        Field::required("state", Type::String, "How it is, or how it ended"),
        Field::required("trigger", Type::String, "What set it off: schedule, api, cli, …"),
        Field::optional("key", Type::String, "The concurrency key that it holds or waits for"),
        Field::required("dry_run", Type::Boolean, "It only tells what it would do"),
        Field::required("attempt", Type::Integer, "Counted from 1"),
        Field::required("queued_at", Type::Time, "When it was accepted"),
        Field::optional("started_at", Type::Time, "When it was first started"),
        Field::optional("finished_at", Type::Time, "When it ended"),
        Field::optional("error", Type::Json, "Its error: code, message, at"),
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
            name: "runs",
            doc: "What ran, or runs, the newest first. A job's own runs need no permission, and `jobs` covers those of \
                  jobs that it may start.",
            params: &[Field::optional("options", Type::Record(&RUNS), "Which")],
            returns: Type::List(&Type::Record(&PAST)),
            permission: Some("runs = { \"NAME\" }"),
            call: Call::Async(|context, args| Box::pin(runs(context, args))),
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

async fn runs(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let options = args.record("options");
    let bad = |what: String| Fault::new("args.value", format!("{}: {what}", context.name));
    let state = |name: String| {
        RunState::parse(&name).ok_or_else(|| {
            let states = RunState::ALL.map(RunState::as_str).join(", ");
            bad(format!("there is no state \"{name}\"")).hint(format!("there are {states}"))
        })
    };
    let filter = RunFilter {
        job: options.text("job").map(|job| job.parse().map_err(|error| bad(format!("{error}")))).transpose()?,
        states: options.texts("states").unwrap_or_default().into_iter().map(state).collect::<Result<_, _>>()?,
        since: options.time("since"),
        limit: options.integer("limit").map_or(0, |limit| usize::try_from(limit).unwrap_or(0)),
        ..RunFilter::default()
    };
    let run = context.run()?;
    let permit = permit::runs(&run.grants, run.job.as_str(), filter.job.as_ref().map(JobName::as_str))?;
    let found = run.jobs.runs(permit, filter).await?;
    Ok(Datum::List(found.into_iter().map(past).collect()))
}

fn past(run: Run) -> Datum {
    let moment = |at: Option<Timestamp>| at.map_or(Datum::Null, Datum::Time);
    Datum::record([
        ("id", run.id.to_string().into()),
        ("job", run.job.to_string().into()),
        ("state", run.state.as_str().into()),
        ("trigger", run.trigger.kind.as_str().into()),
        ("key", run.concurrency_key.map_or(Datum::Null, Datum::Text)),
        ("dry_run", run.dry_run.into()),
        ("attempt", i64::from(run.attempt).into()),
        ("queued_at", Datum::Time(run.queued_at)),
        ("started_at", moment(run.started_at)),
        ("finished_at", moment(run.finished_at)),
        ("error", error_of(run.error)),
    ])
}

fn error_of(error: Option<Fault>) -> Datum {
    error.map_or(Datum::Null, |fault| Datum::Json(serde_json::to_value(fault).unwrap_or_default()))
}

async fn trigger(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let run = context.run()?;
    let job = permit::jobs(&run.grants, args.need("job")?)?;
    let options = args.record("options");
    let params = if options.has("params") { options.json("params") } else { serde_json::json!({}) };
    let mut by = Trigger::new(TriggerKind::Job, format!("job:{}/{}", run.job, run.run));
    // What it starts may do no more than it may do itself.
    by.payload = run.grants.as_caller(&run.job);
    let once = options.text("idempotency_key").map(|key| own_key(&context, run.job.as_str(), key)).transpose()?;
    let started = run.jobs.trigger(job, params, by, once, context.dry_run(&args)).await?;
    Ok(Datum::Text(started.to_string()))
}

/// Keys of a job mean nothing to others that start the same one.
fn own_key(context: &CallContext, job: &str, key: &str) -> Result<String, Fault> {
    let whole = format!("job:{job}/{key}");
    if key.is_empty() || whole.len() > limits::IDEMPOTENCY_KEY_BYTES_MAX {
        let most = limits::IDEMPOTENCY_KEY_BYTES_MAX.saturating_sub(whole.len() - key.len());
        let message = format!("{}: idempotency_key has {} bytes", context.name, key.len());
        return Err(Fault::new("args.value", message).hint(format!("write 1 to {most} bytes")));
    }
    Ok(whole)
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
    Ok(Datum::record([
        ("id", run.id.to_string().into()),
        ("job", run.job.to_string().into()),
        ("state", run.state.as_str().into()),
        ("result", run.result.map_or(Datum::Null, Datum::Json)),
        ("error", error_of(run.error)),
    ]))
}
