//! What a volume must be able to do, whatever holds its files.
//!
//! A backend knows files by identity, not by path, and knows nothing of callers: who may do what is decided before it
//! is asked (`v3/permission.rs`). Its calls block; they run on threads that may.

pub mod dir;
pub mod foreign;
#[cfg(test)]
pub mod memory;

use nfsserve::nfs::{fattr3, ftype3, nfsstat3, nfstime3};

/// A file of a volume, for as long as it exists: no other file ever has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// Names one file at a time.
    pub number: u64,
    /// Differs when a number is used again.
    pub generation: u64,
}

/// How far data has come when a WRITE is answered (RFC 1813, `stable_how`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stability {
    /// In memory: a crash of the machine, not of the daemon, may lose it until COMMIT.
    Unstable = 0,
    /// Data and what is needed to read it back are on disk.
    Data = 1,
    /// All of the file is on disk.
    File = 2,
}

/// What is made in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewFile<'a> {
    Regular,
    Directory,
    Symlink { target: &'a [u8] },
    Fifo,
    Socket,
}

/// Which time a file gets.
#[derive(Debug, Clone, Copy)]
pub enum NewTime {
    Now,
    At(nfstime3),
}

/// What SETATTR changes; `None` leaves as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes {
    /// The lower twelve bits.
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub accessed: Option<NewTime>,
    pub modified: Option<NewTime>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.mode.is_none()
            && self.uid.is_none()
            && self.gid.is_none()
            && self.size.is_none()
            && self.accessed.is_none()
            && self.modified.is_none()
    }
}

/// Mode and owner of what is made.
#[derive(Debug, Clone, Copy)]
pub struct Ownership {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

#[derive(Debug)]
pub struct Read {
    pub data: Vec<u8>,
    /// The data reaches the end of the file.
    pub end: bool,
    pub attributes: fattr3,
}

#[derive(Debug)]
pub struct Written {
    /// Fewer than were given when a quota leaves no room for more.
    pub bytes: u32,
    /// At least what was asked for.
    pub stability: Stability,
    pub before: fattr3,
    pub after: fattr3,
}

/// An entry of a directory, less `.` and `..`.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where a listing goes on after this entry: 3 or more, and the same for as long as the entry keeps its name.
    pub cookie: u64,
    pub name: Vec<u8>,
    pub id: FileId,
}

#[derive(Debug, Default)]
pub struct Listing {
    pub entries: Vec<Entry>,
    /// Nothing follows.
    pub end: bool,
}

/// Room of a volume, in bytes and files: the quota's where there is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    pub total_bytes: u64,
    pub free_bytes: u64,
    pub total_files: u64,
    pub free_files: u64,
}

/// The files of one volume. Names have passed [`crate::primitives::nfs::v3::names::check`]. Whoever changes a
/// directory holds the export's lock; the rest may come at once from many threads.
pub trait Backend: Send + Sync {
    fn root(&self) -> FileId;

    /// `STALE` when there is no such file any more.
    fn attributes(&self, id: FileId) -> Result<fattr3, nfsstat3>;

    fn set_attributes(&self, id: FileId, changes: &Changes) -> Result<(), nfsstat3>;

    fn lookup(&self, directory: FileId, name: &[u8]) -> Result<(FileId, fattr3), nfsstat3>;

    /// The directory above; the root's is the root.
    fn parent(&self, directory: FileId) -> Result<FileId, nfsstat3>;

    fn read_link(&self, id: FileId) -> Result<Vec<u8>, nfsstat3>;

    fn read(&self, id: FileId, offset: u64, bytes: u32) -> Result<Read, nfsstat3>;

    /// Whether calls of this kind come back without waiting for anything but memory, [`Self::read`] only if
    /// [`Self::has_at_hand`] says so. They may then be made on a thread that others wait for.
    fn is_quick(&self, _changes: bool) -> bool {
        false
    }

    /// Whether these bytes can be read now without waiting for a disk. What it says may be over a moment later.
    fn has_at_hand(&self, _id: FileId, _offset: u64, _bytes: u64) -> bool {
        false
    }

    /// As [`Self::lookup`], but None where that would have to look further than at one name.
    fn lookup_at_once(&self, _directory: FileId, _name: &[u8]) -> Option<Result<(FileId, fattr3), nfsstat3>> {
        None
    }

    fn write(&self, id: FileId, offset: u64, data: &[u8], stability: Stability) -> Result<Written, nfsstat3>;

    /// Brings all that was written to disk. After a failure [`Self::write_verifier`] is another.
    fn commit(&self, id: FileId) -> Result<(), nfsstat3>;

    /// Differs whenever unstable data may have been lost.
    fn write_verifier(&self) -> [u8; 8];

    /// Makes what is not there yet: `EXIST` otherwise, decided in one step.
    fn create(
        &self,
        directory: FileId,
        name: &[u8],
        what: NewFile<'_>,
        ownership: Ownership,
    ) -> Result<(FileId, fattr3), nfsstat3>;

    fn remove(&self, directory: FileId, name: &[u8]) -> Result<(), nfsstat3>;

    fn remove_directory(&self, directory: FileId, name: &[u8]) -> Result<(), nfsstat3>;

    fn rename(&self, from: FileId, from_name: &[u8], to: FileId, to_name: &[u8]) -> Result<(), nfsstat3>;

    fn link(&self, id: FileId, directory: FileId, name: &[u8]) -> Result<(), nfsstat3>;

    /// At most `entries_max` entries after the one with `cookie`, or from the start when it is below 3.
    fn list(&self, directory: FileId, cookie: u64, entries_max: usize) -> Result<Listing, nfsstat3>;

    fn space(&self) -> Result<Space, nfsstat3>;
}

/// Whether attributes are of this type.
pub fn is_type(attributes: &fattr3, kind: ftype3) -> bool {
    attributes.ftype as u32 == kind as u32
}
