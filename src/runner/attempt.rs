//! One attempt of a run, on a lane: the script, and after the last attempt its hook.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::logs::RunLog;
use super::ports::Ports;
use crate::base::Fault;
use crate::jobs::Job;
use crate::lua::{Engine, LogSink, Outcome, RunScope};
use crate::model::{LogLevel, Run};

/// `on_failure` and `on_success` get this much wall time, however long the job itself may take.
const HOOK_TIMEOUT: Duration = Duration::from_secs(60);

/// Everything an attempt needs, to be sent to a lane.
#[derive(Debug)]
pub struct Attempt {
    pub run: Run,
    pub job: Arc<Job>,
    pub cancel: CancellationToken,
    pub log: Arc<RunLog>,
    pub ports: Arc<Ports>,
}

impl Attempt {
    /// Runs the script to its end. A panic of ours becomes the run's error, never the lane's end.
    pub async fn execute(self, engine: Engine) -> Outcome {
        let outcome = guarded(engine.execute(self.job.bundle.clone(), self.scope())).await;
        match &outcome {
            Outcome::Returned(result) if self.job.spec.has_on_success => {
                self.hook(&engine, "on_success", result.clone()).await;
            }
            Outcome::Raised(fault) | Outcome::TimedOut(fault)
                if self.job.spec.has_on_failure && self.is_last(fault) =>
            {
                self.hook(&engine, "on_failure", serde_json::to_value(fault).unwrap_or_default()).await;
            }
            _ => {}
        }
        outcome
    }

    fn is_last(&self, fault: &Fault) -> bool {
        self.job.spec.retry.delay_after(self.run.attempt, &fault.code).is_none()
    }

    async fn hook(&self, engine: &Engine, name: &str, argument: Value) {
        let scope = RunScope { timeout: HOOK_TIMEOUT, ..self.scope() };
        let outcome = guarded(engine.execute_hook(self.job.bundle.clone(), scope, name, argument)).await;
        if let Outcome::Raised(fault) | Outcome::TimedOut(fault) = outcome {
            self.log.line(LogLevel::Error, format!("{name} failed: {fault}"), json!({ "code": fault.code }));
        }
    }

    fn scope(&self) -> RunScope {
        let limits = &self.job.spec.limits;
        RunScope {
            run: self.run.id,
            job: self.run.job.clone(),
            attempt: self.run.attempt,
            params: self.run.params.clone(),
            trigger: self.run.trigger.clone(),
            grants: Arc::new(self.job.spec.permissions.clone()),
            dry_run: self.run.dry_run,
            timeout: limits.timeout,
            cpu: limits.cpu,
            memory_bytes: limits.memory_bytes,
            cancel: self.cancel.clone(),
            log: self.log.clone(),
            jobs: self.ports.clone(),
            kv: self.ports.clone(),
            artifacts: self.ports.clone(),
            durable: None,
        }
    }
}

async fn guarded(script: impl Future<Output = Outcome>) -> Outcome {
    AssertUnwindSafe(script).catch_unwind().await.unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        Outcome::Raised(
            Fault::new("run.panic", format!("Aegis itself failed while it ran the script: {text}"))
                .hint("this is a bug in Aegis; please report it with the script"),
        )
    })
}
