//! An engine with everything around it replaced by things that tests can look into.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use crate::base::Timestamp;
use crate::base::{Clock, Fault, RunId};
use crate::lua::{Bundle, Engine, EngineOptions, JobsPort, KvPort, LogSink, Outcome, RunScope, WatchPort};
use crate::model::alerts::{Acknowledgement, Alert, Silence};
use crate::model::checks::Check;
use crate::model::metrics::Sample;
use crate::model::run::Progress;
use crate::model::{Grants, LogLevel, Run, RunState, Trigger, TriggerKind};
use crate::primitives::permit::{EventPermit, JobPermit, KvPermit, RunsPermit, StackPermit};
use crate::store::{KvEntry, KvOutcome, KvWrite, MetricQuery, Report, SeriesPoints, SeriesRow};

pub struct Bed {
    pub io: Runtime,
    pub engine: Engine,
    pub log: Arc<Recorder>,
    pub kv: Arc<MemoryKv>,
    pub watch: Arc<Watched>,
    pub jobs: Arc<FakeJobs>,
    pub artifacts: Arc<Artifacts>,
    pub audit: Arc<Audited>,
    pub cancel: CancellationToken,
    pub timeout: Duration,
    pub cpu: Duration,
    pub grants: Grants,
    pub params: Value,
    pub dry_run: bool,
}

impl Default for Bed {
    fn default() -> Self {
        let io = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let primitives = crate::primitives::Primitives::unconnected();
        let engine = Engine::new(EngineOptions { io: io.handle().clone(), clock: Clock::system(), primitives });
        Self {
            io,
            engine,
            log: Arc::default(),
            kv: Arc::default(),
            watch: Arc::default(),
            jobs: Arc::default(),
            artifacts: Arc::default(),
            audit: Arc::default(),
            cancel: CancellationToken::new(),
            timeout: Duration::from_secs(20),
            cpu: Duration::from_secs(20),
            grants: Grants::default(),
            params: json!({}),
            dry_run: false,
        }
    }
}

impl Bed {
    pub fn scope(&self) -> RunScope {
        RunScope {
            run: RunId::generate(),
            job: "tester".parse().expect("a name"),
            attempt: 1,
            params: self.params.clone(),
            trigger: Trigger::new(TriggerKind::Cli, "uid:0(test)"),
            grants: Arc::new(self.grants.clone()),
            dry_run: self.dry_run,
            timeout: self.timeout,
            cpu: self.cpu,
            memory_bytes: 64 << 20,
            cancel: self.cancel.clone(),
            log: self.log.clone(),
            jobs: self.jobs.clone(),
            kv: self.kv.clone(),
            watch: self.watch.clone(),
            artifacts: self.artifacts.clone(),
            audit: self.audit.clone(),
            durable: None,
        }
    }

    /// Runs a whole job file.
    pub fn file(&self, source: &str) -> Outcome {
        self.bundle(bundle(source))
    }

    pub fn bundle(&self, bundle: Arc<Bundle>) -> Outcome {
        on_lane(self.engine.execute(bundle, self.scope()))
    }

    /// Runs the body of a job's `run(ctx)`.
    pub fn body(&self, body: &str) -> Outcome {
        self.file(&job(body))
    }

    /// What the body returns; anything else fails the test.
    #[track_caller]
    pub fn value(&self, body: &str) -> Value {
        match self.body(body) {
            Outcome::Returned(value) => value,
            other => panic!("{body}\ndid not return: {other:?}"),
        }
    }

    /// What the body raises; anything else fails the test.
    #[track_caller]
    pub fn fault(&self, body: &str) -> Fault {
        match self.body(body) {
            Outcome::Raised(fault) => fault,
            other => panic!("{body}\ndid not raise: {other:?}"),
        }
    }
}

pub fn job(body: &str) -> String {
    format!("return aegis.job {{ run = function(ctx)\n{body}\nend }}")
}

pub fn bundle(source: &str) -> Arc<Bundle> {
    Arc::new(Bundle::new(vec![("tester.lua".to_owned(), source.to_owned())]))
}

/// What a lane is: a thread's own runtime with a `LocalSet`.
pub fn on_lane<F: Future>(future: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, future)
}

