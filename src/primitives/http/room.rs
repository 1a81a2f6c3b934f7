//! Room for what is received: however many requests are under way, their bodies together stay within it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Semaphores count less far than bytes go.
const UNIT_BYTES: usize = 1 << 10;

#[derive(Debug)]
pub(super) struct Room {
    units: Arc<Semaphore>,
    units_max: usize,
}

/// A part of it, free again when all copies of this are gone.
#[derive(Debug, Clone)]
pub(super) struct Held {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Room {
    pub fn new(bytes: usize) -> Self {
        let units_max = bytes / UNIT_BYTES;
        Self { units: Arc::new(Semaphore::new(units_max)), units_max }
    }

    /// Waits until there are `bytes`, or everything for what wants more than that. None once it is closed, which it
    /// never is.
    pub async fn take(&self, bytes: usize) -> Option<Held> {
        let units = bytes.div_ceil(UNIT_BYTES).min(self.units_max);
        let permit = self.units.clone().acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX)).await;
        permit.ok().map(|permit| Held { _permit: Arc::new(permit) })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn whoever_finds_no_room_waits_for_it() {
        let room = Room::new(8 * UNIT_BYTES);
        let first = room.take(5 * UNIT_BYTES + 1).await.expect("room");
        let _second = room.take(2 * UNIT_BYTES).await.expect("room");
        assert!(room.take(1).now_or_never().is_none());
        let copy = first.clone();
        drop(first);
        assert!(room.take(1).now_or_never().is_none(), "a copy still holds it");
        drop(copy);
        assert!(room.take(6 * UNIT_BYTES).now_or_never().flatten().is_some());
    }
}
