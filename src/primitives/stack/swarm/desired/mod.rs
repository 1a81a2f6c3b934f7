//! What a swarm is to have when a stack is up: the model in a swarm's terms, as `docker stack deploy` puts it. Pure.

mod container;
mod draft;
mod mounts;
mod objects;
mod policy;
mod service;
#[cfg(test)]
pub(in crate::primitives::stack) mod tests;
mod unheeded;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::base::Fault;
use crate::primitives::docker::{NewObject, ObjectKind};
use crate::primitives::stack::compose::Project;
use crate::primitives::stack::compose::model::Network as Model;
use crate::primitives::stack::desired::surroundings::network_options;
use crate::primitives::stack::desired::{Label, long_hash};

/// What the files of configs and secrets hold, by their paths.
pub type Contents = BTreeMap<String, Vec<u8>>;

/// A stack in a swarm's terms.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    pub project: String,
    /// By their names in the swarm.
    pub networks: BTreeMap<String, Network>,
    pub objects: BTreeMap<(ObjectKind, String), Object>,
    /// By their names in the files.
    pub services: BTreeMap<String, Service>,
    /// Services that the profiles leave out.
    pub disabled: BTreeSet<String>,
    /// What the files ask for and a swarm does not do.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Network {
    /// Made elsewhere: must be there, and is left alone.
    pub external: bool,
    /// Options of its creation.
    pub options: Map<String, Value>,
    pub hash: String,
}

/// A secret or a config; None when it is made elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object(pub Option<NewObject>);

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Service {
    /// In the swarm.
    pub name: String,
    /// As it is sent, but for the ids of secrets and configs.
    pub spec: Value,
    /// A short hash of what each key of the files comes to.
    pub parts: BTreeMap<String, String>,
    /// Of all of them.
    pub hash: String,
    /// Services that it depends on.
    pub needs: BTreeSet<String>,
}

/// Networks of each engine, which no stack makes.
pub const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];

impl Desired {
    /// Puts a loaded stack into a swarm's terms.
    ///
    /// # Errors
    /// `swarm.unsupported` for what no swarm could run in any way, `stack.variable` for a variable that is not set.
    pub fn of(project: &Project, contents: &Contents) -> Result<Self, Fault> {
        let mut desired = Self {
            project: project.name.clone(),
            disabled: project.disabled_services.keys().cloned().collect(),
            ..Self::default()
        };
        for (key, network) in &project.networks {
            desired.networks.insert(network.name.clone(), self::network(&project.name, key, network)?);
        }
        let stored = objects::of(project, contents)?;
        for (name, service) in &project.services {
            unheeded::warn(name, service, &mut desired.warnings);
            let making = service::Making { project, name, service, stored: &stored, warnings: &mut desired.warnings };
            desired.services.insert(name.clone(), making.service()?);
        }
        // A mode of a network keeps a service of Compose from every network; a swarm has nothing of the kind.
        let default = default_network(&project.name);
        let is_missing = !desired.networks.contains_key(&default);
        if is_missing && desired.services.values().any(|service| service.uses_network(&default)) {
            let made = self::network(&project.name, "default", &Model::default())?;
            desired.networks.insert(default, made);
        }
        desired.objects = stored.into_objects();
        Ok(desired)
    }

    /// The service that is called so in the swarm.
    pub fn of_name(&self, name: &str) -> Option<&Service> {
        self.services.values().find(|service| service.name == name)
    }
}

impl Service {
    pub fn uses_network(&self, name: &str) -> bool {
        let networks = self.spec.pointer("/TaskTemplate/Networks").and_then(Value::as_array);
        networks.into_iter().flatten().any(|of| of.get("Target").and_then(Value::as_str) == Some(name))
    }
}

fn default_network(project: &str) -> String {
    format!("{project}_default")
}

fn network(project: &str, key: &str, network: &Model) -> Result<Network, Fault> {
    if network.external {
        return Ok(Network { external: true, ..Network::default() });
    }
    if matches!(network.driver.as_str(), "bridge" | "host" | "none" | "null") {
        let message = format!("the network {key:?} has the driver {:?}, which ends at one engine", network.driver);
        return Err(unsupported(message).hint("leave driver out, or write overlay"));
    }
    let mut options = network_options(network);
    options.entry("driver").or_insert_with(|| json!("overlay"));
    let mut labels = network.labels.clone();
    options.insert("labels".to_owned(), json!(labels));
    let hash = long_hash(&Value::Object(options.clone()));
    labels.insert(Label::Namespace.key().to_owned(), project.to_owned());
    labels.insert(Label::OwnHash.key().to_owned(), hash.clone());
    options.insert("labels".to_owned(), json!(labels));
    Ok(Network { external: false, options, hash })
}

/// What a swarm cannot do, and what would mean something else without it.
pub(in crate::primitives::stack) fn unsupported(message: impl Into<String>) -> Fault {
    Fault::new("swarm.unsupported", message)
}
