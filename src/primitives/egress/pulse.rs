//! Whether anything still moves on a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::{Clock, limits};

/// Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns when nothing has moved for as long as a connection may be idle.
    pub async fn stops(&self, clock: &Clock) {
        loop {
            let before = self.0.load(Ordering::Relaxed);
            clock.sleep(limits::EGRESS_IDLE_MAX).await;
            if self.0.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}
