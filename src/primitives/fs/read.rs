//! Looking at files without changing them.

use std::io::Read;

use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::Digest;

use super::error::FsError;
use super::list::{Entry, entry};
use super::path::FsPath;
use super::{Files, transfer};
use crate::base::limits;
use crate::model::grants::Access;
use crate::primitives::permit::FsPermit;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Blake3,
    Sha256,
}

/// Of the file system on which a folder lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    pub total_bytes: u64,
    pub free_bytes: u64,
    /// To users other than root.
    pub available_bytes: u64,
    pub inodes: u64,
    pub inodes_free: u64,
}

impl Files {
    /// The whole of a file of at most `bytes_max`.
    pub async fn read(&self, permit: &FsPermit, path: FsPath, bytes_max: u64) -> Result<Vec<u8>, FsError> {
        let jail = self.jail(permit, &path, Access::Read)?;
        let bytes_max = bytes_max.min(limits::FS_READ_BYTES_MAX);
        self.on_disk(move |_| {
            let (file, stat) = jail.file("read", &path)?;
            let announced = u64::try_from(stat.st_size).unwrap_or(0);
            let mut content = Vec::with_capacity(usize::try_from(announced.min(bytes_max)).unwrap_or(0));
            let read = file.take(bytes_max + 1).read_to_end(&mut content);
            read.map_err(|problem| FsError::io("read", &path, &problem))?;
            if content.len() as u64 > bytes_max { Err(FsError::too_large(&path, bytes_max)) } else { Ok(content) }
        })
        .await
    }

    /// What a path leads to; None when nothing is there.
    pub async fn stat(&self, permit: &FsPermit, path: FsPath) -> Result<Option<Entry>, FsError> {
        let jail = self.jail(permit, &path, Access::Read)?;
        self.on_disk(move |_| {
            let found = jail.at(path.parts(), OFlags::PATH).and_then(rustix::fs::fstat);
            match found {
                Ok(stat) => Ok(Some(entry(path.parts().last().cloned().unwrap_or_default(), path.to_string(), &stat))),
                Err(Errno::NOENT) => Ok(None),
                Err(problem) => Err(FsError::system("look at", &path, problem)),
            }
        })
        .await
    }

    /// The fingerprint of a file's content, as hex.
    pub async fn hash(&self, permit: &FsPermit, path: FsPath, algorithm: Algorithm) -> Result<String, FsError> {
        let jail = self.jail(permit, &path, Access::Read)?;
        self.on_disk(move |stop| {
            let (mut file, _) = jail.file("read", &path)?;
            match algorithm {
                Algorithm::Blake3 => {
                    let mut hasher = blake3::Hasher::new();
                    transfer::pour(&mut file, &mut hasher, &path, stop)?;
                    Ok(hasher.finalize().to_hex().to_string())
                }
                Algorithm::Sha256 => {
                    let mut hasher = Sha256Writer(sha2::Sha256::new());
                    transfer::pour(&mut file, &mut hasher, &path, stop)?;
                    Ok(hasher.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
                }
            }
        })
        .await
    }

    /// How much room there is where `path`, a folder, lies.
    pub async fn space(&self, permit: &FsPermit, path: FsPath) -> Result<Space, FsError> {
        let jail = self.jail(permit, &path, Access::Read)?;
        self.on_disk(move |_| {
            let folder = jail.folder("measure", &path)?;
            let stat = rustix::fs::fstatvfs(&folder).map_err(|problem| FsError::system("measure", &path, problem))?;
            let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
            Ok(Space {
                total_bytes: bytes(stat.f_blocks),
                free_bytes: bytes(stat.f_bfree),
                available_bytes: bytes(stat.f_bavail),
                inodes: stat.f_files,
                inodes_free: stat.f_ffree,
            })
        })
        .await
    }
}

struct Sha256Writer(sha2::Sha256);

impl std::io::Write for Sha256Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
