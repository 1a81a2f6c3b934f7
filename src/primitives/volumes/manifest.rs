//! What is written down about a volume, in a file beside its data.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::name::VolumeName;
use crate::base::{Timestamp, limits};

const FILE: &str = "volume.json";
const EARLY: &str = ".volume.json.early";
const VERSION: u32 = 1;

/// Whom a volume takes its clients for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Squash {
    /// Everybody is the volume's owner.
    #[default]
    All,
    /// Root is nobody; others are believed.
    Root,
    /// Everybody is believed.
    None,
}

impl Squash {
    pub const ALL: [Self; 3] = [Self::All, Self::Root, Self::None];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Root => "root",
            Self::None => "none",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub name: String,
    pub created_at: Timestamp,
    pub bytes: u64,
    pub entries: u64,
    /// Its blocks were shared with the volume's instead of copied.
    pub shared: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    pub id: String,
    pub tenant: String,
    pub volume: String,
    pub created_at: Timestamp,
    pub quota_bytes: u64,
    pub quota_inodes: u64,
    pub uid: u32,
    pub gid: u32,
    pub squash: Squash,
    pub read_only: bool,
    /// Empty for those of the configuration.
    pub clients: Vec<IpNet>,
    pub expires_at: Option<Timestamp>,
    /// The oldest first.
    pub snapshots: Vec<Snapshot>,
    pub deleted: Option<Deleted>,
}

/// When a volume was deleted, and until when it can come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    pub at: Timestamp,
    pub purge_at: Timestamp,
}

impl Manifest {
    pub fn new(name: &VolumeName, created_at: Timestamp) -> Self {
        Self {
            version: VERSION,
            id: ulid::Ulid::generate().to_string(),
            tenant: name.tenant().to_owned(),
            volume: name.volume().to_owned(),
            created_at,
            quota_bytes: limits::VOLUME_QUOTA_BYTES_DEFAULT,
            quota_inodes: limits::VOLUME_QUOTA_INODES_DEFAULT,
            uid: 0,
            gid: 0,
            squash: Squash::All,
            read_only: false,
            clients: Vec::new(),
            expires_at: None,
            snapshots: Vec::new(),
            deleted: None,
        }
    }

    pub fn name(&self) -> Option<VolumeName> {
        format!("{}/{}", self.tenant, self.volume).parse().ok()
    }

    /// Of the volume in this folder.
    pub fn load(folder: &Path) -> io::Result<Self> {
        let mut text = String::new();
        File::open(folder.join(FILE))?.take(limits::VOLUME_MANIFEST_BYTES_MAX).read_to_string(&mut text)?;
        let manifest: Self = serde_json::from_str(&text)?;
        let is_known = manifest.version == VERSION && manifest.name().is_some();
        if is_known { Ok(manifest) } else { Err(io::Error::other("it was written by another version")) }
    }

    /// Written whole and to disk: after a crash it is as before or as now.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        let mut file = File::create(folder.join(EARLY))?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(folder.join(EARLY), folder.join(FILE))?;
        sync_folder(folder)
    }
}

/// Names that were made or moved in a folder are on disk after this.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
