//! Settings from environment variables and flags: one table for both, so that every scalar key has all three ways in.

use std::str::FromStr;

use super::error::ConfigError;
use super::{Config, egress, nfs, values};
use crate::base::{quantity, suggest};

/// Where variables are looked up; tests bring their own.
pub trait Variables {
    fn get(&self, name: &str) -> Option<String>;
    /// Names that begin with `AEGIS_`.
    fn names(&self) -> Vec<String>;
}

/// The process's environment.
#[derive(Debug, Clone, Copy)]
pub struct Environment;

impl Variables for Environment {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .filter(|name| name.starts_with(PREFIX))
            .collect()
    }
}

const PREFIX: &str = "AEGIS_";
/// Read by the command line itself.
const OTHERS: [&str; 2] = ["AEGIS_CONFIG", "AEGIS_SOCKET"];

type Apply = fn(&mut Config, &str) -> Result<(), String>;

/// Every key that holds one value or a list of words (comma-separated).
pub(super) const SETTINGS: [(&str, Apply); 53] = [
    ("scripts.dir", |config, text| put(&mut config.scripts.dir, Ok(text.into()))),
    ("scripts.policy", |config, text| put(&mut config.scripts.policy, Ok(text.into()))),
    ("store.url", |config, text| put(&mut config.store.url, values::parse_store_url(text))),
    ("admin.socket", |config, text| put(&mut config.admin.socket, Ok(text.into()))),
    ("http.listen", |config, text| put(&mut config.http.listen, values::parse_address(text))),
    ("http.allowed_hosts", |config, text| put(&mut config.http.allowed_hosts, Ok(words(text)))),
    ("docker.host", |config, text| put(&mut config.docker.host, values::parse_docker_host(text))),
    ("runner.lanes", |config, text| put(&mut config.runner.lanes, number(text).and_then(values::check_lanes))),
    ("runner.max_running", |config, text| {
        put(&mut config.runner.max_running, number(text).and_then(values::check_max_running))
    }),
    ("runner.shutdown_grace", |config, text| put(&mut config.runner.shutdown_grace, duration(text))),
    ("outgoing.deny", |config, text| put(&mut config.outgoing.deny, Ok(words(text)))),
    ("outgoing.ca_file", |config, text| put(&mut config.outgoing.ca_file, Ok((!text.is_empty()).then(|| text.into())))),
    ("outgoing.hosts", |_, _| Err("hosts are set in the file alone".into())),
    ("log.level", |config, text| put(&mut config.log.level, values::check_log_level(text).map(|()| text.to_owned()))),
    ("log.format", |config, text| put(&mut config.log.format, values::parse_log_format(text))),
    ("retention.runs", |config, text| put(&mut config.retention.runs, duration(text))),
    ("retention.logs", |config, text| put(&mut config.retention.logs, duration(text))),
    ("retention.events", |config, text| put(&mut config.retention.events, duration(text))),
    ("retention.audit", |config, text| put(&mut config.retention.audit, duration(text))),
    ("retention.runs_per_job_min", |config, text| put(&mut config.retention.runs_per_job_min, number(text))),
    ("node.name", |config, text| put(&mut config.node.name, Ok((!text.is_empty()).then(|| text.to_owned())))),
    ("node.labels", |config, text| put(&mut config.node.labels, Ok(words(text)))),
    ("notify.routes", |_, _| Err("routes are set in the file alone".into())),
    ("fs.roots", |_, _| Err("roots are set in the file alone".into())),
    ("process.programs", |_, _| Err("programs are set in the file alone".into())),
    ("nfs.listen", |config, text| put(&mut config.nfs.listen, nfs::parse_address(text))),
    ("nfs.root", |config, text| put(&mut config.nfs.root, Ok(text.into()))),
    ("nfs.clients", |config, text| {
        let networks = words(text).iter().map(|word| nfs::parse_network(word)).collect::<Result<_, _>>();
        put(&mut config.nfs.clients, networks.and_then(nfs::check_networks))
    }),
    ("nfs.uid", |config, text| put(&mut config.nfs.uid, nfs::parse_id(text))),
    ("nfs.gid", |config, text| put(&mut config.nfs.gid, nfs::parse_id(text))),
    ("nfs.quota_bytes", |config, text| put(&mut config.nfs.quota_bytes, nfs::parse_quota(text))),
    ("nfs.quota_inodes", |config, text| put(&mut config.nfs.quota_inodes, nfs::parse_count(text))),
    ("nfs.delete_grace", |config, text| put(&mut config.nfs.delete_grace, nfs::parse_grace(text))),
    ("nfs.sync_names", |config, text| {
        put(&mut config.nfs.sync_names, text.parse().map_err(|_| format!("{text:?} is neither true nor false")))
    }),
    ("nfs.audit", |config, text| put(&mut config.nfs.audit, nfs::parse_audit(text))),
    ("egress.enabled", |config, text| {
        put(&mut config.egress.enabled, text.parse().map_err(|_| format!("{text:?} is neither true nor false")))
    }),
    ("egress.hosts", |_, _| Err("hosts are set in the file alone".into())),
    ("egress.max_bytes", |config, text| put(&mut config.egress.max_bytes, egress::parse_size(text))),
    ("secrets.env_file", |config, text| put(&mut config.secrets.env_file, Ok((!text.is_empty()).then(|| text.into())))),
    ("secrets.credentials", |config, text| {
        put(&mut config.secrets.credentials, Ok((!text.is_empty()).then(|| text.into())))
    }),
    ("secrets.age_identity", |config, text| {
        put(&mut config.secrets.age_identity, Ok((!text.is_empty()).then(|| text.into())))
    }),
    ("secrets.store", |config, text| put(&mut config.secrets.store, Ok(text.into()))),
    ("secrets.openbao", |_, _| Err("OpenBao is set in the file alone".into())),
    ("metrics.samples", |config, text| put(&mut config.metrics.samples, duration(text))),
    ("metrics.minutes", |config, text| put(&mut config.metrics.minutes, duration(text))),
    ("metrics.hours", |config, text| put(&mut config.metrics.hours, duration(text))),
    ("alerts.defaults", |config, text| {
        put(&mut config.alerts.defaults, text.parse().map_err(|_| format!("{text:?} is neither true nor false")))
    }),
    ("alerts.group_by", |config, text| put(&mut config.alerts.group_by, Ok(words(text)))),
    ("alerts.group_wait", |config, text| put(&mut config.alerts.group_wait, duration(text))),
    ("alerts.group_interval", |config, text| put(&mut config.alerts.group_interval, duration(text))),
    ("alerts.repeat_interval", |config, text| put(&mut config.alerts.repeat_interval, duration(text))),
    ("alerts.routes", |_, _| Err("routes are set in the file alone".into())),
    ("alerts.rules", |_, _| Err("rules are set in the file alone".into())),
];

