//! Volumes as the API has them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::base::{Fault, Timestamp, quantity};
use crate::model::Grants;
use crate::primitives::nfs::FileEntry;
use crate::primitives::permit::{self, VolumesPermit};
use crate::primitives::volumes::{Changes, CloneFrom, DeletedVolume, NewVolume, Snapshot, Squash, Volume, VolumeName};
use crate::web::error::{ApiError, ApiResult};

/// A volume.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Volume)]
pub struct VolumeView {
    #[schema(example = "agents/run-17")]
    name: String,
    /// Not used again.
    id: String,
    created_at: Timestamp,
    /// When it is deleted by itself.
    expires_at: Option<Timestamp>,
    quota_bytes: u64,
    quota_inodes: u64,
    /// On disk, without snapshots.
    used_bytes: u64,
    used_inodes: u64,
    /// Whose its files are for clients.
    uid: u32,
    gid: u32,
    /// all, root or none.
    squash: &'static str,
    read_only: bool,
    /// The oldest first.
    snapshots: Vec<SnapshotView>,
    /// Where its files are on the daemon's machine.
    folder: String,
    /// For mount, and for Docker's volume driver `local`.
    #[schema(example = ":/agents/run-17")]
    device: String,
    /// What a kernel of the daemon's machine mounts it with.
    mount_options: String,
}

/// What a volume was at one moment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VolumeSnapshot)]
pub struct SnapshotView {
    name: String,
    created_at: Timestamp,
    /// What was copied; 0 when blocks are shared.
    bytes: u64,
    entries: u64,
    /// The file system shares its blocks with the volume.
    shared: bool,
}

/// A volume that was deleted and can come back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeletedVolume)]
pub struct DeletedView {
    id: String,
    name: String,
    deleted_at: Timestamp,
    /// Until then it can come back.
    purge_at: Timestamp,
}

/// What lies in a volume.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VolumeFile)]
pub struct FileView {
    path: String,
    /// file, directory, symlink or other.
    kind: &'static str,
    bytes: u64,
    #[schema(example = "0644")]
    mode: String,
    modified_at: Timestamp,
}

impl From<Volume> for VolumeView {
    fn from(volume: Volume) -> Self {
        Self {
            name: volume.name.to_string(),
            id: volume.id,
            created_at: volume.created_at,
            expires_at: volume.expires_at,
            quota_bytes: volume.quota_bytes,
            quota_inodes: volume.quota_inodes,
            used_bytes: volume.used_bytes,
            used_inodes: volume.used_inodes,
            uid: volume.uid,
            gid: volume.gid,
            squash: volume.squash.as_str(),
            read_only: volume.read_only,
            snapshots: volume.snapshots.into_iter().map(SnapshotView::from).collect(),
            folder: volume.folder.to_string_lossy().into_owned(),
            device: volume.mount.device,
            mount_options: volume.mount.options,
        }
    }
}

impl From<Snapshot> for SnapshotView {
    fn from(snapshot: Snapshot) -> Self {
        let Snapshot { name, created_at, bytes, entries, shared } = snapshot;
        Self { name, created_at, bytes, entries, shared }
    }
}

impl From<DeletedVolume> for DeletedView {
    fn from(deleted: DeletedVolume) -> Self {
        let DeletedVolume { id, name, deleted_at, purge_at } = deleted;
        Self { id, name: name.to_string(), deleted_at, purge_at }
    }
}

impl From<FileEntry> for FileView {
    fn from(entry: FileEntry) -> Self {
        let FileEntry { path, kind, bytes, mode, modified_at } = entry;
        Self { path, kind, bytes, mode: format!("{mode:04o}"), modified_at }
    }
}

/// What a new volume is to be; what is left out is as the configuration says, or as the original of a clone is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeBody {
    #[schema(example = "agents/run-17")]
    pub name: String,
    /// Of a clone: a snapshot of the original; as it is now otherwise.
    #[serde(default)]
    snapshot: Option<String>,
    /// A number of bytes, or text such as `10GiB`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "10GiB")]
    quota_bytes: Option<Size>,
    #[serde(default)]
    quota_inodes: Option<u64>,
    #[serde(default)]
    uid: Option<u32>,
    #[serde(default)]
    gid: Option<u32>,
    /// all, root or none; all unless told.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "all")]
    squash: Squash,
    #[serde(default)]
    read_only: bool,
    /// Networks that may mount it; those of the configuration when empty.
    #[serde(default)]
    clients: Vec<String>,
    /// It is deleted by itself after so long, such as `7d`.
    #[serde(default)]
    expires: Option<String>,
}

/// What is to hold from now on; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeChanges {
    /// A number of bytes, or text such as `10GiB`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "10GiB")]
    quota_bytes: Option<Size>,
    #[serde(default)]
    quota_inodes: Option<u64>,
    /// From now, such as `7d`; `never` for no end.
    #[serde(default)]
    expires: Option<String>,
}

/// Bytes as people write them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Size {
    Bytes(u64),
    Text(String),
}

impl Size {
    fn bytes(&self) -> ApiResult<u64> {
        match self {
            Self::Bytes(bytes) => Ok(*bytes),
            Self::Text(text) => {
                quantity::parse_size(text).map_err(|bad| ApiError::bad_request(format!("quota_bytes: {bad}")))
            }
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PathQuery {
    /// Relative to the volume, with / between names.
    #[serde(default)]
    pub path: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// Remove it for good, without the grace of the configuration.
    #[serde(default)]
    pub now: bool,
}

impl VolumeBody {
    pub fn wanted(&self) -> ApiResult<NewVolume> {
        let network = |text: &String| {
            let network = text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from));
            network.map_err(|_| ApiError::bad_request(format!("clients: {text:?} is no network such as 10.0.0.0/8")))
        };
        Ok(NewVolume {
            quota_bytes: self.quota_bytes.as_ref().map(Size::bytes).transpose()?,
            quota_inodes: self.quota_inodes,
            uid: self.uid,
            gid: self.gid,
            squash: self.squash,
            read_only: self.read_only,
            clients: self.clients.iter().map(network).collect::<ApiResult<_>>()?,
            expires_in: self.expires.as_deref().map(life).transpose()?,
        })
    }

    pub fn original(&self, name: VolumeName) -> CloneFrom {
        CloneFrom { name, snapshot: self.snapshot.clone() }
    }

    pub fn has_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }
}

impl VolumeChanges {
    pub fn wanted(&self) -> ApiResult<Changes> {
        let expires_in = match self.expires.as_deref() {
            None => None,
            Some("never") => Some(None),
            Some(text) => Some(Some(life(text)?)),
        };
        let quota_bytes = self.quota_bytes.as_ref().map(Size::bytes).transpose()?;
        Ok(Changes { quota_bytes, quota_inodes: self.quota_inodes, expires_in })
    }
}

fn life(text: &str) -> ApiResult<std::time::Duration> {
    quantity::parse_duration(text).map_err(|bad| ApiError::bad_request(format!("expires: {bad}")))
}

pub fn name(tenant: &str, volume: &str) -> Result<VolumeName, Fault> {
    format!("{tenant}/{volume}").parse()
}

/// A caller's permit: the role was checked at the door.
pub fn permit() -> VolumesPermit {
    permit::volumes(&Grants { volumes: Grants::all().volumes, ..Grants::default() })
}
