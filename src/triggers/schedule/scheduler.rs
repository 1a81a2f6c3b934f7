//! The loop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::agenda::Agenda;
use super::fire::{Firing, Unsettled};
use super::ports::{Ledger, Submit};
use super::stats::Stats;
use crate::base::clock::{SET_BACK_MIN, later};
use crate::base::{Clock, JobName, Timestamp, limits};
use crate::jobs::Registry;
use crate::store::StoreError;

#[derive(Debug, Clone)]
pub struct Options<S, L> {
    /// Filled before the scheduler starts, so that what was missed is known from the first look.
    pub registry: Registry,
    pub submit: S,
    pub ledger: L,
    pub clock: Clock,
}

/// Fires due times until it is stopped.
#[derive(Debug)]
pub struct Scheduler<S, L> {
    firing: Firing<S, L>,
    agenda: Agenda,
    under_way: JoinSet<(JobName, Result<(), Unsettled>)>,
    /// Jobs with a due time that could not be settled: the next start looks at them again.
    unsettled: BTreeSet<JobName>,
}

impl<S: Submit, L: Ledger> Scheduler<S, L> {
    pub fn new(options: Options<S, L>) -> (Self, Arc<Stats>) {
        let stats = Arc::new(Stats::default());
        let firing = Firing {
            submit: options.submit,
            ledger: options.ledger,
            registry: options.registry,
            started_at: options.clock.now(),
            clock: options.clock,
            stats: stats.clone(),
            stop: CancellationToken::new(),
        };
        let scheduler =
            Self { firing, agenda: Agenda::default(), under_way: JoinSet::new(), unsettled: BTreeSet::new() };
        (scheduler, stats)
    }

    /// Runs until `stop`; then waits a moment for what is under way.
    ///
    /// # Errors
    /// At the start only, when it cannot be read what was settled before.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        let mut changes = self.firing.registry.changes();
        changes.mark_changed();
        let mut settled = self.firing.ledger.settled_until().await?;
        let clock = self.firing.clock.clone();
        let mut latest = clock.now();
        loop {
            if later(clock.now(), SET_BACK_MIN) < latest {
                self.rewind();
            }
            latest = clock.now();
            if changes.has_changed().unwrap_or(false) {
                changes.mark_unchanged();
                self.follow(&mut settled).await;
            }
            let full = self.fire_due();
            let next = self.agenda.next_at().unwrap_or(Timestamp::MAX);
            tokio::select! {
                () = stop.cancelled() => break,
                Ok(()) = changes.changed() => changes.mark_changed(),
                Some(done) = self.under_way.join_next() => self.note(done),
                reached = clock.sleep_until_or_set_back(next), if !full => if !reached {
                    self.rewind();
                }
            }
        }
        self.finish().await;
        Ok(())
    }

    /// Takes the registry's jobs over, and remembers from when new ones count.
    async fn follow(&mut self, settled: &mut BTreeMap<JobName, Timestamp>) {
        let now = self.firing.clock.now();
        let snapshot = self.firing.registry.snapshot();
        let began = self.agenda.follow(&snapshot, settled, now);
        if !began.is_empty()
            && let Err(error) = self.firing.ledger.set_settled_until(began, now).await
        {
            warn!(%error, "it could not be stored from when new schedules count");
        }
    }

    fn rewind(&mut self) {
        let now = self.firing.clock.now();
        info!(%now, "the clock was set back; due times are computed anew");
        self.agenda.rewind(now);
    }

    /// Starts whatever is due, in order, as far as there is room. True when there was more than room.
    fn fire_due(&mut self) -> bool {
        let now = self.firing.clock.now();
        while self.under_way.len() < limits::SCHEDULE_SUBMITS_IN_FLIGHT_MAX {
            let Some(taken) = self.agenda.take(now) else { return false };
            let firing = self.firing.clone();
            self.under_way.spawn(async move {
                let job = taken.job.clone();
                (job, firing.settle_all(taken).await)
            });
        }
        self.agenda.next_at().is_some_and(|at| at <= now)
    }

    fn note(&mut self, done: Result<(JobName, Result<(), Unsettled>), tokio::task::JoinError>) {
        match done {
            Ok((_, Ok(()))) => {}
            Ok((job, Err(Unsettled))) => drop(self.unsettled.insert(job)),
            Err(failure) => error!(%failure, "firing a due time ended abnormally"),
        }
    }

    /// Lets what is under way end, and stores up to when all is settled.
    async fn finish(mut self) {
        self.firing.stop.cancel();
        let until = self.firing.clock.now();
        let drained = tokio::time::timeout(limits::SCHEDULE_DRAIN, async {
            while let Some(done) = self.under_way.join_next().await {
                self.note(done);
            }
        });
        if drained.await.is_err() {
            warn!("due times were still being stored at the end; the next start accounts for them");
            return;
        }
        let mut jobs = self.agenda.settled_at(until);
        jobs.retain(|job| !self.unsettled.contains(job));
        if !jobs.is_empty()
            && let Err(error) = self.firing.ledger.set_settled_until(jobs, until).await
        {
            warn!(%error, "it could not be stored up to when due times are settled");
        }
    }
}
