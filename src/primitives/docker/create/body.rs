//! Options become the engine's request.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, DeviceMapping, DeviceRequest, HealthConfig, HostConfig,
    HostConfigCgroupnsModeEnum, HostConfigLogConfig, NetworkingConfig, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};

use super::mounts::MountPlan;
use super::options::{CreateOptions, DeviceRequestOptions, HealthcheckOptions, Test};
use crate::base::limits;
use crate::primitives::docker::error::DockerError;
use crate::primitives::docker::ports::{PortSpec, bindings, parse};
use crate::primitives::option::{Pairs, Size, Span, Texts};

/// Shares of a CPU that the kernel gives a process by default: one CPU's worth.
const SHARES_PER_CPU: f64 = 1_024.0;

pub(super) fn build(
    options: &CreateOptions,
    environment: Vec<String>,
    mounts: &MountPlan,
) -> Result<ContainerCreateBody, DockerError> {
    let ports = ports(options)?;
    let mut exposed: Vec<String> = bindings(&ports).into_keys().collect();
    for text in &options.expose.0 {
        let specs = parse(text).map_err(|problem| DockerError::invalid("expose", problem))?;
        exposed.extend(bindings(&specs).into_keys());
    }
    exposed.sort();
    exposed.dedup();
    Ok(ContainerCreateBody {
        image: Some(options.image.clone()),
        cmd: options.command.clone().map(|argv| argv.0),
        entrypoint: options.entrypoint.clone().map(|argv| argv.0),
        env: some(environment),
        user: options.user.clone(),
        working_dir: options.working_dir.clone(),
        hostname: options.hostname.clone(),
        domainname: options.domainname.clone(),
        tty: Some(options.tty),
        open_stdin: Some(options.stdin_open),
        stop_signal: options.stop_signal.clone(),
        stop_timeout: options.stop_grace_period.map(|span| i64::try_from(span.0.as_secs()).unwrap_or(i64::MAX)),
        labels: map(&options.labels),
        exposed_ports: some(exposed),
        healthcheck: options.healthcheck.as_ref().map(healthcheck).transpose()?,
        networking_config: networking(options),
        host_config: Some(host_config(options, &ports, mounts)?),
        ..ContainerCreateBody::default()
    })
}

fn host_config(options: &CreateOptions, ports: &[PortSpec], mounts: &MountPlan) -> Result<HostConfig, DockerError> {
    let config = HostConfig {
        port_bindings: Some(bindings(ports)).filter(|map| !map.is_empty()),
        binds: some(mounts.binds.clone()),
        mounts: some(mounts.mounts.clone()),
        tmpfs: Some(mounts.tmpfs.clone()).filter(|map| !map.is_empty()),
        network_mode: network_mode(options)?,
        restart_policy: options.restart.as_deref().map(restart).transpose()?,
        auto_remove: options.auto_remove.then_some(true),
        log_config: options.logging.as_ref().map(|logging| HostConfigLogConfig {
            typ: Some(logging.driver.clone().unwrap_or_else(|| "json-file".into())),
            config: map(&logging.options),
        }),
        extra_hosts: some(options.extra_hosts.0.clone()),
        dns: list(&options.dns),
        dns_search: list(&options.dns_search),
        dns_options: list(&options.dns_opt),
        group_add: list(&options.group_add),
        init: options.init,
        annotations: map(&options.annotations),
        ..HostConfig::default()
    };
    resources(options, isolation(options, config)?)
}

/// What of it can be changed in a container that is there.
pub(super) fn changeable(options: &CreateOptions) -> Result<ContainerUpdateBody, DockerError> {
    let config = resources(options, HostConfig::default())?;
    Ok(ContainerUpdateBody {
        restart_policy: options.restart.as_deref().map(restart).transpose()?,
        nano_cpus: config.nano_cpus,
        cpuset_cpus: config.cpuset_cpus,
        memory: config.memory,
        memory_reservation: config.memory_reservation,
        memory_swap: config.memory_swap,
        pids_limit: config.pids_limit,
        ..ContainerUpdateBody::default()
    })
}

