//! Takes away what nobody waits for any more: after a crash, after a run that was cancelled, and at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use super::{ATTEMPT_LABEL, Attempt, DAEMON_LABEL, Egress, OWNER_LABEL, firewall};
use crate::base::{Fault, RunId, limits};
use crate::primitives::docker::{
    Container, EXECUTION_PREFIX, GATE_LABEL, ListOptions, Network, NetworkListOptions, QUARANTINE_PREFIX, RUN_LABEL,
    RemoveOptions, RemoveVolumeOptions, Volume, VolumeListOptions,
};
use crate::primitives::option::Texts;
use crate::primitives::permit::{self, DockerPermit};

/// How it stands with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has ended, or nobody carries it out until its next attempt.
    Over,
    /// This attempt of it goes on, or waits.
    Attempt(u32),
}

/// Who knows how runs stand. The composition root has it ask the store.
pub trait Runs: Send + Sync {
    /// Without those that are not known.
    fn standings(&self, runs: BTreeSet<RunId>) -> BoxFuture<'_, Result<BTreeMap<RunId, Standing>, Fault>>;
}

/// What is there that belongs to executions.
struct Found {
    /// This daemon's that have rules.
    fenced: Vec<String>,
    networks: Vec<Network>,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
}

type Labels = BTreeMap<String, String>;

impl Egress {
    /// Holds executions in and sweeps, now and then until `stop`; then closes every way out, and takes away what used it.
    pub async fn serve(self, runs: Arc<dyn Runs>, stop: CancellationToken) -> Result<(), Infallible> {
        // Beside each other: whether Docker and the store answer is nothing to the rules.
        let hold = async {
            loop {
                self.hold().await;
                self.0.clock.sleep(limits::EGRESS_SWEEP).await;
            }
        };
        let sweep = async {
            loop {
                self.swept(&*runs).await;
                tokio::select! {
                    () = self.0.clock.sleep(limits::EGRESS_SWEEP) => {}
                    () = self.0.closed_early.notified() => {}
                }
            }
        };
        tokio::select! {
            () = hold => {}
            () = sweep => {}
            () = stop.cancelled() => {}
        }
        self.gates().clear();
        self.swept(&*runs).await;
        Ok(())
    }

    /// Puts the rules of all that is open in place, whatever is there of them: whoever flushes the packet filter takes away
    /// what holds executions in. One that cannot be held in is closed, and its containers are taken away.
    pub(super) async fn hold(&self) {
        let _turn = self.0.fences.lock().await;
        let open: Vec<(String, Arc<Gate>)> =
            self.gates().iter().filter_map(|(id, slot)| Some((id.clone(), slot.gate()?))).collect();
        if open.is_empty() {
            return;
        }
        // Only to tell of it.
        let fenced = firewall::fenced(&self.0.clock, self.0.daemon()).await;
        for (id, gate) in open {
            match gate.hold(&id, &self.0).await {
                Ok(()) if fenced.as_ref().is_ok_and(|fenced| !fenced.contains(&id)) => {
                    tracing::warn!(id, "the rules of an execution were gone, and are in place again");
                }
                Ok(()) => {}
                Err(problem) => {
                    tracing::error!(id, %problem, "an execution is ended: what holds it in cannot be put in place");
                    self.close_early(&id);
                }
            }
        }
    }

    /// Closes the listeners, and has whatever is left taken away soon.
    pub(super) fn close_early(&self, id: &str) {
        if self.gates().remove(id).is_some() {
            self.0.closed_early.notify_one();
        }
    }

