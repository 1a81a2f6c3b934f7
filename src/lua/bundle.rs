//! A job's pinned sources: its file and every file it requires, by content.

use std::sync::{Arc, OnceLock};

use super::compile::{Code, compile};
use crate::base::{Fault, VersionHash};

/// Immutable and shared. Two runs of one version share one bundle and its compiled bytecode.
#[derive(Debug, Clone)]
pub struct Bundle {
    pub hash: VersionHash,
    /// `(path relative to the scripts folder, source)`, the job's own file first.
    pub files: Arc<[(String, String)]>,
    /// By the same index; filled at first use.
    code: Arc<[OnceLock<Result<Code, Fault>>]>,
}

impl Bundle {
    pub fn new(files: Vec<(String, String)>) -> Self {
        let hash = VersionHash::of(files.iter().map(|(path, source)| (path.as_str(), source.as_bytes())));
        let code = files.iter().map(|_| OnceLock::new()).collect();
        Self { hash, files: files.into(), code }
    }

    /// Bytecode of one file, compiled if it was not yet.
    pub(super) fn code_of(&self, file: &str) -> Result<Code, Fault> {
        let Some(index) = self.files.iter().position(|(path, _)| path == file) else {
            return Err(Fault::new("require.not_found", format!("{file} is not among the job's files")));
        };
        let (path, source) = &self.files[index];
        self.code[index].get_or_init(|| compile(path, source)).clone()
    }

    pub(super) fn is_compiled(&self) -> bool {
        self.code.iter().all(|code| code.get().is_some())
    }

    /// Compiles what is not compiled yet. Blocking. A file with an error stays one until it is required.
    pub(super) fn compile(&self) {
        for (file, _) in self.files.iter() {
            let _ = self.code_of(file);
        }
    }

    /// A line of one file, counted from 1.
    pub(super) fn line(&self, file: &str, line: u32) -> Option<&str> {
        let (_, source) = self.files.iter().find(|(path, _)| path == file)?;
        source.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)
    }
}
