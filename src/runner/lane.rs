//! Lanes: operating-system threads that execute Lua and nothing else.
//!
//! A lane is a single-threaded runtime with a local task set. Its VMs never leave it; primitives do their I/O on the
//! daemon's own runtime, so that a script which computes delays neither timers nor anybody else's I/O.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use futures_util::future::LocalBoxFuture;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tracing::warn;

use crate::base::limits;
use crate::lua::{Engine, Seat};

/// Work for a lane: called there, its future runs there to its end.
pub type Work = Box<dyn FnOnce(Rc<Seat>) -> LocalBoxFuture<'static, ()> + Send>;

/// Scripts yield to the daemon's own threads when both want the processor.
const LANE_NICENESS: i32 = 5;

/// All lanes. Cheap to clone; the threads end when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Lanes(Arc<[Lane]>);

#[derive(Debug)]
struct Lane {
    work: mpsc::UnboundedSender<Work>,
    load: Arc<AtomicUsize>,
}

impl Lanes {
    pub fn start(count: usize, engine: &Engine) -> io::Result<(Self, Vec<JoinHandle<()>>)> {
        let mut lanes = Vec::with_capacity(count);
        let mut threads = Vec::with_capacity(count);
        for index in 0..count {
            let (work, inbox) = mpsc::unbounded_channel();
            let load = Arc::new(AtomicUsize::new(0));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            let (engine, of_lane) = (engine.clone(), load.clone());
            let body = move || runtime.block_on(LocalSet::new().run_until(work_off(inbox, engine, of_lane)));
            threads.push(std::thread::Builder::new().name(format!("lane-{index}")).spawn(body)?);
            lanes.push(Lane { work, load });
        }
        Ok((Self(lanes.into()), threads))
    }

    /// Hands work to the lane that has least of it. False when the lanes are gone.
    pub fn give(&self, work: Work) -> bool {
        let Some(lane) = self.0.iter().min_by_key(|lane| lane.load.load(Ordering::Relaxed)) else { return false };
        lane.load.fetch_add(1, Ordering::Relaxed);
        lane.work.send(work).is_ok()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// VMs alive, over all lanes.
    pub fn load(&self) -> usize {
        self.0.iter().map(|lane| lane.load.load(Ordering::Relaxed)).sum()
    }
}

async fn work_off(mut inbox: mpsc::UnboundedReceiver<Work>, engine: Engine, load: Arc<AtomicUsize>) {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), LANE_NICENESS) {
        warn!(%error, "scripts run at the daemon's own priority");
    }
    let seat = Rc::new(engine.seat());
    while let Some(work) = next(&mut inbox, &seat, &load).await {
        let done = Done(load.clone());
        let future = work(seat.clone());
        tokio::task::spawn_local(async move {
            let _done = done;
            future.await;
        });
    }
}

/// The next work. A lane that gets none for a while throws its spare VMs away.
async fn next(inbox: &mut mpsc::UnboundedReceiver<Work>, seat: &Seat, load: &AtomicUsize) -> Option<Work> {
    while load.load(Ordering::Relaxed) > 0 || seat.has_spares() {
        match tokio::time::timeout(limits::VM_SPARES_KEPT, inbox.recv()).await {
            Ok(work) => return work,
            Err(_) => seat.clear(),
        }
    }
    inbox.recv().await
}

/// Counts down also when the work panics.
struct Done(Arc<AtomicUsize>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
