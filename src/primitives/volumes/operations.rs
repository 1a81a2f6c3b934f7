//! Making volumes and changing what holds for them.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::OwnedMutexGuard;

use super::manifest::{Manifest, Squash};
use super::name::VolumeName;
use super::opened::{Live, Opened, make_folder};
use super::view::Volume;
use super::{Options, Volumes, blocking, copy, error};
use crate::base::clock::later;
use crate::base::quantity::{show_duration, show_size};
use crate::base::{Fault, Timestamp, limits};
use crate::model::grants::Access;
use crate::primitives::nfs::{Limits, Still};
use crate::primitives::permit::VolumesPermit;

/// What a new volume is to be; what is left out comes from the configuration.
#[derive(Debug, Clone, Default)]
pub struct NewVolume {
    pub quota_bytes: Option<u64>,
    pub quota_inodes: Option<u64>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub squash: Squash,
    pub read_only: bool,
    pub clients: Vec<IpNet>,
    /// It is deleted by itself after so long.
    pub expires_in: Option<Duration>,
}

/// What is to hold for a volume from now on; what is left out stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    pub quota_bytes: Option<u64>,
    pub quota_inodes: Option<u64>,
    /// From now; `Some(None)` for never.
    pub expires_in: Option<Option<Duration>>,
}

/// What a new volume begins with.
#[derive(Debug, Clone)]
pub struct CloneFrom {
    pub name: VolumeName,
    /// As it is now when left out.
    pub snapshot: Option<String>,
}

/// Nobody else copies, exchanges or moves what the volume has.
pub type Hold = OwnedMutexGuard<()>;

impl Volumes {
    /// A new, empty volume, which is served from then on.
    pub async fn create(&self, permit: &VolumesPermit, name: &VolumeName, wanted: NewVolume) -> Result<Volume, Fault> {
        permit.check(Access::Admin, name.as_str())?;
        let opened = self.opened()?;
        let manifest = self.plan(name, &wanted, None)?;
        self.make(opened, name.clone(), manifest, |data, manifest| {
            fs::create_dir(data).and_then(|()| own(data, manifest.uid, manifest.gid))
        })
        .await
    }

    /// A new volume with what another one has, or had. What is left out of `wanted` is as it is there.
    pub async fn clone_volume(
        &self,
        permit: &VolumesPermit,
        from: &CloneFrom,
        name: &VolumeName,
        wanted: NewVolume,
    ) -> Result<Volume, Fault> {
        permit.check(Access::Read, from.name.as_str())?;
        permit.check(Access::Admin, name.as_str())?;
        let opened = self.opened()?;
        let original = opened.live(&from.name)?;
        let _held = hold(&original).await;
        let manifest = self.plan(name, &wanted, Some(&original.manifest()))?;
        let source = opened.snapshot_or_data(from)?;
        let is_live = from.snapshot.is_none();
        self.make(opened, name.clone(), manifest, move |data, _| {
            let backend = original.backend();
            let _still: Option<Still<'_>> = is_live.then(|| backend.hold_still());
            copy::tree(&source, data).map(drop)
        })
        .await
    }

    /// Checks what can be checked without making anything.
    pub fn check_new(&self, permit: &VolumesPermit, name: &VolumeName, wanted: &NewVolume) -> Result<(), Fault> {
        permit.check(Access::Admin, name.as_str())?;
        self.plan(name, wanted, None)?;
        match self.opened()?.live(name) {
            Ok(_) => Err(error::exists(name)),
            Err(_) => Ok(()),
        }
    }

    /// Another quota, another end.
    pub async fn change(&self, permit: &VolumesPermit, name: &VolumeName, changes: Changes) -> Result<Volume, Fault> {
        permit.check(Access::Admin, name.as_str())?;
        let opened = self.opened()?;
        let live = opened.live(name)?;
        check_quota(changes.quota_bytes, changes.quota_inodes)?;
        let expires_at = changes.expires_in.map(|life| self.end(life)).transpose()?;
        let held = hold(&live).await;
        let name = name.clone();
        blocking(move || {
            let _held = held;
            live.note(&opened.folder(&name), |manifest| {
                manifest.quota_bytes = changes.quota_bytes.unwrap_or(manifest.quota_bytes);
                manifest.quota_inodes = changes.quota_inodes.unwrap_or(manifest.quota_inodes);
                manifest.expires_at = expires_at.unwrap_or(manifest.expires_at);
            })?;
            let manifest = live.manifest();
            let limits = Limits { bytes: Some(manifest.quota_bytes), inodes: Some(manifest.quota_inodes) };
            live.backend().set_limits(limits);
            Ok(Volume::new(&opened, &name, &live))
        })
        .await
    }

