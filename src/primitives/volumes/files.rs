//! Files of a volume, read and written by the daemon.

use super::name::VolumeName;
use super::{Volumes, blocking, error};
use crate::base::quantity::show_size;
use crate::base::{Fault, limits};
use crate::model::grants::Access;
use crate::primitives::nfs::{FileEntry, Files, WriteOptions};
use crate::primitives::permit::VolumesPermit;

impl Volumes {
    /// The content of a file of at most `bytes_max`, which is no more than `VOLUME_FILE_BYTES_MAX`.
    pub async fn read(
        &self,
        permit: &VolumesPermit,
        name: &VolumeName,
        path: String,
        bytes_max: u64,
    ) -> Result<Vec<u8>, Fault> {
        let bytes_max = bytes_max.min(limits::VOLUME_FILE_BYTES_MAX);
        self.with(permit, name, Access::Read, move |files| files.read(&path, bytes_max)).await
    }

    pub async fn write(
        &self,
        permit: &VolumesPermit,
        name: &VolumeName,
        (path, data): (String, Vec<u8>),
        options: WriteOptions,
    ) -> Result<(), Fault> {
        if data.len() as u64 > limits::VOLUME_FILE_BYTES_MAX {
            let message = format!("{path:?} would have {}", show_size(data.len() as u64));
            let hint = format!("at most {}; mount the volume for more", show_size(limits::VOLUME_FILE_BYTES_MAX));
            return Err(Fault::new("volumes.too_large", message).hint(hint));
        }
        self.with(permit, name, Access::Write, move |files| files.write(&path, &data, options)).await
    }

    /// What lies in a directory; an empty path is the volume's top.
    pub async fn files(
        &self,
        permit: &VolumesPermit,
        name: &VolumeName,
        path: String,
    ) -> Result<Vec<FileEntry>, Fault> {
        self.with(permit, name, Access::Read, move |files| files.list(&path)).await
    }

    pub async fn stat(
        &self,
        permit: &VolumesPermit,
        name: &VolumeName,
        path: String,
    ) -> Result<Option<FileEntry>, Fault> {
        self.with(permit, name, Access::Read, move |files| files.stat(&path)).await
    }

    /// Removes a file, a link or an empty directory.
    pub async fn remove(&self, permit: &VolumesPermit, name: &VolumeName, path: String) -> Result<(), Fault> {
        self.with(permit, name, Access::Write, move |files| files.remove(&path)).await
    }

    async fn with<T: Send + 'static>(
        &self,
        permit: &VolumesPermit,
        name: &VolumeName,
        access: Access,
        act: impl FnOnce(&Files) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        permit.check(access, name.as_str())?;
        let opened = self.opened()?;
        let live = opened.live(name)?;
        if access > Access::Read && live.manifest().read_only {
            let fault = Fault::new("volumes.read_only", format!("the volume {name} is read-only"));
            return Err(fault.hint("write into another one, or make one without read_only"));
        }
        let name = name.clone();
        blocking(move || {
            let manifest = live.manifest();
            let files = opened.gateway.files(&format!("/{name}"), (manifest.uid, manifest.gid));
            act(&files.ok_or_else(|| error::not_found(&name))?)
        })
        .await
    }
}
