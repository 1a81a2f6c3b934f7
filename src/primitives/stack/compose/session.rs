//! What one load has at hand: files, warnings, and what is left of its bounds.

use super::files::Files;
use super::path::Path;
use super::problem::{Kind, Place, Problem, Warnings};
use crate::base::limits::{COMPOSE_FILES_MAX, COMPOSE_TEXTS_BYTES_MAX, COMPOSE_VALUES_MAX};

pub(super) struct Session<'a> {
    pub files: &'a dyn Files,
    /// What `~` stands for.
    pub home: Option<&'a str>,
    pub warnings: Warnings,
    pub values_left: usize,
    pub files_left: usize,
    texts_left: usize,
}

impl<'a> Session<'a> {
    pub fn new(files: &'a dyn Files, home: Option<&'a str>) -> Self {
        Self {
            files,
            home,
            warnings: Warnings::default(),
            values_left: COMPOSE_VALUES_MAX,
            files_left: COMPOSE_FILES_MAX,
            texts_left: COMPOSE_TEXTS_BYTES_MAX,
        }
    }

    /// Counts what variables made.
    pub fn spend_text(&mut self, bytes: usize, at: &Place, path: &Path<'_>) -> Result<(), Problem> {
        let left = self.texts_left.checked_sub(bytes).ok_or_else(|| {
            let message = format!("variables come to more than {COMPOSE_TEXTS_BYTES_MAX} bytes in this stack");
            Problem::new(Kind::TooLarge, at, path, message, "use shorter values")
        })?;
        self.texts_left = left;
        Ok(())
    }
}
