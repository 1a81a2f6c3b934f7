//! Section 2: the engine's own settings.

use super::facts::Facts;
use super::rule::{AuditObject, Rule, Verdict, engine, flag, items, text, texts};

const SECTION: &str = "Docker daemon";

const DAEMON: Rule =
    Rule { id: "", section: SECTION, title: "", level: 1, fires: Verdict::Warn, find: |_| Vec::new(), remedy: "" };

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "2.1",
        title: "Run the Docker daemon as a non-root user, if possible",
        fires: Verdict::Info,
        find: |facts| engine(!has_option(facts, "rootless"), "it runs as root"),
        remedy: "use rootless mode where no container needs the host's own networks, or know why not",
        ..DAEMON
    },
    Rule {
        id: "2.2",
        title: "Ensure network traffic is restricted between containers on the default bridge",
        find: |facts| {
            let of_bridge = |network: &&serde_json::Value| text(network, "/Name") == "bridge";
            let bridge = facts.networks.iter().find(of_bridge);
            let talks = bridge.and_then(|bridge| bridge.get("Options")?.get("com.docker.network.bridge.enable_icc"));
            engine(talks.and_then(|talks| talks.as_str()) == Some("true"), "containers on the bridge reach each other")
        },
        remedy: "set \"icc\": false in /etc/docker/daemon.json, and give containers networks of their own",
        ..DAEMON
    },
    Rule {
        id: "2.5",
        title: "Ensure insecure registries are not used",
        find: insecure_registries,
        remedy: "give the registry a certificate, and take it out of \"insecure-registries\"",
        ..DAEMON
    },
    Rule {
        id: "2.6",
        title: "Ensure aufs storage driver is not used",
        find: |facts| engine(text(&facts.engine, "/Driver") == "aufs", "the storage driver is aufs"),
        remedy: "move to overlay2: \"storage-driver\": \"overlay2\"",
        ..DAEMON
    },
    Rule {
        id: "2.9",
        title: "Enable user namespace support",
        level: 2,
        find: |facts| {
            engine(
                !has_option(facts, "userns") && !has_option(facts, "rootless"),
                "root in a container is root outside",
            )
        },
        remedy: "set \"userns-remap\": \"default\" in /etc/docker/daemon.json",
        ..DAEMON
    },
    Rule {
        id: "2.12",
        title: "Ensure that authorization for Docker client commands is enabled",
        level: 2,
        find: |facts| {
            let plugins = items(&facts.engine, "/Plugins/Authorization").count();
            engine(plugins == 0, "whoever may open the socket may do everything")
        },
        remedy: "use an authorization plugin, or keep the group docker as small as the list of administrators",
        ..DAEMON
    },
    Rule {
        id: "2.13",
        title: "Ensure centralized and remote logging is configured",
        level: 2,
        find: |facts| {
            let driver = text(&facts.engine, "/LoggingDriver");
            let is_local = matches!(driver, "json-file" | "local" | "none" | "");
            engine(is_local, format!("the log driver is {driver:?}: logs stay on this host"))
        },
        remedy: "send logs elsewhere with \"log-driver\": \"syslog\", \"journald\", \"fluentd\" or another one",
        ..DAEMON
    },
    Rule {
        id: "2.15",
        title: "Ensure live restore is enabled",
        find: |facts| {
            let is_swarm = text(&facts.engine, "/Swarm/LocalNodeState") == "active";
            let off = !flag(&facts.engine, "/LiveRestoreEnabled") && !is_swarm;
            engine(off, "containers end with the daemon")
        },
        remedy: "set \"live-restore\": true in /etc/docker/daemon.json",
        ..DAEMON
    },
    Rule {
        id: "2.17",
        title: "Ensure that a daemon-wide custom seccomp profile is applied if appropriate",
        level: 2,
        fires: Verdict::Info,
        find: |facts| {
            let own = texts(&facts.engine, "/SecurityOptions").any(|option| {
                option.starts_with("name=seccomp")
                    && !option.contains("profile=default")
                    && !option.contains("profile=builtin")
            });
            let detail =
                if has_option(facts, "seccomp") { "the profile is Docker's own" } else { "seccomp is not used" };
            engine(!own, detail)
        },
        remedy: "Docker's own profile is right for most; name another one with \"seccomp-profile\" where it is not",
        ..DAEMON
    },
    Rule {
        id: "2.18",
        title: "Ensure that experimental features are not implemented in production",
        find: |facts| engine(flag(&facts.engine, "/ExperimentalBuild"), "experimental features are on"),
        remedy: "set \"experimental\": false in /etc/docker/daemon.json",
        ..DAEMON
    },
];

pub(super) fn has_option(facts: &Facts, name: &str) -> bool {
    let prefix = format!("name={name}");
    let named =
        |option: &str| option == prefix || option.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with(','));
    texts(&facts.engine, "/SecurityOptions").any(named)
}

fn insecure_registries(facts: &Facts) -> Vec<AuditObject> {
    let networks = texts(&facts.engine, "/RegistryConfig/InsecureRegistryCIDRs");
    let foreign = networks.filter(|network| !matches!(*network, "127.0.0.0/8" | "::1/128")).map(str::to_owned);
    let indexes = facts.engine.pointer("/RegistryConfig/IndexConfigs").and_then(|found| found.as_object());
    let plain = indexes.into_iter().flatten().filter(|(_, index)| index.get("Secure") == Some(&false.into()));
    let found = foreign.chain(plain.map(|(name, _)| name.clone()));
    found.map(|name| AuditObject { detail: format!("{name} is used without a certificate"), name }).collect()
}
