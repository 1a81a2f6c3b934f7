//! Attributes of files and of the volume.

use std::sync::PoisonError;

use nfsserve::nfs::{fattr3, ftype3, nfsstat3, nfstime3, specdata3};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, StatxTimestamp, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid};

use super::Directory;
use super::errno::status;
use super::locate::{Found, identify, through};
use super::tree::{Kind, Tree};
use crate::primitives::nfs::backend::{Changes, FileId, NewTime, Space};

/// Where the host's file system does not count its files.
const FILES_UNCOUNTED: u64 = 1 << 32;

impl Found {
    pub(super) fn attributes(&self) -> fattr3 {
        let stat = &self.stat;
        fattr3 {
            ftype: match self.file_type() {
                FileType::Directory => ftype3::NF3DIR,
                FileType::Symlink => ftype3::NF3LNK,
                FileType::BlockDevice => ftype3::NF3BLK,
                FileType::CharacterDevice => ftype3::NF3CHR,
                FileType::Socket => ftype3::NF3SOCK,
                FileType::Fifo => ftype3::NF3FIFO,
                _ => ftype3::NF3REG,
            },
            mode: u32::from(stat.stx_mode) & 0o7777,
            nlink: stat.stx_nlink,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            size: stat.stx_size,
            used: self.bytes_on_disk(),
            rdev: specdata3 { specdata1: stat.stx_rdev_major, specdata2: stat.stx_rdev_minor },
            fsid: self.device,
            fileid: stat.stx_ino,
            atime: time(stat.stx_atime),
            mtime: time(stat.stx_mtime),
            ctime: time(stat.stx_ctime),
        }
    }
}

/// The protocol's clock runs from 1970 to 2106.
fn time(time: StatxTimestamp) -> nfstime3 {
    let seconds = u32::try_from(time.tv_sec.max(0)).unwrap_or(u32::MAX);
    nfstime3 { seconds, nseconds: time.tv_nsec }
}

fn timespec(time: Option<NewTime>) -> Timespec {
    match time {
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        Some(NewTime::Now) => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        Some(NewTime::At(at)) => Timespec { tv_sec: at.seconds.into(), tv_nsec: at.nseconds.min(999_999_999).into() },
    }
}

impl Directory {
    pub(super) fn change_attributes(&self, id: FileId, changes: &Changes) -> Result<(), nfsstat3> {
        let tree = self.read_tree();
        if let Some(size) = changes.size {
            self.resize(&tree, id, size)?;
        }
        if (Changes { size: None, ..*changes }).is_empty() {
            return Ok(());
        }
        let place = self.place(&tree, id)?;
        // Root is open for reading, all else as a place: what works for both is a path through the descriptor.
        let path = through(&place);
        if changes.uid.is_some() || changes.gid.is_some() {
            let (uid, gid) = (owner(changes.uid)?, owner(changes.gid)?);
            rustix::fs::chownat(
                &place,
                "",
                uid.map(Uid::from_raw),
                gid.map(Gid::from_raw),
                AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW,
            )
            .map_err(status)?;
        }
        if let Some(mode) = changes.mode {
            let _modes = self.modes.lock().unwrap_or_else(PoisonError::into_inner);
            rustix::fs::chmod(&path, Mode::from_raw_mode(mode)).map_err(status)?;
        }
        if changes.accessed.is_some() || changes.modified.is_some() {
            let times =
                Timestamps { last_access: timespec(changes.accessed), last_modification: timespec(changes.modified) };
            rustix::fs::utimensat(CWD, &path, &times, AtFlags::empty()).map_err(status)?;
        }
        Ok(())
    }

    fn resize(&self, tree: &Tree, id: FileId, size: u64) -> Result<(), nfsstat3> {
        let file = self.regular(tree, id, true)?;
        rustix::fs::ftruncate(&file, size).map_err(status)?;
        self.settle(tree, id, &file).map(|_| ())
    }

    /// Charges a regular file for what it takes on disk now, unless it was removed meanwhile.
    pub(super) fn settle(&self, tree: &Tree, id: FileId, file: impl rustix::fd::AsFd) -> Result<Found, nfsstat3> {
        let measure = || identify(&file).map(|found| (found.bytes_on_disk(), found)).map_err(status);
        match tree.get(id).map(|node| &node.kind) {
            Ok(Kind::Regular { charged }) => self.quota.settle(charged, measure),
            _ => measure().map(|(_, found)| found),
        }
    }

    pub(super) fn read_target(&self, id: FileId) -> Result<Vec<u8>, nfsstat3> {
        let place = self.place(&self.read_tree(), id)?;
        rustix::fs::readlinkat(&place, "", Vec::new()).map(std::ffi::CString::into_bytes).map_err(status)
    }

    pub(super) fn measure_space(&self) -> Result<Space, nfsstat3> {
        let host = rustix::fs::fstatvfs(&self.root).map_err(status)?;
        let (limits, usage) = (self.quota.limits(), self.quota.usage());
        let files = if host.f_files == 0 { FILES_UNCOUNTED } else { host.f_files };
        let free_files = if host.f_files == 0 { FILES_UNCOUNTED } else { host.f_favail };
        let (total, free) = (host.f_blocks.saturating_mul(host.f_frsize), host.f_bavail.saturating_mul(host.f_frsize));
        Ok(Space {
            total_bytes: limits.bytes.unwrap_or(total),
            free_bytes: limits.bytes.map_or(free, |limit| limit.saturating_sub(usage.bytes).min(free)),
            total_files: limits.inodes.unwrap_or(files),
            free_files: limits.inodes.map_or(free_files, |limit| limit.saturating_sub(usage.inodes).min(free_files)),
        })
    }
}

/// The largest number means "leave it" to the host, and is nobody's.
fn owner(id: Option<u32>) -> Result<Option<u32>, nfsstat3> {
    if id == Some(u32::MAX) { Err(nfsstat3::NFS3ERR_INVAL) } else { Ok(id) }
}
