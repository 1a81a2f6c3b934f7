//! The daemon's own chores, at fixed UTC times: retention, checkpoints, bookkeeping.
//!
//! These run on tokio-cron-scheduler: nobody minds when one of them is half a second late or does not happen at all on
//! a day of downtime. Users' schedules are not among them.

use futures_util::future::BoxFuture;
use std::sync::Arc;

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

/// One chore: a name for the log, when (six fields, seconds first, UTC), and what.
pub struct Chore {
    pub name: &'static str,
    pub cron: &'static str,
    pub work: Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
}

/// Does the chores until `stop`.
///
/// # Errors
/// When a chore's cron expression is not one.
pub async fn run(chores: Vec<Chore>, stop: CancellationToken) -> Result<(), JobSchedulerError> {
    let mut scheduler = JobScheduler::new().await?;
    for chore in chores {
        let (name, work) = (chore.name, chore.work);
        let job = Job::new_async(chore.cron, move |_, _| {
            tracing::debug!(chore = name, "housekeeping");
            work()
        })?;
        scheduler.add(job).await?;
    }
    scheduler.start().await?;
    stop.cancelled().await;
    scheduler.shutdown().await
}
