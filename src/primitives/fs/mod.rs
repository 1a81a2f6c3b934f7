//! Files inside the folders that the operator has opened, and nowhere else.
//!
//! A path is `root:relative/path`. It is resolved by the kernel beneath its root's folder ([`jail`]), so that no `..`,
//! no symbolic link and no exchange of one while it is looked at leads out. Only regular files are opened, and those
//! with a second name (a hard link may belong to anybody) are not. Files are written beside their place and renamed
//! into it: whoever reads sees the old content or the new.

mod error;
mod jail;
mod list;
mod path;
mod read;
mod transfer;
mod write;

#[cfg(test)]
mod escape_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use error::FsError;
pub use jail::Jail;
pub use list::{Entry, Kind, Listing};
pub use path::FsPath;
pub use read::{Algorithm, Space};
pub use write::{Pending, Replace};

use crate::base::{limits, suggest};
use crate::model::grants::Access;
use crate::primitives::permit::FsPermit;

/// As the configuration has it, in `fs`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Absolute folders by the name that scripts call them.
    pub roots: BTreeMap<String, PathBuf>,
}

/// The service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Files(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    roots: BTreeMap<String, PathBuf>,
    slots: Arc<Semaphore>,
}

impl Files {
    pub fn new(options: Options) -> Result<Self, FsError> {
        for (name, folder) in &options.roots {
            if !folder.is_absolute() || name.is_empty() || name.contains([':', '/', '*']) {
                return Err(FsError::bad_root(name, folder));
            }
        }
        let slots = Arc::new(Semaphore::new(limits::FS_CALLS_AT_ONCE_MAX));
        Ok(Self(Arc::new(Shared { roots: options.roots, slots })))
    }

    /// Names and folders.
    pub fn roots(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.0.roots.iter().map(|(name, folder)| (name.as_str(), folder.as_path()))
    }

    /// Where `path` is on disk, for those who want to be woken when something happens there. Whatever is done to it goes
    /// through the jail.
    pub fn place(&self, permit: &FsPermit, path: &FsPath) -> Result<PathBuf, FsError> {
        permit.check(path.root(), Access::Read)?;
        let root = self.0.roots.get(path.root()).ok_or_else(|| self.unknown(path))?;
        Ok(path.parts().iter().fold(root.clone(), |place, part| place.join(part)))
    }

    fn unknown(&self, path: &FsPath) -> FsError {
        let near = suggest::did_you_mean(path.root(), self.0.roots.keys().map(String::as_str));
        FsError::unknown_root(path, &near)
    }

    /// The folder that `path` lies beneath, if the permit is for it and reaches `access`.
    pub(in crate::primitives) fn jail(
        &self,
        permit: &FsPermit,
        path: &FsPath,
        access: Access,
    ) -> Result<Jail, FsError> {
        permit.check(path.root(), access)?;
        let folder = self.0.roots.get(path.root()).ok_or_else(|| self.unknown(path))?;
        Jail::open(folder).map_err(|problem| FsError::no_root(path.root(), folder, problem))
    }

    /// A file that another part writes, and then hands to [`Files::commit`].
    pub(in crate::primitives) async fn begin(
        &self,
        permit: &FsPermit,
        path: FsPath,
    ) -> Result<(Pending, std::fs::File), FsError> {
        let jail = self.jail(permit, &path, Access::Write)?;
        self.on_disk(move |_| Pending::begin(&jail, &path)).await
    }

    pub(in crate::primitives) async fn commit(
        &self,
        pending: Pending,
        file: std::fs::File,
        replace: Replace,
    ) -> Result<(), FsError> {
        self.on_disk(move |_| pending.commit(&file, replace)).await
    }

    /// An open file, for a part that reads it piece by piece.
    pub(in crate::primitives) async fn opened(
        &self,
        permit: &FsPermit,
        path: FsPath,
    ) -> Result<std::fs::File, FsError> {
        let jail = self.jail(permit, &path, Access::Read)?;
        self.on_disk(move |_| jail.file("read", &path).map(|(file, _)| file)).await
    }

    /// An open folder.
    pub(in crate::primitives) async fn folder(&self, permit: &FsPermit, path: FsPath) -> Result<OwnedFd, FsError> {
        let jail = self.jail(permit, &path, Access::Read)?;
        self.on_disk(move |_| jail.folder("enter", &path)).await
    }

    /// Runs `work` where it may block. It is asked to stop when the caller has gone.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CancellationToken) -> Result<T, FsError> + Send + 'static,
    ) -> Result<T, FsError> {
        let slot = self.0.slots.clone().acquire_owned().await.map_err(|_| FsError::stopped())?;
        let stop = CancellationToken::new();
        let _gone = stop.clone().drop_guard();
        let work = move || {
            let _slot = slot;
            work(&stop)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| FsError::stopped())?
    }
}
