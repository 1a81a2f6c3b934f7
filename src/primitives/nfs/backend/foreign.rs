//! A volume in any file system that was written for the nfsserve crate.
//!
//! Its trait knows neither links nor stability nor generations: hard links are refused, data is as safe as the file
//! system makes it by itself, and a file is told from a later one of its number by nothing. What it cannot do answers
//! `NOTSUPP`.

use std::future::Future;

use nfsserve::nfs::{
    fattr3, filename3, ftype3, nfsstat3, nfsstring, sattr3, set_atime, set_gid3, set_mode3, set_mtime, set_size3,
    set_uid3,
};
use nfsserve::vfs::NFSFileSystem;
use tokio::runtime::Handle;

use super::{Backend, Changes, Entry, FileId, Listing, NewFile, NewTime, Ownership, Read, Space, Stability, Written};

/// Below are the start, `.` and `..`. The trait goes on after a file's number: that plus this is the cookie.
const COOKIE_OFFSET: u64 = 3;
/// What such a file system says of its room: nothing.
const ROOM: u64 = 1 << 40;

/// See the module. Its calls wait on the runtime's threads: they must come from others.
pub struct Foreign<F> {
    inner: F,
    runtime: Handle,
    verifier: [u8; 8],
}

impl<F: NFSFileSystem + Send> Foreign<F> {
    /// Made on the runtime that the file system's futures need.
    pub fn new(inner: F) -> Self {
        let verifier = getrandom::u64().unwrap_or_default().to_be_bytes();
        Self { inner, runtime: Handle::current(), verifier }
    }

    fn wait<T>(&self, call: impl Future<Output = Result<T, nfsstat3>>) -> Result<T, nfsstat3> {
        self.runtime.block_on(call)
    }

    fn kind(&self, directory: FileId, name: &[u8]) -> Result<ftype3, nfsstat3> {
        self.lookup(directory, name).map(|(_, attributes)| attributes.ftype)
    }
}

fn id(number: u64) -> FileId {
    FileId { number, generation: 0 }
}

fn name(name: &[u8]) -> filename3 {
    nfsstring(name.to_vec())
}

fn attributes(changes: &Changes) -> sattr3 {
    sattr3 {
        mode: changes.mode.map_or(set_mode3::Void, set_mode3::mode),
        uid: changes.uid.map_or(set_uid3::Void, set_uid3::uid),
        gid: changes.gid.map_or(set_gid3::Void, set_gid3::gid),
        size: changes.size.map_or(set_size3::Void, set_size3::size),
        atime: match changes.accessed {
            None => set_atime::DONT_CHANGE,
            Some(NewTime::Now) => set_atime::SET_TO_SERVER_TIME,
            Some(NewTime::At(time)) => set_atime::SET_TO_CLIENT_TIME(time),
        },
        mtime: match changes.modified {
            None => set_mtime::DONT_CHANGE,
            Some(NewTime::Now) => set_mtime::SET_TO_SERVER_TIME,
            Some(NewTime::At(time)) => set_mtime::SET_TO_CLIENT_TIME(time),
        },
    }
}

impl<F: NFSFileSystem + Send> Backend for Foreign<F> {
    fn root(&self) -> FileId {
        id(self.inner.root_dir())
    }

    fn attributes(&self, id: FileId) -> Result<fattr3, nfsstat3> {
        self.wait(self.inner.getattr(id.number))
    }

    fn set_attributes(&self, id: FileId, changes: &Changes) -> Result<(), nfsstat3> {
        self.wait(self.inner.setattr(id.number, attributes(changes))).map(|_| ())
    }

    fn lookup(&self, directory: FileId, wanted: &[u8]) -> Result<(FileId, fattr3), nfsstat3> {
        let number = self.wait(self.inner.lookup(directory.number, &name(wanted)))?;
        Ok((id(number), self.attributes(id(number))?))
    }

    fn parent(&self, directory: FileId) -> Result<FileId, nfsstat3> {
        if directory == self.root() {
            return Ok(directory);
        }
        self.wait(self.inner.lookup(directory.number, &name(b".."))).map(id)
    }

    fn read_link(&self, id: FileId) -> Result<Vec<u8>, nfsstat3> {
        self.wait(self.inner.readlink(id.number)).map(|target| target.0)
    }

