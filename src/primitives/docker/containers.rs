//! The inventory.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::engine::Docker;
use super::error::DockerError;
use super::names::check_name;
use super::ports::{PublishedPort, published};
use crate::base::clock::since;
use crate::base::{Timestamp, limits};
use crate::model::grants::Access;
use crate::primitives::option::Texts;
use crate::primitives::permit::DockerPermit;

/// Which containers: those that fit every given field.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListOptions {
    /// Stopped ones too. Default: true.
    pub all: bool,
    /// Names or patterns of names, such as `web-*`.
    pub names: Texts,
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited`, `dead`.
    pub states: Texts,
    /// `key` or `key=value`; all must fit.
    pub labels: Texts,
    /// Of this Compose project.
    pub stack: Option<String>,
}

impl Default for ListOptions {
    fn default() -> Self {
        Self { all: true, names: Texts::default(), states: Texts::default(), labels: Texts::default(), stack: None }
    }
}

/// One container of the inventory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub image: String,
    pub image_id: String,
    pub command: String,
    /// As people read it: `Up 5 minutes (healthy)`.
    pub status: String,
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub state: String,
    /// `starting`, `healthy` or `unhealthy`; None without a health check.
    pub health: Option<String>,
    pub created_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// While it runs.
    pub uptime_seconds: Option<u64>,
    /// Of its last end; None while it runs or when it never ran.
    pub exit_code: Option<i64>,
    pub oom_killed: bool,
    pub restart_count: u64,
    /// Its label `aegis.purpose`, or `purpose`.
    pub purpose: Option<String>,
    pub ports: Vec<PublishedPort>,
    pub networks: Vec<Attachment>,
    pub mounts: Vec<Mounted>,
    pub labels: BTreeMap<String, String>,
}

/// A network that a container is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attachment {
    pub name: String,
    pub ip_address: Option<String>,
    pub gateway: Option<String>,
    pub aliases: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mounted {
    /// `bind`, `volume` or `tmpfs`.
    pub kind: String,
    /// The volume's name.
    pub name: Option<String>,
    /// The path on the host.
    pub source: String,
    pub target: String,
    pub read_only: bool,
    pub driver: Option<String>,
}

impl Docker {
    /// What the permit covers, sorted by name. A container that goes while this runs is left out.
    pub async fn list(&self, permit: &DockerPermit, options: ListOptions) -> Result<Vec<Container>, DockerError> {
        permit.check_any(Access::Read, "listing containers")?;
        let query = [("all", options.all.to_string()), ("filters", filters(&options)?)];
        let entries = self.read("listing containers", "/containers/json", &query).await?;
        let entries = entries.as_array().cloned().unwrap_or_default();
        let wanted = entries.into_iter().filter(|entry| {
            let name = name_of(entry);
            let asked = options.names.0.is_empty()
                || options.names.0.iter().any(|pattern| crate::model::grants::matches(pattern, &name));
            asked && permit.covers(Access::Read, &name)
        });
        let mut details = futures_util::stream::iter(wanted.map(|entry| self.detailed(entry)))
            .buffer_unordered(limits::DOCKER_CALLS_AT_ONCE_MAX);
        let mut containers = Vec::new();
        while let Some(container) = details.next().await {
            containers.extend(container?);
        }
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(containers)
    }

    async fn detailed(&self, entry: Value) -> Result<Option<Container>, DockerError> {
        let id = entry.get("Id").and_then(Value::as_str).unwrap_or_default();
        let id = check_name("container", id)?;
        match self.read("inspecting a container", &format!("/containers/{id}/json"), &[]).await {
            Ok(raw) => Ok(Some(container(&entry, &raw, self.clock().now()))),
            Err(DockerError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn filters(options: &ListOptions) -> Result<String, DockerError> {
    let mut filters: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let known = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
    for state in &options.states.0 {
        if !known.contains(&state.as_str()) {
            let hint = crate::base::suggest::did_you_mean(state, known);
            return Err(DockerError::invalid("states", format!("{state:?} is not a state of a container{hint}")));
        }
        filters.entry("status").or_default().push(state.clone());
    }
    if let Some(stack) = &options.stack {
        filters.entry("label").or_default().push(format!("com.docker.compose.project={stack}"));
    }
    if !options.labels.0.is_empty() {
        filters.entry("label").or_default().extend(options.labels.0.iter().cloned());
    }
    serde_json::to_string(&filters).map_err(|error| DockerError::invalid("labels", error.to_string()))
}

pub(super) fn name_of(entry: &Value) -> String {
    let names = entry.get("Names").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    // Links of other containers appear as further names with a slash inside.
    let own = names.map(|name| name.trim_start_matches('/')).find(|name| !name.contains('/'));
    own.unwrap_or_default().to_owned()
}

/// Puts one container together from its list entry, which knows the ports and the status line, and its inspection.
pub(super) fn container(entry: &Value, raw: &Value, now: Timestamp) -> Container {
    let text = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let time = |pointer: &str| instant(raw.pointer(pointer));
    let running = raw.pointer("/State/Running").and_then(Value::as_bool).unwrap_or_default();
    let labels = labels(raw.pointer("/Config/Labels"));
    let (started_at, finished_at) = (time("/State/StartedAt"), time("/State/FinishedAt"));
    let exit_code = raw.pointer("/State/ExitCode").and_then(Value::as_i64);
    Container {
        id: text("/Id"),
        name: text("/Name").trim_start_matches('/').to_owned(),
        image: text("/Config/Image"),
        image_id: text("/Image"),
        command: entry.get("Command").and_then(Value::as_str).unwrap_or_default().to_owned(),
        status: entry.get("Status").and_then(Value::as_str).unwrap_or_default().to_owned(),
        state: text("/State/Status"),
        health: Some(text("/State/Health/Status")).filter(|status| !status.is_empty() && status != "none"),
        created_at: time("/Created"),
        started_at,
        finished_at,
        uptime_seconds: started_at.filter(|_| running).map(|at| since(now, at).as_secs()),
        exit_code: exit_code.filter(|_| !running && finished_at.is_some()),
        oom_killed: raw.pointer("/State/OOMKilled").and_then(Value::as_bool).unwrap_or_default(),
        restart_count: raw.get("RestartCount").and_then(Value::as_u64).unwrap_or_default(),
        purpose: ["aegis.purpose", "purpose"].iter().find_map(|key| labels.get(*key).cloned()),
        ports: published(entry),
        networks: attachments(raw),
        mounts: mounts(raw),
        labels,
    }
}

/// Docker writes the year 1 for "never".
pub(super) fn instant(value: Option<&Value>) -> Option<Timestamp> {
    value.and_then(Value::as_str)?.parse::<Timestamp>().ok().filter(|at| at.as_second() > 0)
}

pub(super) fn labels(value: Option<&Value>) -> BTreeMap<String, String> {
    let map = value.and_then(Value::as_object).into_iter().flatten();
    map.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn attachments(raw: &Value) -> Vec<Attachment> {
    let networks = raw.pointer("/NetworkSettings/Networks").and_then(Value::as_object).into_iter().flatten();
    let text =
        |of: &Value, key: &str| of.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let aliases = |of: &Value| {
        let list = of.get("Aliases").and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    networks
        .map(|(name, of)| Attachment {
            name: name.clone(),
            ip_address: text(of, "IPAddress"),
            gateway: text(of, "Gateway"),
            aliases: aliases(of),
        })
        .collect()
}

fn mounts(raw: &Value) -> Vec<Mounted> {
    let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let mounts = raw.get("Mounts").and_then(Value::as_array).into_iter().flatten();
    mounts
        .map(|of| Mounted {
            kind: text(of, "Type"),
            name: some(text(of, "Name")),
            source: text(of, "Source"),
            target: text(of, "Destination"),
            read_only: !of.get("RW").and_then(Value::as_bool).unwrap_or(true),
            driver: some(text(of, "Driver")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_running_container_has_an_uptime_and_no_exit_code() {
        let entry = json!({"Names": ["/other/alias", "/web"], "Status": "Up 5 minutes (healthy)", "Command": "nc"});
        let raw = json!({
            "Id": "0a", "Name": "/web", "Created": "2026-01-01T00:00:00.5Z", "RestartCount": 2,
            "State": {"Status": "running", "Running": true, "ExitCode": 0, "StartedAt": "2026-01-01T00:00:00Z",
                "FinishedAt": "0001-01-01T00:00:00Z", "Health": {"Status": "healthy"}},
            "Config": {"Image": "web:1", "Labels": {"purpose": "front door"}},
            "NetworkSettings": {"Networks": {"front": {"IPAddress": "172.18.0.2", "Aliases": null}}},
            "Mounts": [{"Type": "volume", "Name": "data", "Source": "/var/x", "Destination": "/data", "RW": false}]
        });
        assert_eq!(name_of(&entry), "web");
        let web = container(&entry, &raw, at("2026-01-01T00:05:00Z"));
        assert_eq!((web.uptime_seconds, web.exit_code, web.restart_count), (Some(300), None, 2));
        assert_eq!((web.health.as_deref(), web.purpose.as_deref()), (Some("healthy"), Some("front door")));
        assert_eq!(web.networks[0].ip_address.as_deref(), Some("172.18.0.2"));
        assert!(web.mounts[0].read_only && web.finished_at.is_none());
    }

    #[test]
    fn states_and_fields_newer_than_us_do_no_harm() {
        let raw = json!({"Id": "0a", "Name": "/x", "State": {"Status": "hibernating", "ExitCode": 137, "Running": false,
            "FinishedAt": "2026-01-01T00:00:00Z"}, "Config": {}, "Mounts": null});
        let odd = container(&json!({}), &raw, at("2026-01-01T00:05:00Z"));
        assert_eq!((odd.state.as_str(), odd.exit_code), ("hibernating", Some(137)));
    }

    #[test]
    fn filters_name_states_and_labels() {
        let options = ListOptions {
            states: Texts(vec!["running".into()]),
            labels: Texts(vec!["a=b".into()]),
            stack: Some("web".into()),
            ..ListOptions::default()
        };
        let expected = r#"{"label":["com.docker.compose.project=web","a=b"],"status":["running"]}"#;
        assert_eq!(filters(&options).ok().as_deref(), Some(expected));
        let wrong = ListOptions { states: Texts(vec!["runing".into()]), ..ListOptions::default() };
        assert!(filters(&wrong).is_err_and(|error| error.to_string().contains("did you mean \"running\"")));
    }
}
