//! What the rules look at, gathered once.

use futures_util::StreamExt;
use serde_json::Value;

use super::AuditOptions;
use super::rule::text;
use crate::base::{Timestamp, limits};
use crate::model::grants::{Access, matches};
use crate::primitives::docker::containers::name_of;
use crate::primitives::docker::engine::Docker;
use crate::primitives::docker::error::DockerError;
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) now: Timestamp,
    /// Of `/info`.
    pub(super) engine: Value,
    pub(super) networks: Vec<Value>,
    pub(super) containers: Vec<ContainerFacts>,
    pub(super) images: Vec<ImageFacts>,
    /// All of the engine's, running and not.
    pub(super) containers_total: usize,
    pub(super) containers_running: usize,
    /// Ids of images that a container is made of.
    pub(super) images_used: Vec<String>,
    /// Of `/swarm`; null where there is none.
    pub(super) swarm: Value,
}

/// A container.
#[derive(Debug, Clone, Default)]
pub(super) struct ContainerFacts {
    pub(super) name: String,
    /// Its inspection.
    pub(super) raw: Value,
    /// The commands of its processes, while it runs.
    pub(super) processes: Vec<String>,
    /// Inspections of what is executed in it now: the engine forgets what has ended.
    pub(super) executions: Vec<Value>,
}

/// An image.
#[derive(Debug, Clone, Default)]
pub(super) struct ImageFacts {
    pub(super) name: String,
    pub(super) raw: Value,
    /// The instructions that made its layers.
    pub(super) history: Vec<String>,
}

impl Facts {
    pub(super) fn engine_text(&self, pointer: &str) -> String {
        text(&self.engine, pointer).to_owned()
    }

    /// What was gathered, and what was left out.
    pub(super) async fn gather(
        docker: &Docker,
        permit: &DockerPermit,
        options: &AuditOptions,
    ) -> Result<(Self, Vec<String>), DockerError> {
        permit.check_any(Access::Read, "auditing Docker")?;
        let mut warnings = Vec::new();
        let engine = docker.read("reading Docker's state", "/info", &[]).await?;
        let networks = docker.read("listing networks", "/networks", &[]).await?;
        let entries = docker.read("listing containers", "/containers/json", &[("all", "true".to_owned())]).await?;
        let entries = entries.as_array().cloned().unwrap_or_default();
        let is_running = |entry: &&Value| text(entry, "/State") == "running";
        let asked = |entry: &&Value| {
            let (name, patterns) = (name_of(entry), &options.containers.0);
            let named = patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, &name));
            named && permit.covers(Access::Read, &name) && (options.all || is_running(entry))
        };
        let wanted: Vec<Value> = entries.iter().filter(asked).cloned().collect();
        let wanted = bounded(wanted, "containers", &mut warnings);
        let mut boxes = futures_util::stream::iter(wanted.into_iter().map(|entry| container(docker, entry)))
            .buffer_unordered(limits::DOCKER_CALLS_AT_ONCE_MAX);
        let mut containers = Vec::new();
        while let Some(found) = boxes.next().await {
            containers.extend(found?);
        }
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        let images = images(docker, &mut warnings).await?;
        let is_swarm = text(&engine, "/Swarm/LocalNodeState") == "active";
        let swarm = match is_swarm && super::rule::flag(&engine, "/Swarm/ControlAvailable") {
            true => docker.read("reading the swarm's state", "/swarm", &[]).await?,
            false => Value::Null,
        };
        let facts = Self {
            now: docker.clock().now(),
            networks: networks.as_array().cloned().unwrap_or_default(),
            containers_total: entries.len(),
            containers_running: entries.iter().filter(is_running).count(),
            images_used: entries.iter().map(|entry| text(entry, "/ImageID").to_owned()).collect(),
            engine,
            containers,
            images,
            swarm,
        };
        Ok((facts, warnings))
    }
}

fn bounded<T>(mut found: Vec<T>, what: &str, warnings: &mut Vec<String>) -> Vec<T> {
    let most = limits::DOCKER_AUDIT_OBJECTS_MAX;
    if found.len() > most {
        warnings.push(format!("{} {what} are too many for one audit: {most} were looked at", found.len()));
        found.truncate(most);
    }
    found
}

/// None when it went meanwhile.
async fn container(docker: &Docker, entry: Value) -> Result<Option<ContainerFacts>, DockerError> {
    let id = text(&entry, "/Id");
    let raw = match docker.read("inspecting a container", &format!("/containers/{id}/json"), &[]).await {
        Ok(raw) => raw,
        Err(DockerError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let processes = match text(&entry, "/State") {
        "running" => processes(docker, id).await?,
        _ => Vec::new(),
    };
    let ids: Vec<&str> = super::rule::texts(&raw, "/ExecIDs").take(limits::DOCKER_AUDIT_EXECUTIONS_MAX).collect();
    let mut executions = Vec::new();
    for id in ids {
        match docker.read("inspecting what was executed", &format!("/exec/{id}/json"), &[]).await {
            Ok(execution) => executions.push(execution),
            Err(DockerError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(ContainerFacts { name: name_of(&entry), raw, processes, executions }))
}

async fn processes(docker: &Docker, id: &str) -> Result<Vec<String>, DockerError> {
    let query = [("ps_args", "-eo pid,comm".to_owned())];
    match docker.read("listing processes", &format!("/containers/{id}/top"), &query).await {
        Ok(raw) => {
            let rows = super::rule::items(&raw, "/Processes").filter_map(Value::as_array);
            Ok(rows.filter_map(|row| row.last()?.as_str().map(str::to_owned)).collect())
        }
        // It ended meanwhile, or the engine has no `ps`.
        Err(DockerError::NotFound { .. } | DockerError::Conflict { .. } | DockerError::Engine { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

async fn images(docker: &Docker, warnings: &mut Vec<String>) -> Result<Vec<ImageFacts>, DockerError> {
    let entries = docker.read("listing images", "/images/json", &[]).await?;
    let entries = bounded(entries.as_array().cloned().unwrap_or_default(), "images", warnings);
    let mut found = futures_util::stream::iter(entries.into_iter().map(|entry| picture(docker, entry)))
        .buffer_unordered(limits::DOCKER_CALLS_AT_ONCE_MAX);
    let mut images = Vec::new();
    while let Some(image) = found.next().await {
        images.extend(image?);
    }
    images.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(images)
}

async fn picture(docker: &Docker, entry: Value) -> Result<Option<ImageFacts>, DockerError> {
    let id = text(&entry, "/Id");
    let read = async |path: String| match docker.read("inspecting an image", &path, &[]).await {
        Ok(raw) => Ok(Some(raw)),
        Err(DockerError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    let (Some(raw), Some(history)) =
        (read(format!("/images/{id}/json")).await?, read(format!("/images/{id}/history")).await?)
    else {
        return Ok(None);
    };
    let name = super::rule::texts(&raw, "/RepoTags").next().unwrap_or(id).to_owned();
    let history = history.as_array().into_iter().flatten();
    let history = history.map(|layer| text(layer, "/CreatedBy").to_owned()).collect();
    Ok(Some(ImageFacts { name, raw, history }))
}
