//! Files with secrets in them: who may read them, and whether they changed.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::SecretError;
use crate::base::limits;

/// By which a file that was replaced or written is told from what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    place: (u64, u64),
    bytes: u64,
    changed: (i64, i64),
    mode: u32,
}

impl Stamp {
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|found| Self::from(&found))
    }
}

impl From<&Metadata> for Stamp {
    fn from(found: &Metadata) -> Self {
        Self {
            place: (found.dev(), found.ino()),
            bytes: found.len(),
            changed: (found.ctime(), found.ctime_nsec()),
            mode: found.mode(),
        }
    }
}

/// Who else than its owner may read a file of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    Nobody,
    /// systemd lets the unit's user in by an access list, whose mask shows as the group's mode.
    Group,
}

/// The whole file, where nobody can read it who should not. What is opened is what is looked at.
pub fn read(path: &Path, readers: Readers) -> Result<Vec<u8>, SecretError> {
    let failed = |problem: io::Error| SecretError::Read { path: path.to_owned(), problem: problem.to_string() };
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(SecretError::Read { path: path.to_owned(), problem: "it is not a file".to_owned() });
    }
    let others = match readers {
        Readers::Nobody => 0o077,
        Readers::Group => 0o007,
    };
    if found.mode() & others != 0 {
        return Err(SecretError::Mode { path: path.to_owned(), mode: found.mode() & 0o777 });
    }
    let mut content = Vec::new();
    file.take(limits::SECRET_FILE_BYTES_MAX + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > limits::SECRET_FILE_BYTES_MAX {
        let problem = format!("a file of secrets has at most {} bytes", limits::SECRET_FILE_BYTES_MAX);
        return Err(SecretError::Size { path: path.to_owned(), problem });
    }
    Ok(content)
}

/// When it was written last, for people.
pub fn written_at(path: &Path) -> Option<crate::base::Timestamp> {
    let found = std::fs::metadata(path).ok()?;
    crate::base::Timestamp::new(found.mtime(), i32::try_from(found.mtime_nsec()).ok()?).ok()
}
