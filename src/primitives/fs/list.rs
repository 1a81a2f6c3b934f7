//! What lies in a folder. Symbolic links are shown and never entered.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use jiff::Timestamp;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use tokio_util::sync::CancellationToken;

use super::Files;
use super::error::FsError;
use super::jail::{file_type, look_at_entry};
use super::path::FsPath;
use crate::base::limits;
use crate::model::grants::{Access, matches};
use crate::primitives::permit::FsPermit;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    Link,
    Other,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Folder => "directory",
            Self::Link => "symlink",
            Self::Other => "other",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// As it is written in calls: `root:relative/path`.
    pub path: String,
    pub kind: Kind,
    pub bytes: u64,
    pub modified_at: Timestamp,
    /// The permission bits.
    pub mode: u32,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Of names, where `*` stands for any run of characters; None for all.
    pub glob: Option<String>,
    pub recursive: bool,
    pub limit: usize,
}

impl Files {
    /// In the order of their paths. More than `listing.limit` is an error, for a list that was cut would look whole.
    pub async fn list(&self, permit: &FsPermit, path: FsPath, listing: Listing) -> Result<Vec<Entry>, FsError> {
        let jail = self.jail(permit, &path, Access::Read)?;
        self.on_disk(move |stop| {
            let folder = jail.folder("list", &path)?;
            let shown = if path.parts().is_empty() { path.to_string() } else { format!("{path}/") };
            let mut search = Search { path: &path, listing: &listing, stop, found: Vec::new(), seen: 0 };
            search.folder(&folder, &shown, limits::FS_DEPTH_MAX)?;
            let mut found = search.found;
            found.sort_by(|one, other| one.path.cmp(&other.path));
            Ok(found)
        })
        .await
    }
}

struct Search<'a> {
    path: &'a FsPath,
    listing: &'a Listing,
    stop: &'a CancellationToken,
    found: Vec<Entry>,
    seen: usize,
}

impl Search<'_> {
    fn folder(&mut self, folder: &OwnedFd, shown: &str, depth: usize) -> Result<(), FsError> {
        let failed = |problem| FsError::system("list", shown, problem);
        let depth = depth.checked_sub(1).ok_or_else(|| FsError::too_deep(self.path))?;
        for item in Dir::read_from(folder).map_err(failed)? {
            let item = item.map_err(failed)?;
            if is_self(item.file_name()) {
                continue;
            }
            self.seen += 1;
            if self.stop.is_cancelled() {
                return Err(FsError::stopped());
            }
            if self.seen > limits::FS_ENTRIES_SEEN_MAX {
                return Err(FsError::too_many(self.path, limits::FS_ENTRIES_SEEN_MAX));
            }
            let Some(stat) = look_at_entry(folder, item.file_name()).map_err(failed)? else { continue };
            let name = item.file_name().to_string_lossy().into_owned();
            let path = format!("{shown}{name}");
            let descends = self.listing.recursive && file_type(&stat) == FileType::Directory;
            if descends && let Some(inner) = enter(folder, item.file_name()).map_err(failed)? {
                self.folder(&inner, &format!("{path}/"), depth)?;
            }
            if self.listing.glob.as_deref().is_none_or(|glob| matches(glob, &name)) {
                if self.found.len() >= self.listing.limit {
                    return Err(FsError::too_many(self.path, self.listing.limit));
                }
                self.found.push(entry(name, path, &stat));
            }
        }
        Ok(())
    }
}

/// Removes everything in the folder `name` of `above`, and gives how much that was.
pub(super) fn remove_all(
    above: &OwnedFd,
    name: &str,
    path: &FsPath,
    depth: usize,
    stop: &CancellationToken,
) -> Result<usize, FsError> {
    let name = std::ffi::CString::new(name).map_err(|_| FsError::bad_path(name, "it holds a zero byte"))?;
    match enter(above, &name).map_err(|problem| FsError::system("remove", path, problem))? {
        Some(folder) => empty(&folder, path, depth, stop),
        None => Ok(0),
    }
}

fn empty(folder: &OwnedFd, path: &FsPath, depth: usize, stop: &CancellationToken) -> Result<usize, FsError> {
    let failed = |problem| FsError::system("remove what is in", path, problem);
    let depth = depth.checked_sub(1).ok_or_else(|| FsError::too_deep(path))?;
    let mut removed = 0;
    for item in Dir::read_from(folder).map_err(failed)? {
        let item = item.map_err(failed)?;
        let name = item.file_name();
        if is_self(name) {
            continue;
        }
        if stop.is_cancelled() {
            return Err(FsError::stopped());
        }
        let Some(stat) = look_at_entry(folder, name).map_err(failed)? else { continue };
        let mut flags = AtFlags::empty();
        if file_type(&stat) == FileType::Directory {
            if let Some(inner) = enter(folder, name).map_err(failed)? {
                removed += empty(&inner, path, depth, stop)?;
            }
            flags = AtFlags::REMOVEDIR;
        }
        rustix::fs::unlinkat(folder, name, flags).map_err(failed)?;
        removed += 1;
    }
    Ok(removed)
}

/// None when it vanished or is something else by now.
fn enter(folder: &OwnedFd, name: &CStr) -> Result<Option<OwnedFd>, rustix::io::Errno> {
    use rustix::io::Errno;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(inner) => Ok(Some(inner)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(problem) => Err(problem),
    }
}

fn is_self(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

pub(super) fn entry(name: String, path: String, stat: &Stat) -> Entry {
    let kind = match file_type(stat) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    };
    let nanoseconds = i32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Entry {
        name,
        path,
        kind,
        bytes: u64::try_from(stat.st_size).unwrap_or(0),
        modified_at: Timestamp::new(stat.st_mtime, nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH),
        mode: stat.st_mode & 0o7777,
    }
}

/// With its article.
pub(super) fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a folder",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "something unknown",
    }
}
