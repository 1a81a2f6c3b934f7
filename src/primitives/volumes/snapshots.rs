//! What a volume was: kept, looked up, brought back.

use std::fs;
use std::path::PathBuf;

use super::manifest::{Snapshot, sync_folder};
use super::name::{VolumeName, check_snapshot};
use super::opened::Opened;
use super::operations::{CloneFrom, hold};
use super::view::Volume;
use super::{Volumes, blocking, copy, error};
use crate::base::{Fault, limits};
use crate::model::grants::Access;
use crate::primitives::permit::VolumesPermit;

impl Opened {
    /// Where what is cloned lies.
    pub fn snapshot_or_data(&self, from: &CloneFrom) -> Result<PathBuf, Fault> {
        let folder = self.folder(&from.name);
        match &from.snapshot {
            None => Ok(folder.join("data")),
            Some(snapshot) => {
                let live = self.live(&from.name)?;
                let is_there = live.manifest().snapshots.iter().any(|known| known.name == *snapshot);
                if is_there {
                    Ok(folder.join("snapshots").join(snapshot))
                } else {
                    Err(error::no_snapshot(&from.name, snapshot))
                }
            }
        }
    }
}

impl Volumes {
    /// Keeps the volume as it is at one moment: while it is copied, clients' changes are put off and come again.
    pub async fn snapshot(&self, permit: &VolumesPermit, name: &VolumeName, snapshot: &str) -> Result<Snapshot, Fault> {
        permit.check(Access::Write, name.as_str())?;
        check_snapshot(snapshot)?;
        let opened = self.opened()?;
        let live = opened.live(name)?;
        let held = hold(&live).await;
        let known = live.manifest().snapshots;
        if known.iter().any(|known| known.name == snapshot) {
            return Err(error::snapshot_exists(name, snapshot));
        }
        if known.len() >= limits::VOLUME_SNAPSHOTS_MAX {
            let message = format!("the volume {name} has {} snapshots", known.len());
            return Err(Fault::new("volumes.too_many", message).hint("remove some"));
        }
        let (name, snapshot, created_at) = (name.clone(), snapshot.to_owned(), self.0.clock.now());
        blocking(move || {
            let _held = held;
            let folder = opened.folder(&name);
            let place = folder.join("snapshots").join(&snapshot);
            let backend = live.backend();
            let copied = {
                let _still = backend.hold_still();
                copy::tree(&folder.join("data"), &place)
            };
            let copied = copied.map_err(|failure| {
                let _ = copy::erase(&place);
                error::io("the snapshot cannot be made", &place, &failure)
            })?;
            let made = Snapshot {
                name: snapshot,
                created_at,
                bytes: copied.bytes,
                entries: copied.entries,
                shared: copied.shared,
            };
            live.note(&folder, |manifest| manifest.snapshots.push(made.clone()))?;
            Ok(made)
        })
        .await
    }

    pub async fn remove_snapshot(
        &self,
        permit: &VolumesPermit,
        name: &VolumeName,
        snapshot: &str,
    ) -> Result<(), Fault> {
        permit.check(Access::Write, name.as_str())?;
        let opened = self.opened()?;
        let live = opened.live(name)?;
        let held = hold(&live).await;
        let from = CloneFrom { name: name.clone(), snapshot: Some(snapshot.to_owned()) };
        let place = opened.snapshot_or_data(&from)?;
        blocking(move || {
            let _held = held;
            let folder = opened.folder(&from.name);
            live.note(&folder, |manifest| {
                manifest.snapshots.retain(|known| Some(&known.name) != from.snapshot.as_ref());
            })?;
            copy::erase(&place).map_err(|failure| error::io("the snapshot is not all gone", &place, &failure))
        })
        .await
    }

    /// Brings a snapshot back in place of what the volume has, which is lost. Clients that have it mounted must look
    /// its files up again: those that they had open are stale.
    pub async fn restore(&self, permit: &VolumesPermit, name: &VolumeName, snapshot: &str) -> Result<Volume, Fault> {
        permit.check(Access::Admin, name.as_str())?;
        let opened = self.opened()?;
        let live = opened.live(name)?;
        let held = hold(&live).await;
        let from = CloneFrom { name: name.clone(), snapshot: Some(snapshot.to_owned()) };
        let source = opened.snapshot_or_data(&from)?;
        blocking(move || {
            let (_held, name) = (held, from.name);
            let folder = opened.folder(&name);
            let (data, incoming, outgoing) = (folder.join("data"), folder.join("incoming"), folder.join("outgoing"));
            let failed = |failure| error::io("the snapshot cannot be brought back", &source, &failure);
            copy::erase(&outgoing).and_then(|()| copy::erase(&incoming)).map_err(failed)?;
            if let Err(failure) = copy::tree(&source, &incoming) {
                let _ = copy::erase(&incoming);
                return Err(failed(failure));
            }
            {
                let before = live.backend();
                let _still = before.hold_still();
                opened.withdraw(&name)?;
                let exchanged = fs::rename(&data, &outgoing).and_then(|()| fs::rename(&incoming, &data));
                // What a failure leaves halfway, the next start puts right.
                exchanged.and_then(|()| sync_folder(&folder)).map_err(failed)?;
            }
            let manifest = live.manifest();
            let backend = opened.open_data(&manifest, &folder)?;
            opened.export(&manifest, backend.clone())?;
            live.exchange(backend);
            // What is left of it is removed at the next start.
            let _ = copy::erase(&outgoing);
            Ok(Volume::new(&opened, &name, &live))
        })
        .await
    }
}
