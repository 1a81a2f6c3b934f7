//! `aegis.docker`: the Docker Engine.

mod calls;
mod changes;
mod containers;
pub(super) mod convert;
mod create;
mod findings;
mod images;
pub(super) mod results;
mod surroundings;
mod transfers;

use super::{Call, Field, Function, Module, Type};

const READ: &str = "docker = \"read\"";
const WRITE: &str = "docker = \"write\"";
const ADMIN: &str = "docker = \"admin\"";
const CONTAINER: Field = Field::required("container", Type::String, "Its name or id");

/// What functions that only look have in common.
const LOOK: Function = Function { permission: Some(READ), ..Function::DEFAULT };
/// What functions that change something have in common.
const CHANGE: Function =
    Function { permission: Some(WRITE), returns: Type::Record(&results::DONE), ..Function::DEFAULT };

pub const MODULE: Module = Module {
    name: "docker",
    doc: "Containers, images, networks and volumes. A grant is a level, or patterns of container names for each level; \
          `read` looks, `write` changes, `admin` is for exec, prune and whatever reaches the host.",
    functions: &[
        containers::LIST,
        containers::INSPECT,
        create::CREATE,
        changes::START,
        changes::STOP,
        changes::RESTART,
        changes::KILL,
        changes::PAUSE,
        changes::UNPAUSE,
        changes::REMOVE,
        changes::RENAME,
        changes::UPDATE,
        changes::CLONE,
        containers::WAIT,
        containers::EXEC,
        containers::LOGS,
        containers::STATS,
        containers::STATS_ALL,
        containers::TOP,
        containers::EVENTS,
        findings::DIAGNOSE,
        findings::AUDIT,
        images::BUILD,
        images::PULL,
        images::PUSH,
        images::IMAGES,
        images::TAG,
        images::REMOVE_IMAGE,
        images::PRUNE,
        surroundings::NETWORKS,
        surroundings::NETWORK,
        surroundings::CREATE_NETWORK,
        surroundings::REMOVE_NETWORK,
        surroundings::CONNECT_NETWORK,
        surroundings::DISCONNECT_NETWORK,
        surroundings::VOLUMES,
        surroundings::VOLUME,
        surroundings::CREATE_VOLUME,
        surroundings::REMOVE_VOLUME,
        surroundings::DISK_USAGE,
        surroundings::INFO,
        surroundings::VERSION,
    ],
    ..Module::DEFAULT
};
