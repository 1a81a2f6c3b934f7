//! Takes away what nobody waits for any more: after a crash, after a run that was cancelled, and at the end.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use super::{DAEMON_LABEL, Egress, EgressError, GATE_LABEL, OWNER_LABEL, PREFIX, RUN_LABEL, firewall};
use crate::base::{Fault, RunId, limits};
use crate::primitives::docker::{
    Container, ListOptions, Network, NetworkListOptions, RemoveOptions, RemoveVolumeOptions, Volume, VolumeListOptions,
};
use crate::primitives::option::Texts;
use crate::primitives::permit::{self, DockerPermit};

/// Containers that could not be killed are called so.
const QUARANTINE: &str = "aegis-quarantine-";

/// Who knows which runs are over. The composition root has it ask the store.
pub trait Runs: Send + Sync {
    /// Those of them that are over, or that nobody knows of.
    fn over(&self, runs: BTreeSet<RunId>) -> BoxFuture<'_, Result<BTreeSet<RunId>, Fault>>;
}

/// What is there that belongs to executions.
struct Found {
    /// Ids that have rules; None when nft does not say.
    fenced: Option<Vec<String>>,
    networks: Vec<Network>,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
}

type Labels = std::collections::BTreeMap<String, String>;

impl Egress {
    /// Sweeps now and then until `stop`; then closes every way out, and takes away what used it.
    pub async fn serve(self, runs: Arc<dyn Runs>, stop: CancellationToken) -> Result<(), Infallible> {
        loop {
            self.swept(&*runs).await;
            tokio::select! {
                () = self.0.clock.sleep(limits::EGRESS_SWEEP) => {}
                () = stop.cancelled() => break,
            }
        }
        self.gates().clear();
        self.swept(&*runs).await;
        Ok(())
    }

    async fn swept(&self, runs: &dyn Runs) {
        match self.sweep(runs).await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "took away what executions had left behind"),
            Err(fault) => tracing::debug!(%fault, "executions were not looked after"),
        }
    }

    /// How many things were taken away.
    pub async fn sweep(&self, runs: &dyn Runs) -> Result<usize, Fault> {
        let Some(owner) = self.0.owner.get() else { return Ok(0) };
        let permit = permit::executions(&[PREFIX, QUARANTINE])?;
        let found = self.look(&permit).await?;
        let own = |labels: &Labels| labels.get(OWNER_LABEL) == Some(&owner.store);
        let labelled = found.containers.iter().map(|container| &container.labels);
        let labelled = labelled.chain(found.volumes.iter().map(|volume| &volume.labels));
        let labelled =
            labelled.chain(found.networks.iter().map(|network| &network.labels)).filter(|labels| own(labels));
        let asked = labelled.filter_map(run_of).chain(self.gates().values().map(super::Slot::run)).collect();
        let over = runs.over(asked).await?;
        // After the look, so that what was found and is not known here is known nowhere.
        let known: BTreeSet<String> = {
            let mut gates = self.gates();
            gates.retain(|_, slot| !over.contains(&slot.run()));
            gates.keys().cloned().collect()
        };
        let is_left = |labels: &Labels| {
            let is_here = labels.get(DAEMON_LABEL) == Some(&owner.daemon);
            let has_gone = is_here && labels.get(GATE_LABEL).is_some_and(|id| !known.contains(id));
            own(labels) && (has_gone || run_of(labels).is_none_or(|run| over.contains(&run)))
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
            if let Some(id) = network.name.strip_prefix(PREFIX) {
                gone += took("network", &network.name, self.tear(&permit, id).await);
            }
        }
        if let Some(fenced) = &found.fenced {
            self.raise_lost(fenced).await;
            gone += self.lower_lost(fenced, &found.networks).await;
        }
        Ok(gone)
    }

    /// Whoever flushes the packet filter takes away what holds executions in.
    async fn raise_lost(&self, fenced: &[String]) {
        let open: Vec<(String, Arc<Gate>)> = {
            let gates = self.gates();
            let open = gates.iter().filter(|(id, _)| !fenced.contains(id));
            open.filter_map(|(id, slot)| Some((id.clone(), slot.gate()?))).collect()
        };
        for (id, gate) in open {
            match gate.hold(&id, &self.0.clock).await {
                Ok(()) => tracing::warn!(id, "the rules of an execution were gone, and are in place again"),
                Err(problem) => tracing::error!(id, %problem, "the rules of an execution are gone"),
            }
        }
    }

    /// Rules without a network hold nobody in, whosever they were.
    async fn lower_lost(&self, fenced: &[String], networks: &[Network]) -> usize {
        let mut gone = 0;
        let held: BTreeSet<&str> = networks.iter().filter_map(|network| network.name.strip_prefix(PREFIX)).collect();
        for id in fenced.iter().filter(|id| !held.contains(id.as_str())) {
            let lowered = firewall::lower(&self.0.clock, id).await.map_err(EgressError::Firewall);
            gone += took("rules", id, lowered);
        }
        gone
    }

    /// Rules before networks: a network is made before its rules are, so that rules which were seen had theirs.
    async fn look(&self, permit: &DockerPermit) -> Result<Found, Fault> {
        let fenced = firewall::fenced(&self.0.clock).await.ok();
        let (docker, names) = (&self.0.docker, Texts(vec![format!("{PREFIX}*")]));
        let networks = docker.networks(permit, NetworkListOptions { names: names.clone() }).await?;
        let labels = Texts(vec![OWNER_LABEL.to_owned()]);
        let containers = docker.list(permit, ListOptions { labels, ..ListOptions::default() }).await?;
        let volumes = docker.volumes(permit, VolumeListOptions { names, dangling: None }).await?;
        Ok(Found { fenced, networks, containers, volumes })
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
