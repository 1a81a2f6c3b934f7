<<<<<<< HEAD
//! `aegis.docker`: the Docker Engine.

mod calls;
mod changes;
mod containers;
mod convert;
mod create;
mod images;
mod results;
mod surroundings;

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
        containers::WAIT,
        containers::EXEC,
        containers::LOGS,
        containers::STATS,
        containers::STATS_ALL,
        containers::TOP,
        containers::EVENTS,
        images::PULL,
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
=======
//! `aegis.docker`: containers, images, networks and volumes of the Docker Engine.

mod call;
mod create;
mod spec;

use super::{Call, Field, Function, Module, Type};
use spec::{CONTAINER, NAME, options};

const READ: Option<&str> = Some("docker = \"read\"");
const WRITE: Option<&str> = Some("docker = \"write\"");
const ADMIN: Option<&str> = Some("docker = \"admin\"");

pub const MODULE: Module = Module {
    name: "docker",
    doc: "Containers, images, networks and volumes of the Docker Engine. A container is named by its name or the \
          beginning of its id.",
    functions: &[
        LIST,
        INSPECT,
        CREATE,
        START,
        STOP,
        RESTART,
        KILL,
        PAUSE,
        UNPAUSE,
        REMOVE,
        RENAME,
        WAIT,
        EXEC,
        LOGS,
        STATS,
        TOP,
        IMAGES,
        PULL,
        TAG,
        REMOVE_IMAGE,
        PRUNE,
        DISK_USAGE,
        NETWORKS,
        NETWORK,
        CREATE_NETWORK,
        REMOVE_NETWORK,
        CONNECT,
        DISCONNECT,
        VOLUMES,
        VOLUME,
        CREATE_VOLUME,
        REMOVE_VOLUME,
        EVENTS,
        INFO,
        VERSION,
    ],
    ..Module::DEFAULT
};

const RUNNING: Function = Function { returns: Type::Json, permission: READ, ..Function::DEFAULT };
const CHANGE: Function = Function { returns: Type::Json, permission: WRITE, ..Function::DEFAULT };

