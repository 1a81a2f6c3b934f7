//! One container in full.

use serde::Serialize;
use serde_json::Value;

use super::containers::{Container, container};
use super::engine::Docker;
use super::error::DockerError;
use super::info::status_line;
use crate::model::grants::Access;
use crate::primitives::permit::DockerPermit;

/// A container with its settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    #[serde(flatten)]
    pub container: Container,
    pub entrypoint: Vec<String>,
    pub arguments: Vec<String>,
    /// Names only: values are in `raw`, and there only with the permission `admin`.
    pub environment: Vec<String>,
    pub user: String,
    pub working_dir: String,
    pub hostname: String,
    /// As `create` takes it.
    pub restart_policy: String,
    pub network_mode: String,
    pub log_driver: String,
    pub privileged: bool,
    pub read_only: bool,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub limits: ResourceLimits,
    /// The command of the health check; None without one.
    pub healthcheck: Option<Vec<String>>,
    pub health_failing_streak: u64,
    /// Output of the latest health checks, the newest last.
    pub health_log: Vec<HealthProbe>,
    /// What Docker says of a failed start.
    pub error: String,
    /// The engine's own answer.
    pub raw: Value,
}

/// None: unlimited.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResourceLimits {
    pub cpus: Option<f64>,
    pub memory_bytes: Option<u64>,
    pub memory_reservation_bytes: Option<u64>,
    /// Memory and swap together.
    pub memory_swap_bytes: Option<u64>,
    pub pids: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HealthProbe {
    pub at: String,
    pub exit_code: i64,
    pub output: String,
}

impl Docker {
    pub async fn inspect(&self, permit: &DockerPermit, name: &str) -> Result<Inspection, DockerError> {
        let found = self.find(permit, Access::Read, name).await?;
        let sees_values = permit.covers(Access::Admin, &found.name);
        Ok(inspection(found.raw, sees_values, self.clock().now()))
    }
}

fn inspection(mut raw: Value, sees_values: bool, now: crate::base::Timestamp) -> Inspection {
    let environment = environment(&mut raw, sees_values);
    let entry = serde_json::json!({ "Status": status_line(&raw, now), "Ports": ports(&raw), "Command": command(&raw) });
    let text = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let flag = |pointer: &str| raw.pointer(pointer).and_then(Value::as_bool).unwrap_or_default();
    let amount = |pointer: &str| raw.pointer(pointer).and_then(Value::as_u64).filter(|amount| *amount > 0);
    let probes = raw.pointer("/State/Health/Log").and_then(Value::as_array).into_iter().flatten();
    Inspection {
        container: container(&entry, &raw, now),
        entrypoint: texts(raw.pointer("/Config/Entrypoint")),
        arguments: texts(raw.pointer("/Config/Cmd")),
        environment,
        user: text("/Config/User"),
        working_dir: text("/Config/WorkingDir"),
        hostname: text("/Config/Hostname"),
        restart_policy: restart_policy(&raw),
        network_mode: text("/HostConfig/NetworkMode"),
        log_driver: text("/HostConfig/LogConfig/Type"),
        privileged: flag("/HostConfig/Privileged"),
        read_only: flag("/HostConfig/ReadonlyRootfs"),
        cap_add: texts(raw.pointer("/HostConfig/CapAdd")),
        cap_drop: texts(raw.pointer("/HostConfig/CapDrop")),
        limits: ResourceLimits {
            cpus: cpus(&raw),
            memory_bytes: amount("/HostConfig/Memory"),
            memory_reservation_bytes: amount("/HostConfig/MemoryReservation"),
            memory_swap_bytes: amount("/HostConfig/MemorySwap"),
            pids: amount("/HostConfig/PidsLimit"),
        },
        healthcheck: Some(texts(raw.pointer("/Config/Healthcheck/Test"))).filter(|test| !test.is_empty()),
        health_failing_streak: amount("/State/Health/FailingStreak").unwrap_or_default(),
        health_log: probes.map(probe).collect(),
        error: text("/State/Error"),
        raw,
    }
}

/// The names of the variables. Without the right to see them, the values are taken out of `raw`.
fn environment(raw: &mut Value, sees_values: bool) -> Vec<String> {
    let Some(list) = raw.pointer_mut("/Config/Env").and_then(Value::as_array_mut) else { return Vec::new() };
    let mut names = Vec::new();
    for item in list {
        let name = item.as_str().and_then(|item| item.split('=').next()).unwrap_or_default().to_owned();
        if !sees_values {
            *item = Value::String(format!("{name}=<hidden>"));
        }
        names.push(name);
    }
    names
}

