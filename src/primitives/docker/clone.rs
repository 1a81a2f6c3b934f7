//! A container once more: the same settings, under another name, of another image if that is wanted.

use std::collections::BTreeMap;

use bollard::models::{ContainerCreateBody, EndpointSettings, NetworkConnectRequest};
use bollard::query_parameters::CreateContainerOptions;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::done::Done;
use super::engine::Docker;
use super::error::DockerError;
use super::names::{Found, check_image, check_name};
use crate::model::grants::Access;
use crate::primitives::permit::DockerPermit;

/// The first digits of an id: the host name and alias that the engine makes up.
const SHORT_ID_DIGITS: usize = 12;
/// What a container has from its image unless it was created with something else.
const FROM_IMAGE: [&str; 8] =
    ["Cmd", "Entrypoint", "WorkingDir", "User", "StopSignal", "Healthcheck", "Shell", "OnBuild"];
/// Networks on which the engine takes no settings.
const PLAIN_NETWORKS: [&str; 3] = ["bridge", "host", "none"];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CloneOptions {
    /// Default: the image that the container was created from, by its name.
    pub image: Option<String>,
    pub dry_run: bool,
}

impl Docker {
    /// Creates a container with another's settings and does not start it. What that one has from its image, the new one
    /// has from its own. Anonymous volumes are shared by both. Both names need `admin`: what reaches the host is taken over.
    pub async fn clone_container(
        &self,
        permit: &DockerPermit,
        container: &str,
        name: &str,
        options: CloneOptions,
    ) -> Result<Done, DockerError> {
        let found = self.find(permit, Access::Admin, container).await?;
        let name = check_name("name", name)?.to_owned();
        permit.check(Access::Admin, &name)?;
        let own = text(&found.raw, "/Config/Image");
        let image = check_image(options.image.as_deref().unwrap_or(own))?.to_owned();
        let action = format!("looking at the image of {:?}", found.name);
        let old = self.read(&action, &format!("/images/{}/json", text(&found.raw, "/Image")), &[]).await?;
        let (body, mut networks) = plan(&found, &old, &image)
            .map_err(|problem| DockerError::invalid("container", format!("its settings cannot be read: {problem}")))?;
        let mut done = Done::new("clone", &name, options.dry_run)
            .details(json!({ "from": found.name, "image": image, "networks": networks.keys().collect::<Vec<_>>() }));
        if options.dry_run {
            return Ok(done);
        }
        let action = format!("creating {name:?}");
        let parameters = CreateContainerOptions { name: Some(name.clone()), platform: String::new() };
        let made =
            self.call(&action, |client| async move { client.create_container(Some(parameters), body).await }).await?;
        networks.remove(network_mode(&found));
        for (network, endpoint) in networks {
            let request = NetworkConnectRequest { container: made.id.clone(), endpoint_config: Some(endpoint) };
            let action = format!("connecting {name:?} to the network {network:?}");
            let joined =
                self.call(&action, |client| async move { client.connect_network(&network, request).await }).await;
            if let Err(error) = joined {
                self.discard(&made.id).await;
                return Err(error);
            }
        }
        done.warnings = made.warnings;
        Ok(done.id(&made.id))
    }
}

/// The request, and every network of the container with its place there.
fn plan(
    found: &Found,
    image: &Value,
    name: &str,
) -> serde_json::Result<(ContainerCreateBody, BTreeMap<String, EndpointSettings>)> {
    let networks = networks(found)?;
    let mut config = own_settings(found, image.get("Config").unwrap_or(&Value::Null));
    config.insert("Image".into(), name.into());
    config.insert("HostConfig".into(), host_config(&found.raw));
    if let Some(first) = networks.get(network_mode(found)) {
        config.insert("NetworkingConfig".into(), json!({ "EndpointsConfig": { network_mode(found): first } }));
    }
    Ok((serde_json::from_value(Value::Object(config))?, networks))
}

/// `Config` without what it has from the image.
fn own_settings(found: &Found, image: &Value) -> Map<String, Value> {
    let mut config = found.raw.get("Config").and_then(Value::as_object).cloned().unwrap_or_default();
    let short = found.id.get(..SHORT_ID_DIGITS).unwrap_or(&found.id);
    let shares_network = matches!(network_mode(found).split(':').next(), Some("host" | "container"));
    if shares_network || config.get("Hostname").and_then(Value::as_str) == Some(short) {
        config.remove("Hostname");
    }
    // The engine takes it at the network since API 1.44, and makes one up otherwise.
    config.remove("MacAddress");
    let has_own_entrypoint = config.get("Entrypoint") != image.get("Entrypoint");
    for key in FROM_IMAGE {
        // An entry point of its own takes the image's command away: then the command is its own as well.
        if config.get(key) == image.get(key) && !(key == "Cmd" && has_own_entrypoint) {
            config.remove(key);
        }
    }
    if let (Some(Value::Array(own)), Some(Value::Array(theirs))) = (config.get_mut("Env"), image.get("Env")) {
        own.retain(|item| !theirs.contains(item));
    }
    for key in ["Labels", "ExposedPorts", "Volumes"] {
        if let (Some(Value::Object(own)), Some(Value::Object(theirs))) = (config.get_mut(key), image.get(key)) {
            own.retain(|name, value| theirs.get(name) != Some(value));
        }
    }
    config
}

