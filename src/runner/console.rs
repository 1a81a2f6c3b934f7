//! Console sessions: a VM that lives on a lane between lines. Each line is a run of its own in the history.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::handle::Handle;
use super::logs::RunLog;
use super::ports::Ports;
use super::settle;
use super::stop::Stopped;
use crate::base::{Fault, JobName, Masker, RunId, limits};
use crate::lua::{AuditPort, Console, EvalOutcome, LogSink, Outcome, RunScope, Seat};
use crate::model::run::Progress;
use crate::model::{Actor, Grants, JobSpec, LogLevel, LogLine, NewAudit, Run, RunState, Trigger, TriggerKind};
use crate::store::NewRun;

/// Messages to a reader that does not read: beyond this the line's output is cut and it is said, the run's log is not.
const REPLIES_MAX: usize = 1_024;

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
pub struct ConsoleSession {
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
enum Request {
    Eval { code: String, cancel: CancellationToken, replies: mpsc::Sender<ConsoleLine> },
    Complete { prefix: String, reply: oneshot::Sender<Vec<String>> },
}

impl ConsoleSession {
    /// Evaluates one line; the messages end with `Done`. Cancelling the token ends the line, not the session.
    pub async fn eval(&mut self, code: String, cancel: CancellationToken) -> mpsc::Receiver<ConsoleLine> {
        let (replies, answers) = mpsc::channel(REPLIES_MAX);
        let lost = replies.clone();
        if self.requests.send(Request::Eval { code, cancel, replies }).await.is_err() {
            let _ = lost.try_send(ConsoleLine::Done(EvalOutcome::Failed(closed())));
        }
        answers
    }

    pub async fn complete(&mut self, prefix: String) -> Vec<String> {
        let (reply, answer) = oneshot::channel();
        let _ = self.requests.send(Request::Complete { prefix, reply }).await;
        answer.await.unwrap_or_default()
    }
}

fn closed() -> Fault {
    Fault::new("console.closed", "this console has ended").hint("open a new one")
}

pub async fn open(handle: Handle, by: Actor, grants: Grants) -> Result<ConsoleSession, Fault> {
    let (requests, mut inbox) = mpsc::channel(1);
    let (opened, answer) = oneshot::channel();
    let session = Session { ports: Arc::new(Ports(handle.clone())), handle, by, grants: Arc::new(grants) };
    let given = session.handle.shared.lanes.clone().give(Box::new(move |seat: Rc<Seat>| {
        Box::pin(async move {
            let scope = session.scope(RunId::generate(), CancellationToken::new(), Arc::new(Silent));
            let mut console = match seat.engine().console(scope) {
                Ok(console) => console,
                Err(fault) => return drop(opened.send(Err(fault))),
            };
            let _ = opened.send(Ok(()));
            while let Some(request) = inbox.recv().await {
                match request {
                    Request::Complete { prefix, reply } => drop(reply.send(console.complete(&prefix))),
                    Request::Eval { code, cancel, replies } => {
                        let outcome = session.line(&mut console, code, cancel, &replies).await;
                        let _ = replies.send(ConsoleLine::Done(outcome)).await;
                    }
                }
            }
        })
    }));
    if !given {
        return Err(closed());
    }
    answer.await.map_err(|_| closed())??;
    Ok(ConsoleSession { requests })
}

struct Session {
    handle: Handle,
    ports: Arc<Ports>,
    by: Actor,
    grants: Arc<Grants>,
}

impl Session {
    async fn line(
        &self,
        console: &mut Console,
        code: String,
        cancel: CancellationToken,
        replies: &mpsc::Sender<ConsoleLine>,
    ) -> EvalOutcome {
        let run = self.run_of(&code);
        let shared = &self.handle.shared;
        let events = vec![settle::started_event(&run, run.queued_at)];
        if let Err(error) =
            shared.store.accept_run(NewRun { run: run.clone(), occurrence: None, events, alone: false }).await
        {
            return EvalOutcome::Failed(error.into());
        }
        let line = NewAudit::new(run.queued_at, self.by.0.clone(), "console.line", code.as_str());
        AuditPort::record(&*self.ports, line.job(&run.job).run(run.id));
        self.handle.adopt(&run, cancel.clone());
        let _ = replies.try_send(ConsoleLine::Started(run.id));
        let log = RunLog::new(run.id, shared.clock.clone(), &self.handle.flusher, 0);
        log.begin_attempt(1, None);
        let masker = shared.store.masker();
        let sink = Arc::new(Tee::new(log.clone(), replies.clone(), run.id, masker.clone()));
        let mut outcome = console.eval(self.scope(run.id, cancel.clone(), sink.clone()), &code).await;
        sink.tell_of_unread().await;
        mask(masker, &mut outcome);
        let (lines, _) = log.finish(&shared.store).await;
        let spec = JobSpec::named(run.job.clone());
        let stopped = cancel.is_cancelled().then(|| {
            let reason = format!("cancelled by {}", self.by);
            Stopped::By { actor: self.by.clone(), reason }
        });
        let mut change = settle::conclude(&run, &spec, outcome_of(&outcome), stopped, shared.clock.now());
        change.logs = lines;
        let _ = settle::commit(&shared.store, &shared.clock, &shared.metrics, &change).await;
        self.handle.forget(run.id);
        outcome
    }

