//! A job's pinned sources: its file and every file it requires, by content.

use std::sync::Arc;

use crate::base::VersionHash;

/// Immutable and shared. Two runs of one version share one bundle and its compiled bytecode.
#[derive(Debug, Clone)]
pub struct Bundle {
    pub hash: VersionHash,
    /// `(path relative to the scripts folder, source)`, the job's own file first.
    pub files: Arc<[(String, String)]>,
}

impl Bundle {
    pub fn new(files: Vec<(String, String)>) -> Self {
        let hash = VersionHash::of(files.iter().map(|(path, source)| (path.as_str(), source.as_bytes())));
        Self { hash, files: files.into() }
    }
}
