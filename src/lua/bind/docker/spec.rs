//! The option tables of `aegis.docker`.

use super::super::{Field, Record, Type};

/// `"30s"`, or seconds.
pub const SPAN: Type = Type::OneOf(&[Type::String, Type::Number]);
/// `"64MiB"`, or bytes.
pub const SIZE: Type = SPAN;
/// One text or a list of them.
pub const TEXTS: Type = Type::OneOf(&[Type::String, Type::List(&Type::String)]);
const SCALAR: Type = Type::OneOf(&[Type::String, Type::Number, Type::Boolean]);
/// A map, or a list of `"NAME=value"`.
pub const PAIRS: Type = Type::OneOf(&[Type::List(&Type::String), Type::Map(&SCALAR)]);

pub const CONTAINER: Field = Field::required("container", Type::String, "Its name or id");
pub const IMAGE: Field = Field::required("image", Type::String, "Its name, with a tag or digest");
pub const NAME: Field = Field::required("name", Type::String, "Its name");

pub const fn options(record: &'static Record) -> Field {
    Field::optional("options", Type::Record(record), record.doc)
}

const NAMES_FIELD: Field = Field::optional("names", TEXTS, "Only these; `*` stands for any characters");
const LABELS_FIELD: Field = Field::optional("labels", TEXTS, "Only those with these labels: \"key\" or \"key=value\"");
const FORCE_FIELD: Field = Field::optional("force", Type::Boolean, "Even if it is in use");
const SINCE: Field = Field::optional("since", Type::String, "From then on: RFC 3339, or back from now such as \"10m\"");

pub const LIST: Record = Record {
    name: "DockerList",
    doc: "Which containers",
    fields: &[
        Field::optional("all", Type::Boolean, "Also those that do not run; true unless said otherwise"),
        NAMES_FIELD,
        Field::optional("states", TEXTS, "Only in these states: running, exited, restarting, …"),
        LABELS_FIELD,
        Field::optional("stack", Type::String, "Only of this Compose project"),
    ],
};
pub const CHANGE: Record = Record { name: "DockerChange", doc: "How", fields: &[Field::DRY_RUN] };
pub const STOP: Record = Record {
    name: "DockerStop",
    doc: "How long to wait",
    fields: &[Field::optional("timeout", SPAN, "Before SIGKILL; the container's own unless given"), Field::DRY_RUN],
};
pub const KILL: Record = Record {
    name: "DockerKill",
    doc: "Which signal",
    fields: &[Field::optional("signal", Type::String, "SIGKILL unless given"), Field::DRY_RUN],
};
pub const REMOVE: Record = Record {
    name: "DockerRemove",
    doc: "What else goes",
    fields: &[
        Field::optional("force", Type::Boolean, "Kill it first if it runs"),
        Field::optional("volumes", Type::Boolean, "Its anonymous volumes too"),
        Field::DRY_RUN,
    ],
};
pub const WAIT: Record = Record {
    name: "DockerWait",
    doc: "How long",
    fields: &[Field::optional("timeout", SPAN, "An error after this long")],
};
pub const EXEC: Record = Record {
    name: "DockerExec",
    doc: "What to run inside",
    fields: &[
        Field::required("command", TEXTS, "Program and arguments; no shell is involved"),
        Field::optional("environment", PAIRS, "Further variables"),
        Field::optional("user", Type::String, "As whom"),
        Field::optional("working_dir", Type::String, "Where"),
        Field::optional("privileged", Type::Boolean, "With every capability"),
        Field::optional("timeout", SPAN, "An error after this long; the command itself goes on"),
        Field::DRY_RUN,
    ],
};
pub const LOGS: Record = Record {
    name: "DockerLogs",
    doc: "Which lines",
    fields: &[
        Field::optional("tail", Type::Integer, "The last so many; 1000 unless given"),
        SINCE,
        // `until` is a word of the language.
        Field::optional("before", Type::String, "Up to then"),
        Field::optional("stdout", Type::Boolean, "true unless said otherwise"),
        Field::optional("stderr", Type::Boolean, "true unless said otherwise"),
        Field::optional("timestamps", Type::Boolean, "Each line's time in `at`; true unless said otherwise"),
    ],
};
pub const IMAGES: Record = Record {
    name: "DockerImages",
    doc: "Which images",
    fields: &[NAMES_FIELD, Field::optional("dangling", Type::Boolean, "Only those without a name, or only with")],
};
pub const PULL_POLICY: Field = Field::optional(
    "policy",
    Type::Choice(&["always", "missing", "if_not_present", "never"]),
    "always unless given; never: an error when it is not here",
);
pub const AUTH: Record = Record {
    name: "DockerAuth",
    doc: "Who you are at the registry",
    fields: &[
        Field::required("username", Type::String, "The name"),
        Field::required("password", Type::String, "The password or token"),
        Field::optional("server", Type::String, "The registry"),
    ],
};
pub const PULL: Record = Record {
    name: "DockerPull",
    doc: "How to get it",
    fields: &[
        PULL_POLICY,
        Field::optional("platform", Type::String, "linux/arm64, say"),
        Field::optional("auth", Type::Record(&AUTH), "For a registry that asks"),
        Field::optional("timeout", SPAN, "For all of it; 30m unless given"),
        Field::DRY_RUN,
    ],
};
pub const REMOVE_IMAGE: Record =
    Record { name: "DockerRemoveImage", doc: "How", fields: &[FORCE_FIELD, Field::DRY_RUN] };
