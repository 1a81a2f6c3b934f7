//! Containers come and take each other's place.

use serde_json::{Map, Value, json};

use super::Apply;
use crate::base::Fault;
use crate::primitives::docker::{ChangeOptions, CreateOptions, RemoveOptions, StopOptions};
use crate::primitives::stack::desired::{Label, Service};
use crate::primitives::stack::plan::{Action, Container, Inherited, Verb};

impl Apply<'_> {
    pub(super) async fn container(&self, service: &Service, action: &Action) -> Result<(), Fault> {
        match action.verb {
            Verb::Create => {
                Box::pin(self.create(service, action, &action.name, None)).await?;
                self.start(&action.name).await
            }
            Verb::Recreate => Box::pin(self.recreate(service, action)).await,
            Verb::Rename => {
                let id = action.id.as_deref().unwrap_or_default();
                self.docker().rename(self.permit, id, &action.name, ChangeOptions::default()).await?;
                Ok(())
            }
            Verb::Start => self.start(action.id.as_deref().unwrap_or(&action.name)).await,
            Verb::Restart => self.restart(action.id.as_deref().unwrap_or(&action.name)).await,
            Verb::Pull | Verb::Build | Verb::Update | Verb::Stop | Verb::Remove => Ok(()),
        }
    }

    /// The new one is made beside the old one, so that what cannot be made leaves the old one running.
    async fn recreate(&self, service: &Service, action: &Action) -> Result<(), Fault> {
        let old = action.id.as_deref().unwrap_or_default();
        let found = self.observed.containers.iter().find(|one| one.id == old);
        let beside = format!("{}.new", action.name);
        Box::pin(self.create(service, action, &beside, found)).await?;
        self.docker().stop(self.permit, old, StopOptions::default()).await?;
        let options = RemoveOptions { force: true, ..RemoveOptions::default() };
        self.docker().remove(self.permit, old, options).await?;
        self.docker().rename(self.permit, &beside, &action.name, ChangeOptions::default()).await?;
        self.start(&action.name).await
    }

    /// Gives its id, unless the engine only plans.
    pub(in crate::primitives::stack) async fn create(
        &self,
        service: &Service,
        action: &Action,
        name: &str,
        old: Option<&Container>,
    ) -> Result<Option<String>, Fault> {
        let mut options = service.options.clone();
        options.insert("name".to_owned(), json!(name));
        // Whatever is needed was fetched before anything was changed.
        options.insert("pull_policy".to_owned(), json!("never"));
        let image = self.observed.images.get(&service.image).map(String::as_str);
        label(&mut options, action.number.unwrap_or(1), image, old);
        alias(&mut options, &action.name);
        inherit(&mut options, old.map(|one| one.anonymous.as_slice()).unwrap_or_default());
        self.resolve_shared(&mut options).await?;
        let options: CreateOptions = serde_json::from_value(Value::Object(options))
            .map_err(|problem| Fault::new("stack.unsupported", problem.to_string()))?;
        let created = Box::pin(self.docker().create(self.permit, options)).await?;
        if !service.files.is_empty()
            && let Err(error) = self.docker().put_files(self.permit, name, &service.files).await
        {
            // Without them it would start as something else the next time.
            self.docker().remove(self.permit, name, RemoveOptions { force: true, ..RemoveOptions::default() }).await?;
            return Err(error.into());
        }
        for warning in created.warnings {
            self.told.tell(super::Stage::Done, format!("create container {name}"), Some(warning));
        }
        Ok(created.id)
    }

    /// `service:db` becomes the container of that service.
    async fn resolve_shared(&self, options: &mut Map<String, Value>) -> Result<(), Fault> {
        for key in ["network_mode", "ipc", "pid"] {
            let service = options.get(key).and_then(Value::as_str).and_then(|mode| mode.strip_prefix("service:"));
            if let Some(service) = service.map(str::to_owned) {
                let id = self.first_of(&service).await?;
                options.insert(key.to_owned(), json!(format!("container:{id}")));
            }
        }
        let entries: Vec<String> = options
            .get("volumes_from")
            .and_then(Value::as_array)
            .map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default();
        let mut resolved = Vec::new();
        for entry in entries {
            let outside = entry.strip_prefix("container:").map(str::to_owned);
            resolved.push(match outside {
                Some(container) => container,
                None => {
                    let (service, mode) = entry.split_once(':').unwrap_or((&entry, "rw"));
                    format!("{}:{mode}", self.first_of(service).await?)
                }
            });
        }
        if !resolved.is_empty() {
            options.insert("volumes_from".to_owned(), json!(resolved));
        }
        Ok(())
    }

    /// The id of a service's first container.
    async fn first_of(&self, service: &str) -> Result<String, Fault> {
        let found = self.containers_of(service).await?;
        let first = found.into_iter().next().map(|one| one.id);
        first.ok_or_else(|| {
            let message = format!("the service {service:?} has no container to share");
            Fault::new("stack.missing", message).hint("give it a replica")
        })
    }
}

