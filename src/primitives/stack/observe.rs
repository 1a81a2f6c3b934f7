//! Looks at what the engine has of a stack.

use std::collections::{BTreeMap, BTreeSet};

use super::desired::{Desired, Label};
use super::plan::{Container, Inherited, Observed, Surrounding};
use super::rollout::is_kept;
use crate::base::Fault;
use crate::primitives::docker::{self, Docker, ListOptions, NetworkListOptions, VolumeListOptions};
use crate::primitives::permit::DockerPermit;

/// What there is of what is wanted.
pub(super) async fn observe(docker: &Docker, permit: &DockerPermit, desired: &Desired) -> Result<Observed, Fault> {
    let named_networks: BTreeSet<&str> = desired.networks.keys().map(String::as_str).collect();
    let named_volumes: BTreeSet<&str> = desired.volumes.keys().map(String::as_str).collect();
    let mut observed = look(docker, permit, &desired.project, &named_networks, &named_volumes).await?;
    // What a rollout keeps for its way back is nobody's container.
    observed.containers.retain(|one| !is_kept(&one.name));
    for service in desired.services.values() {
        if observed.images.contains_key(&service.image) {
            continue;
        }
        let found = docker.image_id(permit, &service.image).await?;
        observed.images.extend(found.map(|id| (service.image.clone(), id)));
    }
    Ok(observed)
}

/// What bears a project's label.
pub(super) async fn of_project(docker: &Docker, permit: &DockerPermit, project: &str) -> Result<Observed, Fault> {
    look(docker, permit, project, &BTreeSet::new(), &BTreeSet::new()).await
}

async fn look(
    docker: &Docker,
    permit: &DockerPermit,
    project: &str,
    networks: &BTreeSet<&str>,
    volumes: &BTreeSet<&str>,
) -> Result<Observed, Fault> {
    let of_project = ListOptions { stack: Some(project.to_owned()), ..ListOptions::default() };
    let found = docker.list(permit, of_project).await?;
    let of_hand = |one: &docker::Container| {
        Label::OneOff.of(&one.labels).is_some_and(|text| text.eq_ignore_ascii_case("true"))
            || Label::Service.of(&one.labels).is_none()
    };
    let containers = found.into_iter().filter(|one| !of_hand(one)).map(container).collect();
    let is_own = |labels: &BTreeMap<String, String>| Label::Project.of(labels) == Some(project);
    let found = docker.networks(permit, NetworkListOptions::default()).await?;
    let kept = found.into_iter().filter(|one| is_own(&one.labels) || networks.contains(one.name.as_str()));
    let networks = kept.map(|one| (one.name, Surrounding { labels: one.labels })).collect();
    let found = docker.volumes(permit, VolumeListOptions::default()).await?;
    let kept = found.into_iter().filter(|one| is_own(&one.labels) || volumes.contains(one.name.as_str()));
    let volumes = kept.map(|one| (one.name, Surrounding { labels: one.labels })).collect();
    Ok(Observed { containers, networks, volumes, images: BTreeMap::new() })
}

fn container(found: docker::Container) -> Container {
    let text = |label: Label| label.of(&found.labels).unwrap_or_default().to_owned();
    let anonymous = found.mounts.iter().filter_map(|mount| {
        let name = mount.name.clone().filter(|name| mount.kind == "volume" && is_made_up(name))?;
        Some(Inherited { name, target: mount.target.clone(), read_only: mount.read_only })
    });
    Container {
        service: text(Label::Service),
        number: text(Label::Number).parse().unwrap_or(1),
        replaces: Label::Replace.of(&found.labels).map(str::to_owned),
        anonymous: anonymous.collect(),
        networks: found.networks.into_iter().map(|network| network.name).collect(),
        id: found.id,
        name: found.name,
        state: found.state,
        exit_code: found.exit_code,
        created_at: found.created_at,
        image_id: found.image_id,
        labels: found.labels,
    }
}

/// The engine gives volumes without a name one of 64 hexadecimal digits.
fn is_made_up(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