pub const FORCE: Record = Record { name: "DockerForce", doc: "How", fields: &[FORCE_FIELD, Field::DRY_RUN] };
pub const PRUNE: Record = Record {
    name: "DockerPrune",
    doc: "What is spared",
    fields: &[
        Field::optional("all", Type::Boolean, "Images: also those with a name; volumes: also named ones"),
        Field::optional("older_than", SPAN, "Only what was made before that long ago"),
        LABELS_FIELD,
        Field::optional("keep", TEXTS, "Never what has one of these names; `*` stands for any characters"),
        Field::DRY_RUN,
    ],
};
pub const NAMES: Record = Record { name: "DockerNames", doc: "Which", fields: &[NAMES_FIELD] };
pub const CREATE_NETWORK: Record = Record {
    name: "DockerCreateNetwork",
    doc: "What it is like",
    fields: &[
        Field::optional("driver", Type::String, "bridge unless given"),
        Field::optional("subnet", Type::String, "10.10.0.0/24, say"),
        Field::optional("gateway", Type::String, "An address of the subnet"),
        Field::optional("ip_range", Type::String, "Where containers' addresses come from"),
        Field::optional("internal", Type::Boolean, "No way out"),
        Field::optional("attachable", Type::Boolean, "Swarm: containers may join by hand"),
        Field::optional("driver_opts", PAIRS, "For the driver"),
        Field::optional("labels", PAIRS, "Labels"),
        Field::DRY_RUN,
    ],
};
pub const CONNECT: Record = Record {
    name: "DockerConnect",
    doc: "How it is known there",
    fields: &[Field::optional("aliases", TEXTS, "Further names in the network's DNS"), Field::DRY_RUN],
};
pub const VOLUMES: Record = Record {
    name: "DockerVolumes",
    doc: "Which volumes",
    fields: &[
        NAMES_FIELD,
        Field::optional("dangling", Type::Boolean, "Only those that no container uses, or only with"),
    ],
};
pub const CREATE_VOLUME: Record = Record {
    name: "DockerCreateVolume",
    doc: "What it is like",
    fields: &[
        Field::optional("driver", Type::String, "local unless given"),
        Field::optional("driver_opts", PAIRS, "For the driver: type, o, device, say"),
        Field::optional("labels", PAIRS, "Labels"),
        Field::DRY_RUN,
    ],
};
pub const EVENTS: Record = Record {
    name: "DockerEvents",
    doc: "Which events, and for how long",
    fields: &[
        Field::optional("types", TEXTS, "container, image, network, volume, …"),
        Field::optional("actions", TEXTS, "start, die, health_status, …"),
        Field::optional("containers", TEXTS, "Only of these"),
        LABELS_FIELD,
        SINCE,
        Field::optional("during", Type::Duration, "How long to listen; 10s unless given"),
        Field::optional("limit", Type::Integer, "Ends after so many; 1000 at most, and unless given"),
    ],
};