fn isolation(options: &CreateOptions, config: HostConfig) -> Result<HostConfig, DockerError> {
    Ok(HostConfig {
        readonly_rootfs: options.read_only.then_some(true),
        cap_drop: list(&options.cap_drop),
        cap_add: list(&options.cap_add),
        security_opt: list(&options.security_opt),
        privileged: options.privileged.then_some(true),
        devices: some(options.devices.0.iter().map(|text| device(text)).collect()),
        device_cgroup_rules: list(&options.device_cgroup_rules),
        device_requests: some(options.device_requests.iter().map(device_request).collect()),
        volumes_from: list(&options.volumes_from),
        storage_opt: map(&options.storage_opt),
        cgroupns_mode: options.cgroup.as_deref().map(cgroup).transpose()?,
        sysctls: map(&options.sysctls),
        pid_mode: options.pid.clone(),
        ipc_mode: options.ipc.clone(),
        uts_mode: options.uts.clone(),
        userns_mode: options.userns_mode.clone(),
        cgroup_parent: options.cgroup_parent.clone(),
        runtime: options.runtime.clone(),
        ..config
    })
}

fn cgroup(mode: &str) -> Result<HostConfigCgroupnsModeEnum, DockerError> {
    match mode {
        "host" => Ok(HostConfigCgroupnsModeEnum::HOST),
        "private" => Ok(HostConfigCgroupnsModeEnum::PRIVATE),
        _ => Err(DockerError::invalid("cgroup", format!("{mode:?} is neither private nor host"))),
    }
}

fn resources(options: &CreateOptions, config: HostConfig) -> Result<HostConfig, DockerError> {
    let cpus = |field: &str, cpus: Option<f64>| match cpus {
        Some(cpus) if !(cpus > 0.0 && cpus <= 10_000.0) => {
            Err(DockerError::invalid(field, format!("{cpus} is not a number of CPUs")))
        }
        cpus => Ok(cpus),
    };
    let (limit, reservation) = (cpus("cpus", options.cpus)?, cpus("cpu_reservation", options.cpu_reservation)?);
    let bytes = |size: Option<Size>| size.map(|size| i64::try_from(size.0).unwrap_or(i64::MAX));
    if let (Some(memory), Some(both)) = (options.mem_limit, options.memswap_limit)
        && both < memory
    {
        return Err(DockerError::invalid("memswap_limit", "it is memory and swap together: at least mem_limit"));
    }
    if options.memswap_limit.is_some() && options.mem_limit.is_none() {
        return Err(DockerError::invalid("memswap_limit", "it needs mem_limit"));
    }
    let ulimits = options.ulimits.iter().map(|(name, limit)| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    });
    Ok(HostConfig {
        nano_cpus: limit.map(|cpus| (cpus * 1e9).round() as i64),
        cpu_shares: options
            .cpu_shares
            .or_else(|| reservation.map(|cpus| ((cpus * SHARES_PER_CPU).round() as i64).max(2))),
        cpu_period: options.cpu_period,
        cpu_quota: options.cpu_quota,
        memory_swappiness: options.mem_swappiness,
        oom_kill_disable: options.oom_kill_disable,
        cpuset_cpus: options.cpuset.clone(),
        memory: bytes(options.mem_limit),
        memory_reservation: bytes(options.mem_reservation),
        memory_swap: bytes(options.memswap_limit),
        pids_limit: options.pids_limit,
        shm_size: bytes(options.shm_size),
        ulimits: some(ulimits.collect()),
        oom_score_adj: options.oom_score_adj,
        ..config
    })
}

fn ports(options: &CreateOptions) -> Result<Vec<PortSpec>, DockerError> {
    let mut all = Vec::new();
    for entry in &options.ports {
        all.extend(entry.spread().map_err(|problem| DockerError::invalid("ports", problem))?);
        if all.len() > limits::DOCKER_OPTION_ITEMS_MAX {
            return Err(DockerError::invalid(
                "ports",
                format!("at most {} are possible", limits::DOCKER_OPTION_ITEMS_MAX),
            ));
        }
    }
    Ok(all)
}

fn network_mode(options: &CreateOptions) -> Result<Option<String>, DockerError> {
    match (&options.network_mode, options.networks.first()) {
        (Some(_), Some(_)) => Err(DockerError::invalid("network_mode", "it excludes networks: give one of the two")),
        (Some(mode), None) => Ok(Some(mode.clone())),
        (None, first) => Ok(first.map(|(name, _)| name.clone())),
    }
}

fn networking(options: &CreateOptions) -> Option<NetworkingConfig> {
    let (name, settings) = options.networks.first()?;
    let endpoint = settings.endpoint();
    Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(name.clone(), endpoint)])) })
}

