//! Starting, stopping, removing.

use super::calls;
use super::{CHANGE, CONTAINER, Call, Field, Function, Type};
use crate::lua::bind::Record;

pub const CHANGE_OPTIONS: Record =
    Record { name: "DockerChangeOptions", doc: "Whether to do it.", fields: &[Field::DRY_RUN] };

pub const OPTIONS: Field = Field::optional("options", Type::Record(&CHANGE_OPTIONS), "Whether to do it");

const STOP_OPTIONS: Record = Record {
    name: "DockerStopOptions",
    doc: "How patient to be.",
    fields: &[
        Field::optional("timeout", Type::Duration, "From SIGTERM to SIGKILL; the container's own, or 10s"),
        Field::DRY_RUN,
    ],
};

const PATIENCE: Field = Field::optional("options", Type::Record(&STOP_OPTIONS), "How patient to be");

pub const START: Function = Function {
    name: "start",
    doc: "Starts a container; one that runs already stays as it is.",
    params: &[CONTAINER, OPTIONS],
    call: Call::Async(|context, args| Box::pin(calls::start(context, args))),
    ..CHANGE
};

pub const STOP: Function = Function {
    name: "stop",
    doc: "Stops a container and returns when it has ended.",
    params: &[CONTAINER, PATIENCE],
    call: Call::Async(|context, args| Box::pin(calls::stop(context, args))),
    ..CHANGE
};

pub const RESTART: Function = Function {
    name: "restart",
    doc: "Stops a container, if it runs, and starts it.",
    params: &[CONTAINER, PATIENCE],
    call: Call::Async(|context, args| Box::pin(calls::restart(context, args))),
    ..CHANGE
};

const KILL_OPTIONS: Record = Record {
    name: "DockerKillOptions",
    doc: "Which signal.",
    fields: &[Field::optional("signal", Type::String, "SIGKILL unless said otherwise"), Field::DRY_RUN],
};

pub const KILL: Function = Function {
    name: "kill",
    doc: "Sends a signal to a running container.",
    params: &[CONTAINER, Field::optional("options", Type::Record(&KILL_OPTIONS), "Which signal")],
    call: Call::Async(|context, args| Box::pin(calls::kill(context, args))),
    ..CHANGE
};

pub const PAUSE: Function = Function {
    name: "pause",
    doc: "Freezes the processes of a running container.",
    params: &[CONTAINER, OPTIONS],
    call: Call::Async(|context, args| Box::pin(calls::pause(context, args))),
    ..CHANGE
};

pub const UNPAUSE: Function = Function {
    name: "unpause",
    doc: "Lets the processes of a paused container go on.",
    params: &[CONTAINER, OPTIONS],
    call: Call::Async(|context, args| Box::pin(calls::unpause(context, args))),
    ..CHANGE
};

const REMOVE_OPTIONS: Record = Record {
    name: "DockerRemoveOptions",
    doc: "How far to go.",
    fields: &[
        Field::optional("force", Type::Boolean, "Kill it first when it runs"),
        Field::optional("volumes", Type::Boolean, "Remove its anonymous volumes too"),
        Field::DRY_RUN,
    ],
};

pub const REMOVE: Function = Function {
    name: "remove",
    doc: "Removes a container that does not run.",
    params: &[CONTAINER, Field::optional("options", Type::Record(&REMOVE_OPTIONS), "How far to go")],
    call: Call::Async(|context, args| Box::pin(calls::remove(context, args))),
    ..CHANGE
};

const CLONE_OPTIONS: Record = Record {
    name: "DockerCloneOptions",
    doc: "Of what the new container is made.",
    fields: &[
        Field::optional(
            "image",
            Type::String,
            "Its image; the one that the other was created from unless said otherwise",
        ),
        Field::DRY_RUN,
    ],
};

pub const CLONE: Function = Function {
    name: "clone",
    doc: "Creates a container with all settings of another, volumes and networks included, and does not start it. What \
          that one has from its image, the new one has from its own.",
    params: &[
        CONTAINER,
        Field::required("name", Type::String, "The new container's name"),
        Field::optional("options", Type::Record(&CLONE_OPTIONS), "Its image"),
    ],
    permission: Some(super::ADMIN),
    call: Call::Async(|context, args| Box::pin(calls::clone(context, args))),
    ..CHANGE
};

pub const RENAME: Function = Function {
    name: "rename",
    doc: "Gives a container another name; the grant must cover both.",
    params: &[CONTAINER, Field::required("name", Type::String, "Its name from now on"), OPTIONS],
    call: Call::Async(|context, args| Box::pin(calls::rename(context, args))),
    ..CHANGE
};

const UPDATE_OPTIONS: Record = Record {
    name: "DockerUpdateOptions",
    doc: "What is to be another way; what is not said stays.",
    fields: &[
        Field::optional("restart", Type::String, "no, always, unless-stopped, on-failure or on-failure:5"),
        Field::optional("cpus", Type::Number, "At most so many CPUs"),
        Field::optional("cpuset", Type::String, "On these CPUs: `0-3`"),
        Field::optional("mem_limit", Type::Size, "At most so much memory"),
        Field::optional("mem_reservation", Type::Size, "What it gets when memory is scarce"),
        Field::optional("memswap_limit", Type::Size, "Memory and swap together; needs mem_limit"),
        Field::optional("pids_limit", Type::Integer, "At most so many processes"),
        Field::DRY_RUN,
    ],
};

pub const UPDATE: Function = Function {
    name: "update",
    doc: "Changes the restart policy or limits of a container, which goes on running if it runs.",
    params: &[CONTAINER, Field::required("options", Type::Record(&UPDATE_OPTIONS), "What is to be another way")],
    call: Call::Async(|context, args| Box::pin(calls::update(context, args))),
    ..CHANGE
};
