//! The daemon's own chores.

use std::sync::Arc;

use futures_util::FutureExt;
use tracing::{info, warn};

use crate::base::Clock;
use crate::config::Config;
use crate::store::{Retention, Store, WatchRetention};
use crate::triggers::housekeeping::Chore;

/// Retention and checkpoints.
pub fn chores(config: &Config, store: &Store, clock: &Clock) -> Vec<Chore> {
    let (keep, measured) = (&config.retention, &config.metrics);
    let watched = WatchRetention {
        samples: measured.samples,
        minutes: measured.minutes,
        hours: measured.hours,
        alerts: keep.events,
    };
    let audited = keep.audit;
    let keep =
        Retention { runs: keep.runs, logs: keep.logs, events: keep.events, runs_per_job_min: keep.runs_per_job_min };
    vec![
        chore("retention", "0 17 * * * *", (store, clock), move |store, clock| {
            let (keep, watched) = (keep.clone(), watched.clone());
            async move {
                if let Err(error) = store.prune_watch(&watched, clock.now()).await {
                    warn!(%error, "retention of metrics could not finish; it goes on within the hour");
                }
                if let Err(error) = store.prune_audit(audited, clock.now()).await {
                    warn!(%error, "retention of the audit log could not finish; it goes on within the hour");
                }
                match store.prune(&keep, clock.now()).await {
                    Ok(pruned) => info!(?pruned, "retention removed what is past its time"),
                    Err(error) => warn!(%error, "retention could not finish; it goes on within the hour"),
                }
            }
            .boxed()
        }),
        chore("checkpoint", "30 */5 * * * *", (store, clock), |store, _| {
            async move {
                if let Err(error) = store.checkpoint().await {
                    warn!(%error, "the database's log could not be checkpointed");
                }
            }
            .boxed()
        }),
    ]
}

type Work = futures_util::future::BoxFuture<'static, ()>;

fn chore(
    name: &'static str,
    cron: &'static str,
    (store, clock): (&Store, &Clock),
    work: impl Fn(Store, Clock) -> Work + Send + Sync + 'static,
) -> Chore {
    let (store, clock) = (store.clone(), clock.clone());
    Chore { name, cron, work: Arc::new(move || work(store.clone(), clock.clone())) }
}
