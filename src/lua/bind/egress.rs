//! `aegis.egress`: networks for executions, out of which nothing leads but to what is named.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::quantity::show_size;
use crate::base::{Fault, limits};
use crate::lua::scope::RunScope;
use crate::model::LogLevel;
use crate::model::grants::Access;
use crate::primitives::egress::{Attempt, Decision, Ended, Mode, Opened, Request, Tell, Totals, Wish};
use crate::primitives::permit;

const MODE: Field = Field::required(
    "mode",
    Type::Choice(&["allow", "deny"]),
    "What is named and nothing else (allow), or the public internet but for that (deny), which needs `egress = { \"*\" }`",
);
const NAMES: Field = Field::required(
    "names",
    Type::List(&Type::String),
    "Hosts with an optional port, such as `*.example.com:8443`, or networks; 80 and 443 are meant unless said otherwise",
);
const ID: Field = Field::required("id", Type::String, "As open gave it");

const OPEN: Record =
    Record { name: "EgressOptions", doc: "Where an execution may go.", fields: &[MODE, NAMES, Field::DRY_RUN] };

const LISTS: Record = Record { name: "EgressLists", doc: "Where an execution may go.", fields: &[MODE, NAMES] };

const AFTER: Record = Record {
    name: "EgressAfter",
    doc: "Which decisions.",
    fields: &[Field::optional("after", Type::Integer, "Those behind this number: `last` of an earlier call")],
};

const GATE: Record = Record {
    name: "EgressGate",
    doc: "A network with a way out, and what its containers are to be given.",
    fields: &[
        Field::required("id", Type::String, "For the other functions"),
        Field::required("network", Type::String, "The network's name"),
        Field::required("dns", Type::String, "The name server's address"),
        Field::required("environment", Type::Map(&Type::String), "What tells programs of the proxy"),
        Field::required("labels", Type::Map(&Type::String), "By these containers are removed when the run is over"),
        Field::optional("plan", Type::String, "In a dry run: what would have been opened"),
    ],
};

const DECISION: Record = Record {
    name: "EgressDecision",
    doc: "One thing that an execution asked for.",
    fields: &[
        Field::required("number", Type::Integer, "Counts from 1"),
        Field::required("at", Type::Time, "When"),
        Field::required("wish", Type::String, "connect (a tunnel), http (a plain request) or dns"),
        Field::required("host", Type::String, "A name or an address"),
        Field::optional("port", Type::Integer, "Of a name alone, none"),
        Field::required("allowed", Type::Boolean, "Whether it was done"),
        Field::optional(
            "code",
            Type::String,
            "Why not: not_listed, denied, literal, address, malformed, unresolved, unreachable, spent, pace (of questions), \
             crowded, answer (it is no HTTP, or too long) or tls (it asks for another host)",
        ),
        Field::optional("reason", Type::String, "The same in words"),
        Field::optional("address", Type::String, "To which the connection was made"),
        Field::required("sent_bytes", Type::Integer, "By the execution, so far"),
        Field::required("received_bytes", Type::Integer, "By the execution, so far"),
        Field::optional("took_ms", Type::Integer, "Nothing while it goes on"),
    ],
};

const TOTALS: [Field; 5] = [
    Field::required("allowed", Type::Integer, "Decisions for it"),
    Field::required("refused", Type::Integer, "Decisions against it"),
    Field::required("sent_bytes", Type::Integer, "By all connections so far"),
    Field::required("received_bytes", Type::Integer, "By all connections so far"),
    Field::required("forgotten", Type::Integer, "Decisions that are counted and no longer kept"),
];

const LOG: Record = Record {
    name: "EgressDecisions",
    doc: "What an execution asked for.",
    fields: &[
        Field::required(
            "decisions",
            Type::List(&Type::Record(&DECISION)),
            "The oldest first, at most 1000 connections and 1000 others",
        ),
        Field::required("last", Type::Integer, "For `after`"),
        TOTALS[0],
        TOTALS[1],
        TOTALS[2],
        TOTALS[3],
        TOTALS[4],
    ],
};

const CLOSED: Record = Record { name: "EgressClosed", doc: "What an execution has asked for in all.", fields: &TOTALS };

const VERDICT: Record = Record {
    name: "EgressVerdict",
    doc: "What the lists say.",
    fields: &[
        Field::required("allowed", Type::Boolean, "Whether it may be reached, as far as its name tells"),
        Field::optional("code", Type::String, "Why not: not_listed, denied, literal, address or malformed"),
        Field::optional("reason", Type::String, "The same in words"),
    ],
};

