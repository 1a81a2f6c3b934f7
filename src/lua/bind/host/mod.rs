//! `aegis.host`: the machine that Aegis runs on, and what can be reached from it.

mod probes;
mod spec;

use serde::Serialize;

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Type};
use crate::base::{Fault, limits};
use crate::primitives::host::{Host, Query, Sort};
use crate::primitives::permit::{self, HostPermit};

const PERMISSION: &str = "host = \"read\"";
const READING: Function = Function { permission: Some(PERMISSION), ..Function::DEFAULT };

const PROBING: Function = Function { permission: Some("host = \"read\", http = { \"HOST\" }"), ..Function::DEFAULT };
const HOST: Field = Field::required("host", Type::String, "A name or an address");

pub const MODULE: Module = Module {
    name: "host",
    doc: "The machine that Aegis runs on. Rates are those since the previous call of the same function by any job, or \
          over a quarter of a second when there was none in the last ten minutes. `dns`, `tcp`, `tls` and `ping` \
          look at other hosts: those that the job's `http` permission names, under the same address policy.",
    functions: &[
        Function {
            name: "info",
            doc: "Name, system, processors and start of the machine.",
            returns: Type::Record(&spec::INFO),
            call: Call::Async(|context, _| Box::pin(info(context))),
            ..READING
        },
        Function {
            name: "cpu",
            doc: "How busy the processors are, and the load.",
            params: &[Field::optional("options", Type::Record(&spec::CPU_OPTIONS), "Over which time")],
            returns: Type::Record(&spec::CPU),
            call: Call::Async(|context, args| Box::pin(cpu(context, args))),
            ..READING
        },
        Function {
            name: "memory",
            doc: "Memory and swap.",
            returns: Type::Record(&spec::MEMORY),
            call: Call::Async(|context, _| Box::pin(memory(context))),
            ..READING
        },
        Function {
            name: "disks",
            doc: "File systems that are mounted, how full they are and what their devices do.",
            returns: Type::List(&Type::Record(&spec::MOUNT)),
            call: Call::Async(|context, _| Box::pin(disks(context))),
            ..READING
        },
        Function {
            name: "interfaces",
            doc: "Network interfaces with their traffic, errors and drops.",
            returns: Type::List(&Type::Record(&spec::INTERFACE)),
            call: Call::Async(|context, _| Box::pin(interfaces(context))),
            ..READING
        },
        Function {
            name: "tcp_stats",
            doc: "What TCP has counted, retransmissions above all.",
            returns: Type::Record(&spec::TCP),
            call: Call::Async(|context, _| Box::pin(tcp_stats(context))),
            ..READING
        },
        Function {
            name: "processes",
            doc: "Processes, those first that use the most.",
            params: &[Field::optional("options", Type::Record(&spec::PROCESSES), "Which, and in which order")],
            returns: Type::List(&Type::Record(&spec::PROCESS)),
            call: Call::Async(|context, args| Box::pin(processes(context, args))),
            ..READING
        },
        Function {
            name: "listeners",
            doc: "Who listens on which address and port. Owners are told as far as the daemon's user may see them.",
            returns: Type::List(&Type::Record(&spec::LISTENER)),
            call: Call::Async(|context, _| Box::pin(listeners(context))),
            ..READING
        },
        Function {
            name: "pressure",
            doc: "How much tasks wait for processors, memory and disks, or nil where the kernel does not tell.",
            returns: Type::Optional(&Type::Record(&spec::PRESSURES)),
            call: Call::Async(|context, _| Box::pin(pressure(context))),
            ..READING
        },
        Function {
            name: "dns",
            doc: "Asks a name server, past every cache of this machine. No records are an answer; no answer is an error.",
            params: &[
                Field::required("name", Type::String, "The name; for PTR also an address"),
                Field::optional("options", Type::Record(&spec::DNS_OPTIONS), "What is asked, and whom"),
            ],
            returns: Type::Record(&spec::DNS),
            call: Call::Async(|context, args| Box::pin(probes::dns(context, args))),
            ..PROBING
        },
        Function {
            name: "tcp",
            doc: "Whether a port takes connections. That it does not is a result.",
            params: &[
                HOST,
                Field::required("port", Type::Integer, "1 to 65535"),
                Field::optional("options", Type::Record(&spec::TIMEOUT_OPTIONS), "How long it may take"),
            ],
            returns: Type::Record(&spec::REACHED),
            call: Call::Async(|context, args| Box::pin(probes::tcp(context, args))),
            ..PROBING
        },
        Function {
            name: "tls",
            doc: "The certificates that a server shows, also expired and untrusted ones, and whether they are trusted.",
            params: &[HOST, Field::optional("options", Type::Record(&spec::TLS_OPTIONS), "Which port and name")],
            returns: Type::Record(&spec::CHAIN),
            call: Call::Async(|context, args| Box::pin(probes::tls(context, args))),
            ..PROBING
        },
        Function {
            name: "ping",
            doc: "Round trips of echo requests, where the system permits them. That none comes back is a result.",
            params: &[HOST, Field::optional("options", Type::Record(&spec::PING_OPTIONS), "How many")],
            returns: Type::Record(&spec::PING),
            call: Call::Async(|context, args| Box::pin(probes::ping(context, args))),
            ..PROBING
        },
    ],
    ..Module::DEFAULT
};

fn reach(context: &CallContext) -> Result<(&Host, HostPermit), Fault> {
    Ok((&context.primitives.host, permit::host(&context.run()?.grants)?))
}

fn told(value: impl Serialize) -> Result<Datum, Fault> {
    let told = serde_json::to_value(value);
    told.map(Datum::Json).map_err(|problem| Fault::new("internal.value", problem.to_string()))
}

async fn info(context: CallContext) -> Result<Datum, Fault> {
    let (host, permit) = reach(&context)?;
    told(host.info(&permit).await?)
}

async fn cpu(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (host, permit) = reach(&context)?;
    told(host.cpu(&permit, args.record("options").duration("interval")).await?)
}

async fn memory(context: CallContext) -> Result<Datum, Fault> {
    let (host, permit) = reach(&context)?;
    told(host.memory(&permit).await?)
}

async fn disks(context: CallContext) -> Result<Datum, Fault> {
    let (host, permit) = reach(&context)?;
    told(host.disks(&permit).await?)
}

async fn interfaces(context: CallContext) -> Result<Datum, Fault> {
    let (host, permit) = reach(&context)?;
    told(host.interfaces(&permit).await?)
}

async fn tcp_stats(context: CallContext) -> Result<Datum, Fault> {
    let (host, permit) = reach(&context)?;
    told(host.tcp(&permit).await?)
}

async fn processes(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (host, permit) = reach(&context)?;
    let options = args.record("options");
    let limit = options.integer("limit").and_then(|limit| usize::try_from(limit).ok());
    let query = Query {
        sort: options.text("sort").and_then(Sort::parse).unwrap_or_default(),
        limit: limit.unwrap_or(limits::HOST_PROCESSES_DEFAULT).clamp(1, limits::HOST_PROCESSES_MAX),
        name: options.text("name").map(str::to_owned),
        user: options.text("user").map(str::to_owned),
    };
    told(host.processes(&permit, query).await?)
}

async fn listeners(context: CallContext) -> Result<Datum, Fault> {
    let (host, permit) = reach(&context)?;
    told(host.listeners(&permit).await?)
}

async fn pressure(context: CallContext) -> Result<Datum, Fault> {
    let (host, permit) = reach(&context)?;
    host.pressure(&permit).await?.map_or(Ok(Datum::Null), told)
}
