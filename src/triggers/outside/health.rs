//! What cannot be heard at the moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, String>>>);

impl Health {
    /// Whether everything that jobs listen to is heard; the sentence names what is not.
    ///
    /// # Errors
    /// The sentence.
    pub fn check(&self) -> Result<(), String> {
        let problems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told: Vec<String> = problems.iter().map(|(what, problem)| format!("{what}: {problem}")).collect();
        if told.is_empty() { Ok(()) } else { Err(told.join("; ")) }
    }

    /// Whether it was well before.
    pub(super) fn wrong(&self, what: &str, problem: String) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(what.to_owned(), problem).is_none()
    }

    /// Whether something was wrong before.
    pub(super) fn well(&self, what: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(what).is_some()
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