fn label(options: &mut Map<String, Value>, number: u32, image: Option<&str>, old: Option<&Container>) {
    if let Some(labels) = options.get_mut("labels").and_then(Value::as_object_mut) {
        labels.insert(Label::Number.key().to_owned(), json!(number.to_string()));
        labels.insert(Label::Image.key().to_owned(), json!(image.unwrap_or_default()));
        if let Some(old) = old {
            labels.insert(Label::Replace.key().to_owned(), json!(old.id));
        }
    }
}

/// On every network it is known by its name, by its service's and by those that the files give it.
fn alias(options: &mut Map<String, Value>, name: &str) {
    for network in options.get_mut("networks").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(aliases) = network.get_mut("aliases").and_then(Value::as_array_mut) {
            aliases.insert(0, json!(name));
        }
    }
}

/// Volumes without a name go on with the new container, unless something else is mounted at their place.
fn inherit(options: &mut Map<String, Value>, anonymous: &[Inherited]) {
    let mut volumes: Vec<Value> = options.get("volumes").and_then(Value::as_array).cloned().unwrap_or_default();
    for volume in anonymous {
        let target = |entry: &Value| match entry {
            Value::String(text) => text.split(':').nth(1).unwrap_or(text).to_owned(),
            table => table.get("target").and_then(Value::as_str).unwrap_or_default().to_owned(),
        };
        let is_named = |entry: &Value| entry.is_string() || entry.get("source").is_some_and(|source| !source.is_null());
        let is_kind = |entry: &Value, kind: &str| entry.get("type").and_then(Value::as_str) == Some(kind);
        let at = volumes.iter().position(|entry| target(entry) == volume.target);
        let inherited = json!({
            "type": "volume", "source": volume.name, "target": volume.target, "read_only": volume.read_only,
        });
        match at {
            None => volumes.push(inherited),
            Some(at) if !is_named(&volumes[at]) && is_kind(&volumes[at], "volume") => volumes[at] = inherited,
            Some(_) => {}
        }
    }
    if !volumes.is_empty() {
        options.insert("volumes".to_owned(), json!(volumes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_without_a_name_go_on_unless_their_place_is_taken() {
        let volume =
            |name: &str, target: &str| Inherited { name: name.into(), target: target.into(), read_only: false };
        let mut options = Map::from_iter([(
            "volumes".to_owned(),
            json!(["data:/data:rw", { "type": "volume", "target": "/scratch" }, { "type": "tmpfs", "target": "/tmp" }]),
        )]);
        inherit(
            &mut options,
            &[volume("a", "/data"), volume("b", "/scratch"), volume("c", "/image"), volume("d", "/tmp")],
        );
        let sources: Vec<&str> = options["volumes"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|entry| entry.get("source").and_then(Value::as_str).unwrap_or("-"))
            .collect();
        assert_eq!(sources, ["-", "b", "-", "c"]);
        let mut bare = Map::new();
        inherit(&mut bare, &[]);
        assert!(bare.is_empty());
    }
}
