//! What is in regular files.

use std::io::IoSliceMut;

use nfsserve::nfs::nfsstat3;
use rustix::buffer::spare_capacity;
use rustix::fd::OwnedFd;
use rustix::io::{Errno, ReadWriteFlags};

use super::Directory;
use super::errno::status;
use super::locate::{Found, identify};
use crate::primitives::nfs::backend::{FileId, Read, Stability, Written};

/// What the kernel reads ahead is seldom less.
const ASKED_EVERY_BYTES: usize = 128 << 10;

impl Directory {
    pub(super) fn read_data(&self, id: FileId, offset: u64, bytes: u32) -> Result<Read, nfsstat3> {
        let file = self.regular(&self.read_tree(), id, false)?;
        let found = identify(&file).map_err(status)?;
        let size = found.stat.stx_size;
        let wanted = u64::from(bytes).min(size.saturating_sub(offset)) as usize;
        let data = if wanted == 0 { Vec::new() } else { read_at(&file, offset, wanted).map_err(status)? };
        let end = offset.saturating_add(data.len() as u64) >= size;
        Ok(Read { data, end, attributes: found.attributes() })
    }

    /// Whether the kernel has these bytes, of which there is at least one, in memory. Of many it is asked for some.
    pub(super) fn is_cached(&self, id: FileId, offset: u64, bytes: u64) -> bool {
        let Ok(file) = self.regular(&self.read_tree(), id, false) else { return true };
        let last = offset.saturating_add(bytes.saturating_sub(1));
        let has = |at| rustix::io::preadv2(&file, &mut [IoSliceMut::new(&mut [0])], at, ReadWriteFlags::NOWAIT).is_ok();
        (offset..last).step_by(ASKED_EVERY_BYTES).all(has) && has(last)
    }

    pub(super) fn write_data(
        &self,
        id: FileId,
        offset: u64,
        data: &[u8],
        stability: Stability,
    ) -> Result<Written, nfsstat3> {
        let last = offset.checked_add(data.len() as u64).filter(|end| *end <= i64::MAX as u64);
        let end = last.ok_or(nfsstat3::NFS3ERR_FBIG)?;
        let file = self.regular(&self.read_tree(), id, true)?;
        let before = identify(&file).map_err(status)?;
        let (fitting, reservation) = self.quota.reserve(offset, data.len(), || is_on_disk(&before, end))?;
        let outcome = write_at(&file, offset, &data[..fitting]);
        let after = self.settle(&self.read_tree(), id, &file)?;
        drop(reservation);
        let written = outcome.map_err(status)?;
        let after = match stability {
            Stability::Unstable => after,
            Stability::Data => self.synced(&file, rustix::fs::fdatasync(&file))?,
            Stability::File => self.synced(&file, rustix::fs::fsync(&file))?,
        };
        Ok(Written {
            bytes: u32::try_from(written).unwrap_or(u32::MAX),
            stability,
            before: before.attributes(),
            after: after.attributes(),
        })
    }

    pub(super) fn commit_data(&self, id: FileId) -> Result<(), nfsstat3> {
        let file = self.regular(&self.read_tree(), id, false)?;
        self.synced(&file, rustix::fs::fsync(&file))?;
        // Some file systems know only now what the data takes.
        self.settle(&self.read_tree(), id, &file).map(|_| ())
    }

    fn synced(&self, file: &OwnedFd, outcome: Result<(), Errno>) -> Result<Found, nfsstat3> {
        if let Err(errno) = outcome {
            self.renew_verifier();
            return Err(status(errno));
        }
        identify(file).map_err(status)
    }
}

/// Whether all of the file up to `end` has its blocks, so that writing there takes no more.
fn is_on_disk(file: &Found, end: u64) -> bool {
    end <= file.stat.stx_size && file.bytes_on_disk() >= file.stat.stx_size
}

fn read_at(file: &OwnedFd, offset: u64, wanted: usize) -> Result<Vec<u8>, Errno> {
    let mut data = Vec::with_capacity(wanted);
    while data.len() < wanted {
        let at = offset + data.len() as u64;
        match rustix::io::pread(file, spare_capacity(&mut data), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    // The allocator may have given more room than was asked for.
    data.truncate(wanted);
    Ok(data)
}

/// Gives how much was written when not all could be: the client sends the rest again and learns why it fails.
fn write_at(file: &OwnedFd, offset: u64, data: &[u8]) -> Result<usize, Errno> {
    let mut written = 0;
    while written < data.len() {
        match rustix::io::pwrite(file, &data[written..], offset + written as u64) {
            Ok(0) => break,
            Ok(more) => written += more,
            Err(Errno::INTR) => {}
            Err(errno) if written == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(written)
}
