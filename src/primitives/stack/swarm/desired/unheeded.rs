//! What loads and a swarm does not do: it is told, not dropped in silence.

use crate::primitives::stack::compose::model::Service;

pub(super) fn warn(name: &str, service: &Service, warnings: &mut Vec<String>) {
    for (key, is_said, instead) in of_process(service).into_iter().chain(of_host(service)) {
        if is_said {
            let instead = if instead.is_empty() { String::new() } else { format!(": {instead}") };
            warnings.push(format!("services.{name}: a swarm does not do {key}{instead}"));
        }
    }
}

type Row = (&'static str, bool, &'static str);

fn of_process(service: &Service) -> Vec<Row> {
    let text = |text: &str| !text.is_empty();
    let health = service.healthcheck.as_ref();
    vec![
        ("annotations", !service.annotations.is_empty(), ""),
        ("build", service.build.is_some(), "the image must be in a registry that the nodes reach"),
        ("container_name", text(&service.container_name), "tasks are called SERVICE.NUMBER.ID"),
        ("credential_spec", service.credential_spec.is_some(), ""),
        ("depends_on", !service.depends_on.is_empty(), "services start in any order, and must bear with that"),
        ("domainname", text(&service.domainname), ""),
        ("expose", !service.expose.is_empty(), "services of a network reach every port of each other"),
        ("external_links", !service.external_links.is_empty(), "put both on one network"),
        ("healthcheck.start_interval", health.is_some_and(|check| check.start_interval.is_some()), ""),
        ("isolation", text(&service.isolation), ""),
        ("links", !service.links.is_empty(), "services of a network find each other by name"),
        ("mac_address", text(&service.mac_address), ""),
        ("network_mode", text(&service.network_mode), "it is on the stack's own network"),
        ("post_start", !service.post_start.is_empty(), ""),
        ("pre_stop", !service.pre_stop.is_empty(), ""),
        ("pull_policy", text(&service.pull_policy), "each node fetches an image when it starts a task"),
        ("runtime", text(&service.runtime), ""),
        ("volumes_from", !service.volumes_from.is_empty(), "mount the same named volume"),
    ]
}

fn of_host(service: &Service) -> Vec<Row> {
    let text = |text: &str| !text.is_empty();
    let reserved = service.deploy.as_ref().and_then(|deploy| deploy.resources.reservations.as_ref());
    let real_time = service.cpu_rt_period != 0 || service.cpu_rt_runtime != 0;
    vec![
        ("blkio_config", service.blkio_config.is_some(), ""),
        ("cgroup", text(&service.cgroup), ""),
        ("cgroup_parent", text(&service.cgroup_parent), ""),
        ("cpu_count and cpu_percent", service.cpu_count != 0 || service.cpu_percent.0 != 0.0, ""),
        ("cpu_period and cpu_quota", service.cpu_period != 0 || service.cpu_quota != 0, "say cpus"),
        ("cpu_rt_period and cpu_rt_runtime", real_time, ""),
        ("cpu_shares", service.cpu_shares != 0, ""),
        ("cpuset", text(&service.cpuset), ""),
        ("deploy.resources.reservations.devices", reserved.is_some_and(|of| !of.devices.is_empty()), ""),
        ("device_cgroup_rules", !service.device_cgroup_rules.is_empty(), ""),
        ("devices", !service.devices.is_empty(), ""),
        ("gpus", !service.gpus.is_empty(), "reserve a generic resource"),
        ("ipc", text(&service.ipc), ""),
        ("mem_swappiness", service.mem_swappiness != 0, ""),
        ("memswap_limit", service.memswap_limit != 0, ""),
        ("oom_kill_disable", service.oom_kill_disable, ""),
        ("oom_score_adj", service.oom_score_adj != 0, ""),
        ("pid", text(&service.pid), ""),
        ("privileged", service.privileged, "say cap_add"),
        ("security_opt", !service.security_opt.is_empty(), ""),
        ("shm_size", service.shm_size != 0, "mount a tmpfs at /dev/shm"),
        ("storage_opt", !service.storage_opt.is_empty(), ""),
        ("userns_mode", text(&service.userns_mode), ""),
        ("uts", text(&service.uts), ""),
    ]
}
