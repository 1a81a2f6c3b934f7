//! What triggers and doors ask of the runner.

use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::base::{Fault, JobName, RunId, Timestamp};
use crate::lua::EvalOutcome;
use crate::model::params::{BadParam, Params};
use crate::model::{Actor, Grants, LogLine, Occurrence, Run, RunState, Trigger};
use crate::store::StoreError;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {}

/// A wish for a run.
#[derive(Debug, Clone)]
pub struct SubmitRequest {
    pub job: JobName,
    /// As given; defaults are filled in and types checked before anything is written.
    pub params: Params,
    pub trigger: Trigger,
    /// A second submission of the same job with the same key gets the first one's run.
    pub idempotency_key: Option<String>,
    pub dry_run: bool,
    pub parent: Option<RunId>,
    /// For schedules: how the occurrence is called if a run is accepted (`Fired` or `DstShifted`), and why.
    pub occurrence: Option<Occurrence>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submission {
    /// On disk; `existing` when the idempotency key had been seen.
    Accepted { run: RunId, existing: bool },
    /// An earlier waiter stands for it.
    Coalesced { run: RunId },
    /// Not accepted, by the job's overlap policy; the reason is a sentence.
    Skipped { reason: String },
    /// The occurrence had been settled before.
    AlreadySettled,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    #[error("there is no job {job:?}{hint}")]
    UnknownJob { job: String, hint: String },
    #[error("{}", list(.0))]
    BadParams(Vec<BadParam>),
    #[error("{limit} runs are waiting already; try again when some are done")]
    QueueFull { limit: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the daemon is shutting down")]
    Closed,
}

fn list(problems: &[BadParam]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl From<SubmitError> for Fault {
    fn from(error: SubmitError) -> Self {
        let message = error.to_string();
        match error {
            SubmitError::UnknownJob { .. } => Self::new("job.not_found", message),
            SubmitError::BadParams(problems) => {
                Self::new("params.invalid", message).details(serde_json::json!({ "params": problems }))
            }
            SubmitError::QueueFull { .. } => Self::new("runner.queue_full", message).retryable(),
            SubmitError::Store(_) => Self::new("store.unavailable", message).retryable(),
            SubmitError::Closed => Self::new("runner.closed", message).retryable(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It will be (or is) cancelled.
    Cancelled,
    /// It had ended before.
    AlreadyFinal(RunState),
    NotFound,
}

/// A run that is queued or running now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveRun {
    pub run: RunId,
    pub job: JobName,
    pub state: RunState,
    pub since: Timestamp,
}

impl Handle {
    pub async fn submit(&self, request: SubmitRequest) -> Result<Submission, SubmitError> {
        let _ = request;
        todo!()
    }

    pub async fn cancel(&self, run: RunId, by: Actor) -> Result<CancelOutcome, StoreError> {
        let _ = (run, by);
        todo!()
    }

    /// Submits the same job, parameters and version policy anew; the new run's parent is `run`.
    pub async fn retry(&self, run: RunId, by: Trigger) -> Result<Submission, Fault> {
        let _ = (run, by);
        todo!()
    }

    /// Resolves when the run has ended.
    pub async fn wait(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        let _ = run;
        todo!()
    }

    /// Enables or disables a job's schedules until told otherwise; None gives the word back to the script.
    pub async fn set_enabled(&self, job: &JobName, enabled: Option<bool>, by: Actor) -> Result<(), Fault> {
        let _ = (job, enabled, by);
        todo!()
    }

    pub fn live(&self) -> Vec<LiveRun> {
        todo!()
    }

    /// Opens a console: a VM on a lane, with grants of its own.
    pub async fn console(&self, by: Actor, grants: Grants) -> Result<ConsoleSession, Fault> {
        let _ = (by, grants);
        todo!()
    }
}

/// What a console line sends back while it runs, and at its end.
#[derive(Debug, Clone)]
pub enum ConsoleLine {
    /// The line is a run of this id.
    Started(RunId),
    Log(LogLine),
    Done(EvalOutcome),
}

/// A live console. Dropping it drops the VM.
#[derive(Debug)]
pub struct ConsoleSession {}

impl ConsoleSession {
    /// Evaluates one line; the messages end with `Done`. Cancelling the token ends the line, not the session.
    pub async fn eval(&mut self, code: String, cancel: CancellationToken) -> mpsc::Receiver<ConsoleLine> {
        let _ = (code, cancel);
        todo!()
    }

    pub async fn complete(&mut self, prefix: String) -> Vec<String> {
        let _ = prefix;
        todo!()
    }
}
