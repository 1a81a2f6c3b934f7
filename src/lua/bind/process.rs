//! `aegis.process`: programs that the job was granted.

use std::sync::Arc;

use serde_json::json;

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type, fs};
use crate::base::{Fault, limits};
use crate::model::LogLevel;
use crate::model::grants::Access;
use crate::primitives::permit;
use crate::primitives::process::{Ended, Finished, Lines, Request, Stream};

const OPTIONS: Record = Record {
    name: "ProcessOptions",
    doc: "How a program is run.",
    fields: &[
        Field::optional("args", Type::List(&Type::String), "Its arguments, each handed over as it is"),
        Field::optional("cwd", Type::String, "ROOT:relative/path of a granted fs root; / unless said otherwise"),
        Field::optional(
            "env",
            Type::Map(&Type::OneOf(&[Type::String, Type::Secret])),
            "Its environment besides PATH, LANG and TZ; nothing of the daemon's is handed on",
        ),
        Field::optional(
            "stdin",
            Type::OneOf(&[Type::Bytes, Type::Secret]),
            "What it reads; nothing unless said otherwise",
        ),
        Field::optional("stdout", Type::String, "ROOT:relative/path: a file for its output, put there if it succeeds"),
        Field::optional("timeout", Type::Duration, "60s unless said otherwise"),
        Field::optional("kill_after", Type::Duration, "From SIGTERM to SIGKILL; 5s unless said otherwise"),
        Field::optional(
            "max_output",
            Type::Size,
            "Of each stream, the end of which is kept; 256KiB unless said otherwise, 4MiB at most",
        ),
        Field::optional("log", Type::Boolean, "Each line into the run's log as it is printed"),
        Field::optional("check", Type::Boolean, "Raise `process.failed` unless the exit code is 0"),
        Field::DRY_RUN,
    ],
};

const RESULT: Record = Record {
    name: "ProcessResult",
    doc: "How a program ended.",
    fields: &[
        Field::required("ok", Type::Boolean, "Whether its exit code is 0; true in a dry run"),
        Field::optional("code", Type::Integer, "Its exit code"),
        Field::optional("signal", Type::Integer, "The signal that ended it instead"),
        Field::required("stdout", Type::Bytes, "The end of what it printed; empty when that went to a file"),
        Field::required("stderr", Type::Bytes, "The end of its messages"),
        Field::required("stdout_bytes", Type::Integer, "How much it printed"),
        Field::required("stdout_cut", Type::Integer, "How many bytes before the end were not kept"),
        Field::required("stderr_cut", Type::Integer, "How many bytes before the end were not kept"),
        Field::required("took_ms", Type::Integer, "From its start to its end"),
        Field::optional("plan", Type::String, "In a dry run: what would have been run"),
    ],
};

pub const MODULE: Module = Module {
    name: "process",
    doc: "Programs of this machine by their names, without a shell. They are looked for where the administrator installs \
          programs, or stand in the configuration under `process.programs`; nothing of them outlives the run.",
    functions: &[Function {
        name: "run",
        doc: "Runs a program and waits for its end. Any exit code is a result unless `check` is set.",
        params: &[
            Field::required("program", Type::String, "Its name, such as \"pg_dump\""),
            Field::optional("options", Type::Record(&OPTIONS), "Its arguments and bounds"),
        ],
        returns: Type::Record(&RESULT),
        permission: Some("process = { \"PROGRAM\" }"),
        call: Call::Async(|context, args| Box::pin(run(context, args))),
        ..Function::DEFAULT
    }],
    ..Module::DEFAULT
};

async fn run(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let program = args.need("program")?.to_owned();
    let permit = permit::process(&context.run()?.grants, &program)?;
    let options = args.record("options");
    let request = request(&context, &options)?;
    let processes = &context.primitives.process;
    if context.dry_run(&args) {
        let path = processes.plan(&permit, &request)?;
        return Ok(planned(&format!("{} {}", path.display(), shown(&request.arguments))));
    }
    let lines = if options.flag("log") { lines(&context) } else { None };
    let finished = processes.run(&permit, request, lines).await?;
    if options.flag("check") && finished.ended != Ended::Code(0) {
        return Err(failed(&program, &finished));
    }
    Ok(record(finished))
}

fn request(context: &CallContext, options: &Args) -> Result<Request, Fault> {
    let mut request = Request {
        arguments: options.texts("args").unwrap_or_default(),
        environment: options.text_map("env").unwrap_or_default(),
        input: options.bytes("stdin").unwrap_or_default().to_vec(),
        ..Request::default()
    };
    if let Some(folder) = options.text("cwd") {
        request.folder = Some(fs::path(context, folder, Access::Read)?);
    }
    if let Some(file) = options.text("stdout") {
        request.output_file = Some(fs::path(context, file, Access::Write)?);
    }
    request.timeout = options.duration("timeout").unwrap_or(request.timeout);
    request.kill_after = options.duration("kill_after").unwrap_or(request.kill_after);
    if let Some(max) = options.integer("max_output") {
        request.output_bytes_max = usize::try_from(max).unwrap_or(0).min(limits::PROCESS_OUTPUT_BYTES_MAX);
    }
    Ok(request)
}

fn lines(context: &CallContext) -> Option<Lines> {
    let log = context.log.clone()?;
    Some(Arc::new(move |stream, line: &str| {
        let level = if stream == Stream::Stderr { LogLevel::Warn } else { LogLevel::Info };
        log.line(level, line.to_owned(), serde_json::Value::Null);
    }))
}

fn failed(program: &str, finished: &Finished) -> Fault {
    let how = match finished.ended {
        Ended::Code(code) => format!("ended with the exit code {code}"),
        Ended::Signal(signal) => format!("was ended by the signal {signal}"),
    };
    let messages = finished.stderr.text();
    let last = messages.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let message = if last.is_empty() { format!("{program} {how}") } else { format!("{program} {how}: {last}") };
    let details = json!({ "stdout": finished.stdout.text(), "stderr": messages });
    Fault::new("process.failed", message).hint("what it printed is in the details of the error").details(details)
}

fn record(finished: Finished) -> Datum {
    let count = |number: u64| Datum::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let (code, signal) = match finished.ended {
        Ended::Code(code) => (i64::from(code).into(), Datum::Null),
        Ended::Signal(signal) => (Datum::Null, i64::from(signal).into()),
    };
    Datum::record([
        ("ok", (finished.ended == Ended::Code(0)).into()),
        ("code", code),
        ("signal", signal),
        ("stdout_bytes", count(finished.stdout.total)),
        ("stdout_cut", count(finished.stdout.cut)),
        ("stderr_cut", count(finished.stderr.cut)),
        ("stdout", Datum::Bytes(finished.stdout.bytes)),
        ("stderr", Datum::Bytes(finished.stderr.bytes)),
        ("took_ms", count(u64::try_from(finished.took.as_millis()).unwrap_or(u64::MAX))),
    ])
}

fn planned(plan: &str) -> Datum {
    Datum::record([
        ("ok", true.into()),
        ("stdout", Datum::Bytes(Vec::new())),
        ("stderr", Datum::Bytes(Vec::new())),
        ("stdout_bytes", 0.into()),
        ("stdout_cut", 0.into()),
        ("stderr_cut", 0.into()),
        ("took_ms", 0.into()),
        ("plan", plan.trim_end().into()),
    ])
}

/// As one would type them.
fn shown(arguments: &[String]) -> String {
    shlex::try_join(arguments.iter().map(String::as_str)).unwrap_or_default()
}
