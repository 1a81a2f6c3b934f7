//! Changes: each is whole or has not happened.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::Files;
use super::error::FsError;
use super::jail::{Jail, file_type, look, plain};
use super::list::{kind_name, remove_all};
use super::path::FsPath;
use crate::base::limits;
use crate::model::grants::Access;
use crate::primitives::permit::FsPermit;

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    Yes,
    /// `fs.exists`.
    No,
}

/// A file that is written beside its place. It vanishes unless it is put there by [`Pending::commit`].
#[derive(Debug)]
pub struct Pending {
    folder: OwnedFd,
    temporary: String,
    name: String,
    shown: String,
    is_placed: bool,
}

impl Pending {
    pub fn begin(jail: &Jail, path: &FsPath) -> Result<(Self, File), FsError> {
        let failed = |problem| FsError::system("write", path, problem);
        let (folder, name) = jail.above("write", path)?;
        let existing = look(&folder, name).map_err(failed)?;
        // The rights that the file has now, or those of a file that only its owner writes and its group reads.
        let mode = match existing.as_ref().map(|stat| (file_type(stat), stat.st_mode)) {
            Some((FileType::RegularFile, mode)) => Mode::from_raw_mode(mode & 0o777),
            None | Some((FileType::Symlink, _)) => Mode::from_raw_mode(0o640),
            Some((other, _)) => return Err(FsError::wrong_kind(path, kind_name(other), "a regular file")),
        };
        let random = getrandom::u64().map_err(|_| failed(Errno::IO))?;
        let temporary = format!(".aegis-{random:016x}.tmp");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, temporary.as_str(), flags, mode).map_err(failed)?;
        let pending = Self { folder, temporary, name: name.to_owned(), shown: path.to_string(), is_placed: false };
        Ok((pending, file.into()))
    }

    /// Puts the file in its place, on disk with its folder.
    pub fn commit(mut self, file: &File, replace: Replace) -> Result<(), FsError> {
        file.sync_all().map_err(|problem| FsError::io("write", &self.shown, &problem))?;
        let (from, to) = (self.temporary.as_str(), self.name.as_str());
        rename(&self.folder, from, &self.folder, to, replace)
            .map_err(|problem| FsError::system("write", &self.shown, problem))?;
        self.is_placed = true;
        rustix::fs::fsync(&self.folder).map_err(|problem| FsError::system("write", &self.shown, problem))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_placed {
            let removed = rustix::fs::unlinkat(&self.folder, self.temporary.as_str(), AtFlags::empty());
            if let Err(problem) = removed {
                tracing::debug!(file = self.shown, %problem, "what was written beside it stays");
            }
        }
    }
}

/// A rename that keeps or replaces what is there. Not every file system can tell by itself.
pub(super) fn rename(from: &OwnedFd, old: &str, to: &OwnedFd, new: &str, replace: Replace) -> Result<(), Errno> {
    if replace == Replace::Yes {
        return rustix::fs::renameat(from, old, to, new);
    }
    match rustix::fs::renameat_with(from, old, to, new, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => match look(to, new)? {
            Some(_) => Err(Errno::EXIST),
            None => rustix::fs::renameat(from, old, to, new),
        },
        outcome => outcome,
    }
}

impl Files {
    /// Replaces a file's content, or makes the file.
    pub async fn write(
        &self,
        permit: &FsPermit,
        path: FsPath,
        content: Vec<u8>,
        replace: Replace,
    ) -> Result<(), FsError> {
        let jail = self.jail(permit, &path, Access::Write)?;
        self.on_disk(move |_| {
            let (pending, mut file) = Pending::begin(&jail, &path)?;
            file.write_all(&content).map_err(|problem| FsError::io("write", &path, &problem))?;
            pending.commit(&file, replace)
        })
        .await
    }

    /// Adds to the end of a file, which is made when it is not there.
    pub async fn append(&self, permit: &FsPermit, path: FsPath, content: Vec<u8>) -> Result<(), FsError> {
        let jail = self.jail(permit, &path, Access::Write)?;
        self.on_disk(move |_| {
            let failed = |problem| FsError::system("append to", &path, problem);
            let (folder, name) = jail.above("append to", &path)?;
            if let Some(stat) = look(&folder, name).map_err(failed)? {
                plain(&path, &stat)?;
            }
            let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
            let opened = rustix::fs::openat(&folder, name, flags, Mode::from_raw_mode(0o640)).map_err(failed)?;
            plain(&path, &rustix::fs::fstat(&opened).map_err(failed)?)?;
            let mut file = File::from(opened);
            let written = file.write_all(&content).and_then(|()| file.sync_data());
            written.map_err(|problem| FsError::io("append to", &path, &problem))
        })
        .await
    }

    /// Makes a folder, and with `parents` those above it. A folder that is there already is no error then.
    pub async fn mkdir(&self, permit: &FsPermit, path: FsPath, parents: bool) -> Result<(), FsError> {
        let jail = self.jail(permit, &path, Access::Write)?;
        self.on_disk(move |_| {
            let failed = |problem| FsError::system("make the folder", &path, problem);
            let (above, _) = path.split()?;
            let first = if parents { 0 } else { above.len() };
            for last in first..=above.len() {
                let folder = jail.at(&path.parts()[..last], OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed)?;
                match rustix::fs::mkdirat(&folder, path.parts()[last].as_str(), Mode::from_raw_mode(0o750)) {
                    Err(Errno::EXIST) if parents => {}
                    outcome => outcome.map_err(failed)?,
                }
            }
            jail.folder("make the folder", &path).map(drop)
        })
        .await
    }

    /// Removes a file, a link or an empty folder; with `recursive`, a folder with everything in it. Gives how many
    /// entries that were.
    pub async fn remove(&self, permit: &FsPermit, path: FsPath, recursive: bool) -> Result<usize, FsError> {
        let jail = self.jail(permit, &path, Access::Write)?;
        self.on_disk(move |stop| {
            let failed = |problem| FsError::system("remove", &path, problem);
            let (folder, name) = jail.above("remove", &path)?;
            let stat = look(&folder, name).map_err(failed)?.ok_or_else(|| failed(Errno::NOENT))?;
            if file_type(&stat) != FileType::Directory {
                return rustix::fs::unlinkat(&folder, name, AtFlags::empty()).map(|()| 1).map_err(failed);
            }
            let mut removed = 1;
            if recursive {
                removed += remove_all(&folder, name, &path, limits::FS_DEPTH_MAX, stop)?;
            }
            rustix::fs::unlinkat(&folder, name, AtFlags::REMOVEDIR).map(|()| removed).map_err(failed)
        })
        .await
    }
}
