//! Options and answers.

use crate::lua::bind::docker::results::CONTAINER;
use crate::lua::bind::{Field, Record, Type};

const TEXTS: Type = Type::List(&Type::String);
const COMMAND: Type = Type::OneOf(&[Type::String, TEXTS]);
const VALUE: Type = Type::OneOf(&[Type::String, Type::Number, Type::Boolean, Type::Secret]);

const OF_SERVICES: Field = Field::optional("services", TEXTS, "Only these; all unless said otherwise");
const WITH_NEEDS: Field = Field::optional("services", TEXTS, "Only these, and those that they wait for");
const FORCE: Field = Field::optional("force", Type::Boolean, "Make every container anew");
const ORPHANS: Field =
    Field::optional("remove_orphans", Type::Boolean, "Remove containers of services that the files do not have");

pub const PLANNED: Record =
    Record { name: "StackPlanOptions", doc: "How far a plan goes.", fields: &[WITH_NEEDS, FORCE, ORPHANS] };

pub const UP: Record = Record {
    name: "StackUpOptions",
    doc: "How far to go.",
    fields: &[
        WITH_NEEDS,
        FORCE,
        ORPHANS,
        Field::optional(
            "wait",
            Type::Boolean,
            "Return when every service runs, and is healthy where it says how that is seen",
        ),
        Field::optional("timeout", Type::Duration, "For all of it; 10m unless said otherwise"),
        Field::DRY_RUN,
    ],
};

pub const DOWN: Record = Record {
    name: "StackDownOptions",
    doc: "How far to go.",
    fields: &[
        Field::optional("volumes", Type::Boolean, "Remove its volumes and their data too"),
        ORPHANS,
        Field::optional("timeout", Type::Duration, "For all of it; 5m unless said otherwise"),
        Field::DRY_RUN,
    ],
};

pub const SERVICES: Record =
    Record { name: "StackServices", doc: "Which services.", fields: &[OF_SERVICES, Field::DRY_RUN] };

pub const RESTART: Record = Record {
    name: "StackRestartOptions",
    doc: "Which services, and how patient to be.",
    fields: &[
        OF_SERVICES,
        Field::optional("timeout", Type::Duration, "From SIGTERM to SIGKILL; the container's own, or 10s"),
        Field::DRY_RUN,
    ],
};

pub const LOGS: Record = Record {
    name: "StackLogOptions",
    doc: "Which lines.",
    fields: &[
        OF_SERVICES,
        Field::optional("tail", Type::Integer, "The last so many of each container; 1000 unless said otherwise"),
        Field::optional("since", Type::String, "From a time on, or a duration back such as `10m`"),
    ],
};

pub const EXEC: Record = Record {
    name: "StackExecOptions",
    doc: "What is run, and how.",
    fields: &[
        Field::required("command", COMMAND, "A list of words, or a text that is split into words; never for a shell"),
        Field::optional("number", Type::Integer, "Which of the service's containers; 1 unless said otherwise"),
        Field::optional("environment", Type::Map(&VALUE), "Further variables"),
        Field::optional("user", Type::String, "`name`, `uid` or `uid:gid`"),
        Field::optional("working_dir", Type::String, "Where it starts"),
        Field::optional("timeout", Type::Duration, "It is killed when it runs for longer; 60s unless said otherwise"),
        Field::DRY_RUN,
    ],
};

const ACTION: Record = Record {
    name: "StackAction",
    doc: "Something to do.",
    fields: &[
        Field::required(
            "verb",
            Type::String,
            "pull, build, create, recreate, update, rename, start, restart, stop, remove",
        ),
        Field::required(
            "kind",
            Type::String,
            "image, network, volume or container; of a swarm's service, secret or config too",
        ),
        Field::required("name", Type::String, "What it is done to"),
        Field::optional("service", Type::String, "Whose"),
        Field::optional("number", Type::Integer, "Which of the service's containers"),
        Field::optional("id", Type::String, "Of the container that is there"),
        Field::required("reasons", TEXTS, "Why"),
    ],
};

const ACTIONS: Field = Field::required("actions", Type::List(&Type::Record(&ACTION)), "In order");
const WARNINGS: Field =
    Field::required("warnings", TEXTS, "What the files ask for and is not done, and what looks odd");

pub const PLAN: Record = Record {
    name: "StackPlan",
    doc: "What would be done.",
    fields: &[
        Field::required("project", Type::String, "The stack"),
        ACTIONS,
        Field::required("missing", TEXTS, "What must be there first"),
        WARNINGS,
    ],
};

pub const OUTCOME: Record = Record {
    name: "StackOutcome",
    doc: "What was done, or on a dry run would be.",
    fields: &[
        Field::required("project", Type::String, "The stack"),
        Field::required("changed", Type::Boolean, "False when there was nothing to do"),
        Field::required("dry_run", Type::Boolean, "Nothing was changed"),
        ACTIONS,
        WARNINGS,
    ],
};

pub const PULLED: Record = Record {
    name: "StackImage",
    doc: "An image that was fetched or built.",
    fields: &[
        Field::required("service", Type::String, "Whose"),
        Field::required("image", Type::String, "Its name"),
        Field::required("changed", Type::Boolean, "Another image is there now than before"),
    ],
};

const OF_SWARMS: [Field; 3] = [
    Field::required("service", Type::String, "Whose it is; empty for one that was not made from the files"),
    Field::optional("node", Type::String, "The node of the swarm that it is on"),
    Field::optional("error", Type::String, "Of a swarm's task: why it does not run, or why the one before it ended"),
];

pub const MEMBER: Record = Record {
    name: "StackContainer",
    doc: "A container of a stack, or a task of a swarm's, whose `state` may also be new, pending, preparing, ready, \
          starting, complete, failed, rejected or shutdown.",
    fields: &{
        let mut fields = [OF_SWARMS[0]; CONTAINER.fields.len() + OF_SWARMS.len()];
        let mut index = 0;
        while index < CONTAINER.fields.len() {
            fields[index] = CONTAINER.fields[index];
            index += 1;
        }
        while index < fields.len() {
            fields[index] = OF_SWARMS[index - CONTAINER.fields.len()];
            index += 1;
        }
        fields
    },
};

pub const LINE: Record = Record {
    name: "StackLine",
    doc: "A line of one of the stack's containers.",
    fields: &[
        Field::required("container", Type::String, "Who printed it"),
        Field::required("service", Type::String, "Of which service"),
        Field::optional("at", Type::Time, "When"),
        Field::required("stream", Type::String, "stdout or stderr"),
        Field::required("text", Type::String, "The line"),
    ],
};