#[derive(Debug, Default)]
pub struct Recorder {
    pub lines: Mutex<Vec<(LogLevel, String, Value)>>,
    pub progress: Mutex<Vec<Progress>>,
}

impl Recorder {
    pub fn texts(&self) -> Vec<String> {
        self.lines.lock().expect("not poisoned").iter().map(|(_, text, _)| text.clone()).collect()
    }
}

impl LogSink for Recorder {
    fn line(&self, level: LogLevel, text: String, fields: Value) {
        let mut lines = self.lines.lock().expect("not poisoned");
        // Bounded, as the contract says.
        if lines.len() < 10_000 {
            lines.push((level, text, fields));
        }
    }

    fn progress(&self, progress: Progress) {
        self.progress.lock().expect("not poisoned").push(progress);
    }
}

#[derive(Debug, Default)]
pub struct MemoryKv(Mutex<BTreeMap<(String, String), KvEntry>>);

impl KvPort for MemoryKv {
    fn get(&self, scope: KvPermit, key: String) -> BoxFuture<'_, Result<Option<KvEntry>, Fault>> {
        let scope = scope.scope().to_owned();
        let found = self.0.lock().expect("not poisoned").get(&(scope, key)).cloned();
        Box::pin(async { Ok(found) })
    }

    fn list(
        &self,
        scope: KvPermit,
        prefix: String,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(String, KvEntry)>, Fault>> {
        let entries = self.0.lock().expect("not poisoned");
        let wanted = entries.iter().filter(|((of, key), _)| *of == scope.scope() && key.starts_with(&prefix));
        let found = wanted.take(limit).map(|((_, key), entry)| (key.clone(), entry.clone())).collect();
        Box::pin(async { Ok(found) })
    }

    fn write(&self, scope: KvPermit, write: KvWrite) -> BoxFuture<'_, Result<KvOutcome, Fault>> {
        let mut entries = self.0.lock().expect("not poisoned");
        let key = (scope.scope().to_owned(), write.key);
        let revision = entries.get(&key).map_or(0, |entry| entry.revision);
        let outcome = if write.expect_revision.is_some_and(|expected| expected != revision) {
            KvOutcome::Conflict { revision }
        } else {
            match write.value {
                Some(value) => {
                    entries.insert(key, KvEntry { value, revision: revision + 1, expires_at: write.expires_at });
                }
                None => {
                    entries.remove(&key);
                }
            }
            KvOutcome::Written { revision: revision + 1 }
        };
        Box::pin(async move { Ok(outcome) })
    }
}

/// Accepts every trigger; every run has succeeded.
#[derive(Debug, Default)]
pub struct FakeJobs {
    pub triggered: Mutex<Vec<(String, Value, Trigger, bool)>>,
    /// The idempotency keys that came with them.
    pub once: Mutex<Vec<String>>,
    pub signals: Mutex<Vec<crate::model::Signal>>,
    /// The run that deploys every stack.
    pub rollout: Mutex<Option<RunId>>,
}

impl JobsPort for FakeJobs {
    fn list(&self) -> BoxFuture<'_, Result<Value, Fault>> {
        Box::pin(async { Ok(json!([{ "name": "hello" }])) })
    }

    fn runs(&self, _: RunsPermit, wanted: crate::store::RunFilter) -> BoxFuture<'_, Result<Vec<Run>, Fault>> {
        let at = crate::base::Timestamp::UNIX_EPOCH;
        let error = Fault::new("http.timeout", "no answer");
        let failed = Run {
            state: RunState::Failed,
            error: Some(error),
            ..Run::new(
                RunId::generate(),
                "hello".parse().expect("a name"),
                Trigger::new(TriggerKind::Schedule, "schedule"),
                at,
            )
        };
        let fits = wanted.states.is_empty() || wanted.states.contains(&RunState::Failed);
        Box::pin(async move { Ok(if fits { vec![failed] } else { Vec::new() }) })
    }

    fn trigger(
        &self,
        job: JobPermit,
        params: Value,
        by: Trigger,
        once: Option<String>,
        dry_run: bool,
    ) -> BoxFuture<'_, Result<RunId, Fault>> {
        self.once.lock().expect("not poisoned").extend(once);
        self.triggered.lock().expect("not poisoned").push((job.job().to_owned(), params, by, dry_run));
        Box::pin(async { Ok(RunId::generate()) })
    }

    fn rollout(&self, _: StackPermit, except: RunId) -> BoxFuture<'_, Result<Option<RunId>, Fault>> {
        let run = self.rollout.lock().expect("not poisoned").filter(|run| *run != except);
        Box::pin(async move { Ok(run) })
    }

    fn wait(&self, run: RunId) -> BoxFuture<'_, Result<Run, Fault>> {
        let at = crate::base::Timestamp::UNIX_EPOCH;
        let trigger = Trigger::new(TriggerKind::Job, "job:tester");
        let run = Run {
            state: RunState::Succeeded,
            params: json!({}),
            attempt: 1,
            started_at: Some(at),
            finished_at: Some(at),
            result: Some(json!({ "ok": true })),
            ..Run::new(run, "hello".parse().expect("a name"), trigger, at)
        };
        Box::pin(async { Ok(run) })
    }

    fn signal(&self, _: EventPermit, signal: crate::model::Signal) -> BoxFuture<'_, Result<(), Fault>> {
        self.signals.lock().expect("not poisoned").push(signal);
        Box::pin(async { Ok(()) })
    }
}

