//! A whole stack.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FileObject, Network, Service, Volume};

/// A stack: what Compose calls a project.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Project {
    pub name: String,
    /// Where relative paths started.
    #[serde(skip)]
    pub folder: String,
    /// Those that the profiles leave in.
    pub services: BTreeMap<String, Service>,
    /// Those that the profiles leave out.
    #[serde(skip)]
    pub disabled_services: BTreeMap<String, Service>,
    pub networks: BTreeMap<String, Network>,
    pub volumes: BTreeMap<String, Volume>,
    pub configs: BTreeMap<String, FileObject>,
    pub secrets: BTreeMap<String, FileObject>,
    /// Extensions and unknown keys at the top of the files.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Project {
    /// The stack as `docker-compose config --format json` shows it: sorted, complete, with `$` doubled.
    ///
    /// # Errors
    /// Fails if a value cannot be written as JSON, of which none is known.
    pub fn to_json(&self) -> Result<Value, serde_json::Error> {
        let mut shown = serde_json::to_value(self)?;
        if let Some(map) = shown.as_object_mut() {
            for section in ["networks", "volumes", "configs", "secrets"] {
                if map.get(section).and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
                    map.remove(section);
                }
            }
        }
        for (section, is_secret) in [("configs", false), ("secrets", true)] {
            let objects = shown.get_mut(section).and_then(Value::as_object_mut);
            for object in objects.into_iter().flat_map(serde_json::Map::values_mut).filter_map(Value::as_object_mut) {
                if is_secret || object.contains_key("environment") {
                    object.remove("content");
                }
            }
        }
        Ok(double_dollars(shown))
    }

    /// Leaves out networks, volumes, configs and secrets that no service uses.
    pub(in super::super) fn drop_unused(&mut self) {
        let mut networks = BTreeSet::new();
        let mut volumes = BTreeSet::new();
        let mut configs = BTreeSet::new();
        let mut secrets = BTreeSet::new();
        for service in self.services.values() {
            networks.extend(service.networks.keys().cloned());
            let named = service.volumes.iter().filter(|mount| mount.kind == "volume");
            volumes.extend(named.map(|mount| mount.source.clone()));
            configs.extend(service.configs.iter().map(|config| config.source.clone()));
            let of_build = service.build.iter().flat_map(|build| &build.secrets);
            secrets.extend(service.secrets.iter().chain(of_build).map(|secret| secret.source.clone()));
        }
        self.networks.retain(|name, _| networks.contains(name));
        self.volumes.retain(|name, _| volumes.contains(name));
        self.configs.retain(|name, _| configs.contains(name));
        self.secrets.retain(|name, _| secrets.contains(name));
    }
}

/// In what is shown, a dollar sign is written so that it can be read in again.
fn double_dollars(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('$', "$$")),
        Value::Array(list) => list.into_iter().map(double_dollars).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(key, value)| (key.replace('$', "$$"), double_dollars(value))).collect()
        }
        other => other,
    }
}