/// Has the container be on networks by their ids, of which `ids` tells by name.
pub(super) fn pin(body: &mut ContainerCreateBody, ids: &BTreeMap<String, String>) {
    let mode = body.host_config.as_mut().and_then(|config| config.network_mode.as_mut());
    if let Some((mode, id)) = mode.and_then(|mode| ids.get(mode).map(|id| (mode, id))) {
        mode.clone_from(id);
    }
    if let Some(endpoints) = body.networking_config.as_mut().and_then(|config| config.endpoints_config.as_mut()) {
        *endpoints = endpoints.drain().map(|(name, place)| (ids.get(&name).cloned().unwrap_or(name), place)).collect();
    }
}

fn restart(text: &str) -> Result<RestartPolicy, DockerError> {
    let (name, retries) = text.split_once(':').map_or((text, None), |(name, retries)| (name, Some(retries)));
    let policy = |name| Ok(RestartPolicy { name: Some(name), maximum_retry_count: None });
    match (name, retries) {
        ("no", None) => policy(RestartPolicyNameEnum::NO),
        ("always", None) => policy(RestartPolicyNameEnum::ALWAYS),
        ("unless-stopped", None) => policy(RestartPolicyNameEnum::UNLESS_STOPPED),
        ("on-failure", None) => policy(RestartPolicyNameEnum::ON_FAILURE),
        ("on-failure", Some(count)) if count.parse::<u16>().is_ok() => {
            Ok(RestartPolicy { name: Some(RestartPolicyNameEnum::ON_FAILURE), maximum_retry_count: count.parse().ok() })
        }
        _ => {
            let hint = crate::base::suggest::did_you_mean(name, ["no", "always", "unless-stopped", "on-failure"]);
            Err(DockerError::invalid(
                "restart",
                format!("{text:?} is none of no, always, unless-stopped, on-failure{hint}"),
            ))
        }
    }
}

fn healthcheck(options: &HealthcheckOptions) -> Result<HealthConfig, DockerError> {
    let invalid = |problem: &str| DockerError::invalid("healthcheck.test", problem);
    let test = match &options.test {
        _ if options.disable => Some(vec!["NONE".to_owned()]),
        None => None,
        Some(Test::Shell(text)) => Some(vec!["CMD-SHELL".to_owned(), text.clone()]),
        Some(Test::List(list)) => match list.first().map(String::as_str) {
            Some("NONE") if list.len() == 1 => Some(list.clone()),
            Some("CMD") if list.len() > 1 => Some(list.clone()),
            Some("CMD-SHELL") if list.len() == 2 => Some(list.clone()),
            _ => return Err(invalid("a list begins with \"CMD\", \"CMD-SHELL\" or \"NONE\"; a text is for the shell")),
        },
    };
    let nanos = |span: Option<Span>| span.map(|span| i64::try_from(span.0.as_nanos()).unwrap_or(i64::MAX));
    let tiny = |span: &Option<Span>| span.is_some_and(|span| !span.0.is_zero() && span.0.as_millis() == 0);
    if [&options.interval, &options.timeout, &options.start_period, &options.start_interval].into_iter().any(tiny) {
        return Err(DockerError::invalid("healthcheck", "the shortest time is one millisecond"));
    }
    Ok(HealthConfig {
        test,
        interval: nanos(options.interval),
        timeout: nanos(options.timeout),
        retries: options.retries,
        start_period: nanos(options.start_period),
        start_interval: nanos(options.start_interval),
    })
}

/// `/dev/a`, `/dev/a:/dev/b`, `/dev/a:/dev/b:rw`.
fn device(text: &str) -> DeviceMapping {
    let mut parts = text.splitn(3, ':');
    let host = parts.next().unwrap_or_default().to_owned();
    DeviceMapping {
        path_in_container: Some(parts.next().unwrap_or(&host).to_owned()),
        path_on_host: Some(host),
        cgroup_permissions: Some(parts.next().unwrap_or("rwm").to_owned()),
    }
}

