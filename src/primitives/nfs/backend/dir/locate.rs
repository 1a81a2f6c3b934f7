//! From a file's identity to the file on disk, and never to another.

use std::sync::Arc;

use nfsserve::nfs::{fattr3, nfsstat3};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;

use super::Directory;
use super::descriptors::Open;
use super::errno::status;
use super::tree::Tree;
use crate::base::limits;
use crate::primitives::nfs::backend::FileId;

/// What the disk says about a file.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    pub id: FileId,
    pub device: u64,
    pub stat: Statx,
}

impl Found {
    fn new(stat: Statx) -> Self {
        let born = if stat.stx_mask & StatxFlags::BTIME.bits() != 0 {
            (stat.stx_btime.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(stat.stx_btime.tv_nsec.into())
        } else {
            0
        };
        Self {
            id: FileId { number: stat.stx_ino, generation: born },
            device: u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor),
            stat,
        }
    }

    pub fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.stat.stx_mode.into())
    }

    pub fn bytes_on_disk(&self) -> u64 {
        self.stat.stx_blocks * 512
    }

    pub fn changed(&self) -> (i64, u32) {
        (self.stat.stx_ctime.tv_sec, self.stat.stx_ctime.tv_nsec)
    }
}

/// The file behind a descriptor.
pub fn identify<F: AsFd>(descriptor: F) -> Result<Found, Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    rustix::fs::statx(descriptor, "", AtFlags::EMPTY_PATH, wanted).map(Found::new)
}

/// The file of that name in a directory; a link is itself.
pub fn look<F: AsFd>(directory: F, name: &[u8]) -> Result<Found, Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    rustix::fs::statx(directory, name, flags, wanted).map(Found::new)
}

/// Opens a name in a directory: no link, nothing mounted there, nothing above.
pub fn open_beneath<F: AsFd>(directory: F, name: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    match rustix::fs::openat2(&directory, name, flags, mode, resolve) {
        // Old kernels and some sandboxes do not have it. A name is one component, so that the other way is as safe but
        // for mounts, which the callers see by their device.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(&directory, name, flags, mode),
        outcome => outcome,
    }
}

impl Directory {
    pub(super) fn stat(&self, id: FileId) -> Result<Found, nfsstat3> {
        self.stat_in(&self.read_tree(), id)
    }