    fn read(&self, id: FileId, offset: u64, bytes: u32) -> Result<Read, nfsstat3> {
        let attributes = self.attributes(id)?;
        // Some add the two without looking.
        let bytes = u64::from(bytes).min(attributes.size.saturating_sub(offset)) as u32;
        let (data, end) =
            if bytes == 0 { (Vec::new(), true) } else { self.wait(self.inner.read(id.number, offset, bytes))? };
        Ok(Read { data, end, attributes })
    }

    fn write(&self, id: FileId, offset: u64, data: &[u8], stability: Stability) -> Result<Written, nfsstat3> {
        offset.checked_add(data.len() as u64).ok_or(nfsstat3::NFS3ERR_FBIG)?;
        let before = self.attributes(id)?;
        let after = self.wait(self.inner.write(id.number, offset, data))?;
        Ok(Written { bytes: u32::try_from(data.len()).unwrap_or(u32::MAX), stability, before, after })
    }

    fn commit(&self, id: FileId) -> Result<(), nfsstat3> {
        self.attributes(id).map(|_| ())
    }

    fn write_verifier(&self) -> [u8; 8] {
        self.verifier
    }

    fn create(
        &self,
        directory: FileId,
        wanted: &[u8],
        what: NewFile<'_>,
        ownership: Ownership,
    ) -> Result<(FileId, fattr3), nfsstat3> {
        if !matches!(self.lookup(directory, wanted), Err(nfsstat3::NFS3ERR_NOENT)) {
            return Err(nfsstat3::NFS3ERR_EXIST);
        }
        let mode = Changes { mode: Some(ownership.mode), ..Changes::default() };
        let (parent, wanted) = (directory.number, name(wanted));
        let (number, made) = match what {
            NewFile::Regular => self.wait(self.inner.create(parent, &wanted, attributes(&mode)))?,
            NewFile::Directory => self.wait(self.inner.mkdir(parent, &wanted))?,
            NewFile::Symlink { target } => {
                self.wait(self.inner.symlink(parent, &wanted, &name(target), &attributes(&mode)))?
            }
            NewFile::Fifo | NewFile::Socket => return Err(nfsstat3::NFS3ERR_NOTSUPP),
        };
        Ok((id(number), made))
    }

    fn remove(&self, directory: FileId, wanted: &[u8]) -> Result<(), nfsstat3> {
        self.wait(self.inner.remove(directory.number, &name(wanted)))
    }

    fn remove_directory(&self, directory: FileId, wanted: &[u8]) -> Result<(), nfsstat3> {
        // The trait has one way for both: whether a directory is empty has to be seen before.
        let (below, _) = self.lookup(directory, wanted)?;
        if !self.list(below, 0, 1)?.entries.is_empty() {
            return Err(nfsstat3::NFS3ERR_NOTEMPTY);
        }
        self.remove(directory, wanted)
    }

    fn rename(&self, from: FileId, from_name: &[u8], to: FileId, to_name: &[u8]) -> Result<(), nfsstat3> {
        if matches!(self.kind(to, to_name), Ok(ftype3::NF3DIR)) {
            self.remove_directory(to, to_name)?;
        }
        self.wait(self.inner.rename(from.number, &name(from_name), to.number, &name(to_name)))
    }

    fn link(&self, _: FileId, _: FileId, _: &[u8]) -> Result<(), nfsstat3> {
        Err(nfsstat3::NFS3ERR_NOTSUPP)
    }

    fn list(&self, directory: FileId, cookie: u64, entries_max: usize) -> Result<Listing, nfsstat3> {
        let after = cookie.saturating_sub(COOKIE_OFFSET);
        let found = self.wait(self.inner.readdir(directory.number, after, entries_max))?;
        let entry = |entry: nfsserve::vfs::DirEntry| Entry {
            cookie: entry.fileid.saturating_add(COOKIE_OFFSET),
            name: entry.name.0,
            id: id(entry.fileid),
        };
        Ok(Listing { entries: found.entries.into_iter().map(entry).collect(), end: found.end })
    }

    fn space(&self) -> Result<Space, nfsstat3> {
        Ok(Space { total_bytes: ROOM, free_bytes: ROOM, total_files: ROOM, free_files: ROOM })
    }
}
