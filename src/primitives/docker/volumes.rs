//! Named volumes.

use std::collections::{BTreeMap, HashMap};

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::RemoveVolumeOptions as RemoveVolumeParameters;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::containers::{instant, labels};
use super::done::Done;
use super::engine::Docker;
use super::error::DockerError;
use super::names::check_name;
use crate::base::Timestamp;
use crate::model::grants::{Access, matches};
use crate::primitives::option::{Pairs, Texts};
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VolumeListOptions {
    /// Names or patterns of names.
    pub names: Texts,
    /// Only those that no container uses (true), or only the others (false).
    pub dangling: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CreateVolumeOptions {
    /// Default: `local`.
    pub driver: Option<String>,
    /// For NFS: `type = "nfs"`, `o = "addr=…,nfsvers=3"`, `device = ":/path"`.
    pub driver_opts: Pairs,
    pub labels: Pairs,
    pub dry_run: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RemoveVolumeOptions {
    /// Also when its driver does not answer.
    pub force: bool,
    pub dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Volume {
    pub name: String,
    pub driver: String,
    pub mountpoint: String,
    pub options: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub created_at: Option<Timestamp>,
}

impl Docker {
    /// Sorted by name.
    pub async fn volumes(&self, permit: &DockerPermit, options: VolumeListOptions) -> Result<Vec<Volume>, DockerError> {
        permit.check_any(Access::Read, "listing volumes")?;
        let filters =
            options.dangling.map_or_else(|| json!({}), |dangling| json!({ "dangling": [dangling.to_string()] }));
        let raw = self.read("listing volumes", "/volumes", &[("filters", filters.to_string())]).await?;
        let entries = raw.get("Volumes").and_then(Value::as_array).into_iter().flatten();
        let mut volumes: Vec<_> = entries.map(volume).collect();
        volumes.retain(|volume| {
            let asked =
                options.names.0.is_empty() || options.names.0.iter().any(|pattern| matches(pattern, &volume.name));
            asked && permit.covers(Access::Read, &volume.name)
        });
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(volumes)
    }

    pub async fn volume(&self, permit: &DockerPermit, name: &str) -> Result<Volume, DockerError> {
        permit.check(Access::Read, name)?;
        self.find_volume(name).await
    }

    pub(super) async fn find_volume(&self, name: &str) -> Result<Volume, DockerError> {
        let name = check_name("volume", name)?;
        let action = format!("looking for the volume {name:?}");
        Ok(volume(&self.read(&action, &format!("/volumes/{name}"), &[]).await?))
    }

    /// A volume that is there already with the same settings is left as it is. Other settings are a conflict: Docker
    /// itself would ignore them without a word.
    pub async fn create_volume(
        &self,
        permit: &DockerPermit,
        name: &str,
        options: CreateVolumeOptions,
    ) -> Result<Done, DockerError> {
        let name = check_name("name", name)?;
        permit.check(Access::Write, name)?;
        let driver = driver_name(options.driver.as_deref());
        if needs_admin(&driver, &options.driver_opts.0) {
            let what = format!("a volume that mounts a path of the host or has a driver of its own, {name:?},");
            permit.check_as(&what, Access::Admin, name)?;
        }
        let is_there = self.same_volume(name, &driver, &options.driver_opts.0).await?;
        let map = |pairs: &Pairs| pairs.0.clone().into_iter().collect::<HashMap<_, _>>();
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            driver: Some(driver),
            driver_opts: Some(map(&options.driver_opts)),
            labels: Some(map(&options.labels)),
            ..VolumeCreateRequest::default()
        };
        let done = Done::new("create_volume", name, options.dry_run).changed(!is_there).details(json!(request));
        if !options.dry_run && !is_there {
            let action = format!("creating the volume {name:?}");
            self.call(&action, |client| async move { client.create_volume(request).await }).await?;
        }
        Ok(done)
    }

    /// Whether a volume of that name is there; one with other settings is an error.
    pub(super) async fn same_volume(
        &self,
        name: &str,
        driver: &str,
        options: &BTreeMap<String, String>,
    ) -> Result<bool, DockerError> {
        let existing = match self.find_volume(name).await {
            Ok(existing) => existing,
            Err(DockerError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        if existing.driver == driver && existing.options == *options {
            return Ok(true);
        }
        Err(DockerError::Conflict {
            action: format!("creating the volume {name:?}"),
            message: "there is one of that name with another driver or other options, which Docker never changes: \
                      choose another name, or remove it first"
                .into(),
        })
    }

    /// Fails with `docker.conflict` while a container uses it.
    pub async fn remove_volume(
        &self,
        permit: &DockerPermit,
        name: &str,
        options: RemoveVolumeOptions,
    ) -> Result<Done, DockerError> {
        permit.check(Access::Write, name)?;
        let found = self.find_volume(name).await?;
        let done = Done::new("remove_volume", &found.name, options.dry_run);
        if !options.dry_run {
            let action = format!("removing the volume {:?}", found.name);
            let parameters = RemoveVolumeParameters { force: options.force };
            self.call(&action, |client| async move { client.remove_volume(&found.name, Some(parameters)).await })
                .await?;
        }
        Ok(done)
    }
}

/// The driver that the engine takes: no name and an empty one both mean `local`.
pub(super) fn driver_name(driver: Option<&str>) -> String {
    driver.filter(|driver| !driver.is_empty()).unwrap_or("local").to_owned()
}

/// The local driver mounts whatever it is told to, a folder or a disk of the host too: only network file systems and
/// memory are harmless. What others do with their options is known to whoever installed them.
pub(super) fn needs_admin(driver: &str, options: &BTreeMap<String, String>) -> bool {
    if !matches!(driver, "" | "local") {
        return true;
    }
    if options.is_empty() {
        return false;
    }
    let kind = options.get("type").map_or("", String::as_str);
    let flags = options.get("o").map_or("", String::as_str);
    let is_bind = flags.split(',').any(|flag| matches!(flag.trim(), "bind" | "rbind"));
    let is_remote = matches!(kind, "nfs" | "nfs4" | "cifs" | "tmpfs");
    let has_device = options.get("device").is_some_and(|device| !device.is_empty());
    is_bind || (has_device && !is_remote)
}

fn volume(raw: &Value) -> Volume {
    let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Volume {
        name: text("Name"),
        driver: text("Driver"),
        mountpoint: text("Mountpoint"),
        options: labels(raw.get("Options")),
        labels: labels(raw.get("Labels")),
        created_at: instant(raw.get("CreatedAt")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_that_mount_the_host_are_told_from_others() {
        let options = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let harmless = [
            options(&[]),
            options(&[("type", "nfs"), ("o", "addr=10.0.0.5,nfsvers=3"), ("device", ":/exports/a")]),
            options(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=10m")]),
        ];
        let host = [
            options(&[("type", "none"), ("o", "bind"), ("device", "/")]),
            options(&[("type", "nfs"), ("o", "ro,rbind"), ("device", "/etc")]),
            options(&[("type", "ext4"), ("device", "/dev/sda1")]),
            options(&[("device", "/etc")]),
        ];
        assert!(harmless.iter().all(|options| !needs_admin("local", options)));
        assert!(host.iter().all(|options| needs_admin("local", options)));
        assert!(host.iter().all(|options| needs_admin("", options)), "an empty name is the local driver's");
        assert!(needs_admin("rclone", &harmless[0]), "other drivers have rules of their own");
        assert_eq!([driver_name(None), driver_name(Some("")), driver_name(Some("x"))], ["local", "local", "x"]);
    }
}