const LIST: Function = Function {
    name: "list",
    doc: "Containers with their image, state, health, uptime, ports, networks, mounts, labels and exit code. Those \
          that the job may not see are left out.",
    params: &[options(&spec::LIST)],
    call: Call::Async(|context, args| Box::pin(call::list(context, args))),
    ..RUNNING
};
const INSPECT: Function = Function {
    name: "inspect",
    doc: "All about one container. Values of environment variables are shown to jobs with `docker = \"admin\"` only.",
    params: &[CONTAINER],
    call: Call::Async(|context, args| Box::pin(call::inspect(context, args))),
    ..RUNNING
};
const CREATE: Function = Function {
    name: "create",
    doc: "Creates a container and does not start it. Options have the names that Compose gives them; privileged ones \
          need `docker = \"admin\"`. What the engine is too old for is named in `warnings`.",
    params: &[Field::required("options", Type::Record(&create::OPTIONS), "What it is made of")],
    call: Call::Async(|context, args| Box::pin(call::create(context, args))),
    ..CHANGE
};
const START: Function = Function {
    name: "start",
    doc: "Starts a container. One that runs already is left alone.",
    params: &[CONTAINER, options(&spec::CHANGE)],
    call: Call::Async(|context, args| Box::pin(call::start(context, args))),
    ..CHANGE
};
const STOP: Function = Function {
    name: "stop",
    doc: "Stops a container: its stop signal, then SIGKILL after the timeout.",
    params: &[CONTAINER, options(&spec::STOP)],
    call: Call::Async(|context, args| Box::pin(call::stop(context, args))),
    ..CHANGE
};
const RESTART: Function = Function {
    name: "restart",
    doc: "Stops and starts a container.",
    params: &[CONTAINER, options(&spec::STOP)],
    call: Call::Async(|context, args| Box::pin(call::restart(context, args))),
    ..CHANGE
};
const KILL: Function = Function {
    name: "kill",
    doc: "Sends a signal to a container.",
    params: &[CONTAINER, options(&spec::KILL)],
    call: Call::Async(|context, args| Box::pin(call::kill(context, args))),
    ..CHANGE
};
const PAUSE: Function = Function {
    name: "pause",
    doc: "Freezes a container's processes.",
    params: &[CONTAINER, options(&spec::CHANGE)],
    call: Call::Async(|context, args| Box::pin(call::pause(context, args))),
    ..CHANGE
};
const UNPAUSE: Function = Function {
    name: "unpause",
    doc: "Lets a paused container go on.",
    params: &[CONTAINER, options(&spec::CHANGE)],
    call: Call::Async(|context, args| Box::pin(call::unpause(context, args))),
    ..CHANGE
};
const REMOVE: Function = Function {
    name: "remove",
    doc: "Removes a container.",
    params: &[CONTAINER, options(&spec::REMOVE)],
    call: Call::Async(|context, args| Box::pin(call::remove(context, args))),
    ..CHANGE
};
const RENAME: Function = Function {
    name: "rename",
    doc: "Gives a container another name.",
    params: &[CONTAINER, Field::required("name", Type::String, "Its new name"), options(&spec::CHANGE)],
    call: Call::Async(|context, args| Box::pin(call::rename(context, args))),
    ..CHANGE
};
const WAIT: Function = Function {
    name: "wait",
    doc: "Waits until a container has ended, and tells how. An exit code other than 0 is no error.",
    params: &[CONTAINER, options(&spec::WAIT)],
    call: Call::Async(|context, args| Box::pin(call::wait(context, args))),
    ..RUNNING
};
const EXEC: Function = Function {
    name: "exec",
    doc: "Runs a command inside a container and waits for it: exit code, stdout, stderr.",
    params: &[CONTAINER, Field::required("options", Type::Record(&spec::EXEC), "What to run")],
    permission: ADMIN,
    call: Call::Async(|context, args| Box::pin(call::exec(context, args))),
    ..CHANGE
};
const LOGS: Function = Function {
    name: "logs",
    doc: "The last lines of a container's log, oldest first.",
    params: &[CONTAINER, options(&spec::LOGS)],
    call: Call::Async(|context, args| Box::pin(call::logs(context, args))),
    ..RUNNING
};
const STATS: Function = Function {
    name: "stats",
    doc: "Processor, memory, network and disk use: of one container, or of all that run when none is named.",
    params: &[Field::optional("container", Type::String, "Its name or id")],
    call: Call::Async(|context, args| Box::pin(call::stats(context, args))),
    ..RUNNING
};
const TOP: Function = Function {
    name: "top",
    doc: "The processes inside a container.",
    params: &[CONTAINER],
    call: Call::Async(|context, args| Box::pin(call::top(context, args))),
    ..RUNNING
};
const IMAGES: Function = Function {
    name: "images",
    doc: "Images on this host.",
    params: &[options(&spec::IMAGES)],
    call: Call::Async(|context, args| Box::pin(call::images(context, args))),
    ..RUNNING
};
const PULL: Function = Function {
    name: "pull",
    doc: "Gets an image from its registry and tells whether it changed. Progress shows on the run.",
    params: &[spec::IMAGE, options(&spec::PULL)],
    call: Call::Async(|context, args| Box::pin(call::pull(context, args))),
    ..CHANGE
};
const TAG: Function = Function {
    name: "tag",
    doc: "Gives an image another name.",
    params: &[spec::IMAGE, Field::required("name", Type::String, "The further name"), options(&spec::CHANGE)],
    call: Call::Async(|context, args| Box::pin(call::tag(context, args))),
    ..CHANGE
};
const REMOVE_IMAGE: Function = Function {
    name: "remove_image",
    doc: "Removes an image.",
    params: &[spec::IMAGE, options(&spec::REMOVE_IMAGE)],
    call: Call::Async(|context, args| Box::pin(call::remove_image(context, args))),
    ..CHANGE
};
const PRUNE: Function = Function {
    name: "prune",
    doc: "Removes what is unused of one kind: containers, images, volumes or networks. With `dry_run` it tells what it \
          would remove.",
    params: &[
        Field::required("kind", Type::Choice(&["containers", "images", "volumes", "networks"]), "What to look through"),
        options(&spec::PRUNE),
    ],
    permission: ADMIN,
    call: Call::Async(|context, args| Box::pin(call::prune(context, args))),
    ..CHANGE
};
const DISK_USAGE: Function = Function {
    name: "disk_usage",
    doc: "How much disk images, containers, volumes and the build cache take.",
    call: Call::Async(|context, args| Box::pin(call::disk_usage(context, args))),
    ..RUNNING
};
const NETWORKS: Function = Function {
    name: "networks",
    doc: "Networks with their subnets and containers.",
    params: &[options(&spec::NAMES)],
    call: Call::Async(|context, args| Box::pin(call::networks(context, args))),
    ..RUNNING
};
const NETWORK: Function = Function {
    name: "network",
    doc: "One network.",
    params: &[NAME],
    call: Call::Async(|context, args| Box::pin(call::network(context, args))),
    ..RUNNING
};
const CREATE_NETWORK: Function = Function {
    name: "create_network",
    doc: "Creates a network.",
    params: &[NAME, options(&spec::CREATE_NETWORK)],
    call: Call::Async(|context, args| Box::pin(call::create_network(context, args))),
    ..CHANGE
};
const REMOVE_NETWORK: Function = Function {
    name: "remove_network",
    doc: "Removes a network that no container uses.",
    params: &[NAME, options(&spec::CHANGE)],
    call: Call::Async(|context, args| Box::pin(call::remove_network(context, args))),
    ..CHANGE
};
const CONNECT: Function = Function {
    name: "connect_network",
    doc: "Connects a container to a network.",
    params: &[NAME, CONTAINER, options(&spec::CONNECT)],
    call: Call::Async(|context, args| Box::pin(call::connect_network(context, args))),
    ..CHANGE
};
const DISCONNECT: Function = Function {
    name: "disconnect_network",
    doc: "Disconnects a container from a network.",
    params: &[NAME, CONTAINER, options(&spec::FORCE)],
    call: Call::Async(|context, args| Box::pin(call::disconnect_network(context, args))),
    ..CHANGE
};
const VOLUMES: Function = Function {
    name: "volumes",
    doc: "Named volumes.",
    params: &[options(&spec::VOLUMES)],
    call: Call::Async(|context, args| Box::pin(call::volumes(context, args))),
    ..RUNNING
};
const VOLUME: Function = Function {
    name: "volume",
    doc: "One volume.",
    params: &[NAME],
    call: Call::Async(|context, args| Box::pin(call::volume(context, args))),
    ..RUNNING
};
const CREATE_VOLUME: Function = Function {
    name: "create_volume",
    doc: "Creates a named volume. One of that name with other options is an error, not a silent surprise.",
    params: &[NAME, options(&spec::CREATE_VOLUME)],
    call: Call::Async(|context, args| Box::pin(call::create_volume(context, args))),
    ..CHANGE
};
const REMOVE_VOLUME: Function = Function {
    name: "remove_volume",
    doc: "Removes a volume that no container uses.",
    params: &[NAME, options(&spec::FORCE)],
    call: Call::Async(|context, args| Box::pin(call::remove_volume(context, args))),
    ..CHANGE
};
const EVENTS: Function = Function {
    name: "events",
    doc: "Collects what the engine reports, for a while or until there is enough.",
    params: &[options(&spec::EVENTS)],
    call: Call::Async(|context, args| Box::pin(call::events(context, args))),
    ..RUNNING
};
const INFO: Function = Function {
    name: "info",
    doc: "The engine's host: processors, memory, storage driver, containers by state.",
    call: Call::Async(|context, args| Box::pin(call::info(context, args))),
    ..RUNNING
};
const VERSION: Function = Function {
    name: "version",
    doc: "Versions of the engine and of its API.",
    call: Call::Async(|context, args| Box::pin(call::version(context, args))),
    ..RUNNING
};
>>>>>>> main
