//! Makes the tree agree with the disk: all of it when the volume is opened, a directory that somebody changed beside
//! us, or one name.

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;

use nfsserve::nfs::{fattr3, nfsstat3};
use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use super::Directory;
use super::errno::status;
use super::locate::{Found, identify, look};
use super::tree::{Kind, Tree};
use crate::primitives::nfs::backend::FileId;

impl Directory {
    /// Reads the whole volume.
    pub(super) fn scan_all(&self) -> Result<(), Errno> {
        let mut tree = self.write_tree();
        self.scan_below(&mut tree, self.root_id).map_err(|_| Errno::IO)
    }

    /// Reads a directory and everything below it that the tree does not have yet.
    fn scan_below(&self, tree: &mut Tree, directory: FileId) -> Result<(), nfsstat3> {
        let mut waiting = vec![directory];
        while let Some(directory) = waiting.pop() {
            match self.scan(tree, directory) {
                Ok(found) => waiting.extend(found),
                // Gone meanwhile, or closed to us: it stays empty.
                Err(_) if directory != self.root_id => {}
                Err(status) => return Err(status),
            }
        }
        Ok(())
    }

    /// Reads one directory. Gives the directories in it that are new.
    fn scan(&self, tree: &mut Tree, directory: FileId) -> Result<Vec<FileId>, nfsstat3> {
        let descriptor = self.directory_of(tree, directory)?;
        let changed = identify(&descriptor).map_err(status)?.changed();
        let mut names = HashSet::new();
        let mut found = Vec::new();
        for entry in Dir::read_from(&descriptor).map_err(status)? {
            let entry = entry.map_err(status)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            names.insert(name.to_vec());
            if tree.child(directory, name)?.is_some_and(|known| known.number == entry.ino()) {
                continue;
            }
            match look(&descriptor, name).map_err(status).and_then(|found| self.inside(found)) {
                Ok(there) => found.extend(self.adopt(tree, directory, name, &there)),
                Err(_) => {
                    names.remove(name);
                }
            }
        }
        for gone in tree.names(directory)?.into_iter().filter(|name| !names.contains(name)) {
            self.forget(tree, directory.number, &gone);
        }
        tree.set_as_of(directory.number, Some(changed));
        Ok(found)
    }

    /// Before a listing begins: reads the directory again if it is not as it was when we last knew.
    pub(super) fn refresh(&self, directory: FileId) -> Result<(), nfsstat3> {
        {
            let tree = self.read_tree();
            let descriptor = self.directory_of(&tree, directory)?;
            let changed = identify(&descriptor).map_err(status)?.changed();
            if tree.children(directory)?.as_of == Some(changed) {
                return Ok(());
            }
        }
        self.scan_below(&mut self.write_tree(), directory)
    }

    /// Makes the tree agree with the disk about one name.
    pub(super) fn adopt_name(&self, directory: FileId, name: &[u8]) -> Result<(FileId, fattr3), nfsstat3> {
        let mut tree = self.write_tree();
        let descriptor = self.directory_of(&tree, directory)?;
        match look(&descriptor, name).map_err(status).and_then(|found| self.inside(found)) {
            Ok(found) => {
                if let Some(below) = self.adopt(&mut tree, directory, name, &found) {
                    self.scan_below(&mut tree, below)?;
                }
                Ok((found.id, found.attributes()))
            }
            Err(status) => {
                self.forget(&mut tree, directory.number, name);
                Err(status)
            }
        }
    }

    /// Takes a name into the tree as it was found. Gives the directory that it is, if that is new.
    pub(super) fn adopt(&self, tree: &mut Tree, directory: FileId, name: &[u8], found: &Found) -> Option<FileId> {
        if let Ok(Some(known)) = tree.child(directory, name) {
            if known == found.id {
                return None;
            }
            self.forget(tree, directory.number, name);
        }
        let is_directory = found.file_type() == FileType::Directory;
        match tree.id(found.id.number) {
            // The number was used again.
            Some(old) if old != found.id => self.forget_all(tree, old.number),
            // A directory has one name: it was moved.
            Some(_) if is_directory => {
                let from = tree.places(found.id.number).next().map(|(above, name)| (above, name.to_vec()));
                if let Some((above, old_name)) = from {
                    tree.rename(above, &old_name, directory.number, name);
                }
                return None;
            }
            _ => {}
        }
        let bytes = if found.file_type() == FileType::RegularFile { found.bytes_on_disk() } else { 0 };
        let kind = || match found.file_type() {
            FileType::Directory => Kind::directory(),
            FileType::RegularFile => Kind::Regular { charged: AtomicU64::new(bytes) },
            _ => Kind::Other,
        };
        let added = tree.insert(directory.number, name, found.id, kind);
        if added {
            self.quota.count(bytes);
        }
        (added && is_directory).then_some(found.id)
    }

    /// Takes a name out of the tree, and what is below it.
    pub(super) fn forget(&self, tree: &mut Tree, directory: u64, name: &[u8]) {
        let mut waiting = vec![(directory, name.to_vec())];
        while let Some((directory, name)) = waiting.pop() {
            let here = tree.id(directory);
            let Some(child) = here.and_then(|here| tree.child(here, &name).ok().flatten()) else { continue };
            let below = tree.names(child).unwrap_or_default();
            if below.is_empty() {
                self.forget_one(tree, directory, &name);
            } else {
                waiting.push((directory, name));
                waiting.extend(below.into_iter().map(|name| (child.number, name)));
            }
        }
    }

    fn forget_one(&self, tree: &mut Tree, directory: u64, name: &[u8]) {
        if let Some(removed) = tree.remove(directory, name)
            && let Some(charged) = removed.last
        {
            self.quota.forget(charged.unwrap_or(0));
            self.descriptors.remove(removed.number);
        }
    }

    fn forget_all(&self, tree: &mut Tree, number: u64) {
        let places: Vec<_> = tree.places(number).map(|(directory, name)| (directory, name.to_vec())).collect();
        for (directory, name) in places {
            self.forget(tree, directory, &name);
        }
    }
}
