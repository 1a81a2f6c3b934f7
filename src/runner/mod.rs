//! Rank 6: takes submissions, decides, executes, and is the only one to change a run.
//!
//! [`Handle`] is what triggers and doors hold. Behind it one [`dispatcher`] owns all live state; [`lane`]s execute
//! Lua on threads of their own and report back by message.

mod admission;
mod attempt;
mod comeback;
mod console;
mod core;
mod dispatcher;
mod handle;
mod journal;
mod lane;
mod lease;
mod live;
mod logs;
mod metrics;
mod ports;
mod queue;
mod recovery;
mod settle;
mod stop;
mod submit;
mod watch_port;

#[cfg(test)]
mod flow_tests;

pub use admission::{Decision, View, decide, may_start};
pub use console::{ConsoleLine, ConsoleSession};
pub use dispatcher::Dispatcher;
pub use handle::{CancelOutcome, Handle, Options, Submission, SubmitError, SubmitRequest};
pub use lease::Lease;
pub use live::LiveRun;
pub use metrics::{DURATION_BUCKETS_S, Metrics, Numbers};

/// What the simulation drives.
#[cfg(test)]
pub(crate) mod sim {
    use std::sync::Arc;

    use super::core::NewId;
    pub use super::core::{Comeback, Core, Effect, Execution};
    use super::handle::LiveTable;
    use super::logs::Flusher;
    pub use super::recovery::plan;
    pub use super::settle::runs_alone;
    pub use super::stop::Stopped;
    use crate::base::{Clock, RunId};

    /// A core without anything around it.
    pub fn new_core(clock: Clock, running_max: usize, shares: bool, new_id: Box<dyn FnMut() -> RunId + Send>) -> Core {
        let mut core = Core::new(clock, Arc::default(), LiveTable::default(), Flusher::new().0, running_max, shares);
        core.new_id = NewId(new_id);
        core
    }
}
