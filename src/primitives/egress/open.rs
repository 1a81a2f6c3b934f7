//! What a script has let out, for as long as its virtual machine lives.

use std::sync::{Mutex, PoisonError};

use super::Egress;

/// One for each virtual machine. Dropped, whatever of it is open is closed, and the daemon takes away what used it.
#[derive(Debug, Default)]
pub struct Open(Mutex<Vec<(Egress, String)>>);

impl Open {
    pub fn add(&self, egress: &Egress, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((egress.clone(), id.to_owned()));
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        for (egress, id) in self.0.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            egress.close_early(&id);
        }
    }
}
