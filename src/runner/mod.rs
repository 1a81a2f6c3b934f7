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
mod waiting;
mod watch_port;

#[cfg(test)]
mod core_tests;
#[cfg(test)]
mod flow_tests;
#[cfg(test)]
mod late_tests;

pub use admission::{Decision, View, decide, may_start};
pub use console::{ConsoleLine, ConsoleSession};
pub use dispatcher::Dispatcher;
pub use handle::{CancelOutcome, Handle, Options, Submission, SubmitError, SubmitRequest};
pub use lease::Lease;
pub use live::LiveRun;
pub use metrics::{DURATION_BUCKETS_S, Metrics, Numbers};

#[cfg(test)]
pub(crate) mod sim;
