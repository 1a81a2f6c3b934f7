//! Removing what nothing uses. Planned here and carried out one object at a time, so that a dry run shows exactly what
//! a real run does, on every version of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bollard::query_parameters::{RemoveContainerOptions, RemoveImageOptions, RemoveVolumeOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::containers::{instant, labels};
use super::engine::Docker;
use super::error::DockerError;
use super::images::Image;
use crate::base::clock::since;
use crate::base::{Timestamp, limits};
use crate::model::grants::{Access, matches};
use crate::primitives::option::{Span, Texts};
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PruneTarget {
    /// Containers that do not run.
    Containers,
    /// Images of no container: dangling ones, with `all` every one.
    Images,
    /// Volumes of no container: anonymous ones, with `all` named ones too.
    Volumes,
    /// Networks of no container.
    Networks,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PruneOptions {
    pub all: bool,
    /// Only what was created (for containers: ended) longer ago.
    pub older_than: Option<Span>,
    /// `key` or `key=value`; all must fit.
    pub labels: Texts,
    /// Names or patterns that stay whatever happens.
    pub keep: Texts,
    pub dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PruneOutcome {
    pub target: PruneTarget,
    pub dry_run: bool,
    /// What was removed, or would be.
    pub removed: Vec<Removed>,
    /// What should have gone but did not, and why.
    pub failed: Vec<NotRemoved>,
    /// An upper bound: layers that other images share are counted with each.
    pub space_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    pub name: String,
    pub id: String,
    pub size_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotRemoved {
    pub name: String,
    pub problem: String,
}

/// Something that could go.
#[derive(Debug, Clone, Default, PartialEq)]
struct Candidate {
    /// What is handed to the engine to remove it: an id, or a tag of an image.
    id: String,
    name: String,
    in_use: bool,
    /// Goes only with `all`.
    guarded: bool,
    since: Option<Timestamp>,
    labels: BTreeMap<String, String>,
    size_bytes: u64,
}

impl PruneOptions {
    fn picks(&self, candidate: &Candidate, now: Timestamp) -> bool {
        let age = candidate.since.map_or(Duration::ZERO, |at| since(now, at));
        !candidate.in_use
            && (self.all || !candidate.guarded)
            && self.older_than.is_none_or(|least| age >= least.0)
            && self.labels.0.iter().all(|label| fits_label(label, &candidate.labels))
            && !self.keep.0.iter().any(|pattern| matches(pattern, &candidate.name))
    }
}

fn fits_label(label: &str, labels: &BTreeMap<String, String>) -> bool {
    match label.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|own| own == value),
        None => labels.contains_key(label),
    }
}

impl Docker {
    /// Needs `admin` on everything.
    pub async fn prune(
        &self,
        permit: &DockerPermit,
        target: PruneTarget,
        options: PruneOptions,
    ) -> Result<PruneOutcome, DockerError> {
        permit.check_all(Access::Admin, "removing whatever is unused")?;
        let candidates = match target {
            PruneTarget::Containers => self.stopped_containers().await?,
            PruneTarget::Images => self.unused_images().await?,
            PruneTarget::Volumes => self.unused_volumes().await?,
            PruneTarget::Networks => self.unused_networks().await?,
        };
        let now = self.clock().now();
        let mut outcome =
            PruneOutcome { target, dry_run: options.dry_run, removed: Vec::new(), failed: Vec::new(), space_bytes: 0 };
        for candidate in candidates.into_iter().filter(|candidate| options.picks(candidate, now)) {
            let removal = if options.dry_run { Ok(()) } else { self.remove_unused(target, &candidate).await };
            match removal {
                Ok(()) => {
                    outcome.space_bytes += candidate.size_bytes;
                    let Candidate { id, name, size_bytes, .. } = candidate;
                    outcome.removed.push(Removed { name, id, size_bytes });
                }
                // Gone or taken into use meanwhile: the others can still go.
                Err(DockerError::NotFound { .. }) => {}
                Err(
                    error @ (DockerError::Conflict { .. } | DockerError::Engine { .. } | DockerError::Timeout { .. }),
                ) => {
                    outcome.failed.push(NotRemoved { name: candidate.name, problem: error.to_string() });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(outcome)
    }

    async fn remove_unused(&self, target: PruneTarget, candidate: &Candidate) -> Result<(), DockerError> {
        let (action, id) = (format!("removing {:?}", candidate.name), candidate.id.clone());
        self.call(&action, |client| async move {
            match target {
                PruneTarget::Containers => client.remove_container(&id, None::<RemoveContainerOptions>).await,
                PruneTarget::Images => client.remove_image(&id, None::<RemoveImageOptions>, None).await.map(drop),
                PruneTarget::Volumes => client.remove_volume(&id, None::<RemoveVolumeOptions>).await,
                PruneTarget::Networks => client.remove_network(&id).await,
            }
        })
        .await
    }

    async fn stopped_containers(&self) -> Result<Vec<Candidate>, DockerError> {
        let query = [("all", "true".to_owned()), ("size", "true".to_owned())];
        let raw = self.read("listing containers", "/containers/json", &query).await?;
        let mut candidates = containers(&raw);
        for candidate in candidates.iter_mut().filter(|candidate| !candidate.in_use) {
            let path = format!("/containers/{}/json", candidate.id);
            let Ok(inspected) = self.read("inspecting a container", &path, &[]).await else { continue };
            candidate.since = instant(inspected.pointer("/State/FinishedAt")).or(candidate.since);
        }
        Ok(candidates)
    }

    async fn unused_images(&self) -> Result<Vec<Candidate>, DockerError> {
        let containers = self.read("listing containers", "/containers/json", &[("all", "true".to_owned())]).await?;
        let images = self.read("listing images", "/images/json", &[("shared-size", "true".to_owned())]).await?;
        Ok(images_of(&images, &containers))
    }

    async fn unused_volumes(&self) -> Result<Vec<Candidate>, DockerError> {
        let query = [("filters", r#"{"dangling":["true"]}"#.to_owned())];
        Ok(volumes(&self.read("listing volumes", "/volumes", &query).await?))
    }

    async fn unused_networks(&self) -> Result<Vec<Candidate>, DockerError> {
        let containers = self.read("listing containers", "/containers/json", &[("all", "true".to_owned())]).await?;
        let networks = self.read("listing networks", "/networks", &[]).await?;
        Ok(networks_of(&networks, &containers))
    }
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn seconds(of: &Value, key: &str) -> Option<Timestamp> {
    of.get(key).and_then(Value::as_i64).and_then(|at| Timestamp::from_second(at).ok())
}

fn containers(list: &Value) -> Vec<Candidate> {
    let one = |entry: &Value| Candidate {
        id: text(entry, "Id").to_owned(),
        name: entry.pointer("/Names/0").and_then(Value::as_str).unwrap_or_default().trim_start_matches('/').to_owned(),
        in_use: !matches!(text(entry, "State"), "created" | "exited" | "dead"),
        guarded: false,
        since: seconds(entry, "Created"),
        labels: labels(entry.get("Labels")),
        size_bytes: entry.get("SizeRw").and_then(Value::as_u64).unwrap_or_default(),
    };
    list.as_array().into_iter().flatten().map(one).collect()
}

/// One candidate a name, since an image goes with the last of its names.
fn images_of(images: &Value, containers: &Value) -> Vec<Candidate> {
    let used: BTreeSet<_> =
        containers.as_array().into_iter().flatten().map(|entry| text(entry, "ImageID").to_owned()).collect();
    let mut candidates = Vec::new();
    for raw in images.as_array().into_iter().flatten() {
        let image = Image::of(raw);
        let shared = raw.get("SharedSize").and_then(Value::as_u64).unwrap_or_default();
        let candidate = Candidate {
            id: image.id.clone(),
            name: image.id.clone(),
            in_use: used.contains(&image.id),
            guarded: !image.dangling,
            since: image.created_at,
            labels: image.labels.clone(),
            size_bytes: image.size_bytes.saturating_sub(shared),
        };
        if image.dangling {
            candidates.push(candidate);
            continue;
        }
        for (index, tag) in image.tags.iter().enumerate() {
            let size_bytes = if index == 0 { candidate.size_bytes } else { 0 };
            candidates.push(Candidate { id: tag.clone(), name: tag.clone(), size_bytes, ..candidate.clone() });
        }
    }
    candidates
}

fn volumes(answer: &Value) -> Vec<Candidate> {
    let is_anonymous = |name: &str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let one = |entry: &Value| Candidate {
        id: text(entry, "Name").to_owned(),
        name: text(entry, "Name").to_owned(),
        in_use: false,
        guarded: !is_anonymous(text(entry, "Name")),
        since: instant(entry.get("CreatedAt")),
        labels: labels(entry.get("Labels")),
        size_bytes: 0,
    };
    answer.get("Volumes").and_then(Value::as_array).into_iter().flatten().map(one).collect()
}

/// A network of a stopped container counts as used, which Docker's own prune does not heed: the container could not
/// start again.
fn networks_of(networks: &Value, containers: &Value) -> Vec<Candidate> {
    let attached = |entry: &Value| {
        let networks =
            entry.pointer("/NetworkSettings/Networks").and_then(Value::as_object).cloned().unwrap_or_default();
        let ids = networks.values().map(|network| text(network, "NetworkID").to_owned()).collect::<Vec<_>>();
        networks.into_iter().map(|(name, _)| name).chain(ids).collect::<Vec<_>>()
    };
    let used: BTreeSet<_> = containers.as_array().into_iter().flatten().flat_map(attached).collect();
    let own =
        |entry: &&Value| !matches!(text(entry, "Name"), "bridge" | "host" | "none") && text(entry, "Scope") == "local";
    let one = |entry: &Value| Candidate {
        id: text(entry, "Id").to_owned(),
        name: text(entry, "Name").to_owned(),
        in_use: used.contains(text(entry, "Id")) || used.contains(text(entry, "Name")),
        guarded: false,
        since: instant(entry.get("Created")),
        labels: labels(entry.get("Labels")),
        size_bytes: 0,
    };
    networks.as_array().into_iter().flatten().filter(own).take(limits::DOCKER_OPTION_ITEMS_MAX).map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn picked(options: &PruneOptions, candidates: Vec<Candidate>) -> Vec<String> {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        candidates
            .into_iter()
            .filter(|candidate| options.picks(candidate, now))
            .map(|candidate| candidate.name)
            .collect()
    }

    #[test]
    fn running_containers_stay() {
        let list = json!([
            {"Id": "1", "Names": ["/up"], "State": "running", "Created": 1},
            {"Id": "2", "Names": ["/down"], "State": "exited", "Created": 1},
            {"Id": "3", "Names": ["/new"], "State": "created", "Created": 999_990, "Labels": {"keep": "1"}},
            {"Id": "4", "Names": ["/strange"], "State": "hibernating", "Created": 1}
        ]);
        assert_eq!(picked(&PruneOptions::default(), containers(&list)), ["down", "new"]);
        let old = PruneOptions { older_than: Some(Span(Duration::from_secs(60))), ..PruneOptions::default() };
        assert_eq!(picked(&old, containers(&list)), ["down"]);
        let labelled = PruneOptions { labels: Texts(vec!["keep=1".into()]), ..PruneOptions::default() };
        assert_eq!(picked(&labelled, containers(&list)), ["new"]);
        let kept = PruneOptions { keep: Texts(vec!["do*".into()]), ..PruneOptions::default() };
        assert_eq!(picked(&kept, containers(&list)), ["new"]);
    }

    #[test]
    fn images_in_use_stay_and_named_ones_need_all() {
        let images = json!([
            {"Id": "sha256:used", "RepoTags": ["web:1"], "Size": 10},
            {"Id": "sha256:old", "RepoTags": ["web:0", "web:backup"], "Size": 20, "SharedSize": 5},
            {"Id": "sha256:none", "RepoTags": null, "Size": 40, "SharedSize": -1}
        ]);
        let containers = json!([{"ImageID": "sha256:used"}]);
        let candidates = images_of(&images, &containers);
        assert_eq!(picked(&PruneOptions::default(), candidates.clone()), ["sha256:none"]);
        let all = PruneOptions { all: true, ..PruneOptions::default() };
        assert_eq!(picked(&all, candidates.clone()), ["web:0", "web:backup", "sha256:none"]);
        assert_eq!(candidates.iter().map(|candidate| candidate.size_bytes).collect::<Vec<_>>(), [10, 15, 0, 40]);
    }

    #[test]
    fn named_volumes_need_all() {
        let answer = json!({"Volumes": [{"Name": "a".repeat(64)}, {"Name": "data"}, {"Name": "z".repeat(64)}]});
        assert_eq!(picked(&PruneOptions::default(), volumes(&answer)), ["a".repeat(64)]);
        let all = PruneOptions { all: true, ..PruneOptions::default() };
        assert_eq!(picked(&all, volumes(&answer)).len(), 3);
        assert!(picked(&all, volumes(&json!({"Volumes": null}))).is_empty());
    }

    #[test]
    fn networks_of_stopped_containers_stay() {
        let networks = json!([
            {"Id": "n1", "Name": "bridge", "Scope": "local"},
            {"Id": "n2", "Name": "used", "Scope": "local"},
            {"Id": "n3", "Name": "free", "Scope": "local"},
            {"Id": "n4", "Name": "cluster", "Scope": "swarm"}
        ]);
        let containers = json!([{"State": "exited", "NetworkSettings": {"Networks": {"used": {"NetworkID": ""}}}}]);
        assert_eq!(picked(&PruneOptions::default(), networks_of(&networks, &containers)), ["free"]);
    }
}
