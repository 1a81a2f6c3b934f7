//! Creating a container, with the names of the Compose file.

use super::{CHANGE, Call, Field, Function, Type, calls, results};
use crate::lua::bind::Record;

const TEXTS: Type = Type::List(&Type::String);
const COMMAND: Type = Type::OneOf(&[Type::String, TEXTS]);
const SCALAR: Type = Type::OneOf(&[Type::String, Type::Number, Type::Boolean]);
const SCALARS: Type = Type::Map(&SCALAR);
const VALUE: Type = Type::OneOf(&[Type::String, Type::Number, Type::Boolean, Type::Secret]);

const PORT: Record = Record {
    name: "DockerPortOptions",
    doc: "A port to publish.",
    fields: &[
        Field::required("target", Type::Integer, "In the container"),
        Field::optional("published", Type::Integer, "On the host; the engine chooses unless said otherwise"),
        Field::optional("host_ip", Type::String, "The host's address to bind to; all unless said otherwise"),
        Field::optional("protocol", Type::Choice(&["tcp", "udp", "sctp"]), "tcp unless said otherwise"),
    ],
};

const OF_VOLUME: Record = Record {
    name: "DockerMountVolume",
    doc: "Particulars of a named volume.",
    fields: &[
        Field::optional("nocopy", Type::Boolean, "Leave a new volume empty"),
        Field::optional("subpath", Type::String, "Mount this folder of it only"),
        Field::optional("driver", Type::String, "`local` unless said otherwise; others need admin"),
        Field::optional("driver_opts", SCALARS, "For NFS: type, o and device; a path of the host needs admin"),
        Field::optional("labels", SCALARS, "Of a new volume"),
    ],
};

const OF_TMPFS: Record = Record {
    name: "DockerMountTmpfs",
    doc: "Particulars of a memory file system.",
    fields: &[
        Field::optional("size", Type::Size, "Its limit"),
        Field::optional("mode", Type::Integer, "As in chmod: 1777"),
    ],
};

const MOUNT: Record = Record {
    name: "DockerMountOptions",
    doc: "Something to mount.",
    fields: &[
        Field::required("type", Type::Choice(&["volume", "bind", "tmpfs"]), "What it is"),
        Field::optional("source", Type::String, "The volume's name, or the path on the host (admin)"),
        Field::required("target", Type::String, "The path in the container"),
        Field::optional("read_only", Type::Boolean, "It cannot be written"),
        Field::optional("volume", Type::Record(&OF_VOLUME), "For type volume"),
        Field::optional("tmpfs", Type::Record(&OF_TMPFS), "For type tmpfs"),
    ],
};

const HEALTHCHECK: Record = Record {
    name: "DockerHealthcheckOptions",
    doc: "How the engine finds out whether it is healthy.",
    fields: &[
        Field::optional("test", COMMAND, "A text for the container's shell, or a list that begins with CMD"),
        Field::optional("interval", Type::Duration, "Between two checks"),
        Field::optional("timeout", Type::Duration, "Of one check"),
        Field::optional("retries", Type::Integer, "Failures in a row that make it unhealthy"),
        Field::optional("start_period", Type::Duration, "In which failures do not count"),
        Field::optional("start_interval", Type::Duration, "Between two checks in that time; needs Docker 25"),
        Field::optional("disable", Type::Boolean, "Drop the image's own check"),
    ],
};

const LOGGING: Record = Record {
    name: "DockerLoggingOptions",
    doc: "Where the output goes.",
    fields: &[
        Field::optional(
            "driver",
            Type::String,
            "`json-file` unless said otherwise; but for local, journald and none, others need admin",
        ),
        Field::optional("options", SCALARS, "`max-size = \"10m\"`, `max-file = 3`"),
    ],
};

pub const AUTH: Record = Record {
    name: "DockerAuth",
    doc: "Who asks the registry.",
    fields: &[
        Field::required("username", Type::String, "The account"),
        Field::required("password", Type::String, "Its password or token"),
        Field::optional("server", Type::String, "The image's own registry unless said otherwise"),
    ],
};

const ULIMIT: Record = Record {
    name: "DockerUlimit",
    doc: "A limit of the kernel.",
    fields: &[
        Field::required("soft", Type::Integer, "Where it begins"),
        Field::required("hard", Type::Integer, "How far a process may raise it"),
    ],
};

pub const POLICY: Type = Type::Choice(&["always", "missing", "if_not_present", "never"]);

