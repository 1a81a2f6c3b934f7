//! Wake-ups that slices would swallow.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::switch::{Slices, Switch};

/// After a slice. More than threads stand in each other: the run's own, a function of a group, a step, a coroutine.
const POLLS_OWED: u8 = 8;

/// Polls a thread that may be interrupted.
///
/// A thread waits by polling its future and then yielding. When its slice ends between the two, it is polled again at
/// once, goes on to the yield and waits; a wake-up that came in between has been used up by that poll, although nobody
/// looked at the future. So a thread that waits right after a slice is polled once more. A slice that was armed before
/// may end in any poll until the VM is disarmed, which happens when its first thread is polled.
#[derive(Debug)]
pub struct Rewake {
    switch: Arc<Switch>,
    /// When the poll before this one began.
    before: Slices,
    /// Polls that are still owed: threads stand in each other, and each of them may use one up without looking.
    owed: u8,
}

impl Rewake {
    pub fn new(switch: Arc<Switch>) -> Self {
        let before = switch.slices();
        Self { switch, before, owed: 0 }
    }

    pub fn poll<T>(&mut self, cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let begin = self.switch.slices();
        let polled = poll(cx);
        let end = self.switch.slices();
        let sliced = end.count != self.before.count || self.before.armed || begin.armed || end.armed;
        if sliced {
            self.owed = POLLS_OWED;
        }
        if polled.is_pending() && self.owed > 0 {
            self.owed -= 1;
            cx.waker().wake_by_ref();
        }
        self.before = begin;
        polled
    }
}