fn device_request(request: &DeviceRequestOptions) -> DeviceRequest {
    DeviceRequest {
        driver: request.driver.clone(),
        count: request.count,
        device_ids: list(&request.device_ids),
        capabilities: list(&request.capabilities).map(|all| vec![all]),
        options: map(&request.options),
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

fn list(texts: &Texts) -> Option<Vec<String>> {
    some(texts.0.clone())
}

fn map(pairs: &Pairs) -> Option<HashMap<String, String>> {
    let pairs: &BTreeMap<_, _> = &pairs.0;
    (!pairs.is_empty()).then(|| pairs.clone().into_iter().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::primitives::docker::create::mounts;

    fn body(mut options: Value) -> Result<Value, String> {
        options["image"] = json!("web:1");
        let options: CreateOptions = serde_json::from_value(options).map_err(|error| error.to_string())?;
        let mounts = mounts::plan(&options.volumes, &options.tmpfs).map_err(|error| error.to_string())?;
        let body = build(&options, Vec::new(), &mounts).map_err(|error| error.to_string())?;
        serde_json::to_value(body).map_err(|error| error.to_string())
    }

    #[test]
    fn every_field_of_the_requirements_arrives() {
        let body = body(json!({
            "command": "serve --port 80", "entrypoint": ["/init"], "user": "1000:1000", "ports": ["127.0.0.1:8080:80"],
            "volumes": ["data:/data:ro"], "networks": ["front"], "labels": {"purpose": "front"},
            "extra_hosts": {"host.docker.internal": "host-gateway"}, "restart": "on-failure:3",
            "healthcheck": {"test": "true", "interval": "5s", "timeout": "1s", "retries": 3, "start_period": "10s"},
            "cpus": 1.5, "cpu_reservation": 0.5, "mem_limit": "256m", "mem_reservation": "128m", "memswap_limit": "512m",
            "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": 3}},
            "device_requests": [{"driver": "nvidia", "count": -1, "capabilities": ["gpu"]}],
            "read_only": true, "cap_drop": ["ALL"], "tmpfs": ["/tmp:size=64m"], "stop_grace_period": "30s"
        }))
        .expect("a body");
        let expect = [
            ("/Cmd", json!(["serve", "--port", "80"])),
            ("/Entrypoint", json!(["/init"])),
            ("/User", json!("1000:1000")),
            ("/Labels/purpose", json!("front")),
            ("/StopTimeout", json!(30)),
            ("/Healthcheck/Test", json!(["CMD-SHELL", "true"])),
            ("/Healthcheck/Interval", json!(5_000_000_000_i64)),
            ("/HostConfig/PortBindings/80~1tcp/0", json!({"HostIp": "127.0.0.1", "HostPort": "8080"})),
            ("/HostConfig/Binds", json!(["data:/data:ro"])),
            ("/HostConfig/NetworkMode", json!("front")),
            ("/HostConfig/ExtraHosts", json!(["host.docker.internal:host-gateway"])),
            ("/HostConfig/RestartPolicy", json!({"Name": "on-failure", "MaximumRetryCount": 3})),
            ("/HostConfig/NanoCpus", json!(1_500_000_000_i64)),
            ("/HostConfig/CpuShares", json!(512)),
            ("/HostConfig/Memory", json!(256 << 20)),
            ("/HostConfig/MemoryReservation", json!(128 << 20)),
            ("/HostConfig/MemorySwap", json!(512 << 20)),
            ("/HostConfig/LogConfig", json!({"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}})),
            ("/HostConfig/DeviceRequests", json!([{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}])),
            ("/HostConfig/ReadonlyRootfs", json!(true)),
            ("/HostConfig/CapDrop", json!(["ALL"])),
            ("/HostConfig/Tmpfs", json!({"/tmp": "size=64m"})),
        ];
        for (pointer, value) in expect {
            assert_eq!(body.pointer(pointer), Some(&value), "{pointer}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        for (options, field) in [
            (json!({"network_mode": "none", "networks": ["a"]}), "network_mode"),
            (json!({"restart": "allways"}), "restart"),
            (json!({"mem_limit": "2g", "memswap_limit": "1g"}), "memswap_limit"),
            (json!({"memswap_limit": "1g"}), "memswap_limit"),
            (json!({"cpus": 0}), "cpus"),
            (json!({"cgroup": "shared"}), "cgroup"),
            (json!({"healthcheck": {"test": ["true"]}}), "healthcheck.test"),
            (json!({"healthcheck": {"test": "x", "interval": "1us"}}), "healthcheck"),
            (json!({"ports": ["x:80"]}), "ports"),
            (json!({"expose": ["http"]}), "expose"),
        ] {
            let refused = body(options.clone()).expect_err("refused");
            assert!(refused.starts_with(field), "{options}: {refused}");
        }
    }

    #[test]
    fn a_bare_container_asks_for_nothing() {
        let body = body(json!({})).expect("a body");
        assert_eq!(body["HostConfig"], json!({}));
    }
}
