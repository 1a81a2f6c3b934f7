//! Looking at containers, and running commands in them.

use super::calls;
use super::results::{
    CONTAINER as CONTAINER_RECORD, EVENT, EXECUTED, INSPECTION, LOGS as LOGS_RECORD, STATS as STATS_RECORD,
};
use super::results::{TOP as TOP_RECORD, WAITED};
use super::{ADMIN, CONTAINER, Call, Field, Function, LOOK, Type};
use crate::lua::bind::Record;

const TEXTS: Type = Type::List(&Type::String);
const COMMAND: Type = Type::OneOf(&[Type::String, TEXTS]);
const VALUE: Type = Type::OneOf(&[Type::String, Type::Number, Type::Boolean, Type::Secret]);

const LIST_OPTIONS: Record = Record {
    name: "DockerListOptions",
    doc: "Which containers: those that fit every given field.",
    fields: &[
        Field::optional("all", Type::Boolean, "Stopped ones too; true unless said otherwise"),
        Field::optional("names", TEXTS, "Names or patterns of names, such as `web-*`"),
        Field::optional("states", TEXTS, "running, exited, …"),
        Field::optional("labels", TEXTS, "`key` or `key=value`; all must fit"),
        Field::optional("stack", Type::String, "Of this Compose project"),
    ],
};

pub const LIST: Function = Function {
    name: "list",
    doc: "The containers that the grant covers, by name.",
    params: &[Field::optional("options", Type::Record(&LIST_OPTIONS), "Which; all unless said otherwise")],
    returns: Type::List(&Type::Record(&CONTAINER_RECORD)),
    call: Call::Async(|context, args| Box::pin(calls::list(context, args))),
    ..LOOK
};

pub const INSPECT: Function = Function {
    name: "inspect",
    doc: "A container in full.",
    params: &[CONTAINER],
    returns: Type::Record(&INSPECTION),
    call: Call::Async(|context, args| Box::pin(calls::inspect(context, args))),
    ..LOOK
};

const WAIT_OPTIONS: Record = Record {
    name: "DockerWaitOptions",
    doc: "How long to wait.",
    fields: &[Field::optional("timeout", Type::Duration, "Raise `docker.timeout` when it runs for longer")],
};

pub const WAIT: Function = Function {
    name: "wait",
    doc: "Waits until a container does not run. An exit code other than 0 is a result, not an error.",
    params: &[CONTAINER, Field::optional("options", Type::Record(&WAIT_OPTIONS), "How long")],
    returns: Type::Record(&WAITED),
    call: Call::Async(|context, args| Box::pin(calls::wait(context, args))),
    ..LOOK
};

const EXEC_OPTIONS: Record = Record {
    name: "DockerExecOptions",
    doc: "What is run, and how.",
    fields: &[
        Field::required("command", COMMAND, "A list of words, or a text that is split into words; never for a shell"),
        Field::optional("environment", Type::Map(&VALUE), "Further variables"),
        Field::optional("user", Type::String, "`name`, `uid` or `uid:gid`"),
        Field::optional("working_dir", Type::String, "Where it starts"),
        Field::optional("privileged", Type::Boolean, "With all rights of the host"),
        Field::optional("timeout", Type::Duration, "It is killed when it runs for longer; 60s unless said otherwise"),
        Field::DRY_RUN,
    ],
};

pub const EXEC: Function = Function {
    name: "exec",
    doc: "Runs a command in a container and gives its output. An exit code other than 0 is a result, not an error.",
    params: &[CONTAINER, Field::required("options", Type::Record(&EXEC_OPTIONS), "What is run")],
    returns: Type::Record(&EXECUTED),
    permission: Some(ADMIN),
    call: Call::Async(|context, args| Box::pin(calls::exec(context, args))),
    ..LOOK
};