    fn run_of(&self, code: &str) -> Run {
        let now = self.handle.shared.clock.now();
        Run {
            state: RunState::Running,
            params: json!({ "code": code }),
            attempt: 1,
            started_at: Some(now),
            ..Run::new(RunId::generate(), JobName::console(), self.trigger(), now)
        }
    }

    fn trigger(&self) -> Trigger {
        Trigger::new(TriggerKind::Repl, self.by.0.clone())
    }

    fn scope(&self, run: RunId, cancel: CancellationToken, log: Arc<dyn LogSink>) -> RunScope {
        RunScope {
            run,
            job: JobName::console(),
            attempt: 1,
            params: json!({}),
            trigger: self.trigger(),
            grants: self.grants.clone(),
            dry_run: false,
            timeout: limits::CONSOLE_LINE_TIMEOUT,
            cpu: limits::RUN_CPU_DEFAULT,
            memory_bytes: limits::RUN_MEMORY_BYTES_DEFAULT,
            cancel,
            log,
            jobs: self.ports.clone(),
            kv: self.ports.clone(),
            watch: self.ports.clone(),
            artifacts: self.ports.clone(),
            audit: self.ports.clone(),
            durable: None,
        }
    }
}

/// Also the person at the console sees no secret.
fn mask(masker: &Masker, outcome: &mut EvalOutcome) {
    match outcome {
        EvalOutcome::Values(values) => values.iter_mut().for_each(|(text, json)| {
            masker.string(text);
            masker.json(json);
        }),
        EvalOutcome::Failed(fault) => masker.fault(fault),
        EvalOutcome::Incomplete => {}
    }
}

fn outcome_of(evaluated: &EvalOutcome) -> Outcome {
    match evaluated {
        EvalOutcome::Values(values) => Outcome::Returned(values.iter().map(|(_, json)| json.clone()).collect()),
        EvalOutcome::Incomplete => Outcome::Raised(Fault::new("script.incomplete", "the line ends too early")),
        EvalOutcome::Failed(fault) if fault.code == "run.cancelled" => Outcome::Cancelled,
        EvalOutcome::Failed(fault) => Outcome::Raised(fault.clone()),
    }
}

/// Lines go to the run's log and to the person who typed.
#[derive(Debug)]
struct Tee {
    log: Arc<RunLog>,
    replies: mpsc::Sender<ConsoleLine>,
    run: RunId,
    seq: AtomicU64,
    masker: Masker,
    /// Lines that the person was not sent, because earlier ones were not read yet.
    unread: AtomicU64,
}

impl Tee {
    fn new(log: Arc<RunLog>, replies: mpsc::Sender<ConsoleLine>, run: RunId, masker: Masker) -> Self {
        Self { log, replies, run, masker, seq: AtomicU64::new(0), unread: AtomicU64::new(0) }
    }

    fn reply(&self, level: LogLevel, text: String, fields: Value) -> ConsoleLine {
        let (seq, at) = (self.seq.fetch_add(1, Ordering::Relaxed) + 1, self.log.now());
        ConsoleLine::Log(LogLine { run: self.run, seq, at, attempt: 1, level, text, fields })
    }

    /// Says how many lines are missing, once there is room for it.
    async fn tell_of_unread(&self) {
        let unread = self.unread.load(Ordering::Relaxed);
        if unread > 0 {
            let run = self.run;
            let text = format!("{unread} lines came faster than they were read; see them with: aegis logs {run}");
            let _ = self.replies.send(self.reply(LogLevel::Warn, text, Value::Null)).await;
        }
    }
}

impl LogSink for Tee {
    fn line(&self, level: LogLevel, mut text: String, mut fields: Value) {
        self.masker.string(&mut text);
        self.masker.json(&mut fields);
        if self.replies.try_send(self.reply(level, text.clone(), fields.clone())).is_err() {
            self.unread.fetch_add(1, Ordering::Relaxed);
        }
        self.log.line(level, text, fields);
    }

    fn progress(&self, progress: Progress) {
        self.log.progress(progress);
    }
}

/// Before the first line there is nobody to talk to.
#[derive(Debug)]
struct Silent;

impl LogSink for Silent {
    fn line(&self, _: LogLevel, _: String, _: Value) {}
    fn progress(&self, _: Progress) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Clock;
    use crate::runner::logs::Flusher;

    #[tokio::test]
    async fn lines_that_nobody_read_in_time_are_counted_and_told() {
        let run = RunId::generate();
        let (flusher, _announced) = Flusher::new(Masker::default());
        let (replies, mut read) = mpsc::channel(2);
        let sink = Tee::new(RunLog::new(run, Clock::system(), &flusher, 0), replies, run, Masker::default());
        for text in ["a", "b", "c", "d", "e"] {
            sink.line(LogLevel::Info, text.into(), Value::Null);
        }
        let mut texts = Vec::new();
        let told = async {
            sink.tell_of_unread().await;
            drop(sink);
        };
        let reading = async {
            while let Some(ConsoleLine::Log(line)) = read.recv().await {
                texts.push(line.text);
            }
        };
        tokio::join!(told, reading);
        assert_eq!(texts[..2], ["a", "b"]);
        assert_eq!(texts[2..], [format!("3 lines came faster than they were read; see them with: aegis logs {run}")]);
    }
}
