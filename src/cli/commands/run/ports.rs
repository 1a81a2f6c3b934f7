//! What a run without a daemon is given in the daemon's place: the terminal, and no other jobs.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::base::quantity::show_size;
use crate::base::{Clock, Fault, Masker, RunId};
use crate::cli::{api, show};
use crate::lua::{ArtifactPort, AuditPort, JobsPort, LogSink};
use crate::model::run::Progress;
use crate::model::{LogLevel, NewAudit, Run, Signal, Trigger};
use crate::primitives::permit::{EventPermit, JobPermit, RunsPermit, StackPermit};
use crate::store::RunFilter;

/// Lines go to standard error as they come.
#[derive(Debug)]
pub(super) struct Terminal {
    pub clock: Clock,
    pub json: bool,
    pub masker: Masker,
}

impl LogSink for Terminal {
    fn line(&self, level: LogLevel, mut text: String, mut fields: Value) {
        self.masker.string(&mut text);
        self.masker.json(&mut fields);
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

    fn runs(&self, _: RunsPermit, _: RunFilter) -> BoxFuture<'_, Result<Vec<Run>, Fault>> {
        Box::pin(async { Err(Self::fault()) })
    }

    fn trigger(
        &self,
        _: JobPermit,
        _: Value,
        _: Trigger,
        _: Option<String>,
        _: bool,
    ) -> BoxFuture<'_, Result<RunId, Fault>> {
        Box::pin(async { Err(Self::fault()) })
    }

    fn wait(&self, _: RunId) -> BoxFuture<'_, Result<Run, Fault>> {
        Box::pin(async { Err(Self::fault()) })
    }

    /// Who has no daemon sees none of its runs.
    fn rollout(&self, _: StackPermit, _: RunId) -> BoxFuture<'_, Result<Option<RunId>, Fault>> {
        Box::pin(async { Ok(None) })
    }

    fn signal(&self, _: EventPermit, _: Signal) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async { Err(Self::fault()) })
    }
}

/// There is no log without a daemon; who runs a file by hand has the terminal.
impl AuditPort for NoDaemon {
    fn has_room(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn record(&self, _: NewAudit) {}
}

/// Nothing keeps them without a daemon; that it would be kept is told instead.
#[derive(Debug)]
pub(super) struct Untaken(pub Arc<Terminal>);

impl ArtifactPort for Untaken {
    fn keep(&self, _: RunId, name: String, kind: String, content: bytes::Bytes) -> BoxFuture<'_, Result<(), Fault>> {
        let size = show_size(content.len() as u64);
        let told = format!("artifact {name} ({kind}, {size}) is not kept: this run has no daemon");
        self.0.line(LogLevel::Info, told, Value::Null);
        Box::pin(async { Ok(()) })
    }
}