    /// What would be written down about a new volume.
    fn plan(&self, name: &VolumeName, wanted: &NewVolume, like: Option<&Manifest>) -> Result<Manifest, Fault> {
        let now = self.0.clock.now();
        let Options { uid, gid, quota_bytes, quota_inodes, .. } = self.0.options;
        check_quota(wanted.quota_bytes, wanted.quota_inodes)?;
        if wanted.clients.len() > limits::VOLUME_CLIENTS_MAX {
            let message = format!("the volume {name} would have {} rules for clients", wanted.clients.len());
            return Err(error::value(message, format!("write at most {} networks", limits::VOLUME_CLIENTS_MAX)));
        }
        let mut manifest = Manifest::new(name, now);
        let or = |own: Option<u64>, like: Option<u64>, default| own.or(like).unwrap_or(default);
        manifest.quota_bytes = or(wanted.quota_bytes, like.map(|like| like.quota_bytes), quota_bytes);
        manifest.quota_inodes = or(wanted.quota_inodes, like.map(|like| like.quota_inodes), quota_inodes);
        manifest.uid = wanted.uid.or(like.map(|like| like.uid)).unwrap_or(uid);
        manifest.gid = wanted.gid.or(like.map(|like| like.gid)).unwrap_or(gid);
        manifest.squash = wanted.squash;
        manifest.read_only = wanted.read_only;
        manifest.clients.clone_from(&wanted.clients);
        manifest.expires_at = self.end(wanted.expires_in)?;
        Ok(manifest)
    }

    fn end(&self, life: Option<Duration>) -> Result<Option<Timestamp>, Fault> {
        let Some(life) = life else { return Ok(None) };
        if life.is_zero() || life > limits::VOLUME_LIFE_MAX {
            let hint = format!("more than 0, and at most {}", show_duration(limits::VOLUME_LIFE_MAX));
            return Err(error::value(format!("a volume cannot end in {}", show_duration(life)), hint));
        }
        Ok(Some(later(self.0.clock.now(), life)))
    }

    /// Makes a volume aside, fills it, and puts it in its place.
    async fn make(
        &self,
        opened: Arc<Opened>,
        name: VolumeName,
        manifest: Manifest,
        fill: impl FnOnce(&Path, &Manifest) -> io::Result<()> + Send + 'static,
    ) -> Result<Volume, Fault> {
        if opened.live(&name).is_ok() {
            return Err(error::exists(&name));
        }
        blocking(move || {
            let staged = opened.staging(&manifest.id);
            let made = stage(&staged, &manifest, fill)
                .map_err(|failure| error::io("the volume cannot be made", &opened.folder(&name), &failure))
                .and_then(|()| opened.install(&staged, &name, manifest));
            if let Err(fault) = made {
                // What cannot be removed now is removed at the next start.
                let _ = copy::erase(&staged);
                return Err(fault);
            }
            let live = opened.live(&name)?;
            Ok(Volume::new(&opened, &name, &live))
        })
        .await
    }
}

fn stage(staged: &Path, manifest: &Manifest, fill: impl FnOnce(&Path, &Manifest) -> io::Result<()>) -> io::Result<()> {
    make_folder(staged)?;
    fill(&staged.join("data"), manifest)?;
    make_folder(&staged.join("snapshots"))?;
    manifest.save(staged)
}

/// Gives the top of a volume to its owner, where this process may.
fn own(data: &Path, uid: u32, gid: u32) -> io::Result<()> {
    use std::os::unix::fs::{PermissionsExt, chown};
    fs::set_permissions(data, fs::Permissions::from_mode(0o755))?;
    if rustix::process::geteuid().is_root() {
        chown(data, Some(uid), Some(gid))?;
    }
    Ok(())
}

/// Waits until nobody else copies, exchanges or moves what the volume has.
pub async fn hold(live: &Live) -> Hold {
    live.busy.clone().lock_owned().await
}

fn check_quota(bytes: Option<u64>, inodes: Option<u64>) -> Result<(), Fault> {
    if let Some(bytes) = bytes.filter(|bytes| *bytes < limits::VOLUME_COPY_BYTES as u64) {
        let hint = format!("write at least {}", show_size(limits::VOLUME_COPY_BYTES as u64));
        return Err(error::value(format!("a quota of {} is too small", show_size(bytes)), hint));
    }
    if inodes == Some(0) {
        return Err(error::value("a quota of no files is too small", "write at least 1"));
    }
    Ok(())
}
