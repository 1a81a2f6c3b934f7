//! The loop.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::super::desk::Desk;
use super::catch_up::look_back;
use super::fire::fire;
use super::timetable::Timetable;
use crate::base::clock::Woken;
use crate::base::{Clock, JobName, Timestamp, limits};
use crate::jobs::Registry;

/// Up to when the due times of jobs are settled, from an earlier daemon's rows.
pub type Settled = BTreeMap<JobName, Timestamp>;

/// Run it under the supervisor, after the registry was filled.
pub struct Schedule {
    pub registry: Registry,
    pub desk: Arc<dyn Desk>,
    pub clock: Clock,
    pub settled: Settled,
}

impl Schedule {
    /// Fires what is due until `stop`.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut changes = self.registry.changes();
        let mut timetable = Timetable::default();
        let mut firing = JoinSet::new();
        let began = self.clock.now();
        let mut latest = began;
        self.reload(&mut timetable, Some(began));
        loop {
            for due in timetable.take_due(self.clock.now()) {
                if firing.len() >= limits::SCHEDULE_FIRING_MAX {
                    // While the store is away they all wait, and a stop must not wait with them.
                    tokio::select! {
                        _ = firing.join_next() => {}
                        () = stop.cancelled() => break,
                    }
                }
                firing.spawn(fire(self.desk.clone(), self.clock.clone(), due));
            }
            tokio::select! {
                woken = self.clock.wait_until(timetable.next_at().unwrap_or(Timestamp::MAX), &mut latest) => if let Woken::SteppedBack { to } = woken {
                    info!(%to, "the clock was set back; due times that were settled stay settled");
                    timetable.restart(to);
                },
                changed = changes.changed() => if changed.is_ok() { self.reload(&mut timetable, None) },
                Some(_) = firing.join_next() => {}
                () = stop.cancelled() => break,
            }
        }
        // What is on its way gets to its row as long as the runner and the store, which stop later, take it.
        firing.shutdown().await;
        Ok(())
    }

    fn reload(&self, timetable: &mut Timetable, began: Option<Timestamp>) {
        let now = self.clock.now();
        timetable.update(&self.registry.snapshot(), |job| match (began, self.settled.get(job)) {
            (Some(began), Some(last)) => look_back(began, *last),
            _ => now,
        });
    }
}
