//! `root:relative/path`, as scripts write it.

use std::fmt;
use std::str::FromStr;

use super::error::FsError;
use crate::base::limits;

/// A root's name and the names below it: none of them is `.`, `..`, empty or too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsPath {
    root: String,
    parts: Vec<String>,
}

impl FsPath {
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The folder that its last name is in, and that name; None for a root.
    pub fn above(&self) -> Option<(Self, &str)> {
        let (last, above) = self.parts.split_last()?;
        Some((Self { root: self.root.clone(), parts: above.to_vec() }, last))
    }

    pub(super) fn parts(&self) -> &[String] {
        &self.parts
    }

    /// The names above the last one, and the last one.
    pub(super) fn split(&self) -> Result<(&[String], &str), FsError> {
        match self.parts.split_last() {
            Some((last, above)) => Ok((above, last)),
            None => Err(FsError::no_name(self)),
        }
    }
}

impl FromStr for FsPath {
    type Err = FsError;

    fn from_str(text: &str) -> Result<Self, FsError> {
        let bad = |problem: &str| FsError::bad_path(text, problem);
        let (root, rest) = text.split_once(':').ok_or_else(|| bad("it names no root"))?;
        if root.is_empty() || root.contains(['/', '*', '\0']) {
            return Err(bad("it names no root"));
        }
        if text.len() > limits::FS_PATH_BYTES_MAX {
            return Err(bad("it is too long"));
        }
        if rest.contains('\0') {
            return Err(bad("it holds a zero byte"));
        }
        if rest.starts_with('/') {
            return Err(bad("below its root a path is relative"));
        }
        let mut parts = Vec::new();
        for part in rest.split('/').filter(|part| !matches!(*part, "" | ".")) {
            if part == ".." {
                return Err(bad("it holds \"..\""));
            }
            if part.len() > limits::FS_NAME_BYTES_MAX {
                return Err(bad("a name in it is too long"));
            }
            parts.push(part.to_owned());
        }
        Ok(Self { root: root.to_owned(), parts })
    }
}

impl fmt::Display for FsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.root, self.parts.join("/"))
    }
}
