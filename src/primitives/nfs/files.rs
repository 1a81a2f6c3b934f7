//! Files of an exported volume by path, for the daemon itself: the same backend, quota and names as for clients, with
//! the rights of the files' owner. No link is followed.

use std::sync::{Arc, PoisonError};

use nfsserve::nfs::{fattr3, ftype3, nfsstat3};

use super::backend::{Changes, FileId, NewFile, Ownership, Stability, is_type};
use super::export::Export;
use super::gateway::Handle;
use super::squash::Squash;
use super::v3::names;
use crate::base::{Fault, Timestamp, limits};

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Relative to the volume, with `/` between names; bytes that are no UTF-8 are replaced.
    pub path: String,
    pub kind: &'static str,
    pub bytes: u64,
    /// The lower twelve bits.
    pub mode: u32,
    pub modified_at: Timestamp,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOptions {
    /// Of a file that is new; one that is replaced keeps its own.
    pub mode: u32,
    pub overwrite: bool,
    /// Makes the directories above that are not there.
    pub parents: bool,
}

/// The files of one volume. Its calls block.
pub struct Files {
    export: Arc<Export>,
    owner: (u32, u32),
}

impl Handle {
    /// The files of an export by its path. What is made in it belongs to `owner`.
    pub fn files(&self, path: &str, owner: (u32, u32)) -> Option<Files> {
        let export = self.export(path)?;
        let owner = match export.squash {
            Squash::All { uid, gid } => (uid, gid),
            Squash::Root | Squash::None => owner,
        };
        Some(Files { export, owner })
    }
}

/// A failure and the path that it is about.
type Outcome<T> = Result<T, (String, nfsstat3)>;

impl Files {
    /// The whole content of a file of at most `bytes_max`.
    pub fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, Fault> {
        let (id, found) = self.find(path).map_err(fault)?;
        regular(path, &found)?;
        if found.size > bytes_max {
            return Err(too_large(path, bytes_max));
        }
        let mut data = Vec::new();
        loop {
            let read = self.export.backend.read(id, data.len() as u64, limits::NFS_TRANSFER_BYTES_MAX);
            let read = read.map_err(|status| fault((path.to_owned(), status)))?;
            data.extend_from_slice(&read.data);
            if data.len() as u64 > bytes_max {
                return Err(too_large(path, bytes_max));
            }
            if read.end || read.data.is_empty() {
                return Ok(data);
            }
        }
    }

    /// Writes a file whole and to disk: at any moment it has the old content or the new. Needs room for both.
    pub fn write(&self, path: &str, data: &[u8], options: WriteOptions) -> Result<(), Fault> {
        let mut components = split(path).map_err(fault)?;
        let name = components.pop().unwrap_or_default();
        if components.len() >= limits::NFS_DEPTH_MAX {
            return Err(fault((path.to_owned(), nfsstat3::NFS3ERR_NAMETOOLONG)));
        }
        let _changing = self.export.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let above = self.folder(&components, options.parents).map_err(fault)?;
        let mut mode = options.mode & 0o7777;
        match self.export.backend.lookup(above, name.as_bytes()) {
            Ok((_, found)) => {
                regular(path, &found)?;
                if !options.overwrite {
                    return Err(fault((path.to_owned(), nfsstat3::NFS3ERR_EXIST)));
                }
                mode = found.mode & 0o7777;
            }
            Err(nfsstat3::NFS3ERR_NOENT) => {}
            Err(status) => return Err(fault((path.to_owned(), status))),
        }
        let early = format!(".aegis-{}", ulid::Ulid::generate());
        let outcome = self.replace(above, &early, name, data, mode);
        if outcome.is_err() {
            let _ = self.export.backend.remove(above, early.as_bytes());
        }
        outcome.map_err(|status| fault((path.to_owned(), status)))
    }

