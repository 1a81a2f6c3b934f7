//! Options through which a container reaches the host: they need the permission `admin`.

use super::mounts;
use super::options::{CreateOptions, LoggingOptions};
use crate::primitives::docker::networks::HOST_NETWORK;

/// The options of that kind that are in use, by name.
pub(super) fn needed(options: &CreateOptions) -> Vec<&'static str> {
    let shares = |mode: &Option<String>| {
        mode.as_deref().is_some_and(|mode| !matches!(mode, "" | "private" | "shareable" | "none"))
    };
    let of_network = |mode: &String| !matches!(mode.as_str(), "" | "none" | "bridge" | "default");
    let of_networks = |name: &str| name.trim_start_matches('/') == HOST_NETWORK;
    // A plan that cannot be made is refused a moment later, with its reason.
    let binds = mounts::plan(&options.volumes, &options.tmpfs).is_ok_and(|plan| plan.reaches_host());
    let table = [
        ("privileged", options.privileged),
        ("cap_add", !options.cap_add.0.is_empty()),
        ("devices", !options.devices.0.is_empty()),
        ("device_requests", !options.device_requests.is_empty()),
        ("device_cgroup_rules", !options.device_cgroup_rules.0.is_empty()),
        ("volumes_from", !options.volumes_from.0.is_empty()),
        ("oom_kill_disable", options.oom_kill_disable == Some(true)),
        ("cgroup", shares(&options.cgroup)),
        ("sysctls", !options.sysctls.0.is_empty()),
        ("security_opt", options.security_opt.0.iter().any(|option| relaxes(option))),
        ("logging.driver", options.logging.as_ref().is_some_and(logs_elsewhere)),
        ("a path of the host in volumes", binds),
        ("network_mode", options.network_mode.as_ref().is_some_and(of_network)),
        ("the host's network", options.networks.names().any(of_networks)),
        ("networks.driver_opts", options.networks.have_driver_options()),
        ("pid", shares(&options.pid)),
        ("ipc", shares(&options.ipc)),
        ("uts", shares(&options.uts)),
        ("userns_mode", shares(&options.userns_mode)),
        ("cgroup_parent", options.cgroup_parent.is_some()),
        ("runtime", options.runtime.is_some()),
        ("env_file", !options.env_file.0.is_empty()),
        ("oom_score_adj", options.oom_score_adj.is_some_and(|score| score < 0)),
    ];
    table.into_iter().filter_map(|(name, used)| used.then_some(name)).collect()
}

/// Engines read the value of `no-new-privileges` in many spellings, of which only these are known to harden.
fn relaxes(option: &str) -> bool {
    !matches!(option, "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true")
}

/// Other drivers make the engine itself connect to wherever the options say. No driver is the engine's default, which
/// takes its options from here too.
fn logs_elsewhere(logging: &LoggingOptions) -> bool {
    match logging.driver.as_deref() {
        None | Some("json-file" | "local" | "none" | "journald") => false,
        Some("") => !logging.options.0.is_empty(),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(mut options: Value) -> Vec<&'static str> {
        options["image"] = json!("web");
        needed(&serde_json::from_value(options).expect("options"))
    }

    #[test]
    fn what_reaches_the_host_needs_admin() {
        let cases = [
            (json!({"privileged": true}), "privileged"),
            (json!({"cap_add": ["NET_ADMIN"]}), "cap_add"),
            (json!({"devices": ["/dev/kmsg"]}), "devices"),
            (json!({"pid": "host"}), "pid"),
            (json!({"pid": "container:db"}), "pid"),
            (json!({"ipc": "host"}), "ipc"),
            (json!({"network_mode": "host"}), "network_mode"),
            (json!({"network_mode": "container:db"}), "network_mode"),
            (json!({"security_opt": ["seccomp=unconfined"]}), "security_opt"),
            (json!({"security_opt": ["no-new-privileges:false"]}), "security_opt"),
            (json!({"security_opt": ["no-new-privileges=0"]}), "security_opt"),
            (json!({"security_opt": ["no-new-privileges:False"]}), "security_opt"),
            (json!({"networks": ["host"]}), "the host's network"),
            (json!({"networks": ["front", "/host"]}), "the host's network"),
            (json!({"networks": {"host": {"aliases": ["x"]}}}), "the host's network"),
            (json!({"networks": {"front": {"driver_opts": {"x": "y"}}}}), "networks.driver_opts"),
            (json!({"logging": {"driver": "syslog"}}), "logging.driver"),
            (json!({"logging": {"driver": "", "options": {"gelf-address": "udp://10.0.0.1:1"}}}), "logging.driver"),
            (json!({"volumes": ["/:/host"]}), "a path of the host in volumes"),
            (json!({"volumes": ["/var/run/docker.sock:/d.sock:ro"]}), "a path of the host in volumes"),
            (json!({"runtime": "other"}), "runtime"),
            (json!({"device_cgroup_rules": ["a *:* rwm"]}), "device_cgroup_rules"),
            (json!({"volumes_from": ["other"]}), "volumes_from"),
            (json!({"device_requests": [{"capabilities": ["gpu"]}]}), "device_requests"),
            (json!({"oom_kill_disable": true}), "oom_kill_disable"),
            (json!({"cgroup": "host"}), "cgroup"),
            (json!({"env_file": "/etc/aegis.env"}), "env_file"),
        ];
        for (options, expected) in cases {
            assert_eq!(of(options.clone()), [expected], "{options}");
        }
    }

    #[test]
    fn hardening_needs_nothing() {
        let options = json!({"read_only": true, "cap_drop": ["ALL"], "tmpfs": ["/tmp"], "ipc": "private",
            "networks": [], "logging": {"driver": "json-file", "options": {"max-size": "10m"}},
            "security_opt": ["no-new-privileges:true"], "volumes": ["data:/data"], "network_mode": "none"});
        assert!(of(options).is_empty());
    }
}