/// As `create` takes it.
pub(super) fn restart_policy(raw: &Value) -> String {
    let name = raw.pointer("/HostConfig/RestartPolicy/Name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let count = raw.pointer("/HostConfig/RestartPolicy/MaximumRetryCount").and_then(Value::as_u64).unwrap_or_default();
    match name.unwrap_or("no") {
        "on-failure" if count > 0 => format!("on-failure:{count}"),
        name => name.to_owned(),
    }
}

fn cpus(raw: &Value) -> Option<f64> {
    let number = |pointer: &str| raw.pointer(pointer).and_then(Value::as_f64).filter(|number| *number > 0.0);
    let quota = || Some(number("/HostConfig/CpuQuota")? / number("/HostConfig/CpuPeriod").unwrap_or(100_000.0));
    number("/HostConfig/NanoCpus").map(|nano| nano / 1e9).or_else(quota)
}

fn probe(entry: &Value) -> HealthProbe {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    HealthProbe {
        at: text("Start"),
        exit_code: entry.get("ExitCode").and_then(Value::as_i64).unwrap_or_default(),
        output: text("Output"),
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn command(raw: &Value) -> String {
    let path = raw.get("Path").and_then(Value::as_str).unwrap_or_default().to_owned();
    std::iter::once(path).chain(texts(raw.get("Args"))).collect::<Vec<_>>().join(" ")
}

/// `NetworkSettings.Ports` in the shape that a list entry has them.
fn ports(raw: &Value) -> Vec<Value> {
    let map = raw.pointer("/NetworkSettings/Ports").and_then(Value::as_object).into_iter().flatten();
    map.flat_map(|(port, bindings)| {
        let (target, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let target = target.parse::<u16>().unwrap_or_default();
        let bare = serde_json::json!({ "PrivatePort": target, "Type": protocol });
        let Some(bindings) = bindings.as_array().filter(|list| !list.is_empty()) else { return vec![bare] };
        let published = |binding: &Value| {
            let port = binding.get("HostPort").and_then(Value::as_str).and_then(|port| port.parse::<u16>().ok());
            serde_json::json!({ "PrivatePort": target, "Type": protocol, "PublicPort": port, "IP": binding.get("HostIp") })
        };
        bindings.iter().map(published).collect()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw() -> Value {
        json!({
            "Id": "0a", "Name": "/web", "Path": "nc", "Args": ["-l", "80"],
            "State": {"Status": "running", "Running": true, "StartedAt": "2026-01-01T00:00:00Z"},
            "Config": {"Env": ["TOKEN=s3cret=x", "MODE=prod"], "Healthcheck": {"Test": ["CMD", "true"]}},
            "HostConfig": {"NanoCpus": 1_500_000_000_i64, "Memory": 67_108_864, "PidsLimit": 0,
                "RestartPolicy": {"Name": "always"}},
            "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "53/udp": null}}
        })
    }

    #[test]
    fn settings_are_read() {
        let web = inspection(raw(), true, "2026-01-01T01:00:00Z".parse().expect("a time"));
        assert_eq!((web.limits.cpus, web.limits.memory_bytes, web.limits.pids), (Some(1.5), Some(64 << 20), None));
        assert_eq!((web.container.command.as_str(), web.restart_policy.as_str()), ("nc -l 80", "always"));
        assert_eq!(web.container.status, "Up 1h");
        assert_eq!(web.container.ports.len(), 2);
        assert_eq!(web.healthcheck, Some(vec!["CMD".into(), "true".into()]));
        assert_eq!(web.raw["Config"]["Env"][0], "TOKEN=s3cret=x");
    }

    #[test]
    fn restart_policies_are_written_as_they_are_asked_for() {
        for (policy, text) in [
            (json!({"Name": "on-failure", "MaximumRetryCount": 3}), "on-failure:3"),
            (json!({"Name": "on-failure", "MaximumRetryCount": 0}), "on-failure"),
            (json!({"Name": "always", "MaximumRetryCount": 0}), "always"),
            (json!({"Name": ""}), "no"),
        ] {
            assert_eq!(restart_policy(&json!({"HostConfig": {"RestartPolicy": policy}})), text);
        }
    }

    #[test]
    fn values_of_the_environment_need_admin() {
        let web = inspection(raw(), false, "2026-01-01T01:00:00Z".parse().expect("a time"));
        assert_eq!(web.environment, ["TOKEN", "MODE"]);
        assert!(!serde_json::to_string(&web).expect("JSON").contains("s3cret"));
    }
}
