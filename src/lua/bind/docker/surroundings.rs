//! Networks, volumes, and the engine itself.

use super::changes::OPTIONS;
use super::{CHANGE, CONTAINER, Call, Field, Function, LOOK, Type, calls};
use crate::lua::bind::Record;

const TEXTS: Type = Type::List(&Type::String);
const SCALARS: Type = Type::Map(&Type::OneOf(&[Type::String, Type::Number, Type::Boolean]));
const NETWORK_NAME: Field = Field::required("network", Type::String, "Its name");
const VOLUME_NAME: Field = Field::required("volume", Type::String, "Its name");

const NAMES: Record = Record {
    name: "DockerNames",
    doc: "Which.",
    fields: &[Field::optional("names", TEXTS, "Names or patterns of names")],
};

const NETWORK_RECORD: Record = Record {
    name: "DockerNetwork",
    doc: "A network.",
    fields: &[
        Field::required("id", Type::String, "Its id"),
        Field::required("name", Type::String, "Its name"),
        Field::required("driver", Type::String, "bridge, host, overlay, …"),
        Field::required("scope", Type::String, "local or swarm"),
        Field::required("internal", Type::Boolean, "Cut off from the outside"),
        Field::required("attachable", Type::Boolean, "Containers outside of the swarm may join"),
        Field::required("ipv6", Type::Boolean, "It has IPv6"),
        Field::required("subnets", TEXTS, "`172.28.0.0/16`"),
        Field::required("gateways", TEXTS, "The host's addresses on it"),
        Field::optional("created_at", Type::Time, "When it was made"),
        Field::required("labels", Type::Map(&Type::String), "By key"),
        Field::required(
            "containers",
            Type::Map(&Type::String),
            "Addresses of running containers by name (`network` only)",
        ),
    ],
};

pub const NETWORKS: Function = Function {
    name: "networks",
    doc: "The networks that the grant covers, by name.",
    params: &[Field::optional("options", Type::Record(&NAMES), "Which; all unless said otherwise")],
    returns: Type::List(&Type::Record(&NETWORK_RECORD)),
    call: Call::Async(|context, args| Box::pin(calls::networks(context, args))),
    ..LOOK
};

pub const NETWORK: Function = Function {
    name: "network",
    doc: "One network with the containers on it.",
    params: &[NETWORK_NAME],
    returns: Type::Record(&NETWORK_RECORD),
    call: Call::Async(|context, args| Box::pin(calls::network(context, args))),
    ..LOOK
};

const CREATE_NETWORK_OPTIONS: Record = Record {
    name: "DockerCreateNetworkOptions",
    doc: "What it is like.",
    fields: &[
        Field::optional("driver", Type::String, "bridge unless said otherwise; others but overlay need admin"),
        Field::optional("subnet", Type::String, "`172.28.0.0/16`; the engine chooses unless said otherwise"),
        Field::optional("gateway", Type::String, "The host's address on it"),
        Field::optional("ip_range", Type::String, "From which containers get addresses"),
        Field::optional("internal", Type::Boolean, "Cut off from the outside"),
        Field::optional("attachable", Type::Boolean, "Containers outside of the swarm may join"),
        Field::optional("enable_ipv6", Type::Boolean, "With IPv6"),
        Field::optional("driver_opts", SCALARS, "For the driver; those that reach interfaces of the host need admin"),
        Field::optional("labels", SCALARS, "By key"),
        Field::DRY_RUN,
    ],
};

pub const CREATE_NETWORK: Function = Function {
    name: "create_network",
    doc: "Creates a network. Raises `docker.conflict` when there is one of that name.",
    params: &[NETWORK_NAME, Field::optional("options", Type::Record(&CREATE_NETWORK_OPTIONS), "What it is like")],
    call: Call::Async(|context, args| Box::pin(calls::create_network(context, args))),
    ..CHANGE
};

pub const REMOVE_NETWORK: Function = Function {
    name: "remove_network",
    doc: "Removes a network that no container is on.",
    params: &[NETWORK_NAME, OPTIONS],
    call: Call::Async(|context, args| Box::pin(calls::remove_network(context, args))),
    ..CHANGE
};

const CONNECT_OPTIONS: Record = Record {
    name: "DockerConnectOptions",
    doc: "How it sits there.",
    fields: &[
        Field::optional("aliases", TEXTS, "Further names under which others find it"),
        Field::optional("ipv4_address", Type::String, "A fixed address"),
        Field::optional("ipv6_address", Type::String, "A fixed address"),
        Field::DRY_RUN,
    ],
};

pub const CONNECT_NETWORK: Function = Function {
    name: "connect_network",
    doc: "Puts a container on a network.",
    params: &[NETWORK_NAME, CONTAINER, Field::optional("options", Type::Record(&CONNECT_OPTIONS), "How it sits there")],
    call: Call::Async(|context, args| Box::pin(calls::connect_network(context, args))),
    ..CHANGE
};

const FORCE_OPTIONS: Record = Record {
    name: "DockerForceOptions",
    doc: "How far to go.",
    fields: &[Field::optional("force", Type::Boolean, "Also when the other side does not answer"), Field::DRY_RUN],
};

const FORCE: Field = Field::optional("options", Type::Record(&FORCE_OPTIONS), "How far to go");

