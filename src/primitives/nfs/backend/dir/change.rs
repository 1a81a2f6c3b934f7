//! Making, removing, moving and linking.
//!
//! A change on disk and in the tree is one step for everybody else. What takes long (the end of a large file, a sync)
//! comes after it.

use std::sync::Arc;

use nfsserve::nfs::{fattr3, nfsstat3};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::Directory;
use super::descriptors::Open;
use super::errno::status;
use super::locate::{Found, identify, look, open_beneath, through};
use super::tree::Tree;
use crate::primitives::nfs::backend::{FileId, NewFile, Ownership};

impl Directory {
    pub(super) fn make(
        &self,
        directory: FileId,
        name: &[u8],
        what: NewFile<'_>,
        ownership: Ownership,
    ) -> Result<(FileId, fattr3), nfsstat3> {
        let mut tree = self.write_tree();
        let above = self.directory_of(&tree, directory)?;
        let before = changed(&above)?;
        self.quota.add_inode()?;
        let made = make_on_disk(&above, name, what, ownership.mode).and_then(|open| {
            let outcome = self.own(&above, name, what, ownership);
            if outcome.is_err() {
                let flags = if what == NewFile::Directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
                let _ = rustix::fs::unlinkat(&above, name, flags);
            }
            outcome.map(|found| (open, found))
        });
        // Counted again, with its bytes, when it is taken into the tree.
        self.quota.forget(0);
        let (open, found) = made.map_err(status)?;
        self.adopt(&mut tree, directory, name, &found);
        if what == NewFile::Directory {
            // Nobody else can have put anything into it.
            tree.set_as_of(found.id.number, Some(found.changed()));
        }
        if let Some(descriptor) = open {
            self.descriptors.put(found.id.number, Open { descriptor: Arc::new(descriptor), writable: true });
        }
        self.keep_as_of(&mut tree, directory, before, &above);
        drop(tree);
        self.sync(&[&above])?;
        Ok((found.id, found.attributes()))
    }

    /// Gives a new file its owner and its mode, which the process's mask may have narrowed.
    fn own(&self, above: &OwnedFd, name: &[u8], what: NewFile<'_>, ownership: Ownership) -> Result<Found, Errno> {
        let mut found = look(above, name)?;
        if self.gives_away && (found.stat.stx_uid, found.stat.stx_gid) != (ownership.uid, ownership.gid) {
            let (uid, gid) = (Uid::from_raw(ownership.uid), Gid::from_raw(ownership.gid));
            rustix::fs::chownat(above, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
            found = look(above, name)?;
        }
        let is_symlink = matches!(what, NewFile::Symlink { .. });
        if !is_symlink && u32::from(found.stat.stx_mode) & 0o7777 != ownership.mode {
            let place = open_beneath(above, name, OFlags::PATH, Mode::empty())?;
            rustix::fs::chmod(through(&place), Mode::from_raw_mode(ownership.mode))?;
            found = look(above, name)?;
        }
        Ok(found)
    }

    pub(super) fn unlink(&self, directory: FileId, name: &[u8], is_directory: bool) -> Result<(), nfsstat3> {
        let mut tree = self.write_tree();
        let above = self.directory_of(&tree, directory)?;
        let before = changed(&above)?;
        // Freeing the file's blocks waits until this is dropped, after the lock.
        let _kept = open_beneath(&above, name, OFlags::PATH, Mode::empty());
        let _open = tree.child(directory, name)?.and_then(|child| self.descriptors.remove(child.number));
        let flags = if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match rustix::fs::unlinkat(&above, name, flags) {
            Ok(()) => {}
            Err(Errno::EXIST) if is_directory => return Err(nfsstat3::NFS3ERR_NOTEMPTY),
            Err(errno) => return Err(status(errno)),
        }
        self.forget(&mut tree, directory.number, name);
        self.keep_as_of(&mut tree, directory, before, &above);
        drop(tree);
        self.sync(&[&above])
    }

    pub(super) fn move_entry(
        &self,
        from: FileId,
        from_name: &[u8],
        to: FileId,
        to_name: &[u8],
    ) -> Result<(), nfsstat3> {
        let mut tree = self.write_tree();
        let (from_above, to_above) = (self.directory_of(&tree, from)?, self.directory_of(&tree, to)?);
        let before = (changed(&from_above)?, changed(&to_above)?);
        let moved = tree.child(from, from_name)?.ok_or(nfsstat3::NFS3ERR_NOENT)?;
        let replaced = tree.child(to, to_name)?;
        if replaced == Some(moved) {
            return Ok(());
        }
        let _kept = open_beneath(&to_above, to_name, OFlags::PATH, Mode::empty());
        let _open = replaced.and_then(|replaced| self.descriptors.remove(replaced.number));
        match rustix::fs::renameat(&from_above, from_name, &to_above, to_name) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(nfsstat3::NFS3ERR_NOTEMPTY),
            Err(errno) => return Err(status(errno)),
        }
        self.forget(&mut tree, to.number, to_name);
        tree.rename(from.number, from_name, to.number, to_name);
        self.keep_as_of(&mut tree, from, before.0, &from_above);
        if from != to {
            self.keep_as_of(&mut tree, to, before.1, &to_above);
        }
        drop(tree);
        self.sync(&[&from_above, &to_above])
    }

