//! Taking the socket's path: never from a living daemon, and never readable by others, not for an instant.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use tokio::net::{UnixListener, UnixStream};

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("another daemon is listening on {}; stop it, or give this one another admin.socket", .0.display())]
    InUse(PathBuf),
    #[error("{} is there and is not a socket; remove it, or choose another admin.socket", .0.display())]
    NotASocket(PathBuf),
    #[error("the path {} is too long for a socket ({max} bytes at most); choose a shorter admin.socket", path.display())]
    TooLong { path: PathBuf, max: usize },
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

/// What `sockaddr_un` holds on Linux, less the final zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A listener that owns its path: the file goes when this is dropped, if it is still the same one.
#[derive(Debug)]
pub(super) struct Bound {
    pub listener: UnixListener,
    path: PathBuf,
    inode: u64,
    /// Held for life: two daemons that start together cannot both take the path.
    _lock: File,
}

impl Drop for Bound {
    fn drop(&mut self) {
        if std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether someone accepts connections on `path`.
pub async fn socket_is_live(path: &Path) -> bool {
    UnixStream::connect(path).await.is_ok()
}

/// Listens on `path` with mode 0600. The socket is made in a directory of its own that nobody else can enter and is
/// moved to its place when its mode is set; the move also replaces a stale socket, once it is known to be stale.
pub(super) async fn bind(path: &Path) -> Result<Bound, BindError> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| BindError::Io { action, path, source }
    };
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Err(BindError::TooLong { path: path.to_owned(), max: SOCKET_PATH_BYTES_MAX });
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent);
    made.map_err(failed("create the directory", parent))?;

    let lock = take_lock(path)?;
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(BindError::NotASocket(path.to_owned())),
        Ok(_) if socket_is_live(path).await => return Err(BindError::InUse(path.to_owned())),
        _ => {}
    }

    // Nobody else can have made it before; and its name is short, for the limit above.
    let nursery = parent.join(format!(".{:x}", getrandom::u32().unwrap_or_else(|_| std::process::id())));
    std::fs::DirBuilder::new().mode(0o700).create(&nursery).map_err(failed("create the directory", &nursery))?;
    let born = nursery.join("s");
    let made = UnixListener::bind(&born).and_then(|listener| {
        std::fs::set_permissions(&born, Permissions::from_mode(0o600))?;
        let inode = std::fs::metadata(&born)?.ino();
        std::fs::rename(&born, path)?;
        Ok((listener, inode))
    });
    let _ = std::fs::remove_dir_all(&nursery);
    let (listener, inode) = made.map_err(failed("listen on", path))?;
    Ok(Bound { listener, path: path.to_owned(), inode, _lock: lock })
}

fn take_lock(path: &Path) -> Result<File, BindError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let failed = |source| BindError::Io { action: "open", path: name.clone(), source };
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600).custom_flags(no_link);
    let lock = options.open(&name).map_err(failed)?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(BindError::InUse(path.to_owned())),
        Err(errno) => Err(BindError::Io { action: "lock", path: name, source: errno.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_private_and_goes_with_its_owner() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("run/aegis.sock");
        let bound = bind(&path).await.expect("it binds");
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").mode() & 0o777;
        assert_eq!((mode(&path), mode(&dir.path().join("run"))), (0o600, 0o700));
        assert!(socket_is_live(&path).await);
        drop(bound);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("aegis.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a stale socket"));
        assert!(path.exists() && !socket_is_live(&path).await);
        let first = bind(&path).await.expect("the stale socket is replaced");
        assert!(matches!(bind(&path).await, Err(BindError::InUse(_))), "by our own lock");
        assert!(socket_is_live(&path).await, "the refused one left the first alone");
        drop(first);

        let _foreign = std::os::unix::net::UnixListener::bind(&path).expect("a listener without our lock");
        assert!(matches!(bind(&path).await, Err(BindError::InUse(_))), "by its answer");
    }

    #[tokio::test]
    async fn what_is_not_a_socket_stays() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("aegis.sock");
        std::fs::write(&path, "precious").expect("a file");
        assert!(matches!(bind(&path).await, Err(BindError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "precious");
        let long = dir.path().join("x".repeat(120));
        assert!(matches!(bind(&long).await, Err(BindError::TooLong { .. })));
    }
}
