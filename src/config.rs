//! The configuration: built-in defaults, then the file, then the environment, then flags.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::limits;

/// Every section has defaults, so that an empty file is a working configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub scripts: Scripts,
    pub store: Store,
    pub admin: Admin,
    pub http: Http,
    pub docker: Docker,
    pub runner: Runner,
    pub outgoing: Outgoing,
    pub log: Log,
    pub notify: Notify,
    pub retention: Retention,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scripts {
    pub dir: PathBuf,
}

impl Default for Scripts {
    fn default() -> Self {
        Self { dir: "./scripts".into() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    pub url: String,
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "sqlite://data/aegis.db".into() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    pub socket: PathBuf,
}

impl Default for Admin {
    fn default() -> Self {
        Self { socket: "./run/aegis.sock".into() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    pub listen: std::net::SocketAddr,
    /// Names under which the dashboard is reached besides the listener's own address; others are refused.
    pub allowed_hosts: Vec<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: std::net::SocketAddr::from(([127, 0, 0, 1], 8080)), allowed_hosts: Vec::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Docker {
    pub host: String,
}

impl Default for Docker {
    fn default() -> Self {
        Self { host: "unix:///var/run/docker.sock".into() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Runner {
    /// Operating-system threads that execute Lua.
    pub lanes: usize,
    /// Runs of all jobs that may be alive at once.
    pub max_running: usize,
    /// How long runs may take to end when the daemon is asked to stop, in text such as `20s`.
    pub shutdown_grace: String,
}

impl Default for Runner {
    fn default() -> Self {
        Self { lanes: 2, max_running: 2 * limits::LANE_RUNS_MAX, shutdown_grace: "20s".into() }
    }
}

/// Outgoing HTTP calls of scripts and notifications.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outgoing {
    /// Hosts with an optional port that are out of reach whatever a script was granted.
    pub deny: Vec<String>,
    /// PEM file of further root certificates.
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`; or by target: `info,aegis::web=debug`.
    pub level: String,
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Auto }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    Text,
    Json,
}

/// Routes by name; each is a list of destinations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notify {
    pub routes: std::collections::BTreeMap<String, Vec<crate::primitives::notify::Destination>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    pub runs: String,
    pub logs: String,
    pub events: String,
    /// The newest runs of each job stay whatever their age.
    pub runs_per_job_min: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { runs: "90d".into(), logs: "30d".into(), events: "30d".into(), runs_per_job_min: 20 }
    }
}

/// A configuration that cannot be used: which file, which line, what to write instead.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {report}")]
    Syntax { path: PathBuf, report: String },
    #[error("{key}: {problem}")]
    Value { key: String, problem: String },
}

impl Config {
    /// Reads `path`, or the defaults when there is none; applies the environment; checks what fields mean together.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let _ = path;
        todo!()
    }
}