    fn replace(&self, above: FileId, early: &str, name: &str, data: &[u8], mode: u32) -> Result<(), nfsstat3> {
        let backend = &self.export.backend;
        let (id, _) = backend.create(above, early.as_bytes(), NewFile::Regular, self.ownership(mode | 0o600))?;
        let mut written = 0;
        while written < data.len() {
            let piece = &data[written..data.len().min(written + limits::NFS_TRANSFER_BYTES_MAX as usize)];
            written += backend.write(id, written as u64, piece, Stability::Unstable)?.bytes as usize;
        }
        if mode & 0o600 != 0o600 {
            backend.set_attributes(id, &Changes { mode: Some(mode), ..Changes::default() })?;
        }
        backend.commit(id)?;
        backend.rename(above, early.as_bytes(), above, name.as_bytes())
    }

    /// What lies in a directory, by name; an empty path is the volume itself.
    pub fn list(&self, path: &str) -> Result<Vec<FileEntry>, Fault> {
        let about = |status| fault((path.to_owned(), status));
        let (directory, found) = match path.trim_matches('/') {
            "" => {
                let root = self.export.backend.root();
                (root, self.export.backend.attributes(root).map_err(about)?)
            }
            path => self.find(path).map_err(fault)?,
        };
        if !is_type(&found, ftype3::NF3DIR) {
            return Err(about(nfsstat3::NFS3ERR_NOTDIR));
        }
        let mut entries = Vec::new();
        let mut cookie = 0;
        loop {
            let listing = self.export.backend.list(directory, cookie, limits::VOLUME_LIST_STEP).map_err(about)?;
            for listed in &listing.entries {
                cookie = listed.cookie;
                // One that is gone meanwhile is not there.
                let Ok((_, found)) = self.export.backend.lookup(directory, &listed.name) else { continue };
                let name = String::from_utf8_lossy(&listed.name);
                let path = format!("{}/{name}", path.trim_matches('/'));
                entries.push(entry(path.trim_start_matches('/'), &found));
            }
            if entries.len() > limits::VOLUME_LIST_MAX {
                let message = format!("{path:?} has more than {} entries", limits::VOLUME_LIST_MAX);
                return Err(Fault::new("volumes.too_many", message).hint("mount the volume to see all of them"));
            }
            if listing.end || listing.entries.is_empty() {
                entries.sort_by(|left, right| left.path.cmp(&right.path));
                return Ok(entries);
            }
        }
    }

    /// What a path leads to.
    pub fn stat(&self, path: &str) -> Result<Option<FileEntry>, Fault> {
        match self.find(path) {
            Ok((_, found)) => Ok(Some(entry(path.trim_matches('/'), &found))),
            Err((_, nfsstat3::NFS3ERR_NOENT)) => Ok(None),
            Err(failure) => Err(fault(failure)),
        }
    }

    /// Removes a file, a link or an empty directory.
    pub fn remove(&self, path: &str) -> Result<(), Fault> {
        let mut components = split(path).map_err(fault)?;
        let name = components.pop().unwrap_or_default();
        let _changing = self.export.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let above = self.folder(&components, false).map_err(fault)?;
        let backend = &self.export.backend;
        let removed =
            backend.lookup(above, name.as_bytes()).and_then(|(_, found)| match is_type(&found, ftype3::NF3DIR) {
                true => backend.remove_directory(above, name.as_bytes()),
                false => backend.remove(above, name.as_bytes()),
            });
        removed.map_err(|status| fault((path.to_owned(), status)))
    }

    fn ownership(&self, mode: u32) -> Ownership {
        Ownership { mode, uid: self.owner.0, gid: self.owner.1 }
    }

    fn find(&self, path: &str) -> Outcome<(FileId, fattr3)> {
        let mut components = split(path)?;
        let name = components.pop().unwrap_or_default();
        let above = self.folder(&components, false)?;
        self.export.backend.lookup(above, name.as_bytes()).map_err(|status| (path.to_owned(), status))
    }

    /// The directory at the end of these names.
    fn folder(&self, components: &[&str], make: bool) -> Outcome<FileId> {
        let mut here = self.export.backend.root();
        for (at, name) in components.iter().enumerate() {
            let about = |status| (components[..=at].join("/"), status);
            let (id, found) = match self.export.backend.lookup(here, name.as_bytes()) {
                Err(nfsstat3::NFS3ERR_NOENT) if make => self
                    .export
                    .backend
                    .create(here, name.as_bytes(), NewFile::Directory, self.ownership(0o755))
                    .map_err(about)?,
                outcome => outcome.map_err(about)?,
            };
            if !is_type(&found, ftype3::NF3DIR) {
                return Err(about(nfsstat3::NFS3ERR_NOTDIR));
            }
            here = id;
        }
        Ok(here)
    }
}

