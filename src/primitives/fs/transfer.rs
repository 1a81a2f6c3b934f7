//! From one place to another, within a root or between two.

use std::fs::File;
use std::io::{Read, Write};

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::Files;
use super::error::FsError;
use super::jail::{Jail, file_type, look};
use super::path::FsPath;
use super::write::{Pending, Replace, rename};
use crate::base::limits;
use crate::model::grants::Access;
use crate::primitives::permit::FsPermit;

const CHUNK_BYTES: usize = 256 * 1024;

impl Files {
    /// Copies a regular file; gives how many bytes it had.
    pub async fn copy(
        &self,
        (from_permit, from): (&FsPermit, FsPath),
        (to_permit, to): (&FsPermit, FsPath),
        replace: Replace,
    ) -> Result<u64, FsError> {
        let source = self.jail(from_permit, &from, Access::Read)?;
        let target = self.jail(to_permit, &to, Access::Write)?;
        self.on_disk(move |stop| copy(&source, &from, &target, &to, replace, stop)).await
    }

    /// Moves a file or a folder; a file also to another file system.
    pub async fn rename(
        &self,
        (from_permit, from): (&FsPermit, FsPath),
        (to_permit, to): (&FsPermit, FsPath),
        replace: Replace,
    ) -> Result<(), FsError> {
        let source = self.jail(from_permit, &from, Access::Write)?;
        let target = self.jail(to_permit, &to, Access::Write)?;
        self.on_disk(move |stop| {
            let failed = |problem| FsError::system("move", format!("{from} to {to}"), problem);
            let (from_folder, old) = source.above("move", &from)?;
            let (to_folder, new) = target.above("move to", &to)?;
            let stat = look(&from_folder, old).map_err(failed)?.ok_or_else(|| failed(Errno::NOENT))?;
            match rename(&from_folder, old, &to_folder, new, replace) {
                Err(Errno::XDEV) if file_type(&stat) == FileType::RegularFile => {
                    copy(&source, &from, &target, &to, replace, stop)?;
                    rustix::fs::unlinkat(&from_folder, old, AtFlags::empty()).map_err(failed)?;
                }
                Err(Errno::XDEV) => return Err(FsError::wrong_kind(&from, "on another file system", "a regular file")),
                Err(Errno::EXIST) => return Err(FsError::exists(&to)),
                outcome => outcome.map_err(failed)?,
            }
            let synced = rustix::fs::fsync(&to_folder).and_then(|()| rustix::fs::fsync(&from_folder));
            synced.map_err(failed)
        })
        .await
    }
}

fn copy(
    source: &Jail,
    from: &FsPath,
    target: &Jail,
    to: &FsPath,
    replace: Replace,
    stop: &CancellationToken,
) -> Result<u64, FsError> {
    let (mut content, _) = source.file("copy", from)?;
    let (pending, mut file) = Pending::begin(target, to)?;
    let bytes = pour(&mut content, &mut file, from, stop)?;
    pending.commit(&file, replace)?;
    Ok(bytes)
}

/// Everything that is in `from` into `to`, piece by piece, until it is told to stop.
pub(super) fn pour(
    from: &mut File,
    to: &mut impl Write,
    path: &FsPath,
    stop: &CancellationToken,
) -> Result<u64, FsError> {
    let failed = |problem: std::io::Error| FsError::io("copy or read", path, &problem);
    let mut piece = vec![0; CHUNK_BYTES];
    let mut bytes = 0;
    loop {
        if stop.is_cancelled() {
            return Err(FsError::stopped());
        }
        let read = from.read(&mut piece).map_err(failed)?;
        if read == 0 {
            return Ok(bytes);
        }
        bytes += read as u64;
        if bytes > limits::FS_COPY_BYTES_MAX {
            return Err(FsError::too_large(path, limits::FS_COPY_BYTES_MAX));
        }
        to.write_all(&piece[..read]).map_err(failed)?;
    }
}
