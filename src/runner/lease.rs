//! Sharing one database with other daemons: a lease that says this one is alive, and the work that changes hands.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::comeback::take_over;
use super::core::Comeback;
use super::dispatcher::Message;
use super::handle::Handle;
use crate::base::clock::{later, since};
use crate::base::limits::{LEASE, LEASE_ORPHANS_MAX, LEASE_RENEW_EVERY, LEASE_STEAL_EVERY};
use crate::base::{Clock, RunId};
use crate::model::Run;
use crate::store::{NodeRow, StopRequest, Store, StoreError};

/// This daemon's place among those that share the database. Run it under the supervisor, before the runner.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    node: NodeRow,
    renewed: Instant,
    /// Runs that others were asked to cancel, on their way to the runner, which may be busy: the lease does not wait.
    heeding: JoinSet<()>,
}

impl Lease {
    /// Registers. `address` tells this process from every other one that may be alive under the same name: an earlier
    /// registration with the same address is one of an earlier life, and is taken over.
    ///
    /// # Errors
    /// When another daemon has the name, or the database does not answer.
    pub async fn register(
        store: Store,
        clock: &Clock,
        address: String,
        labels: Vec<String>,
    ) -> Result<Self, StoreError> {
        let now = clock.now();
        let name = store.node().to_owned();
        let node = NodeRow { name, epoch: 0, address, labels, started_at: now, lease_until: later(now, LEASE) };
        let mut lease = Self { store, node, renewed: Instant::now(), heeding: JoinSet::new() };
        lease.sign_on(clock).await?;
        Ok(lease)
    }

    async fn sign_on(&mut self, clock: &Clock) -> Result<(), StoreError> {
        let asked = Instant::now();
        self.node.lease_until = later(clock.now(), LEASE);
        let own = |row: &NodeRow| row.name == self.node.name && row.address == self.node.address;
        let force = self.store.nodes().await?.iter().any(own);
        self.node.epoch = self.store.register_node(self.node.clone(), force).await?;
        self.renewed = asked;
        Ok(())
    }

    /// Renews the lease, takes over from those that are gone and from those that have too much to do, until `stop`.
    ///
    /// # Errors
    /// None: without the database it is tried again.
    pub async fn run(mut self, runner: Handle, stop: CancellationToken) -> Result<(), StoreError> {
        let mut renew = tokio::time::interval(LEASE_RENEW_EVERY);
        let mut steal = tokio::time::interval(LEASE_STEAL_EVERY);
        let mut strays = tokio::time::interval(LEASE);
        for interval in [&mut renew, &mut steal, &mut strays] {
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            let done = tokio::select! {
                _ = renew.tick() => self.keep(&runner).await,
                _ = steal.tick() => self.trade(&runner).await,
                _ = strays.tick() => self.take_up_strays(&runner, LEASE).await,
                () = stop.cancelled() => break,
            };
            if let Err(error) = done {
                warn!(%error, "the lease of this daemon could not be seen to; trying again");
            }
        }
        if let Err(error) = self.store.release_node(&self.node.name, self.node.epoch).await {
            warn!(%error, "this daemon could not sign off; others take over when its lease is over");
        }
        Ok(())
    }

    async fn keep(&mut self, runner: &Handle) -> Result<(), StoreError> {
        let clock = &runner.shared.clock;
        if self.renew(clock).await? {
            let _ = runner.inbox.send(Message::Look);
            return self.adopt_orphans(runner).await;
        }
        warn!("the lease of this daemon is over, others may have its runs; they are given up here");
        let (reply, given_up) = oneshot::channel();
        let _ = runner.inbox.send(Message::Abandon { reply });
        let _ = given_up.await;
        self.sign_on(clock).await?;
        info!(epoch = self.node.epoch, "this daemon has a lease again");
        // What nobody has taken meanwhile is still this one's.
        self.take_up_strays(runner, Duration::ZERO).await?;
        self.adopt_orphans(runner).await
    }

    /// False when the lease is over.
    async fn renew(&mut self, clock: &Clock) -> Result<bool, StoreError> {
        let asked = Instant::now();
        let is_held = asked.duration_since(self.renewed) < LEASE
            && self.store.renew_lease(&self.node.name, self.node.epoch, later(clock.now(), LEASE)).await?;
        if is_held {
            self.renewed = asked;
        }
        Ok(is_held)
    }

