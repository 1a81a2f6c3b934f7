//! Networks and volumes come and go.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Apply;
use crate::base::Fault;
use crate::primitives::docker::{ChangeOptions, DisconnectOptions, Docker, RemoveVolumeOptions};
use crate::primitives::permit::DockerPermit;
use crate::primitives::stack::plan::{Action, Verb};

impl Apply<'_> {
    pub(super) async fn network(&self, action: &Action) -> Result<(), Fault> {
        let Some(network) = self.desired.networks.get(&action.name) else { return Ok(()) };
        let options = read(&network.options)?;
        if action.verb == Verb::Recreate {
            self.empty_network(&action.name).await?;
            remove_network(self.docker(), self.permit, &action.name).await?;
        }
        self.docker().create_network(self.permit, &action.name, options).await?;
        Ok(())
    }

    pub(super) async fn volume(&self, action: &Action) -> Result<(), Fault> {
        let Some(volume) = self.desired.volumes.get(&action.name) else { return Ok(()) };
        self.docker().create_volume(self.permit, &action.name, read(&volume.options)?).await?;
        Ok(())
    }

    /// Takes the stack's own containers off a network that is made anew; they are made anew after it.
    async fn empty_network(&self, name: &str) -> Result<(), Fault> {
        let found = self.docker().network(self.permit, name).await?;
        let is_own = |container: &&String| self.observed.containers.iter().any(|one| one.name == **container);
        if let Some(stranger) = found.containers.keys().find(|container| !is_own(container)) {
            let message =
                format!("the network {name:?} has other settings now, and {stranger:?} of another stack is on it");
            return Err(Fault::new("stack.network_in_use", message).hint("take that container off the network first"));
        }
        for container in found.containers.keys() {
            let options = DisconnectOptions { force: true, dry_run: false };
            self.docker().disconnect_network(self.permit, name, container, options).await?;
        }
        Ok(())
    }
}

pub(super) async fn remove_network(docker: &Docker, permit: &DockerPermit, name: &str) -> Result<(), Fault> {
    match docker.remove_network(permit, name, ChangeOptions::default()).await {
        Err(error) if error.code() == "docker.not_found" => Ok(()),
        other => Ok(other.map(|_| ())?),
    }
}

pub(super) async fn remove_volume(docker: &Docker, permit: &DockerPermit, name: &str) -> Result<(), Fault> {
    match docker.remove_volume(permit, name, RemoveVolumeOptions::default()).await {
        Err(error) if error.code() == "docker.not_found" => Ok(()),
        other => Ok(other.map(|_| ())?),
    }
}

fn read<T: DeserializeOwned>(options: &Map<String, Value>) -> Result<T, Fault> {
    serde_json::from_value(Value::Object(options.clone()))
        .map_err(|problem| Fault::new("stack.unsupported", problem.to_string()))
}