pub const DISCONNECT_NETWORK: Function = Function {
    name: "disconnect_network",
    doc: "Takes a container off a network.",
    params: &[NETWORK_NAME, CONTAINER, FORCE],
    call: Call::Async(|context, args| Box::pin(calls::disconnect_network(context, args))),
    ..CHANGE
};

const VOLUME_LIST_OPTIONS: Record = Record {
    name: "DockerVolumeListOptions",
    doc: "Which volumes.",
    fields: &[
        Field::optional("names", TEXTS, "Names or patterns of names"),
        Field::optional("dangling", Type::Boolean, "Only those that no container uses, or only the others"),
    ],
};

const VOLUME_RECORD: Record = Record {
    name: "DockerVolume",
    doc: "A volume.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::required("driver", Type::String, "Its driver"),
        Field::required("mountpoint", Type::String, "Where it is on the host"),
        Field::required("options", Type::Map(&Type::String), "Of the driver"),
        Field::required("labels", Type::Map(&Type::String), "By key"),
        Field::optional("created_at", Type::Time, "When it was made"),
    ],
};

pub const VOLUMES: Function = Function {
    name: "volumes",
    doc: "The volumes that the grant covers, by name.",
    params: &[Field::optional("options", Type::Record(&VOLUME_LIST_OPTIONS), "Which; all unless said otherwise")],
    returns: Type::List(&Type::Record(&VOLUME_RECORD)),
    call: Call::Async(|context, args| Box::pin(calls::volumes(context, args))),
    ..LOOK
};

pub const VOLUME: Function = Function {
    name: "volume",
    doc: "One volume.",
    params: &[VOLUME_NAME],
    returns: Type::Record(&VOLUME_RECORD),
    call: Call::Async(|context, args| Box::pin(calls::volume(context, args))),
    ..LOOK
};

const CREATE_VOLUME_OPTIONS: Record = Record {
    name: "DockerCreateVolumeOptions",
    doc: "What it is like.",
    fields: &[
        Field::optional("driver", Type::String, "local unless said otherwise; others need admin"),
        Field::optional("driver_opts", SCALARS, "For NFS: type, o and device; a path of the host needs admin"),
        Field::optional("labels", SCALARS, "By key"),
        Field::DRY_RUN,
    ],
};

pub const CREATE_VOLUME: Function = Function {
    name: "create_volume",
    doc: "Creates a volume. One that is there with the same settings stays; with others it raises `docker.conflict`.",
    params: &[VOLUME_NAME, Field::optional("options", Type::Record(&CREATE_VOLUME_OPTIONS), "What it is like")],
    call: Call::Async(|context, args| Box::pin(calls::create_volume(context, args))),
    ..CHANGE
};

pub const REMOVE_VOLUME: Function = Function {
    name: "remove_volume",
    doc: "Removes a volume that no container uses, with all that is in it.",
    params: &[VOLUME_NAME, FORCE],
    call: Call::Async(|context, args| Box::pin(calls::remove_volume(context, args))),
    ..CHANGE
};

const USAGE: Record = Record {
    name: "DockerUsage",
    doc: "Disk space of one kind.",
    fields: &[
        Field::required("count", Type::Integer, "How many"),
        Field::required("active", Type::Integer, "How many are in use"),
        Field::required("size_bytes", Type::Integer, "What they take"),
        Field::required("reclaimable_bytes", Type::Integer, "What pruning would free"),
    ],
};

const DISK_USAGE_RECORD: Record = Record {
    name: "DockerDiskUsage",
    doc: "Disk space that the engine takes.",
    fields: &[
        Field::required("images", Type::Record(&USAGE), "Images"),
        Field::required("containers", Type::Record(&USAGE), "What containers wrote"),
        Field::required("volumes", Type::Record(&USAGE), "Volumes"),
        Field::required("build_cache", Type::Record(&USAGE), "What builds keep"),
        Field::required("total_bytes", Type::Integer, "All of it"),
        Field::required("reclaimable_bytes", Type::Integer, "What pruning would free"),
    ],
};

pub const DISK_USAGE: Function = Function {
    name: "disk_usage",
    doc: "Disk space that the engine takes. Slow on a busy host.",
    returns: Type::Record(&DISK_USAGE_RECORD),
    call: Call::Async(|context, _| Box::pin(calls::disk_usage(context))),
    ..LOOK
};

pub const INFO: Function = Function {
    name: "info",
    doc: "The engine and its host: name, server_version, cpus, memory_bytes, containers_running, images, warnings and more.",
    returns: Type::Json,
    call: Call::Async(|context, _| Box::pin(calls::info(context))),
    ..LOOK
};

const VERSION_RECORD: Record = Record {
    name: "DockerVersion",
    doc: "The engine's version.",
    fields: &[
        Field::required("version", Type::String, "Of the engine"),
        Field::required("api_version", Type::String, "Of its API, the newest that it speaks"),
        Field::required("min_api_version", Type::String, "And the oldest"),
        Field::required("os", Type::String, "linux"),
        Field::required("arch", Type::String, "amd64, arm64, …"),
        Field::required("kernel", Type::String, "Of the host"),
    ],
};

pub const VERSION: Function = Function {
    name: "version",
    doc: "The engine's version.",
    returns: Type::Record(&VERSION_RECORD),
    call: Call::Async(|context, _| Box::pin(calls::version(context))),
    ..LOOK
};
