//! One VM under watch: how long it has been computing, and what it may still use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio_util::sync::CancellationToken;

use super::switch::{Armed, Switch};
use super::ticker::Shared;
use crate::base::limits;

/// Why a script was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Its wall time is over.
    Timeout,
    /// It computed for longer than it may.
    Cpu,
    Cancelled,
    /// It computed for long in a place where it cannot take turns, and nobody else on its lane could go on.
    Stuck,
}

/// Shared by the lane, which says when the VM executes, and the ticker, which looks at it meanwhile.
#[derive(Debug)]
pub struct Watch {
    switch: Arc<Switch>,
    ticker: Arc<Shared>,
    /// Microseconds of the ticker's time at which the current execution began; 0 while it does not execute.
    executing_since: AtomicU64,
    /// Microseconds of the ticker's time at which its wall time is over.
    deadline: AtomicU64,
    /// Microseconds of thread time that it may still use.
    cpu_left: AtomicU64,
    stopped: AtomicU8,
    cancel: CancellationToken,
}

/// A region without a safepoint for yielding (a sort, a pattern) is measured in wall time only, so it gets this much
/// more than it has left before it is taken to have used its CPU budget.
const UNSLICED_SLACK: Duration = Duration::from_millis(50);

impl Watch {
    pub(super) fn new(switch: Arc<Switch>, ticker: Arc<Shared>, limits: &Limits) -> Self {
        let deadline = ticker.now().saturating_add(micros(limits.wall));
        Self {
            switch,
            ticker,
            executing_since: AtomicU64::new(0),
            deadline: AtomicU64::new(deadline),
            cpu_left: AtomicU64::new(micros(limits.cpu)),
            stopped: AtomicU8::new(0),
            cancel: limits.cancel.clone(),
        }
    }

    /// Runs `execute` (one poll or resume of the VM) under watch. None when the VM is stopped, before or by it.
    pub fn during<T>(&self, execute: impl FnOnce() -> T) -> Option<T> {
        if self.stopped().is_some() {
            return None;
        }
        self.switch.set(Armed::Idle);
        let began = thread_time();
        self.executing_since.store(self.ticker.now().max(1), Ordering::SeqCst);
        self.ticker.wake();
        let result = execute();
        self.executing_since.store(0, Ordering::SeqCst);
        let used = micros(thread_time().saturating_sub(began));
        let left = self.cpu_left.load(Ordering::Relaxed);
        self.cpu_left.store(left.saturating_sub(used), Ordering::Relaxed);
        if used >= left {
            self.stop(Stop::Cpu);
        }
        if self.stopped().is_none() { Some(result) } else { None }
    }

    /// Why it was stopped, if it was.
    pub fn stopped(&self) -> Option<Stop> {
        match self.stopped.load(Ordering::SeqCst) {
            1 => Some(Stop::Timeout),
            2 => Some(Stop::Cpu),
            3 => Some(Stop::Cancelled),
            4 => Some(Stop::Stuck),
            _ => None,
        }
    }

    /// Stops it at its next safepoint. The first reason counts.
    pub fn stop(&self, why: Stop) {
        let code = match why {
            Stop::Timeout => 1,
            Stop::Cpu => 2,
            Stop::Cancelled => 3,
            Stop::Stuck => 4,
        };
        let _ = self.stopped.compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst);
        self.switch.set(Armed::Stop);
    }

    /// One look of the ticker. True while the VM executes.
    pub(super) fn tick(&self, now: u64) -> bool {
        let since = self.executing_since.load(Ordering::SeqCst);
        if since == 0 {
            return false;
        }
        let elapsed = now.saturating_sub(since);
        let unsliced_max = self.cpu_left.load(Ordering::Relaxed).saturating_mul(2) + micros(UNSLICED_SLACK);
        if self.stopped().is_some() {
            // Armed again, in case the lane disarmed it between our look and our write.
            self.switch.set(Armed::Stop);
        } else if now >= self.deadline.load(Ordering::Relaxed) {
            self.stop(Stop::Timeout);
        } else if self.cancel.is_cancelled() {
            self.stop(Stop::Cancelled);
        } else if elapsed >= unsliced_max {
            self.stop(Stop::Cpu);
        } else if elapsed >= micros(limits::RUN_UNSLICED_MAX) {
            self.stop(Stop::Stuck);
        } else if elapsed >= micros(limits::RUN_SLICE) {
            self.switch.set(Armed::Slice);
        }
        true
    }
}

/// What a script may use.
#[derive(Debug, Clone)]
pub struct Limits {
    pub wall: Duration,
    pub cpu: Duration,
    pub cancel: CancellationToken,
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// CPU time of this thread.
pub fn thread_time() -> Duration {
    let spec = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spec.tv_sec.unsigned_abs(), u32::try_from(spec.tv_nsec).unwrap_or(0))
}
