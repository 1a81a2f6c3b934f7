//! What jobs listen for outside of Aegis, as their files declare it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::grants::matches;

/// Events of the Docker Engine. Stored with each version: a field that is added has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerTrigger {
    /// `die`, `oom`, `health_status: unhealthy`, …; any of them.
    pub event: Vec<String>,
    /// `container`, `image`, `network`, `volume` or `daemon`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Names or patterns of names; empty for all.
    #[serde(default)]
    pub container: Vec<String>,
    /// `key` or `key=value`; all must fit.
    #[serde(default)]
    pub label: Vec<String>,
}

impl DockerTrigger {
    pub const KIND: &'static str = "docker";
    pub const TYPES: [&'static str; 5] = ["container", "image", "network", "volume", "daemon"];

    /// `detail` is what follows the action's colon.
    pub fn fits(
        &self,
        kind: &str,
        (action, detail): (&str, Option<&str>),
        name: &str,
        attributes: &BTreeMap<String, String>,
    ) -> bool {
        let is_named = |event: &String| match event.split_once(": ") {
            Some((wanted, particular)) => wanted == action && detail == Some(particular),
            None => event == action,
        };
        let has = |label: &String| match label.split_once('=') {
            Some((key, value)) => attributes.get(key).is_some_and(|own| own == value),
            None => attributes.contains_key(label),
        };
        kind == self.kind
            && self.event.iter().any(is_named)
            && (self.container.is_empty() || self.container.iter().any(|pattern| matches(pattern, name)))
            && self.label.iter().all(has)
    }
}

/// What a PostgreSQL server is told with NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SqlTrigger {
    /// Of the configuration's `sql`.
    pub source: String,
    pub channel: String,
}

impl SqlTrigger {
    pub const KIND: &'static str = "sql";
}

/// Requests of other services to `/hooks/JOB`, signed with a secret that both sides have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookTrigger {
    /// The secret's name.
    pub secret: String,
    #[serde(default)]
    pub scheme: Scheme,
}

impl WebhookTrigger {
    pub const KIND: &'static str = "webhook";
}

/// How a request is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// <https://www.standardwebhooks.com>
    #[default]
    Standard,
    /// `X-Hub-Signature-256`, as GitHub and Gitea sign.
    Github,
}

impl Scheme {
    pub const NAMES: [(&'static str, Self); 2] = [("standard", Self::Standard), ("github", Self::Github)];
}

/// Files that appear or change in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileTrigger {
    /// `root:folder/name`, where the name may hold `*`.
    pub path: String,
    /// For how long a file must stay as it is before it counts as whole.
    #[serde(rename = "settle_ms", with = "super::millis")]
    pub settle: Duration,
}

impl FileTrigger {
    pub const KIND: &'static str = "file";
}

/// Runs of other jobs that end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTrigger {
    /// Names or patterns of names; any of them.
    pub name: Vec<String>,
    /// `succeeded`, `failed`, …; any of them.
    pub state: Vec<String>,
}

impl JobTrigger {
    pub const KIND: &'static str = "job";
    pub const STATES: [&'static str; 5] = ["succeeded", "failed", "timed_out", "cancelled", "interrupted"];

    pub fn fits(&self, job: &str, state: &str) -> bool {
        Self::STATES.contains(&state)
            && self.state.iter().any(|wanted| wanted == state)
            && self.name.iter().any(|pattern| matches(pattern, job))
    }
}

/// Alerts that begin to fire, or are over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertTrigger {
    /// Names or patterns of names of rules and of reported alerts; any of them.
    pub rule: Vec<String>,
    /// `firing`, `resolved`; any of them.
    pub state: Vec<String>,
}

impl AlertTrigger {
    pub const KIND: &'static str = "alert";
    pub const STATES: [&'static str; 2] = ["firing", "resolved"];

    pub fn fits(&self, rule: &str, state: &str) -> bool {
        self.state.iter().any(|wanted| wanted == state) && self.rule.iter().any(|pattern| matches(pattern, rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger() -> DockerTrigger {
        DockerTrigger {
            event: vec!["die".into(), "health_status: unhealthy".into()],
            kind: "container".into(),
            container: vec!["web-*".into()],
            label: vec!["tier=front".into(), "team".into()],
        }
    }

    #[test]
    fn ends_of_runs_and_alerts_fit_by_name_and_state() {
        let job = JobTrigger { name: vec!["backup-*".into()], state: vec!["failed".into(), "timed_out".into()] };
        assert!(job.fits("backup-db", "failed") && !job.fits("backup-db", "succeeded") && !job.fits("web", "failed"));
        let odd = JobTrigger { name: vec!["*".into()], state: vec!["queued".into()] };
        assert!(!odd.fits("web", "queued"), "a run that only waits has not ended");
        let alert = AlertTrigger { rule: vec!["disk_*".into()], state: vec!["firing".into()] };
        assert!(
            alert.fits("disk_full", "firing") && !alert.fits("disk_full", "resolved") && !alert.fits("cpu", "firing")
        );
    }

    #[test]
    fn an_event_fits_when_everything_does() {
        let labels = BTreeMap::from([("tier".to_owned(), "front".to_owned()), ("team".to_owned(), "a".to_owned())]);
        let fits = |kind: &str, action, name: &str| trigger().fits(kind, action, name, &labels);
        assert!(fits("container", ("die", None), "web-1"));
        assert!(fits("container", ("health_status", Some("unhealthy")), "web-1"));
        assert!(!fits("container", ("health_status", Some("healthy")), "web-1"));
        assert!(!fits("container", ("start", None), "web-1"));
        assert!(!fits("container", ("die", None), "db") && !fits("network", ("die", None), "web-1"));
        let other = BTreeMap::from([("tier".to_owned(), "back".to_owned()), ("team".to_owned(), "a".to_owned())]);
        assert!(!trigger().fits("container", ("die", None), "web-1", &other));
    }
}