/// The names of a path, at least one.
fn split(path: &str) -> Outcome<Vec<&str>> {
    let bad = |status| (path.chars().take(200).collect::<String>(), status);
    let components: Vec<&str> = path.trim_matches('/').split('/').collect();
    for name in &components {
        names::check(name.as_bytes()).map_err(bad)?;
    }
    if components.len() > limits::NFS_DEPTH_MAX { Err(bad(nfsstat3::NFS3ERR_NAMETOOLONG)) } else { Ok(components) }
}

fn regular(path: &str, found: &fattr3) -> Result<(), Fault> {
    if is_type(found, ftype3::NF3REG) {
        return Ok(());
    }
    let message = format!("{path:?} is a {}, not a file", kind(found));
    Err(Fault::new("volumes.wrong_kind", message).hint("links are not followed; aegis.volumes.list shows what is what"))
}

fn kind(found: &fattr3) -> &'static str {
    match found.ftype {
        ftype3::NF3REG => "file",
        ftype3::NF3DIR => "directory",
        ftype3::NF3LNK => "symlink",
        _ => "other",
    }
}

fn entry(path: &str, found: &fattr3) -> FileEntry {
    let time = Timestamp::new(found.mtime.seconds.into(), i32::try_from(found.mtime.nseconds).unwrap_or(0));
    FileEntry {
        path: path.to_owned(),
        kind: kind(found),
        bytes: found.size,
        mode: found.mode & 0o7777,
        modified_at: time.unwrap_or(Timestamp::UNIX_EPOCH),
    }
}

fn too_large(path: &str, bytes_max: u64) -> Fault {
    let message = format!("{path:?} has more than {}", crate::base::quantity::show_size(bytes_max));
    Fault::new("volumes.too_large", message).hint("raise the option max as far as it goes, or mount the volume")
}

fn fault((path, status): (String, nfsstat3)) -> Fault {
    let (code, problem, hint) = match status {
        nfsstat3::NFS3ERR_NOENT => ("volumes.file.not_found", "is not there", "aegis.volumes.files lists what is"),
        nfsstat3::NFS3ERR_EXIST => {
            ("volumes.file.conflict", "is there already", "set overwrite, or choose another name")
        }
        nfsstat3::NFS3ERR_NOTDIR => ("volumes.wrong_kind", "is not a directory", "links are not followed"),
        nfsstat3::NFS3ERR_NOTEMPTY => ("volumes.not_empty", "has something in it", "remove that first"),
        nfsstat3::NFS3ERR_INVAL | nfsstat3::NFS3ERR_NAMETOOLONG => {
            ("volumes.path.invalid", "is not a path in a volume", "write names with / between them, without . and ..")
        }
        nfsstat3::NFS3ERR_DQUOT => {
            ("volumes.quota", "has no room: the volume's quota is full", "resize the volume, or remove something")
        }
        nfsstat3::NFS3ERR_NOSPC => ("volumes.no_space", "has no room: the disk is full", "make room on the host"),
        nfsstat3::NFS3ERR_JUKEBOX => {
            let message = format!("{path:?} cannot be changed now: the volume is being copied");
            return Fault::new("volumes.busy", message).hint("try again in a moment").retryable();
        }
        nfsstat3::NFS3ERR_STALE => ("volumes.file.not_found", "is gone", "list again"),
        nfsstat3::NFS3ERR_ACCES | nfsstat3::NFS3ERR_PERM => {
            ("volumes.denied", "is out of the daemon's reach", "make the folder under nfs.root the daemon's own")
        }
        _ => ("volumes.io", "cannot be reached", "look at the disk under nfs.root"),
    };
    Fault::new(code, format!("{path:?} {problem}")).hint(hint).details(serde_json::json!({ "status": status as u32 }))
}
