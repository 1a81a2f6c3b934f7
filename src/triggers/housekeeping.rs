//! The daemon's own chores: pruning, checkpoints and their kin, at UTC times. Users' schedules are not run here; the
//! library behind it keeps no record of due times and reads zones as fixed offsets.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::base::Fault;

type Work = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>> + Send + Sync>;

/// Something that the daemon does for itself now and then.
#[derive(Clone)]
pub struct Chore {
    name: &'static str,
    schedule: &'static str,
    work: Work,
}

impl fmt::Debug for Chore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chore").field("name", &self.name).field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

impl Chore {
    /// `schedule` is a cron expression in UTC with seconds first.
    pub fn new<F>(name: &'static str, schedule: &'static str, work: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        Self { name, schedule, work: Arc::new(move || Box::pin(work())) }
    }

    /// One at a time: while it is still at work, its next time passes.
    fn into_job(self, stop: CancellationToken) -> Result<Job, JobSchedulerError> {
        let free = Arc::new(Semaphore::new(1));
        Job::new_async(self.schedule, move |_, _| {
            let (chore, free, stop) = (self.clone(), free.clone(), stop.clone());
            Box::pin(async move {
                let Ok(_busy) = free.try_acquire() else {
                    debug!(chore = chore.name, "still at work");
                    return;
                };
                tokio::select! {
                    () = stop.cancelled() => {}
                    done = (chore.work)() => match done {
                        Ok(()) => debug!(chore = chore.name, "done"),
                        Err(fault) => warn!(chore = chore.name, %fault, "failed; it is tried again at its next time"),
                    },
                }
            })
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("housekeeping cannot start: {0}")]
pub struct HousekeepingError(#[from] JobSchedulerError);

/// Runs chores until `stop`. A chore that fails is told and tried again at its next time.
pub async fn run(chores: Vec<Chore>, stop: CancellationToken) -> Result<(), HousekeepingError> {
    let mut scheduler = JobScheduler::new().await?;
    for chore in chores {
        scheduler.add(chore.into_job(stop.clone())?).await?;
    }
    scheduler.start().await?;
    stop.cancelled().await;
    Ok(scheduler.shutdown().await?)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn chores_are_done_again_after_a_failure_and_stop_when_told() {
        let (done, mut seen) = mpsc::unbounded_channel();
        let chore = Chore::new("test", "* * * * * *", move || {
            let done = done.clone();
            async move {
                let _ = done.send(());
                Err(Fault::new("test.failed", "on purpose"))
            }
        });
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(vec![chore], stop.clone()));
        for _ in 0..2 {
            let again = tokio::time::timeout(std::time::Duration::from_secs(10), seen.recv()).await;
            assert_eq!(again.ok().flatten(), Some(()));
        }
        stop.cancel();
        assert!(running.await.expect("no panic").is_ok());
    }

    #[tokio::test]
    async fn a_wrong_expression_is_an_error_at_the_start() {
        let chore = Chore::new("test", "whenever", || async { Ok(()) });
        assert!(run(vec![chore], CancellationToken::new()).await.is_err());
    }
}