/// `http.listen` -> `AEGIS_HTTP_LISTEN`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

pub(super) fn apply(config: &mut Config, environment: &dyn Variables) -> Result<(), ConfigError> {
    refuse_slips(environment)?;
    for (key, _) in SETTINGS {
        let name = variable(key);
        if let Some(value) = environment.get(&name) {
            set(config, &name, key, &value)?;
        }
    }
    match environment.get("DATABASE_URL") {
        Some(url) => set(config, "DATABASE_URL", "store.url", &url),
        None => Ok(()),
    }
}

pub(super) fn set(config: &mut Config, shown_as: &str, key: &str, value: &str) -> Result<(), ConfigError> {
    let failed = |problem: String| ConfigError::Setting { name: shown_as.to_owned(), problem };
    let found = SETTINGS.iter().find(|(known, _)| *known == key);
    let (_, apply) = found.ok_or_else(|| failed(format!("there is no setting {key:?}")))?;
    apply(config, value).map_err(failed)
}

/// A variable that looks like a setting and is none would be ignored without a word; one that is nothing like any
/// may serve someone else.
fn refuse_slips(environment: &dyn Variables) -> Result<(), ConfigError> {
    let known: Vec<String> = SETTINGS.iter().map(|(key, _)| variable(key)).collect();
    for name in environment.names() {
        if known.contains(&name) || OTHERS.contains(&name.as_str()) {
            continue;
        }
        let near = suggest::nearest(&name, known.iter().map(String::as_str).chain(OTHERS));
        let names_section = SETTINGS
            .iter()
            .filter_map(|(key, _)| key.split_once('.'))
            .any(|(section, _)| name.strip_prefix(&variable(section)).is_some_and(|rest| rest.starts_with('_')));
        if near.is_some() || names_section {
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            return Err(ConfigError::Setting { problem: format!("there is no such setting{near}"), name });
        }
    }
    Ok(())
}

fn put<T>(field: &mut T, value: Result<T, String>) -> Result<(), String> {
    *field = value?;
    Ok(())
}

fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn number(text: &str) -> Result<usize, String> {
    usize::from_str(text.trim()).map_err(|_| format!("{text:?} is not a whole number"))
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    quantity::parse_duration(text).map_err(|bad| bad.to_string())
}
