//! The daemon's own chores.

use std::sync::Arc;

use futures_util::FutureExt;
use tracing::{info, warn};

use crate::base::Clock;
use crate::config;
use crate::jobs::Registry;
use crate::store::{Retention, Store};
use crate::triggers::housekeeping::Chore;

/// Retention, checkpoints, and the mark up to which due times are settled.
pub fn chores(keep: &config::Retention, store: &Store, registry: &Registry, clock: &Clock) -> Vec<Chore> {
    let keep =
        Retention { runs: keep.runs, logs: keep.logs, events: keep.events, runs_per_job_min: keep.runs_per_job_min };
    vec![
        chore("retention", "0 17 * * * *", (store, registry, clock), move |store, _, clock| {
            let keep = keep.clone();
            async move {
                match store.prune(&keep, clock.now()).await {
                    Ok(pruned) => info!(?pruned, "retention removed what is past its time"),
                    Err(error) => warn!(%error, "retention could not finish; it goes on within the hour"),
                }
            }
            .boxed()
        }),
        chore("checkpoint", "30 */5 * * * *", (store, registry, clock), |store, _, _| {
            async move {
                if let Err(error) = store.checkpoint().await {
                    warn!(%error, "the database's log could not be checkpointed");
                }
            }
            .boxed()
        }),
        // After a crash, due times are looked for from this mark on.
        chore("schedule mark", "0 * * * * *", (store, registry, clock), |store, registry, clock| {
            async move { mark_settled(&store, &registry, &clock).await }.boxed()
        }),
    ]
}

/// Remembers that no due time up to now is open.
pub async fn mark_settled(store: &Store, registry: &Registry, clock: &Clock) {
    let snapshot = registry.snapshot();
    let scheduled = snapshot.jobs.values().filter(|job| !job.spec.schedules.is_empty());
    let names: Vec<_> = scheduled.map(|job| job.spec.name.clone()).collect();
    if !names.is_empty()
        && let Err(error) = store.set_scheduled_until(names, clock.now()).await
    {
        warn!(%error, "the mark of the schedules could not be stored");
    }
}

type Work = futures_util::future::BoxFuture<'static, ()>;

fn chore(
    name: &'static str,
    cron: &'static str,
    (store, registry, clock): (&Store, &Registry, &Clock),
    work: impl Fn(Store, Registry, Clock) -> Work + Send + Sync + 'static,
) -> Chore {
    let (store, registry, clock) = (store.clone(), registry.clone(), clock.clone());
    Chore { name, cron, work: Arc::new(move || work(store.clone(), registry.clone(), clock.clone())) }
}
