//! `aegis.notify`: messages to people.

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::Fault;
use crate::model::LogLevel;
use crate::primitives::notify::{Delivery, Message, Outcome, Severity};
use crate::primitives::permit;

const SCALAR: Type = Type::OneOf(&[Type::String, Type::Number, Type::Boolean]);

const FIELD: Record = Record {
    name: "NotifyField",
    doc: "A name with a value.",
    fields: &[Field::required("name", Type::String, "Its name"), Field::required("value", SCALAR, "Its value")],
};

const MESSAGE: Record = Record {
    name: "NotifyMessage",
    doc: "What is told: a title, a text, or both.",
    fields: &[
        Field::optional("title", Type::String, "In one line"),
        Field::optional("text", Type::String, "In as many as it needs; what a provider has no room for is cut off"),
        Field::optional("severity", Type::Choice(Severity::NAMES), "\"info\" unless said otherwise"),
        Field::optional("fields", Type::List(&Type::Record(&FIELD)), "Particulars, in order"),
        Field::optional("url", Type::String, "Where more is to be seen"),
        Field::optional("key", Type::String, "Where the route groups, what belongs together; the title unless given"),
        Field::DRY_RUN,
    ],
};

const DELIVERY: Record = Record {
    name: "NotifyDelivery",
    doc: "What became of a message at one destination.",
    fields: &[
        Field::required("destination", Type::String, "The provider, with its host or the name of its secret"),
        Field::required(
            "outcome",
            Type::String,
            "queued, delivered (where there is no daemon), below_severity, planned (a dry run) or failed",
        ),
        Field::required("attempts", Type::Integer, "How often it was sent"),
        Field::optional("id", Type::String, "By which `aegis notify queue` shows it"),
        Field::optional("error", Type::Json, "Why it failed: code, message, hint"),
    ],
};

const ROUTE: Record = Record {
    name: "NotifyRoute",
    doc: "A route of the configuration.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::required("destinations", Type::List(&Type::String), "Where it leads, without addresses"),
        Field::required("granted", Type::Boolean, "Whether this job may send to it"),
    ],
};

pub const MODULE: Module = Module {
    name: "notify",
    doc: "Messages to people, over the routes that the operator has configured under `notify.routes`.",
    functions: &[
        Function {
            name: "send",
            doc: "Sends a message to all destinations of a route. It is kept when this returns, and the script goes on while \
                  it is on its way: a receiver that is not well is tried again for a day. `aegis run`, without a daemon, \
                  sends it at once, and raises `notify.failed` when none took it.",
            params: &[
                Field::required("route", Type::String, "The route's name"),
                Field::required("message", Type::Record(&MESSAGE), "What is told"),
            ],
            returns: Type::List(&Type::Record(&DELIVERY)),
            permission: Some("notify = { \"ROUTE\" }"),
            call: Call::Async(|context, args| Box::pin(send(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "routes",
            doc: "All routes, and whether this job may use them.",
            returns: Type::List(&Type::Record(&ROUTE)),
            call: Call::Sync(|context, _| routes(context)),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

async fn send(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let route = args.need("route")?;
    let permit = permit::notify(&context.run()?.grants, route)?;
    let message = message(&args.record("message"));
    let notify = &context.primitives.notify;
    let deliveries =
        if context.dry_run(&args) { notify.plan(&permit, &message)? } else { notify.send(&permit, &message).await? };
    let failed: Vec<&Fault> = deliveries.iter().filter_map(|delivery| failure(&delivery.outcome)).collect();
    let taken = |outcome: &Outcome| matches!(outcome, Outcome::Delivered | Outcome::Queued);
    let delivered = deliveries.iter().any(|delivery| taken(&delivery.outcome));
    if !failed.is_empty() && !delivered {
        return Err(undelivered(route, &failed));
    }
    // The message reached somebody, so the call is no failure; yet nobody should have to look for the rest.
    if let Some(log) = &context.log {
        for fault in failed {
            log.line(LogLevel::Warn, format!("notification to {route}: {fault}"), serde_json::Value::Null);
        }
    }
    Ok(Datum::List(deliveries.into_iter().map(record).collect()))
}

fn failure(outcome: &Outcome) -> Option<&Fault> {
    match outcome {
        Outcome::Failed(fault) => Some(fault),
        _ => None,
    }
}

fn undelivered(route: &str, failed: &[&Fault]) -> Fault {
    let reasons: Vec<&str> = failed.iter().map(|fault| fault.message.as_str()).collect();
    let message = format!("the notification to {route:?} reached nobody: {}", reasons.join("; "));
    let hint = failed.iter().find_map(|fault| fault.hint.clone());
    let retryable = failed.iter().any(|fault| fault.retryable);
    Fault { hint, retryable, ..Fault::new("notify.failed", message) }.details(serde_json::json!({ "failures": failed }))
}

fn message(options: &Args) -> Message {
    let text = |name: &str| options.text(name).unwrap_or_default().to_owned();
    let field = |datum: &Datum| match datum {
        Datum::Map(field) => {
            let field = Args(field.clone());
            let value = match field.json("value") {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            Some((field.text("name")?.to_owned(), value))
        }
        _ => None,
    };
    Message {
        title: text("title"),
        text: text("text"),
        severity: options.text("severity").and_then(Severity::parse).unwrap_or_default(),
        fields: options.list("fields").unwrap_or_default().iter().filter_map(field).collect(),
        url: options.text("url").map(str::to_owned),
        key: options.text("key").map(str::to_owned),
    }
}

fn record(delivery: Delivery) -> Datum {
    let outcome = delivery.outcome.as_str();
    let error = failure(&delivery.outcome).map(|fault| serde_json::json!(fault));
    Datum::record([
        ("destination", delivery.destination.into()),
        ("outcome", outcome.into()),
        ("attempts", i64::from(delivery.attempts).into()),
        ("id", delivery.id.into()),
        ("error", error.map_or(Datum::Null, Datum::Json)),
    ])
}

fn routes(context: &CallContext) -> Result<Datum, Fault> {
    let grants = &context.run()?.grants;
    let route = |(name, destinations): (&str, Vec<String>)| {
        Datum::record([
            ("name", name.into()),
            ("destinations", destinations.into()),
            ("granted", permit::notify(grants, name).is_ok().into()),
        ])
    };
    Ok(Datum::List(context.primitives.notify.routes().map(route).collect()))
}