/// What privileged calls were recorded, while there is room.
#[derive(Debug, Default)]
pub struct Audited {
    pub records: Mutex<Vec<crate::model::NewAudit>>,
    pub is_full: std::sync::atomic::AtomicBool,
}

impl crate::lua::AuditPort for Audited {
    fn has_room(&self) -> Result<(), Fault> {
        match self.is_full.load(std::sync::atomic::Ordering::Relaxed) {
            true => Err(Fault::new("audit.no_room", "full")),
            false => Ok(()),
        }
    }

    fn record(&self, record: crate::model::NewAudit) {
        self.records.lock().expect("not poisoned").push(record);
    }
}

/// Name, media type and content of each.
#[derive(Debug, Default)]
pub struct Artifacts(pub Mutex<Vec<(String, String, bytes::Bytes)>>);

impl crate::lua::ArtifactPort for Artifacts {
    fn keep(
        &self,
        _: RunId,
        name: String,
        media_type: String,
        content: bytes::Bytes,
    ) -> BoxFuture<'_, Result<(), Fault>> {
        self.0.lock().expect("not poisoned").push((name, media_type, content));
        Box::pin(async { Ok(()) })
    }
}

/// Keeps what scripts say, and knows nothing.
#[derive(Debug, Default)]
pub struct Watched {
    pub samples: Mutex<Vec<Sample>>,
    pub reports: Mutex<Vec<Report>>,
    pub silences: Mutex<Vec<Silence>>,
}

fn ready<T: Send + 'static>(value: T) -> BoxFuture<'static, Result<T, Fault>> {
    Box::pin(async { Ok(value) })
}

impl WatchPort for Watched {
    fn record(&self, samples: Vec<Sample>) -> BoxFuture<'_, Result<(), Fault>> {
        self.samples.lock().expect("not poisoned").extend(samples);
        ready(())
    }

    fn query(&self, _: MetricQuery) -> BoxFuture<'_, Result<Vec<SeriesPoints>, Fault>> {
        ready(Vec::new())
    }

    fn series(&self, _: Option<String>) -> BoxFuture<'_, Result<Vec<SeriesRow>, Fault>> {
        ready(Vec::new())
    }

    fn alerts(&self, _: Option<Timestamp>) -> BoxFuture<'_, Result<Vec<Alert>, Fault>> {
        ready(Vec::new())
    }

    fn report(&self, report: Report) -> BoxFuture<'_, Result<bool, Fault>> {
        self.reports.lock().expect("not poisoned").push(report);
        ready(true)
    }

    fn acknowledge(&self, _: String, _: Acknowledgement) -> BoxFuture<'_, Result<bool, Fault>> {
        ready(false)
    }

    fn silence(&self, silence: Silence) -> BoxFuture<'_, Result<(), Fault>> {
        self.silences.lock().expect("not poisoned").push(silence);
        ready(())
    }

    fn checks(&self) -> BoxFuture<'_, Result<Vec<Check>, Fault>> {
        ready(Vec::new())
    }
}
