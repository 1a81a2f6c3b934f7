//! One daemon a SQLite file: a second one would settle the first one's runs as if it had died.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::StoreError;

/// Held as long as the file is open, and let go by the system when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Locks `<database>.lock`, which stays behind afterwards: removing it would let two hold different files.
    ///
    /// # Errors
    /// [`StoreError::Open`], which names the process that holds it.
    pub fn take(database: &Path, url: &str) -> Result<Self, StoreError> {
        let path = lock_path(database);
        let refuse = |reason: String| StoreError::Open { url: url.to_owned(), reason };
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = opened.map_err(|error| refuse(format!("{} cannot be written ({error})", path.display())))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let known = file.read_to_string(&mut holder).is_ok() && holder.trim().parse::<u32>().is_ok();
                let who = if known { format!("process {}", holder.trim()) } else { "another process".to_owned() };
                return Err(refuse(format!(
                    "an Aegis daemon ({who}) works on it already; stop that one, or set store.url to another file"
                )));
            }
            Err(error) => return Err(refuse(format!("{} cannot be locked ({error})", path.display()))),
        }
        let noted =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        noted.map_err(|error| refuse(format!("{} cannot be written ({error})", path.display())))?;
        Ok(Self { _file: file })
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}