/// `HostConfig`, with the anonymous volumes by their names.
fn host_config(raw: &Value) -> Value {
    let mut host = raw.get("HostConfig").cloned().unwrap_or_default();
    let named = |list: &str, part: fn(&Value) -> &str| -> Vec<String> {
        host.get(list).and_then(Value::as_array).into_iter().flatten().map(|item| part(item).to_owned()).collect()
    };
    let mut known = named("Mounts", |mount| mount.get("Target").and_then(Value::as_str).unwrap_or_default());
    known.extend(named("Binds", |bind| bind.as_str().and_then(|bind| bind.split(':').nth(1)).unwrap_or_default()));
    let mut binds = host.get("Binds").and_then(Value::as_array).cloned().unwrap_or_default();
    for mount in raw.get("Mounts").and_then(Value::as_array).into_iter().flatten() {
        let target = text(mount, "/Destination");
        if text(mount, "/Type") == "volume" && !known.iter().any(|known| known == target) {
            binds.push(format!("{}:{target}", text(mount, "/Name")).into());
        }
    }
    if let Some(host) = host.as_object_mut() {
        host.insert("Binds".into(), binds.into());
    }
    host
}

fn networks(found: &Found) -> serde_json::Result<BTreeMap<String, EndpointSettings>> {
    let mut networks = BTreeMap::new();
    let joined = found.raw.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
    for (network, place) in joined.into_iter().flatten() {
        if PLAIN_NETWORKS.contains(&network.as_str()) {
            continue;
        }
        let mut settings = json!({});
        for key in ["IPAMConfig", "Links", "DriverOpts"] {
            settings[key] = place.get(key).cloned().unwrap_or_default();
        }
        let aliases = place.get("Aliases").and_then(Value::as_array).into_iter().flatten();
        let own = |alias: &&Value| alias.as_str().is_some_and(|alias| !found.id.starts_with(alias));
        settings["Aliases"] = aliases.filter(own).cloned().collect();
        networks.insert(network.clone(), serde_json::from_value(settings)?);
    }
    Ok(networks)
}

fn network_mode(found: &Found) -> &str {
    text(&found.raw, "/HostConfig/NetworkMode")
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef";

    fn found() -> Found {
        let raw = json!({
            "Image": "sha256:old",
            "Config": {
                "Image": "web:1", "Hostname": "0123456789ab", "Env": ["PATH=/bin", "COLOR=red", "MODE=own"],
                "Cmd": ["serve"], "Entrypoint": ["/init"], "WorkingDir": "/srv", "User": "",
                "Labels": { "made-by": "image", "team": "a" },
                "ExposedPorts": { "80/tcp": {} },
            },
            "HostConfig": { "NetworkMode": "front", "Binds": ["data:/data"], "Memory": 67_108_864,
                "RestartPolicy": { "Name": "always", "MaximumRetryCount": 0 } },
            "Mounts": [
                { "Type": "volume", "Name": "data", "Destination": "/data" },
                { "Type": "volume", "Name": "f00d", "Destination": "/cache" },
            ],
            "NetworkSettings": { "Networks": {
                "front": { "Aliases": ["web", "0123456789ab"], "IPAMConfig": null, "IPAddress": "10.0.0.2" },
                "back": { "Aliases": null, "IPAMConfig": { "IPv4Address": "10.1.0.9" } },
            } },
        });
        Found { id: ID.into(), name: "web".into(), running: true, paused: false, raw }
    }

    fn image() -> Value {
        json!({ "Config": {
            "Env": ["PATH=/bin", "COLOR=blue"], "Cmd": ["serve"], "Entrypoint": ["/init"], "WorkingDir": "/srv",
            "User": "", "Labels": { "made-by": "image" }, "ExposedPorts": { "80/tcp": {} },
        } })
    }

    #[test]
    fn what_came_from_the_image_comes_from_the_new_one() {
        let (body, networks) = plan(&found(), &image(), "web:2").expect("it can be read");
        assert_eq!(body.image.as_deref(), Some("web:2"));
        assert_eq!(body.env, Some(vec!["COLOR=red".to_owned(), "MODE=own".to_owned()]));
        assert_eq!((body.cmd, body.entrypoint, body.hostname, body.working_dir), (None, None, None, None));
        assert_eq!(body.labels.expect("labels").into_iter().collect::<Vec<_>>(), [("team".into(), "a".into())]);
        let host = body.host_config.expect("what it may use");
        assert_eq!((host.memory, host.network_mode.as_deref()), (Some(67_108_864), Some("front")));
        assert_eq!(host.binds, Some(vec!["data:/data".to_owned(), "f00d:/cache".to_owned()]));
        assert_eq!(networks["front"].aliases, Some(vec!["web".to_owned()]));
        let fixed = networks["back"].ipam_config.as_ref().and_then(|config| config.ipv4_address.as_deref());
        assert_eq!(fixed, Some("10.1.0.9"));
        let first = body.networking_config.and_then(|config| config.endpoints_config).expect("a network");
        assert_eq!(first.keys().collect::<Vec<_>>(), ["front"]);
    }

    #[test]
    fn a_command_goes_with_the_entry_point_that_it_was_written_for() {
        let mut other = image();
        other["Config"]["Entrypoint"] = json!(["/other"]);
        let (body, _) = plan(&found(), &other, "web:2").expect("it can be read");
        assert_eq!(body.entrypoint, Some(vec!["/init".to_owned()]));
        assert_eq!(body.cmd, Some(vec!["serve".to_owned()]));
    }
}