    /// `STALE` when the file is not where the tree has it, or not itself.
    pub(super) fn stat_in(&self, tree: &Tree, id: FileId) -> Result<Found, nfsstat3> {
        tree.get(id)?;
        if id == self.root_id {
            return identify(&self.root).map_err(status);
        }
        if let Some(open) = self.descriptors.get(id.number) {
            let found = identify(&open.descriptor).map_err(status)?;
            if found.stat.stx_nlink > 0 {
                return self.same(found, id);
            }
        }
        let mut outcome = Err(nfsstat3::NFS3ERR_STALE);
        for (directory, name) in tree.places(id.number) {
            outcome = self
                .directory(tree, directory)
                .and_then(|directory| look(&directory, name).map_err(stale))
                .and_then(|found| self.same(found, id));
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// `STALE` unless what was found is what was meant.
    pub(super) fn same(&self, found: Found, id: FileId) -> Result<Found, nfsstat3> {
        if found.id == id && found.device == self.device { Ok(found) } else { Err(nfsstat3::NFS3ERR_STALE) }
    }

    /// A directory, open.
    pub(super) fn directory(&self, tree: &Tree, number: u64) -> Result<Arc<OwnedFd>, nfsstat3> {
        let mut below = Vec::new();
        let mut at = number;
        let mut descriptor = loop {
            if at == tree.root() {
                break self.root.clone();
            }
            if let Some(open) = self.descriptors.get(at) {
                break open.descriptor;
            }
            if below.len() >= limits::NFS_DEPTH_MAX {
                return Err(nfsstat3::NFS3ERR_NAMETOOLONG);
            }
            below.push(at);
            at = tree.parent(at).ok_or(nfsstat3::NFS3ERR_STALE)?;
        };
        for number in below.into_iter().rev() {
            let id = tree.id(number).ok_or(nfsstat3::NFS3ERR_STALE)?;
            let (_, name) = tree.places(number).next().ok_or(nfsstat3::NFS3ERR_STALE)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let opened = match open_beneath(&descriptor, name, flags, Mode::empty()) {
                // What cannot be listed can still be passed through.
                Err(Errno::ACCESS) => open_beneath(&descriptor, name, flags | OFlags::PATH, Mode::empty()),
                opened => opened,
            };
            let opened = opened.map_err(stale)?;
            self.same(identify(&opened).map_err(status)?, id)?;
            descriptor = Arc::new(opened);
            self.descriptors.put(number, Open { descriptor: descriptor.clone(), writable: false });
        }
        Ok(descriptor)
    }

    /// The root's number may be that of an open directory or of a file: `NOTDIR` for the latter.
    pub(super) fn directory_of(&self, tree: &Tree, id: FileId) -> Result<Arc<OwnedFd>, nfsstat3> {
        tree.children(id)?;
        self.directory(tree, id.number)
    }

    /// A regular file, open for reading or for both.
    pub(super) fn regular(&self, tree: &Tree, id: FileId, write: bool) -> Result<Arc<OwnedFd>, nfsstat3> {
        tree.get(id)?;
        if let Some(open) = self.descriptors.get(id.number)
            && (open.writable || !write)
        {
            return Ok(open.descriptor);
        }
        let mut outcome = Err(nfsstat3::NFS3ERR_STALE);
        for (directory, name) in tree.places(id.number) {
            outcome =
                self.directory(tree, directory).and_then(|directory| self.open_regular(&directory, name, id, write));
            if outcome.is_ok() {
                break;
            }
        }
        let descriptor = Arc::new(outcome?);
        self.descriptors.put(id.number, Open { descriptor: descriptor.clone(), writable: write });
        Ok(descriptor)
    }

    fn open_regular(&self, directory: &OwnedFd, name: &[u8], id: FileId, write: bool) -> Result<OwnedFd, nfsstat3> {
        // Opening a device or a pipe does things by itself.
        let found = self.same(look(directory, name).map_err(stale)?, id)?;
        if found.file_type() != FileType::RegularFile {
            return Err(nfsstat3::NFS3ERR_INVAL);
        }
        let flags = if write { OFlags::RDWR } else { OFlags::RDONLY } | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = match open_beneath(directory, name, flags, Mode::empty()) {
            Err(Errno::ACCESS) => self.open_own(directory, name, flags, found),
            opened => opened,
        };
        let opened = opened.map_err(stale)?;
        self.same(identify(&opened).map_err(status)?, id)?;
        Ok(opened)
    }

    /// The daemon may own a file whose mode keeps its owner out, and its caller have had it open since before: the
    /// mode makes way for the moment of opening.
    fn open_own(&self, directory: &OwnedFd, name: &[u8], flags: OFlags, found: Found) -> Result<OwnedFd, Errno> {
        let _modes = self.modes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let path = open_beneath(directory, name, OFlags::PATH, Mode::empty())?;
        let mode = Mode::from_raw_mode(u32::from(found.stat.stx_mode) & 0o7777);
        rustix::fs::chmod(through(&path), mode | Mode::RUSR | Mode::WUSR).map_err(|_| Errno::ACCESS)?;
        let opened = open_beneath(directory, name, flags, Mode::empty());
        rustix::fs::chmod(through(&path), mode)?;
        opened
    }

    /// Any file, as a place: for its attributes, not for its data.
    pub(super) fn place(&self, tree: &Tree, id: FileId) -> Result<Arc<OwnedFd>, nfsstat3> {
        tree.get(id)?;
        if id == self.root_id {
            return Ok(self.root.clone());
        }
        let mut outcome = Err(nfsstat3::NFS3ERR_STALE);
        for (directory, name) in tree.places(id.number) {
            outcome = self.directory(tree, directory).and_then(|directory| {
                let opened = open_beneath(&directory, name, OFlags::PATH, Mode::empty()).map_err(stale)?;
                self.same(identify(&opened).map_err(status)?, id)?;
                Ok(Arc::new(opened))
            });
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    pub(super) fn find(&self, directory: FileId, name: &[u8]) -> Result<(FileId, fattr3), nfsstat3> {
        if let Some(found) = self.find_known(&self.read_tree(), directory, name)? {
            return Ok(found);
        }
        // Somebody changed the directory beside us.
        self.adopt_name(directory, name)
    }

    /// None when the name stands for something else than the tree knows.
    pub(super) fn find_known(
        &self,
        tree: &Tree,
        directory: FileId,
        name: &[u8],
    ) -> Result<Option<(FileId, fattr3)>, nfsstat3> {
        let descriptor = self.directory_of(tree, directory)?;
        let known = tree.child(directory, name)?;
        let found = look(&descriptor, name).map_err(status).and_then(|found| self.inside(found));
        if found.as_ref().ok().map(|found| found.id) != known {
            return Ok(None);
        }
        found.map(|found| Some((found.id, found.attributes())))
    }

    /// What is mounted inside the volume is not of the volume.
    pub(super) fn inside(&self, found: Found) -> Result<Found, nfsstat3> {
        if found.device == self.device { Ok(found) } else { Err(nfsstat3::NFS3ERR_NOENT) }
    }
}

/// A way to a file that is open as a place only, for what wants a path.
pub fn through(place: &OwnedFd) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", place.as_raw_fd())
}

/// What is not where it was has gone.
fn stale(errno: Errno) -> nfsstat3 {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV => nfsstat3::NFS3ERR_STALE,
        errno => status(errno),
    }
}
