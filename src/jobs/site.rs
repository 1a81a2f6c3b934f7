//! What the installation has that a job file may name.

use std::sync::Arc;

use crate::model::{Calendars, JobSpec};

/// Handed to whoever checks job files. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Site {
    pub calendars: Arc<Calendars>,
}

impl Site {
    /// Whether everything is there that a job names, whose file was checked at another time.
    pub fn suits(&self, spec: &JobSpec) -> bool {
        spec.schedules.iter().flat_map(|schedule| &schedule.skip).all(|name| self.calendars.has(name))
    }
}