    pub(super) fn add_link(&self, id: FileId, directory: FileId, name: &[u8]) -> Result<(), nfsstat3> {
        let mut tree = self.write_tree();
        let above = self.directory_of(&tree, directory)?;
        let before = changed(&above)?;
        let mut outcome = Err(nfsstat3::NFS3ERR_STALE);
        for (there, old_name) in tree.places(id.number) {
            outcome = self.directory(&tree, there).and_then(|there| {
                self.same(look(&there, old_name).map_err(status)?, id)?;
                rustix::fs::linkat(&there, old_name, &above, name, AtFlags::empty()).map_err(status)
            });
            if !matches!(outcome, Err(nfsstat3::NFS3ERR_STALE | nfsstat3::NFS3ERR_NOENT)) {
                break;
            }
        }
        outcome?;
        let found = look(&above, name).map_err(status)?;
        self.adopt(&mut tree, directory, name, &found);
        self.keep_as_of(&mut tree, directory, before, &above);
        drop(tree);
        self.sync(&[&above])
    }

    /// If the tree had all of the directory before our change, it has all of it after.
    fn keep_as_of(&self, tree: &mut Tree, directory: FileId, before: (i64, u32), above: &OwnedFd) {
        if tree.children(directory).is_ok_and(|children| children.as_of == Some(before)) {
            tree.set_as_of(directory.number, changed(above).ok());
        }
    }

    fn sync(&self, directories: &[&Arc<OwnedFd>]) -> Result<(), nfsstat3> {
        if self.sync_names {
            for directory in directories {
                rustix::fs::fsync(directory).map_err(status)?;
            }
        }
        Ok(())
    }
}

fn changed(directory: &OwnedFd) -> Result<(i64, u32), nfsstat3> {
    identify(directory).map(|found| found.changed()).map_err(status)
}

/// Makes what is not there. A regular file comes back open.
fn make_on_disk(above: &OwnedFd, name: &[u8], what: NewFile<'_>, mode: u32) -> Result<Option<OwnedFd>, Errno> {
    let mode = Mode::from_raw_mode(mode);
    match what {
        NewFile::Regular => {
            open_beneath(above, name, OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOCTTY, mode).map(Some)
        }
        NewFile::Directory => rustix::fs::mkdirat(above, name, mode).map(|()| None),
        NewFile::Symlink { target } => rustix::fs::symlinkat(target, above, name).map(|()| None),
        NewFile::Fifo => rustix::fs::mknodat(above, name, FileType::Fifo, mode, 0).map(|()| None),
        NewFile::Socket => rustix::fs::mknodat(above, name, FileType::Socket, mode, 0).map(|()| None),
    }
}
