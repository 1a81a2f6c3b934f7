//! What level a call turned out to need, for the audit log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::model::grants::Access;

/// The highest of the levels that permits were asked for. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Reach(Arc<AtomicU8>);

impl Reach {
    pub(super) fn note(&self, access: Access) {
        self.0.fetch_max(access as u8 + 1, Ordering::Relaxed);
    }

    /// None before any was needed.
    pub fn level(&self) -> Option<Access> {
        let reached = self.0.load(Ordering::Relaxed);
        [Access::Admin, Access::Write, Access::Read].into_iter().find(|access| *access as u8 + 1 == reached)
    }
}