    /// Runs that are this daemon's in the store and not here, since `age` at least: a commit came through after its run
    /// was given up, or its answer got lost.
    async fn take_up_strays(&self, runner: &Handle, age: Duration) -> Result<(), StoreError> {
        let held = self.store.held_by(&self.node.name).await?;
        let mut strays = self.store.runs_of(&runner.without_live(held)).await?;
        let now = runner.shared.clock.now();
        strays.retain(|run| since(now, run.started_at.unwrap_or(run.queued_at)) >= age);
        // Some may have come to life here since the first look; what did before their row was read is not stray.
        let still: HashSet<RunId> =
            runner.without_live(strays.iter().map(|run| run.id).collect()).into_iter().collect();
        strays.retain(|run| still.contains(&run.id));
        comes_back(runner, strays).await;
        Ok(())
    }

    async fn adopt_orphans(&mut self, runner: &Handle) -> Result<(), StoreError> {
        loop {
            let orphans = self.store.orphans(runner.shared.clock.now(), LEASE_ORPHANS_MAX).await?;
            if orphans.is_empty() {
                return Ok(());
            }
            info!(runs = orphans.len(), "took over runs of daemons that are gone");
            comes_back(runner, orphans).await;
            // Many take longer than a lease lasts.
            if self.renewed.elapsed() > LEASE_RENEW_EVERY && !self.renew(&runner.shared.clock).await? {
                return Ok(());
            }
        }
    }

    async fn trade(&mut self, runner: &Handle) -> Result<(), StoreError> {
        self.heed_stops(runner).await?;
        self.give_up_misplaced(runner).await?;
        self.help(runner).await
    }

    /// Cancels what others were asked to cancel and this daemon has. A wish stands until its run is over.
    async fn heed_stops(&mut self, runner: &Handle) -> Result<(), StoreError> {
        while self.heeding.try_join_next().is_some() {}
        if !self.heeding.is_empty() {
            return Ok(());
        }
        for StopRequest { run, actor, reason, .. } in self.store.stops_of(&self.node.name).await? {
            let runner = runner.clone();
            self.heeding.spawn(async move {
                match timeout(LEASE, runner.cancel_because(run, actor, reason)).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => warn!(%run, %error, "a run that shall be cancelled could not be; trying again"),
                    Err(_) => warn!(%run, "a run that shall be cancelled is not yet; trying again"),
                }
            });
        }
        Ok(())
    }

    /// Runs that waited here for a daemon with their labels, and have one now: nothing else tells of it, for this daemon
    /// never tries to start them.
    async fn give_up_misplaced(&self, runner: &Handle) -> Result<(), StoreError> {
        let misplaced = runner.misplaced_runs();
        if misplaced.is_empty() {
            return Ok(());
        }
        let runs = self.store.not_held_by(&self.node.name, &misplaced).await?;
        if !runs.is_empty() {
            let _ = runner.inbox.send(Message::Taken { runs });
        }
        Ok(())
    }

    /// Takes queued runs of others while there are lanes free. What waits here nevertheless waits for something else than
    /// a lane, and perhaps for a run that another daemon has and may not execute.
    async fn help(&self, runner: &Handle) -> Result<(), StoreError> {
        let free = runner.shared.lanes.count().saturating_sub(runner.metrics().running);
        if free == 0 {
            return Ok(());
        }
        let claimed = self.store.claim(runner.shared.clock.now(), free, runner.claim_rules()).await?;
        if !claimed.is_empty() {
            comes_back(runner, claimed).await;
        }
        Ok(())
    }
}

async fn comes_back(runner: &Handle, runs: Vec<Run>) {
    if runs.is_empty() {
        return;
    }
    let runs = take_over(&runner.shared.store, runner.shared.clock.now(), runs).await;
    let runs = runs.into_iter().map(|pinned| (pinned, Comeback::Waiting)).collect();
    let _ = runner.inbox.send(Message::ComeBack { runs });
}

/// Long enough that a slow disk or a short cut of the line costs nobody a lease.
const _: () = assert!(LEASE.as_millis() >= 3 * LEASE_RENEW_EVERY.as_millis());
