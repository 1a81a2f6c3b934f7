//! Rank 6: takes submissions, decides, executes, and is the only one to change a run.

mod handle;

pub use handle::{CancelOutcome, ConsoleLine, ConsoleSession, Handle, LiveRun, Submission, SubmitError, SubmitRequest};
