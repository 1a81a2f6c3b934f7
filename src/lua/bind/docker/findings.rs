//! What is wrong: with one container, and with all of them.

use super::results::LOG_LINE;
use super::{CONTAINER, Call, Field, Function, LOOK, Type, calls};
use crate::lua::bind::Record;

const TEXTS: Type = Type::List(&Type::String);

const FINDING: Record = Record {
    name: "DockerFinding",
    doc: "One thing that is wrong with a container.",
    fields: &[
        Field::required(
            "code",
            Type::String,
            "port_taken, network_missing, bind_missing, volume_unusable, wrong_architecture, command_not_found, \
             command_not_executable, oom_killed, image_missing, unhealthy, paused, dead, restart_loop, exit_code or \
             engine_error",
        ),
        Field::required("message", Type::String, "What it is, as a sentence"),
        Field::required("remedy", Type::String, "What to do"),
    ],
};

const DIAGNOSIS: Record = Record {
    name: "DockerDiagnosis",
    doc: "What is known of a container, and what is wrong with it.",
    fields: &[
        Field::required("id", Type::String, "Its id"),
        Field::required("name", Type::String, "Its name"),
        Field::required("state", Type::String, "created, running, exited, …"),
        Field::required("status", Type::String, "As people read it: `Exited (137) 5m ago`"),
        Field::required("ok", Type::Boolean, "Nothing was found"),
        Field::required("summary", Type::String, "The most telling finding, or that there is none"),
        Field::optional("exit_code", Type::Integer, "Of its last end"),
        Field::optional("exit_meaning", Type::String, "What that code means"),
        Field::required("oom_killed", Type::Boolean, "It ended for want of memory"),
        Field::required("restart_count", Type::Integer, "How often the engine restarted it"),
        Field::required("error", Type::String, "What the engine says of a failed start"),
        Field::required("findings", Type::List(&Type::Record(&FINDING)), "The cause before what follows from it"),
        Field::required("log", Type::List(&Type::Record(&LOG_LINE)), "Its last 20 lines"),
    ],
};

pub const DIAGNOSE: Function = Function {
    name: "diagnose",
    doc: "Why a container does not start, or does not stay up. With the permission host = \"read\" it also names the \
          program of the host that holds a port.",
    params: &[CONTAINER],
    returns: Type::Record(&DIAGNOSIS),
    call: Call::Async(|context, args| Box::pin(calls::diagnose(context, args))),
    ..LOOK
};

const AUDIT_OPTIONS: Record = Record {
    name: "DockerAuditOptions",
    doc: "What to look at.",
    fields: &[
        Field::optional("all", Type::Boolean, "Stopped containers too"),
        Field::optional("containers", TEXTS, "Names or patterns of names; all unless said otherwise"),
        Field::optional("checks", TEXTS, "Ids such as `5.31`, or sections such as `5`; all unless said otherwise"),
    ],
};

const OBJECT: Record = Record {
    name: "DockerAuditObject",
    doc: "What a check is about.",
    fields: &[
        Field::required("name", Type::String, "Of a container, image or network; or `engine`"),
        Field::required("detail", Type::String, "What is so about it; never a credential"),
    ],
};

const CHECK: Record = Record {
    name: "DockerAuditCheck",
    doc: "One check of an audit.",
    fields: &[
        Field::required("id", Type::String, "Of the CIS Docker Benchmark: `5.31`; or our own: `aegis.1`"),
        Field::required("section", Type::String, "Of the benchmark"),
        Field::required("title", Type::String, "Of the benchmark"),
        Field::required("level", Type::Integer, "1 is for everybody, 2 for hosts that need more"),
        Field::required("result", Type::String, "pass; warn; or info, where somebody has to look"),
        Field::required("objects", Type::List(&Type::Record(&OBJECT)), "What it is about"),
        Field::required("remedy", Type::String, "What to do"),
    ],
};

const AUDITED: Record = Record {
    name: "DockerAudit",
    doc: "What an audit found.",
    fields: &[
        Field::required("at", Type::Time, "When"),
        Field::required("engine_version", Type::String, "Of the engine"),
        Field::required("containers", Type::Integer, "How many were looked at"),
        Field::required("images", Type::Integer, "How many were looked at"),
        Field::required("pass", Type::Integer, "Checks by result"),
        Field::required("warn", Type::Integer, "Checks by result"),
        Field::required("info", Type::Integer, "Checks by result"),
        Field::required("checks", Type::List(&Type::Record(&CHECK)), "In the benchmark's order"),
        Field::required("warnings", TEXTS, "What was left out, and why"),
    ],
};

pub const AUDIT: Function = Function {
    name: "audit",
    doc: "Holds the engine, its images and the containers that the grant covers against the CIS Docker Benchmark, as far \
          as the engine's API tells: 53 checks, and one for credentials in environments (their names, never values).",
    params: &[Field::optional("options", Type::Record(&AUDIT_OPTIONS), "What to look at")],
    returns: Type::Record(&AUDITED),
    call: Call::Async(|context, args| Box::pin(calls::audit(context, args))),
    ..LOOK
};
