//! What can be set, section by section. Every field has a default, so that an empty file is a working configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::calendars::Calendars;
use super::egress::Egress;
use super::nfs::Nfs;
use super::watch::{Alerts, CheckConfig, Metrics};
use super::{redact_urls, values};
use crate::base::limits;
use crate::primitives::http::HostOptions;
use crate::primitives::notify::Route;
use crate::primitives::secrets::SecretsConfig;
use crate::primitives::{llm, proxy, redis, sql, stack};

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
    /// Data sources of scripts, by name.
    #[serde(deserialize_with = "values::sql_sources")]
    pub sql: BTreeMap<String, sql::Source>,
    pub fs: Fs,
    pub process: Process,
    /// By name.
    pub redis: redis::Sources,
    pub graph: redis::Sources,
    pub llm: llm::Sources,
    pub nfs: Nfs,
    pub egress: Egress,
    pub secrets: SecretsConfig,
    pub metrics: Metrics,
    pub alerts: Alerts,
    #[serde(deserialize_with = "values::maybe_map")]
    pub checks: BTreeMap<String, CheckConfig>,
    /// Compose stacks, by the names of their projects.
    #[serde(deserialize_with = "values::stacks")]
    pub stacks: stack::Sources,
    /// Load balancers, by name.
    #[serde(deserialize_with = "values::proxies")]
    pub proxies: proxy::Sources,
    pub retention: Retention,
    pub calendars: Calendars,
    pub node: Node,
}

/// This daemon among those that share the database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// The host's name unless said otherwise.
    pub name: Option<String>,
    /// What jobs may ask for with `runs_on`.
    pub labels: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scripts {
    pub dir: PathBuf,
    /// What the operator lets scripts have; a file that is not there bounds nothing.
    pub policy: PathBuf,
}

impl Default for Scripts {
    fn default() -> Self {
        Self { dir: "./scripts".into(), policy: "./config/policy.yaml".into() }
    }
}

/// Serialised and printed without the password that the URL may hold.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `sqlite://path/to/file.db`, `sqlite::memory:` or `postgres://…`.
    #[serde(deserialize_with = "values::store_url", serialize_with = "values::redacted")]
    pub url: String,
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "sqlite://data/aegis.db".into() }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("url", &redact_urls(&self.url)).finish()
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
    #[serde(deserialize_with = "values::address")]
    pub listen: SocketAddr,
    /// Names under which the dashboard is reached besides the listener's own address; others are refused.
    pub allowed_hosts: Vec<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), allowed_hosts: Vec::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Docker {
    /// `unix:///path/to/docker.sock` or `tcp://host:port`.
    #[serde(deserialize_with = "values::docker_host")]
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
    /// Operating-system threads that execute Lua: 1 to `LANES_MAX`.
    #[serde(deserialize_with = "values::lanes")]
    pub lanes: usize,
    /// Runs of all jobs that may be alive at once.
    #[serde(deserialize_with = "values::max_running")]
    pub max_running: usize,
    /// How long runs may take to end when the daemon is asked to stop.
    #[serde(with = "values::duration")]
    pub shutdown_grace: Duration,
}

impl Default for Runner {
    fn default() -> Self {
        Self { lanes: 2, max_running: 2 * limits::LANE_RUNS_MAX, shutdown_grace: limits::SHUTDOWN_GRACE_DEFAULT }
    }
}

/// Outgoing HTTP calls of scripts and notifications.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outgoing {
    /// Hosts with an optional port that are out of reach whatever a script was granted.
    pub deny: Vec<String>,
    /// PEM file of further root certificates.
    pub ca_file: Option<PathBuf>,
    /// By host pattern: how much is asked of it at once, and our certificate.
    #[serde(deserialize_with = "values::maybe_map")]
    pub hosts: BTreeMap<String, HostOptions>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`; or by target: `info,aegis::web=debug`.
    #[serde(deserialize_with = "values::log_level")]
    pub level: String,
    #[serde(deserialize_with = "values::log_format")]
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Auto }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
    pub routes: BTreeMap<String, Route>,
}

/// Folders that scripts may be granted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fs {
    /// Absolute folders by the name that scripts call them.
    #[serde(deserialize_with = "values::absolute_paths")]
    pub roots: BTreeMap<String, PathBuf>,
}

/// Programs that scripts may be granted beside those that are found where the administrator installs them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Process {
    /// Absolute paths by the name that scripts call them.
    #[serde(deserialize_with = "values::absolute_paths")]
    pub programs: BTreeMap<String, PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    #[serde(with = "values::duration")]
    pub runs: Duration,
    #[serde(with = "values::duration")]
    pub logs: Duration,
    #[serde(with = "values::duration")]
    pub events: Duration,
    /// Records of the audit log.
    #[serde(with = "values::duration")]
    pub audit: Duration,
    /// The newest runs of each job stay whatever their age.
    pub runs_per_job_min: usize,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self { runs: days(90), logs: days(30), events: days(30), audit: days(365), runs_per_job_min: 20 }
    }
}
