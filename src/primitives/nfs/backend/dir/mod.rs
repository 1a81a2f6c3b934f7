//! A volume in a directory of the host.
//!
//! A file is known by the number of its inode and the moment when it was born. Where it is, the tree in memory
//! knows: it is read from disk when the volume is opened, which also counts what the quota counts, and follows every
//! change from then on. What somebody changes on the host beside the gateway is noticed when it is looked up or
//! listed.
//!
//! No path is ever resolved: every name is opened beneath the open directory it is in, without following a link, and
//! what was opened is compared with what was meant.

mod attributes;
mod change;
mod data;
mod descriptors;
mod errno;
mod list;
mod locate;
mod quota;
mod scan;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use nfsserve::nfs::{fattr3, nfsstat3};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};

use super::{Backend, Changes, FileId, Listing, NewFile, Ownership, Read, Space, Stability, Written};
use crate::primitives::nfs::error::Error;
use descriptors::Descriptors;
use quota::Quota;
use tree::Tree;

pub use quota::{Limits, Usage};

/// How a directory becomes a volume.
#[derive(Debug, Clone)]
pub struct DirectoryOptions {
    pub path: PathBuf,
    pub limits: Limits,
    /// Makes every change of a directory wait for the disk. Without it, names that were made, moved or removed in the
    /// last seconds before a crash of the machine may be as before; a crash of the daemon loses nothing either way.
    pub sync_names: bool,
}

/// See the module.
pub struct Directory {
    root: Arc<OwnedFd>,
    root_id: FileId,
    /// Nothing on another file system belongs to the volume.
    device: u64,
    tree: RwLock<Tree>,
    descriptors: Descriptors,
    quota: Quota,
    sync_names: bool,
    /// Whether files can be given to the ids that clients see.
    gives_away: bool,
    verifier: AtomicU64,
    /// Held while a mode is changed, or makes way for a moment.
    modes: Mutex<()>,
    /// Read by every change while it is made.
    still: RwLock<()>,
}

/// While this is there, nothing of the volume changes: what would change it answers `JUKEBOX`, and clients ask again.
pub type Still<'a> = RwLockWriteGuard<'a, ()>;

impl Directory {
    /// Opens the volume and reads all of its names. Blocks for as long as that takes.
    pub fn open(options: DirectoryOptions) -> Result<Self, Error> {
        let failed = |source: rustix::io::Errno| Error::Volume { path: options.path.clone(), source: source.into() };
        let root = open_root(&options.path).map_err(failed)?;
        let found = locate::identify(&root).map_err(failed)?;
        let directory = Self {
            root: Arc::new(root),
            root_id: found.id,
            device: found.device,
            tree: RwLock::new(Tree::new(found.id)),
            descriptors: Descriptors::default(),
            quota: Quota::new(options.limits),
            sync_names: options.sync_names,
            gives_away: rustix::process::geteuid().is_root(),
            verifier: AtomicU64::new(new_verifier()),
            modes: Mutex::new(()),
            still: RwLock::new(()),
        };
        directory.scan_all().map_err(failed)?;
        Ok(directory)
    }

    /// What the volume holds, as the quota counts it.
    pub fn usage(&self) -> Usage {
        self.quota.usage()
    }

    /// What is over the new limits stays; nothing is added to it.
    pub fn set_limits(&self, limits: Limits) {
        self.quota.set_limits(limits);
    }

    /// Waits for the changes that have begun, and lets no other begin.
    pub fn hold_still(&self) -> Still<'_> {
        self.still.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn moving(&self) -> Result<RwLockReadGuard<'_, ()>, nfsstat3> {
        match self.still.try_read() {
            Ok(moving) => Ok(moving),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(nfsstat3::NFS3ERR_JUKEBOX),
        }
    }

    fn read_tree(&self) -> RwLockReadGuard<'_, Tree> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_tree(&self) -> RwLockWriteGuard<'_, Tree> {
        self.tree.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a failed write to disk the kernel may have dropped what it could not write: clients must send again all
    /// that they have not seen committed.
    fn renew_verifier(&self) {
        self.verifier.store(new_verifier(), Ordering::Release);
    }
}

