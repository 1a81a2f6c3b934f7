//! What the engine is to have when a stack is up: the model in the engine's terms. Pure.

mod container;
mod labels;
mod mounts;
mod resources;
pub(super) mod surroundings;
#[cfg(test)]
pub(super) mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

pub use labels::{Label, changed_parts, parts_text};

use super::compose::Project;
use super::compose::model::Build;
use super::order;
use crate::base::Fault;
use crate::base::limits::STACK_REPLICAS_MAX;
use crate::primitives::docker::PutFile;

/// A stack in the engine's terms.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    pub project: String,
    /// By their names on the engine.
    pub networks: BTreeMap<String, Surrounding>,
    pub volumes: BTreeMap<String, Surrounding>,
    pub services: BTreeMap<String, Service>,
    /// Services that the profiles leave out.
    pub disabled: BTreeSet<String>,
    /// What the files ask for and nothing acts on.
    pub warnings: Vec<String>,
}

/// A network or a volume.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Surrounding {
    /// Its name in the files.
    pub key: String,
    /// Made elsewhere: must be there, and is left alone.
    pub external: bool,
    /// Options of its creation.
    pub options: Map<String, Value>,
    /// Of the options.
    pub hash: String,
}

/// A service and how its containers are made.
#[derive(Debug, Clone, Default)]
pub struct Service {
    pub name: String,
    pub image: String,
    pub build: Option<Build>,
    /// `always`, `missing`, `never` or `build`.
    pub pull_policy: String,
    pub platform: String,
    pub replicas: u32,
    /// A name of its own instead of one made of project, service and number.
    pub container_name: Option<String>,
    /// Options of a container's creation, but for what its number decides.
    pub options: Map<String, Value>,
    /// Configs and secrets that are no files here: they are written into a container before it starts.
    pub files: Vec<PutFile>,
    /// A short hash of each option.
    pub parts: BTreeMap<String, String>,
    /// Of all options.
    pub hash: String,
    /// By their names on the engine.
    pub networks: BTreeSet<String>,
    /// Services that it waits for.
    pub needs: BTreeMap<String, Need>,
    /// Services whose containers its own are part of: they share a namespace or volumes.
    pub shares: BTreeSet<String>,
}

/// What must be true of a service before another one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    pub condition: Condition,
    /// Whether the other one is restarted when this one is made anew.
    pub restart: bool,
    /// Without it, a failure is told and passed over.
    pub required: bool,
}

/// When a service counts as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Started,
    Healthy,
    Completed,
}

impl Desired {
    /// Puts a loaded stack into the engine's terms. `files` are its Compose files, for the labels.
    ///
    /// # Errors
    /// `stack.cycle` when services wait for each other, `stack.unsupported` for what Compose does and this does not.
    pub fn of(project: &Project, files: &[String]) -> Result<Self, Fault> {
        let mut desired = Self {
            project: project.name.clone(),
            networks: surroundings::networks(project),
            volumes: surroundings::volumes(project),
            disabled: project.disabled_services.keys().cloned().collect(),
            ..Self::default()
        };
        for (name, service) in &project.services {
            let made =
                container::Making { project, files, name, service, warnings: &mut desired.warnings }.service()?;
            if made.replicas > STACK_REPLICAS_MAX {
                let message =
                    format!("the service {name:?} has {} replicas, more than {STACK_REPLICAS_MAX}", made.replicas);
                return Err(Fault::new("stack.too_large", message).hint("ask for fewer replicas"));
            }
            desired.services.insert(name.clone(), made);
        }
        order::of(&desired.waits())?;
        Ok(desired)
    }

    /// For each service those that come before it.
    pub fn waits(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let before = |service: &'_ Service| -> BTreeSet<&str> {
            let named = service.needs.keys().chain(&service.shares);
            let known = named.filter_map(|name| self.services.get_key_value(name));
            known.map(|(name, _)| name.as_str()).collect()
        };
        self.services.iter().map(|(name, service)| (name.as_str(), before(service))).collect()
    }
}

impl Service {
    /// The name of one of its containers.
    pub fn container(&self, project: &str, number: u32) -> String {
        match &self.container_name {
            Some(name) => name.clone(),
            None => format!("{project}-{}-{number}", self.name),
        }
    }
}

impl Service {
    /// Whether a volume of that name on the engine is mounted.
    pub fn uses_volume(&self, name: &str) -> bool {
        let entries = self.options.get("volumes").and_then(Value::as_array).into_iter().flatten();
        let mut sources = entries.filter_map(|entry| match entry {
            Value::String(text) => text.split(':').next(),
            table => table.get("source").and_then(Value::as_str),
        });
        sources.any(|source| source == name)
    }
}

impl Condition {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "service_started",
            Self::Healthy => "service_healthy",
            Self::Completed => "service_completed_successfully",
        }
    }

    /// What is not known counts as `service_started`, as it does when nothing is said.
    fn parse(text: &str) -> Self {
        [Self::Healthy, Self::Completed].into_iter().find(|one| one.as_str() == text).unwrap_or(Self::Started)
    }
}

/// What Compose does and this does not.
pub(in crate::primitives::stack) fn unsupported(service: &str, what: &str) -> Fault {
    Fault::new("stack.unsupported", format!("the service {service:?} wants {what}, which Aegis does not do"))
        .hint("write it in a way that docs/stacks.md lists")
}

/// A short name of a value, by which two can be told apart.
pub(super) fn short_hash(value: &Value) -> String {
    long_hash(value).chars().take(8).collect()
}

/// Keys of objects are sorted, so that equal values have equal hashes.
pub(super) fn long_hash(value: &Value) -> String {
    blake3::hash(value.to_string().as_bytes()).to_hex().to_string()
}
