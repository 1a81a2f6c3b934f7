//! Volumes: folders of this machine with a quota, snapshots and an end, which the NFS gateway serves.
//!
//! ```text
//! <root>/key                           of file handles
//! <root>/lock                          held by the one daemon that serves the folder
//! <root>/volumes/<tenant>/<volume>/    volume.json, data/ (what is exported), snapshots/<name>/
//! <root>/deleted/<id>/                 the same, until its grace is over
//! <root>/staging/<id>/                 what is being made; nothing there outlives a start
//! ```
//!
//! What is known about a volume lies beside its data, so that both come and go, move to another machine and return from
//! a backup together. Each step is one rename, so that a crash leaves the state before or after it.

mod copy;
mod deleted;
mod error;
mod files;
mod manifest;
mod name;
mod opened;
mod operations;
mod snapshots;
mod view;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ipnet::IpNet;

use self::opened::Opened;
use crate::base::{Clock, Fault, limits};
use crate::primitives::nfs::{self, Statistics};

pub use deleted::DeletedVolume;
pub use manifest::{Snapshot, Squash};
pub use name::{VolumeName, check_snapshot};
pub use operations::{Changes, CloneFrom, NewVolume};
pub use view::{MountOptions, Volume};

/// Which calls of clients are told to the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AuditMode {
    #[default]
    None,
    /// Those that change something, or would.
    Changes,
    All,
}

/// As the configuration has it, in `nfs`.
#[derive(Debug, Clone)]
pub struct Options {
    /// None keeps volumes off.
    pub listen: Option<SocketAddr>,
    pub root: PathBuf,
    /// Who may mount a volume that says nothing about it.
    pub clients: Vec<IpNet>,
    /// Whose the files of a new volume are, unless it says so itself.
    pub uid: u32,
    pub gid: u32,
    pub quota_bytes: u64,
    pub quota_inodes: u64,
    /// How long a deleted volume can come back.
    pub grace: Duration,
    pub sync_names: bool,
    pub audit: AuditMode,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: None,
            root: "./data/volumes".into(),
            clients: vec![
                IpNet::from(IpAddr::from([127, 0, 0, 1])),
                IpNet::from(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])),
            ],
            uid: 1000,
            gid: 1000,
            quota_bytes: limits::VOLUME_QUOTA_BYTES_DEFAULT,
            quota_inodes: limits::VOLUME_QUOTA_INODES_DEFAULT,
            grace: limits::VOLUME_GRACE_DEFAULT,
            sync_names: false,
            audit: AuditMode::None,
        }
    }
}

/// The service. Cheap to clone; until [`Volumes::open`] it only says that volumes are not served.
#[derive(Clone)]
pub struct Volumes(Arc<Shared>);

struct Shared {
    options: Options,
    clock: Clock,
    opened: OnceLock<Arc<Opened>>,
}

impl std::fmt::Debug for Volumes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Volumes").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Volumes {
    /// Touches nothing yet.
    pub fn new(options: Options, clock: Clock) -> Self {
        Self(Arc::new(Shared { options, clock, opened: OnceLock::new() }))
    }

    /// Whether the configuration has an address for them.
    pub fn is_configured(&self) -> bool {
        self.0.options.listen.is_some()
    }

    /// Takes the folder, finds its volumes, puts right what a crash left, and listens. Whoever gets the gateway runs it.
    /// None when the configuration has no address.
    pub async fn open(&self) -> Result<Option<nfs::Gateway>, Fault> {
        let Some(listen) = self.0.options.listen else { return Ok(None) };
        let (opened, gateway) = Opened::open(&self.0.options, listen).await?;
        if self.0.opened.set(Arc::new(opened)).is_err() {
            return Err(Fault::new("volumes.conflict", "the volumes are open already"));
        }
        Ok(Some(gateway))
    }

    fn opened(&self) -> Result<Arc<Opened>, Fault> {
        self.0.opened.get().cloned().ok_or_else(|| error::off(self.is_configured()))
    }

    /// Whether the folder is there and the gateway answers.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub async fn check(&self) -> Result<(), String> {
        let opened = self.opened().map_err(|fault| fault.to_string())?;
        let root = opened.root.clone();
        let known = tokio::fs::metadata(opened.volumes_folder()).await;
        known.map_err(|failure| format!("the folder of volumes {} is gone: {failure}", root.display()))?;
        let address = reached_at(opened.gateway.address());
        let answer = nfs::ping(address, limits::VOLUMES_PING_WAIT).await;
        answer.map_err(|failure| format!("the NFS gateway at {address} does not answer: {failure}"))
    }

    /// What the gateway has counted, and the volumes and their bytes; None while it does not serve.
    pub fn statistics(&self) -> Option<(Statistics, u64, u64)> {
        let opened = self.0.opened.get()?;
        let volumes = opened.all();
        let bytes = volumes.iter().map(|(_, live)| live.backend().usage().bytes).sum();
        Some((opened.gateway.statistics(), volumes.len() as u64, bytes))
    }
}

/// Where this machine itself reaches a listener.
pub fn reached_at(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Does what blocks on a thread that may. What has begun is finished, also when nobody waits for it any more.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(failure) => Err(Fault::new("volumes.internal", format!("the work on a volume broke off: {failure}"))),
    }
}
