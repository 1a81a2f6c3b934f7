//! The tables that `aegis.docker` gives.

use crate::lua::bind::{Field, Record, Type};

const TEXTS: Type = Type::List(&Type::String);
const LABELS: Field = Field::required("labels", Type::Map(&Type::String), "By key");

pub const DONE: Record = Record {
    name: "DockerDone",
    doc: "What was done, or on a dry run would be.",
    fields: &[
        Field::required("action", Type::String, "start, stop, create_network, …"),
        Field::required("object", Type::String, "The name of what it is about"),
        Field::optional("id", Type::String, "Its id"),
        Field::required("dry_run", Type::Boolean, "Nothing was changed"),
        Field::required("changed", Type::Boolean, "False when it was so already"),
        Field::optional("details", Type::Json, "The particulars of the plan"),
        Field::required("warnings", TEXTS, "What the engine does not do as asked"),
    ],
};

const PORT: Record = Record {
    name: "DockerPort",
    doc: "A port of a container.",
    fields: &[
        Field::required("target", Type::Integer, "In the container"),
        Field::required("protocol", Type::String, "tcp, udp or sctp"),
        Field::optional("published", Type::Integer, "On the host; nil when it is not published"),
        Field::optional("host_ip", Type::String, "The host's address that it is bound to"),
    ],
};

const ATTACHMENT: Record = Record {
    name: "DockerAttachment",
    doc: "A network that a container is on.",
    fields: &[
        Field::required("name", Type::String, "The network's name"),
        Field::optional("ip_address", Type::String, "While it runs"),
        Field::optional("gateway", Type::String, "While it runs"),
        Field::required("aliases", TEXTS, "Further names that it has there"),
    ],
};

const MOUNT: Record = Record {
    name: "DockerMount",
    doc: "A volume, a folder of the host or memory in a container.",
    fields: &[
        Field::required("kind", Type::String, "bind, volume or tmpfs"),
        Field::optional("name", Type::String, "The volume's name"),
        Field::required("source", Type::String, "The path on the host"),
        Field::required("target", Type::String, "The path in the container"),
        Field::required("read_only", Type::Boolean, "It cannot be written"),
        Field::optional("driver", Type::String, "The volume's driver"),
    ],
};

/// The fields of a container, for the list and for the inspection.
const CONTAINER_FIELDS: [Field; 18] = [
    Field::required("id", Type::String, "Its id"),
    Field::required("name", Type::String, "Its name"),
    Field::required("image", Type::String, "The image's name"),
    Field::required("image_id", Type::String, "The image's id"),
    Field::required("command", Type::String, "What it runs"),
    Field::required("status", Type::String, "As people read it: `Up 5 minutes (healthy)`"),
    Field::required("state", Type::String, "created, running, paused, restarting, removing, exited or dead"),
    Field::optional("health", Type::String, "starting, healthy or unhealthy; nil without a health check"),
    Field::optional("created_at", Type::Time, "When it was made"),
    Field::optional("started_at", Type::Time, "When it was last started"),
    Field::optional("finished_at", Type::Time, "When it last ended"),
    Field::optional("uptime_seconds", Type::Integer, "While it runs"),
    Field::optional("exit_code", Type::Integer, "Of its last end; nil while it runs"),
    Field::required("oom_killed", Type::Boolean, "It ended for want of memory"),
    Field::required("restart_count", Type::Integer, "How often the engine restarted it"),
    Field::optional("purpose", Type::String, "Its label `aegis.purpose`, or `purpose`"),
    Field::required("ports", Type::List(&Type::Record(&PORT)), "Its ports"),
    Field::required("networks", Type::List(&Type::Record(&ATTACHMENT)), "Its networks"),
];

const MOUNTS: Field = Field::required("mounts", Type::List(&Type::Record(&MOUNT)), "What is mounted in it");