pub const MODULE: Module = Module {
    name: "egress",
    doc: "Networks for containers of executions, each with a proxy and a name server of the daemon's on its gateway and \
          nothing else: other addresses, other networks and the machine itself are out of reach, whatever runs in them. \
          Off until the configuration has `egress.enabled`. `@std/execution` does all this for a `network_policy`.",
    functions: &[
        Function {
            name: "open",
            doc: "Makes a network called `aegis-exec-…`. What is asked for and decided goes into the run's log as it \
                  happens. When the attempt is over, the network goes, and all containers with its labels. Needs \
                  docker = { write = { \"aegis-exec-*\" } } as well.",
            params: &[Field::required("options", Type::Record(&OPEN), "Where to")],
            returns: Type::Record(&GATE),
            permission: Some("egress = { \"HOST\" }"),
            call: Call::Async(|context, args| Box::pin(open(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "decisions",
            doc: "What an execution of this run has asked for so far.",
            params: &[ID, Field::optional("options", Type::Record(&AFTER), "Which")],
            returns: Type::Record(&LOG),
            call: Call::Sync(decisions),
            ..Function::DEFAULT
        },
        Function {
            name: "close",
            doc: "Closes the way out and removes the network, whose containers are to be gone.",
            params: &[ID],
            returns: Type::Record(&CLOSED),
            permission: Some("docker = \"write\""),
            call: Call::Async(|context, args| Box::pin(close(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "check",
            doc: "What the lists say of `host:port`, for calls that are made on behalf of an execution. Needs the \
                  permission of open, and opens nothing.",
            params: &[
                Field::required("lists", Type::Record(&LISTS), "Where to"),
                Field::required("target", Type::String, "Such as \"api.example.com:443\""),
            ],
            returns: Type::Record(&VERDICT),
            call: Call::Sync(check),
            ..Function::DEFAULT
        },
        Function {
            name: "ended",
            doc: "Counts an iteration of an execution, for `/metrics`. `@std/execution` does so.",
            params: &[Field::required("how", Type::Choice(Ended::NAMES), "What became of it")],
            call: Call::Sync(ended),
            ..Function::DEFAULT
        },
        Function {
            name: "labels",
            doc: "Labels by which the daemon removes containers and volumes called `aegis-exec-…` when this run is over.",
            returns: Type::Map(&Type::String),
            call: Call::Sync(|context, _| Ok(map(context.primitives.egress.labels(attempt(context.run()?))))),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

fn request(record: &Args) -> Result<Request, Fault> {
    let mode = if record.need("mode")? == "deny" { Mode::Deny } else { Mode::Allow };
    Ok(Request { mode, names: record.texts("names").unwrap_or_default() })
}

async fn open(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let run = context.run()?;
    let request = request(&args.record("options"))?;
    let permit = permit::egress(&run.grants, &request.needed())?;
    let docker = permit::docker(&run.grants, Access::Write, None)?.of_run(run.run);
    let egress = &context.primitives.egress;
    if context.dry_run(&args) {
        egress.plan(&permit, &request)?;
        return Ok(planned(&request));
    }
    let opened = egress.open(&permit, &docker, &request, (attempt(run), tell(&context))).await?;
    // What a durable run has let out goes on while it waits without a VM.
    if run.durable.is_none() {
        context.gates.add(egress, &opened.id);
    }
    Ok(gate(opened))
}

fn attempt(run: &RunScope) -> Attempt {
    Attempt { run: run.run, number: run.attempt }
}

fn gate(opened: Opened) -> Datum {
    let environment = map(opened.environment());
    Datum::record([
        ("id", opened.id.into()),
        ("network", opened.network.into()),
        ("dns", opened.gateway.to_string().into()),
        ("environment", environment),
        ("labels", map(opened.labels)),
    ])
}

fn planned(request: &Request) -> Datum {
    let way = if request.mode == Mode::Allow { "to" } else { "to everything public but" };
    let none = || Datum::Map(std::collections::BTreeMap::new());
    Datum::record([
        ("id", "".into()),
        ("network", "".into()),
        ("dns", "".into()),
        ("environment", none()),
        ("labels", none()),
        ("plan", format!("let an execution out {way} {}", request.names.join(", ")).into()),
    ])
}

/// Into the run's log, up to a bound. Connections have one of their own, so that nothing else hides them.
fn tell(context: &CallContext) -> Option<Tell> {
    let (log, connections, others) = (context.log.clone()?, AtomicUsize::new(0), AtomicUsize::new(0));
    Some(Arc::new(move |decision| {
        let written = if decision.address.is_some() { &connections } else { &others };
        match written.fetch_add(1, Ordering::Relaxed) {
            number if number < limits::EGRESS_LOGGED_MAX => log.line(level(decision), line(decision), entry(decision)),
            limits::EGRESS_LOGGED_MAX => {
                let which = if decision.address.is_some() { "connections are" } else { "what else is decided is" };
                let text = format!("egress: from now on {which} counted, and not logged any more");
                log.line(LogLevel::Warn, text, Value::Null);
            }
            _ => {}
        }
    }))
}

fn level(decision: &Decision) -> LogLevel {
    match (decision.refused, decision.wish) {
        (Some(_), _) => LogLevel::Warn,
        (None, Wish::Dns) => LogLevel::Debug,
        // Plain requests are short.
        (None, Wish::Http) if decision.took.is_none() => LogLevel::Debug,
        (None, _) => LogLevel::Info,
    }
}

fn line(decision: &Decision) -> String {
    let port = decision.port.map_or_else(String::new, |port| format!(":{port}"));
    let what = format!("{} {}{port}", decision.wish.as_str(), decision.host);
    match decision.refused {
        Some(reason) => format!("egress: refused {what}: {reason}"),
        None if decision.wish == Wish::Dns => format!("egress: allowed {what}"),
        None if decision.took.is_none() => format!("egress: {what} begins"),
        None => {
            let (sent, received) = (show_size(decision.sent_bytes), show_size(decision.received_bytes));
            format!("egress: allowed {what}, {sent} sent, {received} received")
        }
    }
}

fn entry(decision: &Decision) -> Value {
    let mut entry = json!({
        "number": decision.number,
        "at": decision.at,
        "wish": decision.wish.as_str(),
        "host": decision.host,
        "allowed": decision.refused.is_none(),
        "sent_bytes": decision.sent_bytes,
        "received_bytes": decision.received_bytes,
    });
    let took = decision.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    for (key, value) in [
        ("port", decision.port.map(Value::from)),
        ("code", decision.refused.map(|reason| reason.code().into())),
        ("reason", decision.refused.map(|reason| reason.to_string().into())),
        ("address", decision.address.map(|address| address.to_string().into())),
        ("took_ms", took.map(Value::from)),
    ] {
        if let Some(value) = value {
            entry[key] = value;
        }
    }
    entry
}

fn decisions(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let after = args.record("options").integer("after").and_then(|after| u64::try_from(after).ok()).unwrap_or(0);
    let (found, totals) = context.primitives.egress.decisions(context.run()?.run, args.need("id")?, after)?;
    let mut record = counted(totals);
    record["last"] = found.last().map_or(after, |decision| decision.number).into();
    record["decisions"] = found.iter().map(entry).collect();
    Ok(Datum::Json(record))
}

async fn close(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let run = context.run()?;
    let docker = permit::docker(&run.grants, Access::Write, None)?.of_run(run.run);
    let totals = context.primitives.egress.close(&docker, run.run, args.need("id")?).await?;
    Ok(Datum::Json(counted(totals)))
}

fn ended(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    if let Some(how) = Ended::parse(args.need("how")?).filter(|_| !context.dry_run(args)) {
        context.primitives.egress.ended(how);
    }
    Ok(Datum::Null)
}

fn counted(totals: Totals) -> Value {
    json!({
        "allowed": totals.allowed,
        "refused": totals.refused,
        "sent_bytes": totals.sent_bytes,
        "received_bytes": totals.received_bytes,
        "forgotten": totals.forgotten,
    })
}

fn check(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let request = request(&args.record("lists"))?;
    let permit = permit::egress(&context.run()?.grants, &request.needed())?;
    let verdict = context.primitives.egress.check(&permit, &request, args.need("target")?)?;
    let refused = verdict.err();
    Ok(Datum::record([
        ("allowed", refused.is_none().into()),
        ("code", refused.map(|reason| reason.code()).into()),
        ("reason", refused.map(|reason| reason.to_string()).into()),
    ]))
}

fn map(entries: impl IntoIterator<Item = (String, String)>) -> Datum {
    Datum::Map(entries.into_iter().map(|(key, value)| (key, Datum::Text(value))).collect())
}
