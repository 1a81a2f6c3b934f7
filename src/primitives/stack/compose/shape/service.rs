//! A service.

use super::Shape::{self, Either, Items, Matching, Named, TextNumberNull, Unique, Within, Word};
use super::common::{
    ANYTHING_BY_NAME, BOOL, BYTES, COMMAND, FILE_MOUNTS, HOOKS, HOSTS, NULL, NUMBER, OPTIONS, PAIRS, SWITCH, TEXT,
    TEXT_OR_NUMBER, TEXT_OR_TEXTS, TEXTS, TEXTS_OR_NUMBERS, ULIMITS, UNIQUE_TEXTS, WHOLE,
};
use super::deploy::{DEPLOY, DEVELOP, GPUS, HEALTHCHECK};
use super::{Fields, Names};

const BUILD_FIELDS: Shape = Shape::Fields(&Fields {
    what: "build section",
    known: &[
        ("context", &TEXT),
        ("dockerfile", &TEXT),
        ("dockerfile_inline", &TEXT),
        ("entitlements", &TEXTS),
        ("args", &PAIRS),
        ("ssh", &PAIRS),
        ("labels", &PAIRS),
        ("cache_from", &TEXTS),
        ("cache_to", &TEXTS),
        ("no_cache", &SWITCH),
        ("additional_contexts", &PAIRS),
        ("network", &TEXT),
        ("pull", &SWITCH),
        ("target", &TEXT),
        ("shm_size", &BYTES),
        ("extra_hosts", &HOSTS),
        ("isolation", &TEXT),
        ("privileged", &SWITCH),
        ("secrets", &FILE_MOUNTS),
        ("tags", &TEXTS),
        ("ulimits", &ULIMITS),
        ("platforms", &TEXTS),
    ],
    kept: &["provenance", "sbom", "no_cache_filter"],
    required: &[],
});
const BUILD: Shape = Either(&[&TEXT, &BUILD_FIELDS]);

const BLKIO_RATE: Shape = Shape::Fields(&Fields {
    what: "device rate",
    known: &[("path", &TEXT), ("rate", &BYTES)],
    kept: &[],
    required: &[],
});
const BLKIO_RATES: Shape = Items(&BLKIO_RATE);
const BLKIO_WEIGHT: Shape = Shape::Fields(&Fields {
    what: "device weight",
    known: &[("path", &TEXT), ("weight", &WHOLE)],
    kept: &[],
    required: &[],
});
const BLKIO_WEIGHTS: Shape = Items(&BLKIO_WEIGHT);
const BLKIO: Shape = Shape::Fields(&Fields {
    what: "blkio_config section",
    known: &[
        ("device_read_bps", &BLKIO_RATES),
        ("device_read_iops", &BLKIO_RATES),
        ("device_write_bps", &BLKIO_RATES),
        ("device_write_iops", &BLKIO_RATES),
        ("weight", &WHOLE),
        ("weight_device", &BLKIO_WEIGHTS),
    ],
    kept: &[],
    required: &[],
});

const CREDENTIALS: Shape = Shape::Fields(&Fields {
    what: "credential_spec section",
    known: &[("config", &TEXT), ("file", &TEXT), ("registry", &TEXT)],
    kept: &[],
    required: &[],
});

const CONDITION: Shape = Word(&["service_started", "service_healthy", "service_completed_successfully"]);
const DEPENDENCY: Shape = Shape::Fields(&Fields {
    what: "dependency",
    known: &[("restart", &SWITCH), ("required", &BOOL), ("condition", &CONDITION)],
    kept: &[],
    required: &["condition"],
});
const DEPENDENCIES: Shape = Named(Names::Plain, &DEPENDENCY);
const DEPENDS_ON: Shape = Either(&[&UNIQUE_TEXTS, &DEPENDENCIES]);

const DEVICE_LONG: Shape = Shape::Fields(&Fields {
    what: "device",
    known: &[("source", &TEXT), ("target", &TEXT), ("permissions", &TEXT)],
    kept: &[],
    required: &["source"],
});
const DEVICE: Shape = Either(&[&TEXT, &DEVICE_LONG]);
const DEVICES: Shape = Items(&DEVICE);