pub const CONTAINER: Record = Record {
    name: "DockerContainer",
    doc: "A container.",
    fields: &{
        let mut fields = [LABELS; CONTAINER_FIELDS.len() + 2];
        let mut index = 0;
        while index < CONTAINER_FIELDS.len() {
            fields[index] = CONTAINER_FIELDS[index];
            index += 1;
        }
        fields[index] = MOUNTS;
        fields
    },
};

const LIMITS: Record = Record {
    name: "DockerLimits",
    doc: "What a container may use; nil is unlimited.",
    fields: &[
        Field::optional("cpus", Type::Number, "CPUs"),
        Field::optional("memory_bytes", Type::Integer, "Memory"),
        Field::optional("memory_reservation_bytes", Type::Integer, "Memory that it gets when memory is scarce"),
        Field::optional("memory_swap_bytes", Type::Integer, "Memory and swap together"),
        Field::optional("pids", Type::Integer, "Processes"),
    ],
};

const PROBE: Record = Record {
    name: "DockerHealthProbe",
    doc: "One health check.",
    fields: &[
        Field::required("at", Type::String, "When it began"),
        Field::required("exit_code", Type::Integer, "0 is healthy"),
        Field::required("output", Type::String, "What it printed"),
    ],
};

const SETTINGS: [Field; 19] = [
    LABELS,
    Field::required("entrypoint", TEXTS, "What is run"),
    Field::required("arguments", TEXTS, "With what"),
    Field::required("environment", TEXTS, "Names of its variables; values are in `raw`, with the permission admin"),
    Field::required("user", Type::String, "Empty for the image's own"),
    Field::required("working_dir", Type::String, "Where it starts"),
    Field::required("hostname", Type::String, "Its own name for itself"),
    Field::required("restart_policy", Type::String, "no, always, unless-stopped, on-failure or on-failure:5"),
    Field::required("network_mode", Type::String, "The network that it was created on"),
    Field::required("log_driver", Type::String, "Where its output goes"),
    Field::required("privileged", Type::Boolean, "It has all rights of the host"),
    Field::required("read_only", Type::Boolean, "Its root cannot be written"),
    Field::required("cap_add", TEXTS, "Capabilities that it has besides the usual"),
    Field::required("cap_drop", TEXTS, "Capabilities that it lacks"),
    Field::required("limits", Type::Record(&LIMITS), "What it may use"),
    Field::optional("healthcheck", TEXTS, "The command of its health check"),
    Field::required("health_failing_streak", Type::Integer, "Failed checks in a row"),
    Field::required("health_log", Type::List(&Type::Record(&PROBE)), "Its latest checks, the newest last"),
    Field::required("error", Type::String, "What the engine says of a failed start"),
];

pub const INSPECTION: Record = Record {
    name: "DockerInspection",
    doc: "A container with its settings.",
    fields: &{
        let raw = Field::required("raw", Type::Json, "The engine's own answer");
        let mut fields = [raw; CONTAINER_FIELDS.len() + SETTINGS.len() + 2];
        let mut index = 0;
        while index < CONTAINER_FIELDS.len() {
            fields[index] = CONTAINER_FIELDS[index];
            index += 1;
        }
        let mut setting = 0;
        while setting < SETTINGS.len() {
            fields[index] = SETTINGS[setting];
            index += 1;
            setting += 1;
        }
        fields[index] = MOUNTS;
        fields
    },
};

pub const CREATED: Record = Record {
    name: "DockerCreated",
    doc: "A container that was created, or on a dry run would be.",
    fields: &[
        Field::optional("id", Type::String, "Its id; nil on a dry run"),
        Field::optional("name", Type::String, "Its name; nil when the engine chose one"),
        Field::required("image", Type::String, "The image's name"),
        Field::required("pulled", Type::Boolean, "The image was fetched first"),
        Field::required("dry_run", Type::Boolean, "Nothing was changed"),
        Field::required("plan", Type::Json, "The request to the engine, without values of the environment"),
        Field::required("warnings", TEXTS, "What this engine does not do as asked"),
    ],
};

