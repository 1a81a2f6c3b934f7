//! A volume as people and scripts see it.

use std::path::PathBuf;

use super::manifest::{Manifest, Snapshot, Squash};
use super::name::VolumeName;
use super::opened::{Live, Opened};
use super::{Volumes, reached_at};
use crate::base::{Fault, Timestamp};
use crate::model::grants::Access;
use crate::primitives::permit::VolumesPermit;

#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    pub name: VolumeName,
    pub id: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub quota_bytes: u64,
    pub quota_inodes: u64,
    pub used_bytes: u64,
    pub used_inodes: u64,
    pub uid: u32,
    pub gid: u32,
    pub squash: Squash,
    pub read_only: bool,
    pub snapshots: Vec<Snapshot>,
    /// Where its files are on this machine.
    pub folder: PathBuf,
    pub mount: MountOptions,
}

/// What a kernel on this machine mounts the volume with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOptions {
    /// `:/<tenant>/<volume>`.
    pub device: String,
    /// For `mount -t nfs -o`, and for the option `o` of Docker's volume driver `local`.
    pub options: String,
}

impl MountOptions {
    fn new(opened: &Opened, name: &VolumeName) -> Self {
        let address = reached_at(opened.gateway.address());
        let (ip, port) = (address.ip(), address.port());
        // Without the ports a kernel asks a portmapper, and there is none. A soft mount loses what was written while
        // the server was gone for a moment.
        let options =
            format!("addr={ip},port={port},mountport={port},nfsvers=3,proto=tcp,mountproto=tcp,hard,timeo=600,nolock");
        Self { device: format!(":/{name}"), options }
    }
}

impl Volume {
    pub(super) fn new(opened: &Opened, name: &VolumeName, live: &Live) -> Self {
        let usage = live.backend().usage();
        let Manifest {
            id,
            created_at,
            expires_at,
            quota_bytes,
            quota_inodes,
            uid,
            gid,
            squash,
            read_only,
            snapshots,
            ..
        } = live.manifest();
        Self {
            mount: MountOptions::new(opened, name),
            folder: opened.folder(name).join("data"),
            name: name.clone(),
            id,
            created_at,
            expires_at,
            quota_bytes,
            quota_inodes,
            used_bytes: usage.bytes,
            used_inodes: usage.inodes,
            uid,
            gid,
            squash,
            read_only,
            snapshots,
        }
    }
}

impl Volumes {
    /// The volumes that the permit covers, by name.
    pub fn list(&self, permit: &VolumesPermit) -> Result<Vec<Volume>, Fault> {
        let opened = self.opened()?;
        let all = opened.all();
        let seen = all.iter().filter(|(name, _)| permit.covers(Access::Read, name.as_str()));
        Ok(seen.map(|(name, live)| Volume::new(&opened, name, live)).collect())
    }

    pub fn get(&self, permit: &VolumesPermit, name: &VolumeName) -> Result<Volume, Fault> {
        permit.check(Access::Read, name.as_str())?;
        let opened = self.opened()?;
        let live = opened.live(name)?;
        Ok(Volume::new(&opened, name, &live))
    }
}
