//! Content that becomes a file: whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::client::Download;
use super::failure::Failure;

/// What to do with a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    Replace,
    Keep,
}

/// A file beside its place, which goes unless it is complete.
struct Partial {
    file: File,
    path: PathBuf,
    complete: bool,
}

impl Partial {
    fn create(target: &Path) -> io::Result<Self> {
        let mut name = target.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        // Whoever made it before was interrupted.
        let _ = std::fs::remove_file(&path);
        // It may hold everything that the daemon knows.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path, complete: false })
    }

    fn finish(&mut self, target: &Path, existing: Existing) -> io::Result<()> {
        self.file.sync_all()?;
        match existing {
            Existing::Replace => std::fs::rename(&self.path, target)?,
            // Unlike a rename, a link refuses to take the place of another file.
            Existing::Keep => {
                std::fs::hard_link(&self.path, target)?;
                std::fs::remove_file(&self.path)?;
            }
        }
        self.complete = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.complete {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Writes all of `content` to `target`, on disk when it returns, and gives its length in bytes.
pub(super) async fn to(content: &mut Download, target: &Path, existing: Existing) -> Result<u64, Failure> {
    let failed =
        |error: io::Error| Failure::new(format!("cannot write {}: {error}", target.display())).hint(hint(&error));
    let mut partial = Partial::create(target).map_err(failed)?;
    let mut length = 0;
    while let Some(bytes) = content.next().await? {
        partial.file.write_all(&bytes).map_err(failed)?;
        length += bytes.len() as u64;
    }
    partial.finish(target, existing).map_err(failed)?;
    Ok(length)
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AlreadyExists => "choose another name, or remove the file first",
        io::ErrorKind::StorageFull => "free space there, or choose another folder",
        _ => "choose a folder that this user may write to",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let target = dir.path().join("backup");
        let mut partial = Partial::create(&target).expect("it is made");
        partial.file.write_all(b"half").expect("written");
        drop(partial);
        assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0);

        let mut partial = Partial::create(&target).expect("it is made");
        partial.file.write_all(b"whole").expect("written");
        partial.finish(&target, Existing::Keep).expect("it is moved");
        drop(partial);
        assert_eq!(std::fs::read_to_string(&target).expect("it is there"), "whole");

        let mut second = Partial::create(&target).expect("it is made");
        let refused = second.finish(&target, Existing::Keep).expect_err("the first is kept");
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        drop(second);
        assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 1);
    }
}