pub const WAITED: Record = Record {
    name: "DockerWaited",
    doc: "How a container ended.",
    fields: &[
        Field::required("id", Type::String, "Its id"),
        Field::required("name", Type::String, "Its name"),
        Field::required("exit_code", Type::Integer, "137 is killed, 143 is stopped"),
        Field::required("oom_killed", Type::Boolean, "It ended for want of memory"),
        Field::optional("error", Type::String, "What the engine says of a container that could not run"),
    ],
};

pub const EXECUTED: Record = Record {
    name: "DockerExecuted",
    doc: "What a command in a container did.",
    fields: &[
        Field::required("container", Type::String, "The container's name"),
        Field::required("command", TEXTS, "What was run"),
        Field::optional("exit_code", Type::Integer, "nil on a dry run"),
        Field::required("stdout", Type::String, "What it printed"),
        Field::required("stderr", Type::String, "What it complained of"),
        Field::required("truncated", Type::Boolean, "The end of the output is missing: it is over 8 MiB"),
        Field::required("dry_run", Type::Boolean, "It was not run"),
    ],
};

pub const LOG_LINE: Record = Record {
    name: "DockerLogLine",
    doc: "A line that a container printed.",
    fields: &[
        Field::optional("at", Type::Time, "When"),
        Field::required("stream", Type::String, "stdout or stderr"),
        Field::required("text", Type::String, "Without the line end"),
    ],
};

pub const LOGS: Record = Record {
    name: "DockerLogs",
    doc: "What a container printed.",
    fields: &[
        Field::required("lines", Type::List(&Type::Record(&LOG_LINE)), "The oldest first"),
        Field::required("truncated", Type::Boolean, "Older lines are missing: they are over 8 MiB"),
        Field::optional("next", Type::Time, "What to pass as `after` to go on behind these lines"),
        Field::required("running", Type::Boolean, "The container runs: more lines may come"),
    ],
};

pub const STATS: Record = Record {
    name: "DockerStats",
    doc: "What a container uses. Nil where it does not run or the kernel does not say.",
    fields: &[
        Field::required("id", Type::String, "Its id"),
        Field::required("name", Type::String, "Its name"),
        Field::required("running", Type::Boolean, "Whether it runs"),
        Field::optional("cpu_percent", Type::Number, "Of one CPU: 200 is two CPUs busy"),
        Field::optional("online_cpus", Type::Integer, "CPUs of the host"),
        Field::optional("memory_bytes", Type::Integer, "Without the page cache that can be dropped"),
        Field::optional("memory_limit_bytes", Type::Integer, "Its limit, or the host's memory"),
        Field::optional("memory_percent", Type::Number, "Of the limit"),
        Field::optional("pids", Type::Integer, "Processes and threads"),
        Field::required("network_rx_bytes", Type::Integer, "Received since it started"),
        Field::required("network_tx_bytes", Type::Integer, "Sent since it started"),
        Field::required("block_read_bytes", Type::Integer, "Read from disks since it started"),
        Field::required("block_write_bytes", Type::Integer, "Written to disks since it started"),
    ],
};

pub const TOP: Record = Record {
    name: "DockerTop",
    doc: "The processes of a container.",
    fields: &[
        Field::required("titles", TEXTS, "Column heads of `ps -ef`"),
        Field::required("processes", Type::List(&TEXTS), "One row a process, in the order of the heads"),
    ],
};

pub const EVENT: Record = Record {
    name: "DockerEvent",
    doc: "Something that happened in the engine.",
    fields: &[
        Field::required("at", Type::Time, "When"),
        Field::required("type", Type::String, "container, image, network, volume or daemon"),
        Field::required("action", Type::String, "start, die, oom, health_status, …"),
        Field::optional("detail", Type::String, "What follows the action's colon, such as `healthy`"),
        Field::required("id", Type::String, "The object's id"),
        Field::required("name", Type::String, "The object's name"),
        Field::optional("exit_code", Type::Integer, "Of a container that ended"),
        Field::required("attributes", Type::Map(&Type::String), "Whatever else the engine tells, labels included"),
    ],
};