const ENV_FILE_LONG: Shape = Shape::Fields(&Fields {
    what: "environment file",
    known: &[("path", &TEXT), ("format", &TEXT), ("required", &SWITCH)],
    kept: &[],
    required: &["path"],
});
const ENV_FILE_ITEM: Shape = Either(&[&TEXT, &ENV_FILE_LONG]);
const ENV_FILE_LIST: Shape = Items(&ENV_FILE_ITEM);
const ENV_FILE: Shape = Either(&[&TEXT, &ENV_FILE_LIST]);
const LABEL_FILE: Shape = Either(&[&TEXT, &TEXTS]);

const EXTENDS_LONG: Shape = Shape::Fields(&Fields {
    what: "extends section",
    known: &[("service", &TEXT), ("file", &TEXT)],
    kept: &[],
    required: &["service"],
});
const EXTENDS: Shape = Either(&[&TEXT, &EXTENDS_LONG]);

const LOG_OPTION: Shape = TextNumberNull;
const LOG_OPTIONS: Shape = Named(Names::Any, &LOG_OPTION);
const LOGGING: Shape = Shape::Fields(&Fields {
    what: "logging section",
    known: &[("driver", &TEXT), ("options", &LOG_OPTIONS)],
    kept: &[],
    required: &[],
});

const ATTACHMENT_FIELDS: Shape = Shape::Fields(&Fields {
    what: "network of a service",
    known: &[
        ("aliases", &UNIQUE_TEXTS),
        ("ipv4_address", &TEXT),
        ("ipv6_address", &TEXT),
        ("link_local_ips", &UNIQUE_TEXTS),
        ("mac_address", &TEXT),
        ("driver_opts", &OPTIONS),
        ("priority", &NUMBER),
        ("gw_priority", &NUMBER),
    ],
    kept: &["interface_name"],
    required: &[],
});
const ATTACHMENT: Shape = Either(&[&NULL, &ATTACHMENT_FIELDS]);
const ATTACHMENTS: Shape = Named(Names::Plain, &ATTACHMENT);
const NETWORKS: Shape = Either(&[&UNIQUE_TEXTS, &ATTACHMENTS]);

const PORT_LONG: Shape = Shape::Fields(&Fields {
    what: "port",
    known: &[
        ("name", &TEXT),
        ("mode", &TEXT),
        ("host_ip", &TEXT),
        ("target", &WHOLE),
        ("published", &TEXT_OR_NUMBER),
        ("protocol", &TEXT),
        ("app_protocol", &TEXT),
    ],
    kept: &[],
    required: &[],
});
const PORT: Shape = Either(&[&TEXT_OR_NUMBER, &PORT_LONG]);
const PORTS: Shape = Unique(&PORT);

const RECURSIVE: Shape = Word(&["enabled", "disabled", "writable", "readonly"]);
const SELINUX: Shape = Word(&["z", "Z"]);
const BIND: Shape = Shape::Fields(&Fields {
    what: "bind section",
    known: &[("propagation", &TEXT), ("create_host_path", &SWITCH), ("recursive", &RECURSIVE), ("selinux", &SELINUX)],
    kept: &[],
    required: &[],
});
const MOUNT_VOLUME: Shape = Shape::Fields(&Fields {
    what: "volume section",
    known: &[("nocopy", &SWITCH), ("subpath", &TEXT)],
    kept: &["labels"],
    required: &[],
});
const MOUNT_TMPFS: Shape = Shape::Fields(&Fields {
    what: "tmpfs section",
    known: &[("size", &BYTES), ("mode", &NUMBER)],
    kept: &[],
    required: &[],
});
const MOUNT_LONG: Shape = Shape::Fields(&Fields {
    what: "mount",
    known: &[
        ("type", &TEXT),
        ("source", &TEXT),
        ("target", &TEXT),
        ("read_only", &SWITCH),
        ("consistency", &TEXT),
        ("bind", &BIND),
        ("volume", &MOUNT_VOLUME),
        ("tmpfs", &MOUNT_TMPFS),
    ],
    kept: &["image"],
    required: &["type"],
});
const MOUNT: Shape = Either(&[&TEXT, &MOUNT_LONG]);
const MOUNTS: Shape = Unique(&MOUNT);

const CGROUP: Shape = Word(&["host", "private"]);
const CPU_COUNT: Shape = Within(0, i64::MAX);
const CPU_PERCENT: Shape = Within(0, 100);
const OOM_SCORE: Shape = Within(-1000, 1000);
const PID: Shape = Either(&[&TEXT, &NULL]);
const PULL_POLICY: Shape =
    Matching(is_pull_policy, "always, never, missing, build, daily, weekly or every_ and a duration");

