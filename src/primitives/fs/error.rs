//! What can go wrong with a file, in words.

use std::fmt::Display;
use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::path::FsPath;
use crate::base::Fault;
use crate::base::quantity::show_size;
use crate::primitives::permit::Denied;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct FsError(Box<Fault>);

impl FsError {
    fn new(code: &'static str, message: String, hint: &str) -> Self {
        Self(Box::new(Fault::new(code, message).hint(hint)))
    }

    pub fn code(&self) -> &str {
        &self.0.code
    }

    pub(super) fn bad_root(name: &str, folder: &Path) -> Self {
        let message = format!("fs.roots.{name}: {} cannot be a root", folder.display());
        Self::new("fs.setup", message, "write a name without : / * and an absolute folder, such as /var/backups/aegis")
    }

    pub(super) fn unknown_root(path: &FsPath, near: &str) -> Self {
        let message = format!("{path}: there is no root {:?}{near}", path.root());
        Self::new("fs.unknown_root", message, "the operator names roots in the configuration, under fs.roots")
    }

    pub(super) fn no_root(name: &str, folder: &Path, problem: Errno) -> Self {
        let message = format!("the folder {} of the root {name:?} cannot be opened: {}", folder.display(), io(problem));
        Self::new("fs.root_missing", message, "create it and make it the daemon's, or correct fs.roots")
    }

    pub(super) fn bad_path(text: &str, problem: &str) -> Self {
        let shown: String = text.chars().take(120).collect();
        let message = format!("{shown:?} is not a path that scripts can use: {problem}");
        Self::new("fs.bad_path", message, "write root:relative/path, such as \"backups:daily/db.sql\"")
    }

    pub fn no_name(path: &FsPath) -> Self {
        Self::bad_path(&path.to_string(), "it is the root itself")
    }

    pub(super) fn wrong_kind(path: impl Display, kind: &str, wanted: &str) -> Self {
        let message = format!("{path} is {kind}, not {wanted}");
        Self::new("fs.wrong_kind", message, "aegis.fs.stat tells what something is")
    }

    pub(super) fn hard_link(path: impl Display) -> Self {
        let message = format!("{path} has further names (hard links), which may lie outside of its root");
        Self::new("fs.hard_link", message, "give the root a copy of the file instead of a link")
    }

    pub(super) fn too_large(path: impl Display, bytes_max: u64) -> Self {
        let message = format!("{path} has more than {}", show_size(bytes_max));
        Self::new("fs.too_large", message, "raise the option max as far as it goes, or copy and hash it in place")
    }

    pub(super) fn too_many(path: impl Display, limit: usize) -> Self {
        let message = format!("{path} holds more than {limit} entries");
        Self::new("fs.too_many", message, "narrow it by glob, or raise the option limit")
    }

    pub(super) fn too_deep(path: impl Display) -> Self {
        Self::new("fs.too_deep", format!("{path}: folders are nested too deeply"), "work on a folder further down")
    }

    pub(super) fn exists(path: impl Display) -> Self {
        Self::new("fs.exists", format!("{path} exists already"), "set the option overwrite, or choose another name")
    }

    pub(super) fn changed(path: impl Display) -> Self {
        let mut error = Self::new("fs.changed", format!("{path} was exchanged while it was opened"), "try it again");
        error.0.retryable = true;
        error
    }

    pub(super) fn stopped() -> Self {
        Self::new("fs.stopped", "the work on a file was stopped".to_owned(), "the run was cancelled or has ended")
    }

    /// What the system said to `doing` (`"read"`, `"write"` …) at `path`.
    pub(super) fn system(doing: &str, path: impl Display, problem: Errno) -> Self {
        let (code, hint) = match problem {
            Errno::NOENT => ("fs.not_found", "aegis.fs.stat gives nil for what is not there"),
            Errno::XDEV | Errno::LOOP => {
                ("fs.escape", "a symbolic link leads out of the root or in a circle; scripts stay inside their root")
            }
            Errno::ACCESS | Errno::PERM => ("fs.refused", "the daemon's user needs the rights on it"),
            Errno::EXIST => ("fs.exists", "set the option overwrite, or choose another name"),
            Errno::NOTEMPTY => ("fs.not_empty", "set the option recursive to remove what is in it"),
            Errno::NOTDIR => ("fs.wrong_kind", "a part of the path is no folder, or is a symbolic link"),
            Errno::ISDIR => ("fs.wrong_kind", "it is a folder"),
            Errno::NOSPC | Errno::DQUOT => ("fs.full", "free some space; aegis.fs.space tells how much there is"),
            Errno::ROFS => ("fs.read_only", "the file system is mounted for reading only"),
            Errno::NAMETOOLONG => ("fs.bad_path", "a name has at most 255 bytes"),
            _ => ("fs.io", "the system's log may say more"),
        };
        Self::new(code, format!("cannot {doing} {path}: {}", io(problem)), hint)
    }

    pub(in crate::primitives) fn io(doing: &str, path: impl Display, problem: &io::Error) -> Self {
        Self::system(doing, path, Errno::from_io_error(problem).unwrap_or(Errno::IO))
    }
}

fn io(problem: Errno) -> String {
    io::Error::from(problem).to_string()
}

impl From<Denied> for FsError {
    fn from(denied: Denied) -> Self {
        Self(Box::new(denied.into()))
    }
}

impl From<FsError> for Fault {
    fn from(error: FsError) -> Self {
        *error.0
    }
}
