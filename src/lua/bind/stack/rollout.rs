//! Options and answers of what rollouts are made of.

use crate::lua::bind::{Field, Record, Type};

const TEXTS: Type = Type::List(&Type::String);

pub const PREPARE: Record = Record {
    name: "StackPrepareOptions",
    doc: "How far to go before containers are touched.",
    fields: &[
        Field::optional("services", TEXTS, "Only these, and those that they wait for"),
        Field::optional("refresh", Type::Boolean, "Ask for newer images too, and build anew what is built here"),
        Field::optional("keep_images", TEXTS, "Services whose images are neither fetched nor built"),
        Field::optional("timeout", Type::Duration, "For all of it; 10m unless said otherwise"),
        Field::DRY_RUN,
    ],
};

pub const MAKE: Record = Record {
    name: "StackCreateOptions",
    doc: "Which container, and what it has besides what the files say.",
    fields: &[
        Field::optional("number", Type::Integer, "Which of the service's containers; 1 unless said otherwise"),
        Field::optional("name", Type::String, "Its name; the one of the files unless said otherwise"),
        Field::optional("image", Type::String, "An image on the host in place of the one of the files"),
        Field::optional("labels", Type::Map(&Type::String), "Further labels"),
        Field::optional(
            "replaces",
            Type::String,
            "The id of the container whose place it is to take: volumes without a name go on with it",
        ),
        Field::DRY_RUN,
    ],
};

pub const MADE: Record = Record {
    name: "StackMade",
    doc: "A container that was made and does not run yet.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::required("service", Type::String, "Whose"),
        Field::required("number", Type::Integer, "Which of the service's containers"),
        Field::optional("id", Type::String, "Its id; nil on a dry run"),
        Field::optional("image_id", Type::String, "What it was made of"),
    ],
};

const PORT: Record = Record {
    name: "StackPort",
    doc: "A port of the host.",
    fields: &[
        Field::required("port", Type::Integer, "Its number"),
        Field::required("protocol", Type::String, "tcp, udp or sctp"),
        Field::required("protocol", Type::String, "tcp, udp or sctp"),
        Field::optional("host_ip", Type::String, "The host's address; all of them unless said"),
    ],
};

pub const STANDING: Record = Record {
    name: "StackService",
    doc: "A service, and how it may be replaced.",
    fields: &[
        Field::required("name", Type::String, "Its name in the files"),
        Field::required("image", Type::String, "The name of its image"),
        Field::optional("image_id", Type::String, "What that name stands for on the host; nil when it is not there"),
        Field::required("build", Type::Boolean, "Its image is built here"),
        Field::required("replicas", Type::Integer, "How many containers it has"),
        Field::required("hash", Type::String, "Of all that makes its containers what they are"),
        Field::required("needs", TEXTS, "Services that it waits for"),
        Field::required("shares", TEXTS, "Services whose namespaces or volumes it has too"),
        Field::required("healthcheck", Type::Boolean, "The files say how it is seen that it is well"),
        Field::required("completes", Type::Boolean, "Others wait for its end"),
        Field::required("ports", Type::List(&Type::Record(&PORT)), "Ports of the host that no two containers can have"),
        Field::required("writes", TEXTS, "Volumes and paths of the host that it may write to"),
        Field::optional(
            "alone",
            Type::String,
            "Why the old and the new container cannot run at the same time; nil when they can",
        ),
    ],
};