    async fn swept(&self, runs: &dyn Runs) {
        match self.sweep(runs).await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "took away what executions had left behind"),
            Err(fault) => tracing::warn!(%fault, "what executions leave behind was not looked for"),
        }
    }

    /// How many things were taken away.
    pub async fn sweep(&self, runs: &dyn Runs) -> Result<usize, Fault> {
        let Some(owner) = self.0.owner.get() else { return Ok(0) };
        let permit = permit::executions(&[EXECUTION_PREFIX, QUARANTINE_PREFIX])?;
        let open: Vec<String> = self.gates().iter().filter_map(|(id, slot)| slot.gate().map(|_| id.clone())).collect();
        let found = self.look(&permit).await?;
        let own = |labels: &Labels| labels.get(OWNER_LABEL) == Some(&owner.store);
        let labelled = found.containers.iter().map(|container| &container.labels);
        let labelled = labelled.chain(found.volumes.iter().map(|volume| &volume.labels));
        let labelled =
            labelled.chain(found.networks.iter().map(|network| &network.labels)).filter(|labels| own(labels));
        let asked = labelled.filter_map(run_of).chain(self.gates().values().map(|slot| slot.attempt().run)).collect();
        let standings = runs.standings(asked).await?;
        let has_network =
            |id: &str| found.networks.iter().any(|network| network.name.strip_prefix(EXECUTION_PREFIX) == Some(id));
        // After the look, so that what was found and is not known here is known nowhere.
        let known: BTreeSet<String> = {
            let mut gates = self.gates();
            gates.retain(|id, slot| {
                let Attempt { run, number } = slot.attempt();
                let is_lost = open.contains(id) && !has_network(id);
                !is_lost && !is_over(standings.get(&run), Some(number), true)
            });
            gates.keys().cloned().collect()
        };
        let is_left = |labels: &Labels| {
            let is_here = labels.get(DAEMON_LABEL) == Some(&owner.daemon);
            let has_gone = is_here && labels.get(GATE_LABEL).is_some_and(|id| !known.contains(id));
            let standing = run_of(labels).and_then(|run| standings.get(&run));
            let number = labels.get(ATTEMPT_LABEL).and_then(|number| number.parse().ok());
            own(labels) && (has_gone || is_over(standing, number, is_here))
        };
        let mut gone = 0;
        for container in found.containers.iter().filter(|container| is_left(&container.labels)) {
            let options = RemoveOptions { force: true, volumes: true, dry_run: false };
            gone += took("container", &container.name, self.0.docker.remove(&permit, &container.name, options).await);
        }
        for volume in found.volumes.iter().filter(|volume| is_left(&volume.labels)) {
            let options = RemoveVolumeOptions { force: true, dry_run: false };
            gone += took("volume", &volume.name, self.0.docker.remove_volume(&permit, &volume.name, options).await);
        }
        for network in found.networks.iter().filter(|network| is_left(&network.labels)) {
            let daemon = network.labels.get(DAEMON_LABEL).map_or("", String::as_str);
            if let Some(id) = network.name.strip_prefix(EXECUTION_PREFIX) {
                gone += took("network", &network.name, self.tear(&permit, daemon, id).await);
            }
        }
        Ok(gone + self.lower_lost(&found, &owner.daemon).await)
    }

    /// This daemon's rules without a network hold nobody in.
    async fn lower_lost(&self, found: &Found, daemon: &str) -> usize {
        let mut gone = 0;
        let held: BTreeSet<&str> =
            found.networks.iter().filter_map(|network| network.name.strip_prefix(EXECUTION_PREFIX)).collect();
        for id in found.fenced.iter().filter(|id| !held.contains(id.as_str())) {
            gone += took("rules", id, self.lower(daemon, id).await);
        }
        gone
    }

    /// Rules before networks: a network is made before its rules are, so that rules which were seen had theirs.
    async fn look(&self, permit: &DockerPermit) -> Result<Found, Fault> {
        let fenced = firewall::fenced(&self.0.clock, self.0.daemon()).await.unwrap_or_else(|problem| {
            tracing::warn!(%problem, "rules that are left over are not looked for");
            Vec::new()
        });
        let (docker, names) = (&self.0.docker, Texts(vec![format!("{EXECUTION_PREFIX}*")]));
        let networks = docker.networks(permit, NetworkListOptions { names: names.clone() }).await?;
        let labels = Texts(vec![OWNER_LABEL.to_owned()]);
        let containers = docker.list(permit, ListOptions { labels, ..ListOptions::default() }).await?;
        let volumes = docker.volumes(permit, VolumeListOptions { names, dangling: None }).await?;
        Ok(Found { fenced, networks, containers, volumes })
    }
}

/// Whether nobody waits any more for what an attempt has made. A run that is not known may be another database's, but for
/// this daemon's own.
fn is_over(standing: Option<&Standing>, number: Option<u32>, is_here: bool) -> bool {
    match standing {
        None => is_here,
        Some(Standing::Over) => true,
        Some(Standing::Attempt(current)) => number.is_some_and(|number| number < *current),
    }
}

fn run_of(labels: &Labels) -> Option<RunId> {
    labels.get(RUN_LABEL)?.parse().ok()
}

/// What cannot be removed is tried again with the next sweep.
fn took<T, E: std::fmt::Display>(kind: &str, name: &str, outcome: Result<T, E>) -> usize {
    match outcome {
        Ok(_) => {
            tracing::info!(name, "removed the {kind} of an execution that is over");
            1
        }
        Err(error) => {
            tracing::debug!(name, %error, "the {kind} of an execution stays behind for now");
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_attempt_made_is_over_with_it_and_what_is_not_known_may_be_another_s() {
        for (standing, number, is_here, expected) in [
            (None, Some(1), true, true),
            (None, Some(1), false, false),
            (None, None, false, false),
            (Some(Standing::Over), None, false, true),
            (Some(Standing::Attempt(2)), Some(1), false, true),
            (Some(Standing::Attempt(2)), Some(2), true, false),
            (Some(Standing::Attempt(2)), None, true, false),
        ] {
            assert_eq!(is_over(standing.as_ref(), number, is_here), expected, "{standing:?} {number:?} {is_here}");
        }
    }
}
