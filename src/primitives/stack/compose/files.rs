//! The only way to files: whoever loads a stack says how they are read, and so where they may lie.

use std::sync::Arc;

use super::path::Path;
use super::problem::{Kind, Place, Problem};
use super::session::Session;
use crate::base::limits::{COMPOSE_FILE_BYTES_MAX, COMPOSE_FILES_MAX};

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    #[error("there is no such file")]
    Missing,
    #[error("it is a folder")]
    Folder,
    #[error("it has more than {COMPOSE_FILE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("{0}")]
    Other(String),
}

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    File,
    Folder,
}

/// Reads files for the loader. Paths are absolute and have no `.` and `..` in them.
pub trait Files {
    /// The bytes of a file, of which there must be no more than `bytes_max`.
    ///
    /// # Errors
    /// Says why it cannot be read.
    fn read(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, FileProblem>;

    /// What lies there; nothing when nothing does or when nobody may know.
    fn entry(&self, path: &str) -> Option<Entry>;
}

impl Session<'_> {
    /// A file as text. `asked_at` is where another file asks for it.
    pub(super) fn read(&mut self, file: &str, asked_at: &Place, path: &Path<'_>) -> Result<String, Problem> {
        let Some(left) = self.files_left.checked_sub(1) else {
            let message = format!("the stack reads more than {COMPOSE_FILES_MAX} files");
            return Err(Problem::new(Kind::TooLarge, asked_at, path, message, "include and extend fewer files"));
        };
        self.files_left = left;
        let bytes = self.files.read(file, COMPOSE_FILE_BYTES_MAX).and_then(|bytes| {
            if bytes.len() > COMPOSE_FILE_BYTES_MAX { Err(FileProblem::TooLarge) } else { Ok(bytes) }
        });
        let bytes = bytes.map_err(|problem| unreadable(file, &problem, asked_at, path))?;
        let text = String::from_utf8(bytes).map_err(|problem| {
            let valid = &problem.as_bytes()[..problem.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            let at = Place { file: Arc::from(file), line: u32::try_from(line).unwrap_or(u32::MAX), column: 1 };
            Problem::new(Kind::Syntax, &at, &Path::ROOT, "this line is no UTF-8", "save the file as UTF-8")
        })?;
        Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
    }
}

/// A file that cannot be read, where it is asked for.
pub(super) fn unreadable(file: &str, problem: &FileProblem, asked_at: &Place, path: &Path<'_>) -> Problem {
    let (kind, remedy) = match problem {
        FileProblem::Missing => (Kind::Unreadable, "create it, or correct the path"),
        FileProblem::Folder => (Kind::Unreadable, "name a file in it"),
        FileProblem::TooLarge => (Kind::TooLarge, "split it"),
        FileProblem::Other(_) => (Kind::Unreadable, "see that the daemon may read it"),
    };
    Problem::new(kind, asked_at, path, format!("{file} cannot be read: {problem}"), remedy)
}