const CREATE_OPTIONS: Record = Record {
    name: "DockerCreateOptions",
    doc: "What a container is made from, under the names of the Compose file. What reaches the host needs the \
          permission admin.",
    fields: &[
        Field::optional("name", Type::String, "The engine makes one up unless said otherwise"),
        Field::required("image", Type::String, "`nginx:1.27`"),
        Field::optional("pull_policy", POLICY, "When to fetch the image; missing unless said otherwise"),
        Field::optional("auth", Type::Record(&AUTH), "For the registry"),
        Field::optional("platform", Type::String, "`linux/arm64`"),
        Field::optional("command", COMMAND, "Words, or a text that is split into words"),
        Field::optional("entrypoint", COMMAND, "The same"),
        Field::optional("environment", Type::Map(&VALUE), "Variables"),
        Field::optional("env_file", COMMAND, "Files of variables on the daemon's host (admin)"),
        Field::optional("user", Type::String, "`name`, `uid` or `uid:gid`"),
        Field::optional("group_add", TEXTS, "Further groups"),
        Field::optional("working_dir", Type::String, "Where it starts"),
        Field::optional("hostname", Type::String, "Its own name for itself"),
        Field::optional("domainname", Type::String, "And its domain's"),
        Field::optional("tty", Type::Boolean, "With a terminal"),
        Field::optional("stdin_open", Type::Boolean, "With an input that stays open"),
        Field::optional("init", Type::Boolean, "With an init that reaps processes"),
        Field::optional("stop_signal", Type::String, "SIGTERM unless said otherwise"),
        Field::optional("stop_grace_period", Type::Duration, "From that signal to SIGKILL; 10s unless said otherwise"),
        Field::optional("labels", SCALARS, "By key"),
        Field::optional("annotations", SCALARS, "For the runtime; needs Docker 24"),
        Field::optional(
            "ports",
            Type::List(&Type::OneOf(&[Type::String, Type::Integer, Type::Record(&PORT)])),
            "`\"127.0.0.1:8080:80\"`, a number, or a table",
        ),
        Field::optional("expose", Type::List(&Type::OneOf(&[Type::String, Type::Integer])), "For its networks only"),
        Field::optional(
            "volumes",
            Type::List(&Type::OneOf(&[Type::String, Type::Record(&MOUNT)])),
            "`\"data:/var/lib/data:ro\"`, or a table; a path of the host needs admin",
        ),
        Field::optional("tmpfs", COMMAND, "`\"/tmp:size=64m\"`"),
        Field::optional(
            "networks",
            Type::Json,
            "Names, or by name { aliases, ipv4_address, ipv6_address }; `host` needs admin",
        ),
        Field::optional("network_mode", Type::String, "none or bridge; host and container:NAME need admin"),
        Field::optional("extra_hosts", Type::Map(&Type::String), "Addresses by name; `host-gateway` is the host"),
        Field::optional("dns", TEXTS, "Name servers"),
        Field::optional("dns_search", TEXTS, "Domains to try"),
        Field::optional("dns_opt", TEXTS, "Options of the resolver"),
        Field::optional("restart", Type::String, "no, always, unless-stopped, on-failure or on-failure:5"),
        Field::optional("healthcheck", Type::Record(&HEALTHCHECK), "How the engine finds out whether it is healthy"),
        Field::optional("logging", Type::Record(&LOGGING), "Where the output goes"),
        Field::optional("cpus", Type::Number, "At most so many CPUs"),
        Field::optional("cpu_reservation", Type::Number, "Its share when CPUs are scarce, in CPUs"),
        Field::optional("cpuset", Type::String, "On these CPUs: `0-3`"),
        Field::optional("mem_limit", Type::Size, "At most so much memory"),
        Field::optional("mem_reservation", Type::Size, "What it gets when memory is scarce"),
        Field::optional("memswap_limit", Type::Size, "Memory and swap together"),
        Field::optional("pids_limit", Type::Integer, "At most so many processes"),
        Field::optional("shm_size", Type::Size, "Of /dev/shm"),
        Field::optional("ulimits", Type::Map(&Type::OneOf(&[Type::Integer, Type::Record(&ULIMIT)])), "By name"),
        Field::optional("oom_score_adj", Type::Integer, "Who dies first when memory is out; below 0 needs admin"),
        Field::optional("read_only", Type::Boolean, "Its root cannot be written"),
        Field::optional("cap_drop", TEXTS, "Capabilities to lose; `ALL`"),
        Field::optional("cap_add", TEXTS, "Capabilities to gain (admin)"),
        Field::optional("security_opt", TEXTS, "`no-new-privileges`; others need admin"),
        Field::optional("privileged", Type::Boolean, "With all rights of the host (admin)"),
        Field::optional("devices", TEXTS, "Of the host (admin)"),
        Field::optional("sysctls", SCALARS, "Settings of the kernel (admin)"),
        Field::optional("pid", Type::String, "Whose processes it sees (admin)"),
        Field::optional("ipc", Type::String, "private or shareable; others need admin"),
        Field::optional("uts", Type::String, "Whose host name it has (admin)"),
        Field::optional("userns_mode", Type::String, "Whose users it has (admin)"),
        Field::optional("cgroup_parent", Type::String, "Under which group (admin)"),
        Field::optional("runtime", Type::String, "By which runtime (admin)"),
        Field::optional("auto_remove", Type::Boolean, "Remove it when it ends"),
        Field::DRY_RUN,
    ],
};

pub const CREATE: Function = Function {
    name: "create",
    doc: "Creates a container; `start` starts it. The image is fetched first where its policy says so.",
    params: &[Field::required("options", Type::Record(&CREATE_OPTIONS), "What it is made from")],
    returns: Type::Record(&results::CREATED),
    call: Call::Async(|context, args| Box::pin(calls::create(context, args))),
    ..CHANGE
};
