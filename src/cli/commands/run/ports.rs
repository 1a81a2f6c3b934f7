//! What a run without a daemon is given in the daemon's place: the terminal, and no other jobs.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::base::{Clock, Fault, RunId};
use crate::cli::{api, show};
use crate::lua::{ArtifactPort, JobsPort, LogSink};
use crate::model::run::Progress;
use crate::model::{LogLevel, Run, Signal, Trigger};
use crate::store::RunFilter;

/// Lines go to standard error as they come.
#[derive(Debug)]
pub(super) struct Terminal {
    pub clock: Clock,
    pub json: bool,
}

impl LogSink for Terminal {
    fn line(&self, level: LogLevel, text: String, fields: Value) {
        let at = self.clock.now();
        if self.json {
            show::note(json!({ "at": at, "level": level, "text": text, "fields": fields }));
        } else {
            show::note(show::log_line(&api::LogLine { at, level, text, fields }));
        }
    }

    fn progress(&self, progress: Progress) {
        let total = progress.total.map_or_else(String::new, |total| format!(" of {total}"));
        let text = format!("{}{total} {}", progress.done, progress.text.unwrap_or_default());
        self.line(LogLevel::Info, format!("progress: {}", text.trim_end()), Value::Null);
    }
}

#[derive(Debug)]
pub(super) struct NoDaemon;

impl NoDaemon {
    fn fault() -> Fault {
        Fault::new("jobs.unavailable", "there are no other jobs: this run has no daemon")
            .hint("start `aegis daemon` and use `aegis trigger` to try a job that calls others")
    }
}

impl JobsPort for NoDaemon {
    fn list(&self) -> BoxFuture<'_, Result<Value, Fault>> {
        Box::pin(async { Err(Self::fault()) })
    }

    fn runs(&self, _: RunFilter) -> BoxFuture<'_, Result<Vec<Run>, Fault>> {
        Box::pin(async { Err(Self::fault()) })
    }

    fn trigger(&self, _: String, _: Value, _: Trigger, _: bool) -> BoxFuture<'_, Result<RunId, Fault>> {
        Box::pin(async { Err(Self::fault()) })
    }

    fn wait(&self, _: RunId) -> BoxFuture<'_, Result<Run, Fault>> {
        Box::pin(async { Err(Self::fault()) })
    }

    fn signal(&self, _: Signal) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async { Err(Self::fault()) })
    }
}

impl ArtifactPort for NoDaemon {
    fn keep(&self, _: RunId, _: String, _: String, _: bytes::Bytes) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async { Err(Self::fault()) })
    }
}
