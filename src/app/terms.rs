//! The schedule's terms of office: of several daemons on one database, one fires what is due.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::base::Clock;
use crate::jobs::Registry;
use crate::model::Calendars;
use crate::store::{Leadership, Store, StoreError};
use crate::triggers::LiveDesk;
use crate::triggers::schedule::{Schedule, Settled};

/// Before the marks of an earlier term are read again, when the store could not be asked.
const RETRY: Duration = Duration::from_secs(1);

/// What a term needs.
pub struct Terms {
    pub registry: Registry,
    pub desk: LiveDesk,
    pub clock: Clock,
    pub calendars: Arc<Calendars>,
}

impl Terms {
    /// Fires schedules whenever this daemon leads, each time from where the term before left off.
    ///
    /// # Errors
    /// None: what fails is tried again.
    pub async fn serve(self, mut leadership: Leadership, stop: CancellationToken) -> Result<(), StoreError> {
        loop {
            while !leadership.leads() {
                tokio::select! {
                    _ = leadership.changed() => {}
                    () = stop.cancelled() => return Ok(()),
                }
            }
            let settled = match settled(&self.desk.store).await {
                Ok(settled) => settled,
                Err(StoreError::Closed) => return Ok(()),
                Err(error) => {
                    warn!(%error, "the marks of the schedules cannot be read yet; trying again");
                    self.clock.sleep(RETRY).await;
                    continue;
                }
            };
            self.term(settled, &mut leadership, &stop).await;
            if stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    async fn term(&self, settled: Settled, leadership: &mut Leadership, stop: &CancellationToken) {
        let end = stop.child_token();
        let (registry, desk) = (self.registry.clone(), Arc::new(self.desk.clone()));
        let (clock, calendars) = (self.clock.clone(), self.calendars.clone());
        let schedule = Schedule { registry, desk, clock, settled, calendars };
        let mut schedule = std::pin::pin!(schedule.run(end.clone()));
        loop {
            tokio::select! {
                _ = &mut schedule => return,
                leads = leadership.changed(), if !end.is_cancelled() => if !leads {
                    end.cancel();
                },
            }
        }
    }
}

/// The mark of a job says more than its newest row, which may hide an older due time that was still on its way. A job
/// that has neither was never marked: its due times count from the version that it has.
async fn settled(store: &Store) -> Result<Settled, StoreError> {
    let mut settled: Settled = store.last_occurrences().await?.into_iter().collect();
    for job in store.jobs().await? {
        if let Some(until) = job.scheduled_until {
            settled.insert(job.name, until);
        } else {
            settled.entry(job.name).or_insert(job.version_at.max(job.first_seen));
        }
    }
    Ok(settled)
}
