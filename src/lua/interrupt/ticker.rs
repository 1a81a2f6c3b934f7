//! The thread that looks at executing VMs every few milliseconds, and sleeps when there are none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::switch::Switch;
use super::watch::{Limits, Watch, micros};

/// How often it looks while anything executes.
const TICK: Duration = Duration::from_millis(2);
/// Looks without anything to see before it goes to sleep.
const IDLE_TICKS_MAX: u32 = 25;

/// Owned by the engine; lanes need not know of it. Ends when it is dropped.
#[derive(Debug)]
pub struct Ticker {
    shared: Arc<Shared>,
    handle: Option<JoinHandle<()>>,
}

/// What watches need of the ticker.
#[derive(Debug)]
pub struct Shared {
    epoch: Instant,
    watches: Mutex<Vec<Weak<Watch>>>,
    asleep: AtomicBool,
    stop: AtomicBool,
    thread: Mutex<Option<Thread>>,
}

impl Ticker {
    /// Starts the thread.
    pub fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            epoch: Instant::now(),
            watches: Mutex::new(Vec::new()),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            thread: Mutex::new(None),
        });
        let of_thread = shared.clone();
        let handle = thread::Builder::new().name("lua-ticker".into()).spawn(move || of_thread.run())?;
        *shared.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle.thread().clone());
        Ok(Self { shared, handle: Some(handle) })
    }

    /// Puts a VM under watch for as long as the result lives.
    pub fn watch(&self, switch: Arc<Switch>, limits: &Limits) -> Arc<Watch> {
        let watch = Arc::new(Watch::new(switch, self.shared.clone(), limits));
        self.shared.watches.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&watch));
        watch
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(handle) = self.handle.take() {
            handle.thread().unpark();
            // The last engine may be dropped by the ticker's own thread only if a watch did it, and watches are weak.
            let _ = handle.join();
        }
    }
}

impl Shared {
    /// Microseconds since the ticker began.
    pub(super) fn now(&self) -> u64 {
        micros(self.epoch.elapsed())
    }

    /// Called after an execution was announced. Costs one load unless the ticker sleeps.
    pub(super) fn wake(&self) {
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(thread) = &*thread {
                thread.unpark();
            }
        }
    }

    fn run(&self) {
        let mut idle_ticks = 0;
        while !self.stop.load(Ordering::SeqCst) {
            idle_ticks = if self.look() { 0 } else { idle_ticks + 1 };
            if idle_ticks < IDLE_TICKS_MAX {
                thread::park_timeout(TICK);
                continue;
            }
            // Announce the sleep first and look once more: whoever began to execute in between either sees the
            // announcement or is seen.
            self.asleep.store(true, Ordering::SeqCst);
            while !self.stop.load(Ordering::SeqCst) && self.asleep.load(Ordering::SeqCst) && !self.look() {
                thread::park();
            }
            self.asleep.store(false, Ordering::SeqCst);
            idle_ticks = 0;
        }
    }

    /// Whether anything executes. Forgets the VMs that are gone.
    fn look(&self) -> bool {
        let now = self.now();
        let mut executing = false;
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).retain(|watch| match watch.upgrade() {
            Some(watch) => {
                executing |= watch.tick(now);
                true
            }
            None => false,
        });
        executing
    }
}
