//! Services.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{number, of_stack, reach, text};
use crate::model::grants::Access;
use crate::primitives::docker::containers::labels;
use crate::primitives::docker::engine::Docker;
use crate::primitives::docker::error::DockerError;
use crate::primitives::docker::names::check_name;
use crate::primitives::permit::DockerPermit;

/// A service as the swarm has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SwarmService {
    pub id: String,
    pub name: String,
    /// Grows with every change; a change names the one that it is made from.
    pub version: u64,
    pub labels: BTreeMap<String, String>,
    /// What it is to be, in the engine's own words.
    pub spec: Value,
    /// Of its last update: `updating`, `completed`, `paused`, `rollback_started`, `rollback_completed` or
    /// `rollback_paused`; empty before the first.
    pub update_state: String,
    pub update_message: String,
}

impl SwarmService {
    /// How often its tasks were begun anew on request.
    pub fn beginnings(&self) -> u64 {
        number(&self.spec, "/TaskTemplate/ForceUpdate")
    }
}

impl Docker {
    /// Those of a stack that the permit covers, by name.
    pub async fn swarm_services(
        &self,
        permit: &DockerPermit,
        namespace: &str,
    ) -> Result<Vec<SwarmService>, DockerError> {
        permit.check_any(Access::Read, "listing services")?;
        let raw = self.read("listing services", "/services", &[of_stack(namespace)]).await?;
        let mut found: Vec<_> = raw.as_array().into_iter().flatten().map(service).collect();
        found.retain(|one| permit.covers(Access::Read, &one.name));
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    pub async fn swarm_service(&self, permit: &DockerPermit, name: &str) -> Result<SwarmService, DockerError> {
        self.find_service(permit, Access::Read, name).await
    }

    /// Gives what the swarm does not do as asked.
    pub async fn create_service(&self, permit: &DockerPermit, spec: &Value) -> Result<Vec<String>, DockerError> {
        let name = authorize(permit, spec)?;
        let action = format!("creating the service {name:?}");
        Ok(warnings(&self.send_json(&action, "/services/create", &[], spec).await?))
    }

    /// Whether a service may be made: asked before the one in its place goes.
    pub fn check_service(&self, permit: &DockerPermit, spec: &Value) -> Result<(), DockerError> {
        authorize(permit, spec).map(drop)
    }

    /// Changes it from the version that was seen. `docker.conflict` when it is another one by now.
    pub async fn update_service(
        &self,
        permit: &DockerPermit,
        seen: &SwarmService,
        spec: &Value,
    ) -> Result<Vec<String>, DockerError> {
        authorize(permit, spec)?;
        self.send_update(seen, spec).await
    }

    /// Has the swarm begin all of its tasks anew, from the version that was seen. What they are given stays.
    pub async fn restart_service(
        &self,
        permit: &DockerPermit,
        seen: &SwarmService,
    ) -> Result<Vec<String>, DockerError> {
        permit.check(Access::Write, &seen.name)?;
        let mut spec = seen.spec.clone();
        spec["TaskTemplate"]["ForceUpdate"] = json!(seen.beginnings() + 1);
        self.send_update(seen, &spec).await
    }

    async fn send_update(&self, seen: &SwarmService, spec: &Value) -> Result<Vec<String>, DockerError> {
        let action = format!("updating the service {:?}", seen.name);
        let path = format!("/services/{}/update", check_name("service", &seen.id)?);
        let version = [("version", seen.version.to_string())];
        match self.send_json(&action, &path, &version, spec).await {
            Err(DockerError::Engine { message, .. }) if message.contains("out of sequence") => {
                Err(DockerError::Conflict { action, message: "somebody else changed it meanwhile".into() })
            }
            answer => Ok(warnings(&answer?)),
        }
    }

    /// Its tasks end after it, one by one.
    pub async fn remove_service(&self, permit: &DockerPermit, name: &str) -> Result<(), DockerError> {
        let found = self.find_service(permit, Access::Write, name).await?;
        let action = format!("removing the service {:?}", found.name);
        self.call(&action, |client| async move { client.delete_service(&found.id).await }).await
    }

    pub(super) async fn find_service(
        &self,
        permit: &DockerPermit,
        access: Access,
        name: &str,
    ) -> Result<SwarmService, DockerError> {
        let name = check_name("service", name)?;
        let action = format!("looking for the service {name:?}");
        let found = service(&self.read(&action, &format!("/services/{name}"), &[]).await?);
        permit.check(access, &found.name)?;
        Ok(found)
    }
}

/// Whether the permit covers a service of this kind, and everything that its tasks are given. Gives its name.
fn authorize(permit: &DockerPermit, spec: &Value) -> Result<String, DockerError> {
    let name = check_name("service", &text(spec, "/Name"))?.to_owned();
    permit.check_as(&format!("the service {name:?}"), Access::Write, &name)?;
    let reached = reach::of(spec);
    if !reached.host.is_empty() {
        let what = format!("the service {name:?} with {}", reached.host.join(", "));
        permit.check_as(&what, Access::Admin, &name)?;
    }
    for network in &reached.networks {
        permit.check_as(&format!("the network {network:?}"), Access::Read, network)?;
    }
    for object in &reached.objects {
        permit.check_as(&format!("giving {object:?} to a service"), Access::Write, object)?;
    }
    Ok(name)
}

fn service(raw: &Value) -> SwarmService {
    SwarmService {
        id: text(raw, "/ID"),
        name: text(raw, "/Spec/Name"),
        version: number(raw, "/Version/Index"),
        labels: labels(raw.pointer("/Spec/Labels")),
        spec: raw.get("Spec").cloned().unwrap_or_default(),
        update_state: text(raw, "/UpdateStatus/State"),
        update_message: text(raw, "/UpdateStatus/Message"),
    }
}

fn warnings(answer: &Value) -> Vec<String> {
    let list = answer.get("Warnings").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}