fn open_root(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn new_verifier() -> u64 {
    // Without randomness the time still differs from one start to the next.
    getrandom::u64().unwrap_or_else(|_| std::time::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos() as u64))
}

impl Backend for Directory {
    fn root(&self) -> FileId {
        self.root_id
    }

    fn attributes(&self, id: FileId) -> Result<fattr3, nfsstat3> {
        self.stat(id).map(|found| found.attributes())
    }

    fn set_attributes(&self, id: FileId, changes: &Changes) -> Result<(), nfsstat3> {
        let _moving = self.moving()?;
        self.change_attributes(id, changes)
    }

    fn lookup(&self, directory: FileId, name: &[u8]) -> Result<(FileId, fattr3), nfsstat3> {
        self.find(directory, name)
    }

    fn parent(&self, directory: FileId) -> Result<FileId, nfsstat3> {
        let tree = self.read_tree();
        tree.get(directory)?;
        tree.parent(directory.number).and_then(|number| tree.id(number)).ok_or(nfsstat3::NFS3ERR_STALE)
    }

    fn read_link(&self, id: FileId) -> Result<Vec<u8>, nfsstat3> {
        self.read_target(id)
    }

    fn read(&self, id: FileId, offset: u64, bytes: u32) -> Result<Read, nfsstat3> {
        self.read_data(id, offset, bytes)
    }

    fn is_quick(&self, changes: bool) -> bool {
        !(changes && self.sync_names) && self.tree.try_read().is_ok()
    }

    fn has_at_hand(&self, id: FileId, offset: u64, bytes: u64) -> bool {
        self.is_cached(id, offset, bytes)
    }

    fn lookup_at_once(&self, directory: FileId, name: &[u8]) -> Option<Result<(FileId, fattr3), nfsstat3>> {
        self.find_known(&*self.tree.try_read().ok()?, directory, name).transpose()
    }

    fn write(&self, id: FileId, offset: u64, data: &[u8], stability: Stability) -> Result<Written, nfsstat3> {
        let _moving = self.moving()?;
        self.write_data(id, offset, data, stability)
    }

    fn commit(&self, id: FileId) -> Result<(), nfsstat3> {
        self.commit_data(id)
    }

    fn write_verifier(&self) -> [u8; 8] {
        self.verifier.load(Ordering::Acquire).to_be_bytes()
    }

    fn create(
        &self,
        directory: FileId,
        name: &[u8],
        what: NewFile<'_>,
        ownership: Ownership,
    ) -> Result<(FileId, fattr3), nfsstat3> {
        let _moving = self.moving()?;
        self.make(directory, name, what, ownership)
    }

    fn remove(&self, directory: FileId, name: &[u8]) -> Result<(), nfsstat3> {
        let _moving = self.moving()?;
        self.unlink(directory, name, false)
    }

    fn remove_directory(&self, directory: FileId, name: &[u8]) -> Result<(), nfsstat3> {
        let _moving = self.moving()?;
        self.unlink(directory, name, true)
    }

    fn rename(&self, from: FileId, from_name: &[u8], to: FileId, to_name: &[u8]) -> Result<(), nfsstat3> {
        let _moving = self.moving()?;
        self.move_entry(from, from_name, to, to_name)
    }

    fn link(&self, id: FileId, directory: FileId, name: &[u8]) -> Result<(), nfsstat3> {
        let _moving = self.moving()?;
        self.add_link(id, directory, name)
    }

    fn list(&self, directory: FileId, cookie: u64, entries_max: usize) -> Result<Listing, nfsstat3> {
        self.list_entries(directory, cookie, entries_max)
    }

    fn space(&self) -> Result<Space, nfsstat3> {
        self.measure_space()
    }
}