fn is_pull_policy(text: &str) -> bool {
    let is_period = |text: &str| {
        !text.is_empty()
            && text.starts_with(|c: char| c.is_ascii_digit())
            && text.ends_with(|c: char| "wdhms".contains(c))
            && text.chars().all(|c| c.is_ascii_digit() || "wdhms".contains(c))
    };
    ["always", "never", "if_not_present", "build", "missing", "refresh", "daily", "weekly"].contains(&text)
        || text.strip_prefix("every_").is_some_and(is_period)
}

pub(super) const SERVICE: Shape = Shape::Fields(&Fields {
    what: "service",
    known: &[
        ("develop", &DEVELOP),
        ("deploy", &DEPLOY),
        ("annotations", &PAIRS),
        ("attach", &SWITCH),
        ("build", &BUILD),
        ("blkio_config", &BLKIO),
        ("cap_add", &UNIQUE_TEXTS),
        ("cap_drop", &UNIQUE_TEXTS),
        ("cgroup", &CGROUP),
        ("cgroup_parent", &TEXT),
        ("command", &COMMAND),
        ("configs", &FILE_MOUNTS),
        ("container_name", &TEXT),
        ("cpu_count", &CPU_COUNT),
        ("cpu_percent", &CPU_PERCENT),
        ("cpu_shares", &NUMBER),
        ("cpu_quota", &NUMBER),
        ("cpu_period", &NUMBER),
        ("cpu_rt_period", &NUMBER),
        ("cpu_rt_runtime", &NUMBER),
        ("cpus", &NUMBER),
        ("cpuset", &TEXT),
        ("credential_spec", &CREDENTIALS),
        ("depends_on", &DEPENDS_ON),
        ("device_cgroup_rules", &UNIQUE_TEXTS),
        ("devices", &DEVICES),
        ("dns", &TEXT_OR_TEXTS),
        ("dns_opt", &UNIQUE_TEXTS),
        ("dns_search", &TEXT_OR_TEXTS),
        ("domainname", &TEXT),
        ("entrypoint", &COMMAND),
        ("env_file", &ENV_FILE),
        ("label_file", &LABEL_FILE),
        ("environment", &PAIRS),
        ("expose", &TEXTS_OR_NUMBERS),
        ("extends", &EXTENDS),
        ("external_links", &UNIQUE_TEXTS),
        ("extra_hosts", &HOSTS),
        ("gpus", &GPUS),
        ("group_add", &TEXTS_OR_NUMBERS),
        ("healthcheck", &HEALTHCHECK),
        ("hostname", &TEXT),
        ("image", &TEXT),
        ("init", &SWITCH),
        ("ipc", &TEXT),
        ("isolation", &TEXT),
        ("labels", &PAIRS),
        ("links", &UNIQUE_TEXTS),
        ("logging", &LOGGING),
        ("mac_address", &TEXT),
        ("mem_limit", &BYTES),
        ("mem_reservation", &BYTES),
        ("mem_swappiness", &BYTES),
        ("memswap_limit", &BYTES),
        ("network_mode", &TEXT),
        ("networks", &NETWORKS),
        ("oom_kill_disable", &SWITCH),
        ("oom_score_adj", &OOM_SCORE),
        ("pid", &PID),
        ("pids_limit", &NUMBER),
        ("platform", &TEXT),
        ("ports", &PORTS),
        ("post_start", &HOOKS),
        ("pre_stop", &HOOKS),
        ("privileged", &SWITCH),
        ("profiles", &UNIQUE_TEXTS),
        ("pull_policy", &PULL_POLICY),
        ("read_only", &SWITCH),
        ("restart", &TEXT),
        ("runtime", &TEXT),
        ("scale", &WHOLE),
        ("security_opt", &UNIQUE_TEXTS),
        ("shm_size", &BYTES),
        ("secrets", &FILE_MOUNTS),
        ("sysctls", &PAIRS),
        ("stdin_open", &SWITCH),
        ("stop_grace_period", &TEXT),
        ("stop_signal", &TEXT),
        ("storage_opt", &ANYTHING_BY_NAME),
        ("tmpfs", &TEXT_OR_TEXTS),
        ("tty", &SWITCH),
        ("ulimits", &ULIMITS),
        ("user", &TEXT),
        ("uts", &TEXT),
        ("userns_mode", &TEXT),
        ("volumes", &MOUNTS),
        ("volumes_from", &UNIQUE_TEXTS),
        ("working_dir", &TEXT),
    ],
    kept: &["models", "provider", "use_api_socket", "pre_start"],
    required: &[],
});
