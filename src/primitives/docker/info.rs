//! The engine itself: version and state of the host, as far as Docker knows it.

use serde::Serialize;
use serde_json::Value;

use super::containers::instant;
use super::engine::Docker;
use super::error::DockerError;
use crate::base::Timestamp;
use crate::base::clock::since;
use crate::base::quantity::show_duration;
use crate::model::grants::Access;
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Version {
    pub version: String,
    pub api_version: String,
    pub min_api_version: String,
    pub os: String,
    pub arch: String,
    pub kernel: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Info {
    pub name: String,
    pub server_version: String,
    pub operating_system: String,
    pub kernel: String,
    pub architecture: String,
    pub cpus: u64,
    pub memory_bytes: u64,
    pub containers: u64,
    pub containers_running: u64,
    pub containers_paused: u64,
    pub containers_stopped: u64,
    pub images: u64,
    pub storage_driver: String,
    pub logging_driver: String,
    pub cgroup_version: String,
    pub docker_root_dir: String,
    pub live_restore: bool,
    pub swarm: String,
    /// What the engine warns of, such as a kernel without swap limits.
    pub warnings: Vec<String>,
}

impl Docker {
    pub async fn version(&self, permit: &DockerPermit) -> Result<Version, DockerError> {
        permit.check_any(Access::Read, "reading Docker's version")?;
        let raw = self.read("reading Docker's version", "/version", &[]).await?;
        let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Version {
            version: text("Version"),
            api_version: text("ApiVersion"),
            min_api_version: text("MinAPIVersion"),
            os: text("Os"),
            arch: text("Arch"),
            kernel: text("KernelVersion"),
        })
    }

    pub async fn info(&self, permit: &DockerPermit) -> Result<Info, DockerError> {
        permit.check_any(Access::Read, "reading Docker's state")?;
        let raw = self.read("reading Docker's state", "/info", &[]).await?;
        let text = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let count = |pointer: &str| raw.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        let warnings = raw.get("Warnings").and_then(Value::as_array).into_iter().flatten();
        Ok(Info {
            name: text("/Name"),
            server_version: text("/ServerVersion"),
            operating_system: text("/OperatingSystem"),
            kernel: text("/KernelVersion"),
            architecture: text("/Architecture"),
            cpus: count("/NCPU"),
            memory_bytes: count("/MemTotal"),
            containers: count("/Containers"),
            containers_running: count("/ContainersRunning"),
            containers_paused: count("/ContainersPaused"),
            containers_stopped: count("/ContainersStopped"),
            images: count("/Images"),
            storage_driver: text("/Driver"),
            logging_driver: text("/LoggingDriver"),
            cgroup_version: text("/CgroupVersion"),
            docker_root_dir: text("/DockerRootDir"),
            live_restore: raw.get("LiveRestoreEnabled").and_then(Value::as_bool).unwrap_or_default(),
            swarm: text("/Swarm/LocalNodeState"),
            warnings: warnings.filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    }
}

/// `Up 5m (healthy)`, `Exited (137) 2h ago`, from an inspection, which has no status line of its own.
pub(super) fn status_line(raw: &Value, now: Timestamp) -> String {
    let state = |key: &str| raw.pointer(&format!("/State/{key}"));
    let status = state("Status").and_then(Value::as_str).unwrap_or_default();
    let ago = |key: &str| instant(state(key)).map(|at| show_duration(since(now, at))).unwrap_or_default();
    let code = state("ExitCode").and_then(Value::as_i64).unwrap_or_default();
    match status {
        "running" | "paused" => {
            let health = raw.pointer("/State/Health/Status").and_then(Value::as_str).filter(|status| *status != "none");
            let mark = match (status, health) {
                ("paused", _) => " (Paused)".to_owned(),
                (_, Some(health)) => format!(" ({health})"),
                _ => String::new(),
            };
            format!("Up {}{mark}", ago("StartedAt"))
        }
        "exited" => format!("Exited ({code}) {} ago", ago("FinishedAt")),
        "restarting" => format!("Restarting ({code}) {} ago", ago("FinishedAt")),
        "created" => "Created".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_lines_read_like_docker_s() {
        let now = "2026-01-01T02:00:00Z".parse().expect("a time");
        let line = |state: Value| status_line(&json!({ "State": state }), now);
        let up = json!({"Status": "running", "StartedAt": "2026-01-01T01:55:00Z", "Health": {"Status": "healthy"}});
        assert_eq!(line(up), "Up 5m (healthy)");
        let ended = json!({"Status": "exited", "ExitCode": 137, "FinishedAt": "2026-01-01T00:00:00Z"});
        assert_eq!(line(ended), "Exited (137) 2h ago");
        assert_eq!(line(json!({"Status": "created"})), "Created");
    }
}
