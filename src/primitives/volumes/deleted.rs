//! Deleting with a grace, coming back within it, and the end of what has expired.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::manifest::{Deleted, Manifest};
use super::name::VolumeName;
use super::opened::Opened;
use super::operations::hold;
use super::view::Volume;
use super::{Volumes, blocking, copy, error};
use crate::base::clock::later;
use crate::base::{Fault, Timestamp, limits};
use crate::model::grants::Access;
use crate::primitives::permit::VolumesPermit;

/// A volume that was deleted and is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedVolume {
    pub id: String,
    pub name: VolumeName,
    pub deleted_at: Timestamp,
    /// Until then it can come back.
    pub purge_at: Timestamp,
}

impl DeletedVolume {
    fn new(manifest: &Manifest) -> Option<Self> {
        let Deleted { at, purge_at } = manifest.deleted?;
        Some(Self { id: manifest.id.clone(), name: manifest.name()?, deleted_at: at, purge_at })
    }
}

impl Volumes {
    /// Takes a volume away from its clients, and removes it when the grace of the configuration is over; at once
    /// when it is to be gone.
    pub async fn delete(
        &self,
        permit: &VolumesPermit,
        name: &VolumeName,
        at_once: bool,
    ) -> Result<DeletedVolume, Fault> {
        permit.check(Access::Admin, name.as_str())?;
        let grace = if at_once { Duration::ZERO } else { self.0.options.grace };
        let deleted = self.retire(name.clone(), grace).await?;
        if grace.is_zero() {
            purge(self.opened()?, deleted.id.clone()).await?;
        }
        Ok(deleted)
    }

    /// Deleted volumes that the permit covers, those that end soonest first.
    pub fn deleted(&self, permit: &VolumesPermit) -> Result<Vec<DeletedVolume>, Fault> {
        let opened = self.opened()?;
        let mut found: Vec<_> = opened.deleted().values().filter_map(DeletedVolume::new).collect();
        found.retain(|volume| permit.covers(Access::Read, volume.name.as_str()));
        found.sort_by_key(|volume| volume.purge_at);
        Ok(found)
    }

    /// Brings a deleted volume back, under the name it had.
    pub async fn recover(&self, permit: &VolumesPermit, id: &str) -> Result<Volume, Fault> {
        let opened = self.opened()?;
        let mut manifest = opened.deleted().get(id).cloned().ok_or_else(|| gone(id))?;
        let name = manifest.name().ok_or_else(|| gone(id))?;
        permit.check(Access::Admin, name.as_str())?;
        // Taken out before, so that nobody purges it meanwhile.
        opened.deleted().remove(id).ok_or_else(|| gone(id))?;
        let earlier = manifest.clone();
        manifest.deleted = None;
        // One that had expired would expire again at once.
        manifest.expires_at = manifest.expires_at.filter(|end| *end > self.0.clock.now());
        blocking(move || {
            let folder = opened.deleted_folder(&manifest.id);
            let saved = manifest.save(&folder);
            let back = saved
                .map_err(|failure| error::io("the volume cannot be brought back", &folder, &failure))
                .and_then(|()| opened.install(&folder, &name, manifest));
            if let Err(fault) = back {
                // It stays deleted, as it was.
                let _ = earlier.save(&folder);
                opened.deleted().insert(earlier.id.clone(), earlier);
                return Err(fault);
            }
            let live = opened.live(&name)?;
            Ok(Volume::new(&opened, &name, &live))
        })
        .await
    }

    /// Ends what has expired and removes what has been deleted for long enough, until `stop`.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), Fault> {
        loop {
            self.sweep().await;
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.0.clock.sleep(limits::VOLUMES_SWEEP) => {}
            }
        }
    }

    /// One look at what has come to its end.
    pub async fn sweep(&self) {
        let Ok(opened) = self.opened() else { return };
        let now = self.0.clock.now();
        for (name, live) in opened.all() {
            if live.manifest().expires_at.is_some_and(|end| end <= now) {
                match self.retire(name.clone(), self.0.options.grace).await {
                    Ok(deleted) => info!(volume = %name, purge_at = %deleted.purge_at, "a volume has expired"),
                    Err(fault) => warn!(volume = %name, %fault, "a volume has expired and cannot be deleted"),
                }
            }
        }
        let over: Vec<String> = {
            let deleted = opened.deleted();
            let is_over = |manifest: &&Manifest| manifest.deleted.is_some_and(|deleted| deleted.purge_at <= now);
            deleted.values().filter(is_over).map(|manifest| manifest.id.clone()).collect()
        };
        for id in over {
            match purge(opened.clone(), id.clone()).await {
                Ok(()) => info!(%id, "a deleted volume was removed"),
                Err(fault) => warn!(%id, %fault, "a deleted volume cannot be removed"),
            }
        }
    }

    async fn retire(&self, name: VolumeName, grace: Duration) -> Result<DeletedVolume, Fault> {
        let opened = self.opened()?;
        let live = opened.live(&name)?;
        let held = hold(&live).await;
        // Somebody else may have deleted it meanwhile.
        opened.live(&name)?;
        let at = self.0.clock.now();
        let deleted = Deleted { at, purge_at: later(at, grace) };
        blocking(move || {
            let _held = held;
            live.note(&opened.folder(&name), |manifest| manifest.deleted = Some(deleted))?;
            let manifest = live.manifest();
            opened.remove(&name, &opened.deleted_folder(&manifest.id))?;
            let view = DeletedVolume { id: manifest.id.clone(), name, deleted_at: at, purge_at: deleted.purge_at };
            opened.deleted().insert(manifest.id.clone(), manifest);
            Ok(view)
        })
        .await
    }
}

async fn purge(opened: Arc<Opened>, id: String) -> Result<(), Fault> {
    blocking(move || {
        let Some(manifest) = opened.deleted().remove(&id) else { return Ok(()) };
        let folder = opened.deleted_folder(&id);
        let staged = opened.staging(&id);
        // In one step out of sight; what is then left by a crash is removed at the next start.
        let erased = fs::rename(&folder, &staged).and_then(|()| copy::erase(&staged));
        erased.map_err(|failure| {
            if folder.exists() {
                opened.deleted().insert(id, manifest);
            }
            error::io("the deleted volume cannot be removed", &folder, &failure)
        })
    })
    .await
}

fn gone(id: &str) -> Fault {
    let shown: String = id.chars().take(64).collect();
    let fault = Fault::new("volumes.not_found", format!("there is no deleted volume {shown:?}"));
    fault.hint("`aegis volume deleted` and aegis.volumes.deleted() show those that can come back")
}
