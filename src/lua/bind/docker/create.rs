//! The options of `aegis.docker.create`, as Compose names them.

use super::super::{Field, Record, Type};
use super::spec::{AUTH, PAIRS, SIZE, SPAN, TEXTS};

const fn text(name: &'static str, doc: &'static str) -> Field {
    Field::optional(name, Type::String, doc)
}

const fn texts(name: &'static str, doc: &'static str) -> Field {
    Field::optional(name, TEXTS, doc)
}

const fn pairs(name: &'static str, doc: &'static str) -> Field {
    Field::optional(name, PAIRS, doc)
}

const fn flag(name: &'static str, doc: &'static str) -> Field {
    Field::optional(name, Type::Boolean, doc)
}

const fn of(name: &'static str, kind: Type, doc: &'static str) -> Field {
    Field::optional(name, kind, doc)
}

const HEALTHCHECK: Record = Record {
    name: "DockerHealthcheck",
    doc: "How health is found out",
    fields: &[
        texts("test", "A command: a list, or one text for a shell"),
        of("interval", SPAN, "Between probes"),
        of("timeout", SPAN, "Of one probe"),
        of("retries", Type::Integer, "Failures in a row before it is unhealthy"),
        of("start_period", SPAN, "Failures do not count before"),
        of("start_interval", SPAN, "Between probes during the start period; Engine 25 and later"),
        flag("disable", "None, although the image has one"),
    ],
};

const LOGGING: Record = Record {
    name: "DockerLogging",
    doc: "Where output goes",
    fields: &[text("driver", "json-file, say"), pairs("options", "For the driver: max-size, max-file, …")],
};

const ANY_LIST: Type = Type::List(&Type::OneOf(&[Type::String, Type::Number, Type::Json]));

pub const OPTIONS: Record = Record {
    name: "DockerCreate",
    doc: "A container to be",
    fields: &[
        Field::required("image", Type::String, "Name, with a tag or digest"),
        text("name", "Its name; Docker makes one up otherwise"),
        of("pull_policy", Type::Choice(&["always", "missing", "if_not_present", "never"]), "missing unless given"),
        of("auth", Type::Record(&AUTH), "For a registry that asks"),
        text("platform", "linux/arm64, say"),
        texts("command", "In place of the image's"),
        texts("entrypoint", "In place of the image's"),
        pairs("environment", "Variables"),
        texts("env_file", "Files with further variables"),
        text("user", "name, uid or uid:gid"),
        texts("group_add", "Further groups"),
        text("working_dir", "Where the command starts"),
        text("hostname", "As the container calls itself"),
        text("domainname", "Its domain"),
        flag("tty", "With a terminal"),
        flag("stdin_open", "Keep its input open"),
        flag("init", "A small init as process 1"),
        text("stop_signal", "SIGTERM unless given"),
        of("stop_grace_period", SPAN, "Before SIGKILL"),
        pairs("labels", "Labels"),
        pairs("annotations", "For the runtime"),
        of("ports", ANY_LIST, "\"127.0.0.1:8080:80/tcp\", or { target, published, host_ip, protocol }"),
        texts("expose", "Ports that are not published"),
        of("volumes", ANY_LIST, "\"data:/data:ro\", or { type, source, target, read_only, driver_opts, … }"),
        texts("tmpfs", "Paths kept in memory: \"/tmp\" or \"/tmp:size=64m\""),
        of("networks", Type::OneOf(&[TEXTS, Type::Map(&Type::Json)]), "Names, or names with { aliases, ipv4_address }"),
        text("network_mode", "host, none, bridge or container:NAME"),
        of("extra_hosts", PAIRS, "\"host.docker.internal:host-gateway\", or names with addresses"),
        texts("dns", "Name servers"),
        texts("dns_search", "Search domains"),
        texts("dns_opt", "Resolver options"),
        text("restart", "no, always, unless-stopped or on-failure[:times]"),
        of("healthcheck", Type::Record(&HEALTHCHECK), "How health is found out"),
        of("logging", Type::Record(&LOGGING), "Where output goes"),
        of("cpus", Type::Number, "At most so many processors"),
        of("cpu_reservation", Type::Number, "Its share when processors are scarce"),
        text("cpuset", "Which processors: \"0-1\""),
        of("mem_limit", SIZE, "At most so much memory"),
        of("mem_reservation", SIZE, "Kept for it when memory is scarce"),
        of("memswap_limit", SIZE, "Memory and swap together"),
        of("pids_limit", Type::Integer, "At most so many processes"),
        of("shm_size", SIZE, "Size of /dev/shm"),
        of("oom_score_adj", Type::Integer, "Who is killed first when memory is out"),
        of("ulimits", Type::Map(&Type::Json), "A number, or { soft, hard }, by name"),
        flag("read_only", "A root file system that cannot be written"),
        texts("cap_drop", "Capabilities it does without"),
        texts("cap_add", "Capabilities it gets; needs admin"),
        texts("security_opt", "no-new-privileges:true, say"),
        flag("privileged", "Every right on the host; needs admin"),
        texts("devices", "Devices of the host; needs admin"),
        pairs("sysctls", "Kernel settings of its own"),
        text("pid", "host or container:NAME; needs admin"),
        text("ipc", "host, shareable or container:NAME; host needs admin"),
        text("uts", "host; needs admin"),
        text("userns_mode", "host; needs admin"),
        text("cgroup_parent", "Needs admin"),
        text("runtime", "Another runtime than the engine's usual"),
        flag("auto_remove", "Goes away when it ends"),
        Field::DRY_RUN,
    ],
};