const LOG_OPTIONS: Record = Record {
    name: "DockerLogOptions",
    doc: "Which lines.",
    fields: &[
        Field::optional("tail", Type::Integer, "The last so many; 1000 unless said otherwise"),
        Field::optional("since", Type::String, "From a time on, or a duration back such as `10m`"),
        Field::optional("before", Type::String, "Up to a time, or a duration back"),
        Field::optional("stdout", Type::Boolean, "True unless said otherwise"),
        Field::optional("stderr", Type::Boolean, "True unless said otherwise"),
        Field::optional("timestamps", Type::Boolean, "Give each line its time; true unless said otherwise"),
        Field::optional(
            "after",
            Type::Time,
            "Lines behind this moment, the first `tail` of them: `next` of an earlier call",
        ),
        Field::optional("wait", Type::Duration, "Wait so long for a line when there is none"),
    ],
};

pub const LOGS: Function = Function {
    name: "logs",
    doc: "What a container printed, running or not. To follow it, call it in a loop with `wait`, and with `after` set to \
          `next` of the call before.",
    params: &[CONTAINER, Field::optional("options", Type::Record(&LOG_OPTIONS), "Which lines")],
    returns: Type::Record(&LOGS_RECORD),
    call: Call::Async(|context, args| Box::pin(calls::logs(context, args))),
    ..LOOK
};

const STATS_OPTIONS: Record = Record {
    name: "DockerStatsOptions",
    doc: "When to read.",
    fields: &[Field::optional("wait", Type::Duration, "Wait so long first; no longer than until the container ends")],
};

pub const STATS: Function = Function {
    name: "stats",
    doc: "What a container uses now, or after `wait`: a loop over it is a stream of readings.",
    params: &[CONTAINER, Field::optional("options", Type::Record(&STATS_OPTIONS), "When")],
    returns: Type::Record(&STATS_RECORD),
    call: Call::Async(|context, args| Box::pin(calls::stats(context, args))),
    ..LOOK
};

pub const STATS_ALL: Function = Function {
    name: "stats_all",
    doc: "What every running container that the grant covers uses now, by name.",
    returns: Type::List(&Type::Record(&STATS_RECORD)),
    call: Call::Async(|context, _| Box::pin(calls::stats_all(context))),
    ..LOOK
};

pub const TOP: Function = Function {
    name: "top",
    doc: "The processes of a running container.",
    params: &[CONTAINER],
    returns: Type::Record(&TOP_RECORD),
    call: Call::Async(|context, args| Box::pin(calls::top(context, args))),
    ..LOOK
};

const EVENT_OPTIONS: Record = Record {
    name: "DockerEventOptions",
    doc: "Which events, and how long to wait for one.",
    fields: &[
        Field::optional("types", TEXTS, "container, image, network, volume, daemon; all unless said otherwise"),
        Field::optional(
            "actions",
            TEXTS,
            "start, die, oom, health_status, …; all but those of exec unless said otherwise",
        ),
        Field::optional("containers", TEXTS, "Names or patterns of names"),
        Field::optional("labels", TEXTS, "`key` or `key=value` of the object; all must fit"),
        Field::optional(
            "since",
            Type::String,
            "From a time on, or a duration back such as `10m`; now unless said otherwise",
        ),
        Field::optional(
            "wait",
            Type::Duration,
            "How long to wait for one when there is none; 30s unless said otherwise",
        ),
        Field::optional("limit", Type::Integer, "At most so many; 100 unless said otherwise, 1000 at most"),
    ],
};

pub const EVENTS: Function = Function {
    name: "events",
    doc: "What happened since a moment; when that is nothing, waits for something. To go on, pass the last event's `at` \
          as `since`: that event comes once more.",
    params: &[Field::optional("options", Type::Record(&EVENT_OPTIONS), "Which")],
    returns: Type::List(&Type::Record(&EVENT)),
    call: Call::Async(|context, args| Box::pin(calls::events(context, args))),
    ..LOOK
};
