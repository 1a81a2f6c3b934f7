//! Creating containers.

mod body;
mod engines;
mod environment;
mod mounts;
mod options;
mod privileges;
mod update;

use std::collections::BTreeMap;

use bollard::models::{ContainerCreateBody, NetworkConnectRequest};
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions};
use serde::Serialize;
use serde_json::Value;

pub use options::CreateOptions;
pub use update::UpdateOptions;

use self::mounts::MountPlan;
use super::engine::Docker;
use super::error::DockerError;
use super::executions::{Guest, RUN_LABEL};
use super::names::{check_image, check_name};
use super::networks::HOST_NETWORK;
use super::pull::{PullOptions, PullPolicy};
use crate::model::grants::Access;
use crate::primitives::permit::{Denied, DockerPermit};

/// A container that was created, or with `dry_run` would be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Created {
    /// None on a dry run.
    pub id: Option<String>,
    /// None where the engine would choose one.
    pub name: Option<String>,
    pub image: String,
    /// Whether the image was fetched first, or would be.
    pub pulled: bool,
    pub dry_run: bool,
    /// The request to the engine, without values of the environment.
    pub plan: Value,
    /// What this engine does not do as asked.
    pub warnings: Vec<String>,
}

/// Networks by id: one of the same name that is made meanwhile is another.
type Gates = BTreeMap<String, String>;

impl Docker {
    /// Fetches the image by its policy first. A failure on the way leaves no container behind.
    pub async fn create(&self, permit: &DockerPermit, options: CreateOptions) -> Result<Created, DockerError> {
        let image = check_image(&options.image)?.to_owned();
        let name = options.name.as_deref().map(|name| check_name("name", name)).transpose()?.map(str::to_owned);
        authorize(permit, name.as_deref(), &options)?;
        let environment = environment::resolve(&options).await?;
        let mounts = mounts::plan(&options.volumes, &options.tmpfs)?;
        let api = self.connected().await?.api;
        let (mut body, mut warnings) = (body::build(&options, environment, &mounts)?, engines::warnings(&options, api));
        let gates = self.check_surroundings(permit, name.as_deref(), &options, &mounts).await?;
        body::pin(&mut body, &gates);
        let pull = PullOptions {
            policy: Some(options.pull_policy.unwrap_or(PullPolicy::Missing)),
            platform: options.platform.clone(),
            auth: options.auth.clone(),
            timeout: None,
            dry_run: options.dry_run,
        };
        let pulled = self.pull(permit, &image, pull, |_| {}).await?.pulled;
        let plan = without_values(&body);
        let mut created =
            Created { id: None, name, image, pulled, dry_run: options.dry_run, plan, warnings: Vec::new() };
        if !options.dry_run {
            let (id, said) = self.create_from(&options, &gates, created.name.clone(), body).await?;
            warnings.extend(said);
            created.id = Some(id);
        }
        created.warnings = warnings;
        Ok(created)
    }

    /// What the engine would find out too late, or not at all. Gives the ids of the networks that hold executions in, by
    /// the names that they were asked for.
    async fn check_surroundings(
        &self,
        permit: &DockerPermit,
        name: Option<&str>,
        options: &CreateOptions,
        mounts: &MountPlan,
    ) -> Result<Gates, DockerError> {
        if let Some(name) = name {
            match self.find(permit, Access::Write, name).await {
                Err(DockerError::NotFound { .. }) => {}
                Ok(found) if found.name == name => {
                    let message = "there is a container of that name already".into();
                    return Err(DockerError::Conflict { action: format!("creating {name:?}"), message });
                }
                // The name is the start of another's id.
                Ok(_) | Err(DockerError::Denied(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let (mut gates, guest) =
            (Gates::new(), Guest { name, run: options.labels.0.get(RUN_LABEL), dns: &options.dns.0 });
        guest.check_usual(permit, options)?;
        for network in options.networks.names() {
            let found = self.find_network(permit, Access::Read, network).await.map_err(|error| match error {
                DockerError::NotFound { .. } => {
                    DockerError::invalid("networks", format!("there is no network {network:?}: create it first"))
                }
                other => other,
            })?;
            // An id is a name too.
            if found.driver == HOST_NETWORK {
                check(permit, "a container on the host's network", Access::Admin, name)?;
            }
            guest.check_joins(permit, &found)?;
            if found.is_gate() {
                gates.insert(network.to_owned(), found.id);
            }
        }
        for volume in &mounts.named {
            permit.check_as(&format!("mounting the volume {:?}", volume.name), Access::Write, &volume.name)?;
            if let Some((driver, driver_options)) = &volume.driver {
                self.same_volume(&volume.name, driver, driver_options).await?;
            }
        }
        Ok(gates)
    }

    async fn create_from(
        &self,
        options: &CreateOptions,
        gates: &Gates,
        name: Option<String>,
        body: ContainerCreateBody,
    ) -> Result<(String, Vec<String>), DockerError> {
        let shown = name.clone().unwrap_or_else(|| options.image.clone());
        let action = format!("creating {shown:?}");
        let parameters = CreateContainerOptions { name, platform: options.platform.clone().unwrap_or_default() };
        let answer =
            self.call(&action, |client| async move { client.create_container(Some(parameters), body).await }).await?;
        // Engines before API 1.44 take one network at creation; the others are joined one by one.
        for (network, settings) in options.networks.further() {
            let endpoint_config = Some(settings.endpoint());
            let request = NetworkConnectRequest { container: answer.id.clone(), endpoint_config };
            let action = format!("connecting {shown:?} to the network {network:?}");
            let network = gates.get(network).cloned().unwrap_or_else(|| network.to_owned());
            let joined =
                self.call(&action, |client| async move { client.connect_network(&network, request).await }).await;
            if let Err(error) = joined {
                self.discard(&answer.id).await;
                return Err(error);
            }
        }
        Ok((answer.id, answer.warnings))
    }

    pub(in crate::primitives::docker) async fn discard(&self, id: &str) {
        let parameters = RemoveContainerOptions { force: true, v: true, link: false };
        let container = id.to_owned();
        let removed = self
            .call("removing a container that could not be finished", |client| async move {
                client.remove_container(&container, Some(parameters)).await
            })
            .await;
        if let Err(error) = removed {
            tracing::warn!(container = id, %error, "a half-made container stays behind");
        }
    }
}

fn authorize(permit: &DockerPermit, name: Option<&str>, options: &CreateOptions) -> Result<(), DockerError> {
    let what = match name {
        Some(name) => format!("creating the container {name:?}"),
        None => "creating a container without a name".to_owned(),
    };
    check(permit, &what, Access::Write, name)?;
    let privileged = privileges::needed(options);
    if !privileged.is_empty() {
        check(permit, &format!("{what} with {}", privileged.join(", ")), Access::Admin, name)?;
    }
    Ok(())
}

fn check(permit: &DockerPermit, what: &str, access: Access, name: Option<&str>) -> Result<(), Denied> {
    match name {
        Some(name) => permit.check_as(what, access, name),
        None => permit.check_all(access, what),
    }
}

fn without_values(body: &ContainerCreateBody) -> Value {
    let mut shown = body.clone();
    for item in shown.env.iter_mut().flatten() {
        let name = item.split('=').next().unwrap_or_default();
        *item = format!("{name}=<hidden>");
    }
    serde_json::to_value(shown).unwrap_or_default()
}
