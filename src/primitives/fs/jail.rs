//! Resolution of paths beneath a folder, whatever symbolic links are there or appear meanwhile.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::error::FsError;
use super::list::kind_name;
use super::path::FsPath;

/// How often a resolution is repeated that a rename elsewhere disturbed.
const DISTURBED_MAX: usize = 64;

/// An open folder that is not left.
#[derive(Debug)]
pub struct Jail {
    root: OwnedFd,
    /// Kernels before 5.6 and some sandboxes have no `openat2`: there names are opened one by one, and no symbolic link
    /// is followed at all.
    walks: bool,
}

impl Jail {
    pub fn open(folder: &Path) -> Result<Self, Errno> {
        let root = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root, walks: false })
    }

    /// As on a kernel without `openat2`.
    #[cfg(test)]
    pub fn walking(self) -> Self {
        Self { walks: true, ..self }
    }

    /// Opens what `parts` lead to. Symbolic links are followed as long as they stay beneath the root.
    pub fn at(&self, parts: &[String], flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC;
        if parts.is_empty() {
            return rustix::fs::openat(&self.root, c".", flags, Mode::empty());
        }
        if self.walks {
            return self.walk(parts, flags);
        }
        let path = parts.join("/");
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..DISTURBED_MAX {
            match rustix::fs::openat2(&self.root, path.as_str(), flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                // A filter of system calls may answer EPERM for one that it does not know.
                Err(Errno::NOSYS | Errno::PERM) => return self.walk(parts, flags),
                outcome => return outcome,
            }
        }
        Err(Errno::AGAIN)
    }

    fn walk(&self, parts: &[String], flags: OFlags) -> Result<OwnedFd, Errno> {
        let Some((last, above)) = parts.split_last() else { return Err(Errno::INVAL) };
        let mut folder = rustix::fs::openat(&self.root, c".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        for part in above {
            let through = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            folder = rustix::fs::openat(&folder, part.as_str(), through, Mode::empty())?;
        }
        let opened = rustix::fs::openat(&folder, last.as_str(), flags | OFlags::NOFOLLOW, Mode::empty())?;
        match file_type(&rustix::fs::fstat(&opened)?) {
            FileType::Symlink => Err(Errno::LOOP),
            _ => Ok(opened),
        }
    }

    /// The folder above `path`, open for changes in it, and the last name.
    pub(super) fn above<'a>(&self, doing: &str, path: &'a FsPath) -> Result<(OwnedFd, &'a str), FsError> {
        let (above, name) = path.split()?;
        let folder = self.at(above, OFlags::RDONLY | OFlags::DIRECTORY);
        folder.map(|folder| (folder, name)).map_err(|problem| FsError::system(doing, path, problem))
    }

    /// A folder, for what is done in it.
    pub(super) fn folder(&self, doing: &str, path: &FsPath) -> Result<OwnedFd, FsError> {
        let opened = self.at(path.parts(), OFlags::RDONLY | OFlags::DIRECTORY);
        opened.map_err(|problem| FsError::system(doing, path, problem))
    }

    /// A regular file with one name, for reading. What it is is known before it is opened: opening a pipe would wait
    /// for its other end, and opening a device may do something.
    pub(super) fn file(&self, doing: &str, path: &FsPath) -> Result<(std::fs::File, Stat), FsError> {
        let failed = |problem| FsError::system(doing, path, problem);
        let named = self.at(path.parts(), OFlags::PATH).map_err(failed)?;
        let seen = rustix::fs::fstat(&named).map_err(failed)?;
        plain(path, &seen)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = self.at(path.parts(), flags).map_err(failed)?;
        let is = rustix::fs::fstat(&opened).map_err(failed)?;
        if (is.st_dev, is.st_ino) != (seen.st_dev, seen.st_ino) {
            return Err(FsError::changed(path));
        }
        Ok((opened.into(), is))
    }
}

/// What `name` in `folder` is itself, links not followed; None when it is not there.
pub(super) fn look(folder: &OwnedFd, name: &str) -> Result<Option<Stat>, Errno> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// The same for an entry of a folder as the system names it.
pub(super) fn look_at_entry(folder: &OwnedFd, name: &CStr) -> Result<Option<Stat>, Errno> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// Refuses everything but a regular file with one name.
pub(super) fn plain(path: &FsPath, stat: &Stat) -> Result<(), FsError> {
    match file_type(stat) {
        FileType::RegularFile if stat.st_nlink > 1 => Err(FsError::hard_link(path)),
        FileType::RegularFile => Ok(()),
        other => Err(FsError::wrong_kind(path, kind_name(other), "a regular file")),
    }
}

pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}
