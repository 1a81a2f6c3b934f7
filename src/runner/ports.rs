//! What scripts reach of the job system and the key-value store.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::handle::{Handle, Submission, SubmitRequest};
use crate::base::{Fault, RunId, Timestamp};
use crate::jobs::Job;
use crate::lua::{ArtifactPort, AuditPort, JobsPort, KvPort};
use crate::model::schedule::Rule;
use crate::model::{Grants, NewAudit, Run, Signal, Trigger, TriggerKind};
use crate::primitives::permit::{EventPermit, JobPermit, KvPermit, RunsPermit, StackPermit};
use crate::primitives::stack::rollout_key;
use crate::store::{Artifact, KvEntry, KvOutcome, KvWrite, RunFilter};

/// Implements the runtime's ports on a [`Handle`].
#[derive(Debug)]
pub struct Ports(pub Handle);

impl JobsPort for Ports {
    fn list(&self) -> BoxFuture<'_, Result<Value, Fault>> {
        let (snapshot, now) = (self.0.shared.registry.snapshot(), self.0.shared.clock.now());
        let jobs = snapshot.jobs.values().map(|job| {
            json!({
                "name": job.spec.name,
                "description": job.spec.description,
                "tags": job.spec.tags,
                "enabled": job.is_enabled(),
                "schedules": schedules(job, now),
                "file": job.file,
                "version": job.bundle.hash.short(),
            })
        });
        std::future::ready(Ok(jobs.collect())).boxed()
    }

    fn runs(&self, _: RunsPermit, wanted: RunFilter) -> BoxFuture<'_, Result<Vec<Run>, Fault>> {
        async move { Ok(self.0.shared.store.runs(&wanted).await?) }.boxed()
    }

    fn trigger(
        &self,
        job: JobPermit,
        params: Value,
        by: Trigger,
        once: Option<String>,
        dry_run: bool,
    ) -> BoxFuture<'_, Result<RunId, Fault>> {
        async move {
            let job = job.job();
            let name = job.parse().map_err(|error| Fault::new("job.not_found", format!("{error}")))?;
            let params = params.as_object().cloned().unwrap_or_default();
            let request = SubmitRequest {
                job: name,
                params,
                trigger: by,
                idempotency_key: once,
                dry_run,
                parent: None,
                occurrence: None,
            };
            match self.0.submit(request).await? {
                Submission::Accepted { run, .. } | Submission::Coalesced { run } => Ok(run),
                Submission::Skipped { reason } => Err(Fault::new("job.skipped", format!("job {job}: {reason}"))),
                Submission::AlreadySettled => Err(Fault::new("job.skipped", format!("job {job} ran for this already"))),
            }
        }
        .boxed()
    }

    fn wait(&self, run: RunId) -> BoxFuture<'_, Result<Run, Fault>> {
        async move {
            let ended = self.0.wait(run).await?;
            ended.ok_or_else(|| Fault::new("run.not_found", format!("there is no run {run}")))
        }
        .boxed()
    }

    fn rollout(&self, stack: StackPermit, except: RunId) -> BoxFuture<'_, Result<Option<RunId>, Fault>> {
        let key = rollout_key(stack.name());
        async move { Ok(self.0.shared.store.changes_under_key(&key, Some(except)).await?) }.boxed()
    }

    fn signal(&self, name: EventPermit, signal: Signal) -> BoxFuture<'_, Result<(), Fault>> {
        let signal = Signal { name: name.name().to_owned(), ..signal };
        async move { self.0.signal(signal).await.map(drop) }.boxed()
    }
}

fn schedules(job: &Job, now: Timestamp) -> Vec<Value> {
    let shown = |spec: &crate::model::schedule::ScheduleSpec| {
        let mut shown = json!({ "text": spec.describe() });
        if let Rule::Every { interval } = &spec.rule {
            shown["every"] = interval.as_secs_f64().into();
        }
        if let Some(next) = spec.next_after(&job.spec.name, now) {
            shown["next_at"] = next.scheduled_for.to_string().into();
        }
        shown
    };
    job.spec.schedules.iter().map(shown).collect()
}

/// What one run keeps, while it is held at this fence.
#[derive(Debug)]
pub struct Keeper {
    pub ports: Arc<Ports>,
    pub fence: i64,
}

impl ArtifactPort for Keeper {
    fn keep(
        &self,
        run: RunId,
        name: String,
        media_type: String,
        content: bytes::Bytes,
    ) -> BoxFuture<'_, Result<(), Fault>> {
        self.ports.put(run, Some(self.fence), name, media_type, content).boxed()
    }
}

impl AuditPort for Ports {
    fn has_room(&self) -> Result<(), Fault> {
        if self.0.shared.store.has_room() {
            return Ok(());
        }
        Err(Fault::new(
            "audit.no_room",
            "nothing privileged is done while it cannot be recorded: the database is behind",
        )
        .hint("it passes when the disk keeps up again; see /health/ready")
        .retryable())
    }

    fn record(&self, record: NewAudit) {
        if let Err(error) = self.0.shared.store.queue_audit(record.clone()) {
            tracing::error!(target: "aegis::audit", %error, ?record, "not recorded in the audit log");
        }
    }
}

impl Ports {
    /// What an attempt may do: what the registry says now, and no more than whoever called.
    pub fn grants(&self, run: &Run, job: &Job) -> Grants {
        let mut grants = self.0.shared.registry.snapshot().grants(job);
        if run.trigger.kind == TriggerKind::Job {
            grants.caps.extend(Grants::callers(&run.trigger.payload));
        }
        grants
    }

    async fn put(
        &self,
        run: RunId,
        fence: Option<i64>,
        name: String,
        media_type: String,
        content: bytes::Bytes,
    ) -> Result<(), Fault> {
        let (bytes, created_at) = (content.len() as u64, self.0.shared.clock.now());
        let artifact = Artifact { name, media_type, bytes, created_at };
        Ok(self.0.shared.store.put_artifact(run, fence, artifact, content).await?)
    }
}

/// Of a console, whose run nobody else can have.
impl ArtifactPort for Ports {
    fn keep(
        &self,
        run: RunId,
        name: String,
        media_type: String,
        content: bytes::Bytes,
    ) -> BoxFuture<'_, Result<(), Fault>> {
        self.put(run, None, name, media_type, content).boxed()
    }
}

impl KvPort for Ports {
    fn get(&self, scope: KvPermit, key: String) -> BoxFuture<'_, Result<Option<KvEntry>, Fault>> {
        async move { Ok(self.0.shared.store.kv_get(scope.scope(), &key).await?) }.boxed()
    }

    fn list(
        &self,
        scope: KvPermit,
        prefix: String,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(String, KvEntry)>, Fault>> {
        async move { Ok(self.0.shared.store.kv_list(scope.scope(), &prefix, limit).await?) }.boxed()
    }

    fn write(&self, scope: KvPermit, write: KvWrite) -> BoxFuture<'_, Result<KvOutcome, Fault>> {
        let write = KvWrite { scope: scope.scope().to_owned(), ..write };
        async move { Ok(self.0.shared.store.kv_write(write).await?) }.boxed()
    }
}
