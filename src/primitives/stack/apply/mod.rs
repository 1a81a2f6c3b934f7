//! Carries a plan out: removals first, then networks and volumes, then each service as soon as those that it waits for
//! are there.
//!
//! Nothing runs on when the call is dropped. Whatever was done by then is seen by the next plan, which goes on from
//! there: a container that was to take another's place bears that one's id.

mod create;
mod gate;
mod surroundings;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

pub use told::{Event, Stage, Told};

use super::desired::Desired;
use super::plan::{Action, Kind, Observed, Plan, Verb};
use super::service::Stacks;
use crate::base::Fault;
use crate::base::limits::STACK_SERVICES_AT_ONCE;
use crate::primitives::docker::{ChangeOptions, Docker, RemoveOptions, StopOptions};
use crate::primitives::permit::DockerPermit;

/// One plan under way.
pub(super) struct Apply<'a> {
    pub stacks: &'a Stacks,
    pub permit: &'a DockerPermit,
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub plan: &'a Plan,
    pub told: Told<'a>,
}

impl Apply<'_> {
    pub async fn up(&self) -> Result<(), Fault> {
        self.nothing_missing()?;
        let mut works = Vec::new();
        for action in self.plan.on(Kind::Container).filter(|action| action.verb == Verb::Remove) {
            works.push(self.remove(action).boxed());
        }
        all(works).await?;
        self.surroundings().await?;
        self.services().await
    }

    /// What is made elsewhere must be there.
    pub fn nothing_missing(&self) -> Result<(), Fault> {
        if self.plan.missing.is_empty() {
            return Ok(());
        }
        let message = format!("{} needs {}", self.plan.project, self.plan.missing.join(" and "));
        Err(Fault::new("stack.missing", message).hint("make it first, or take external out"))
    }

    /// The networks and volumes of the plan.
    pub async fn surroundings(&self) -> Result<(), Fault> {
        for action in self.plan.on(Kind::Network) {
            self.told.around(action, self.network(action)).await?;
        }
        for action in self.plan.on(Kind::Volume) {
            self.told.around(action, self.volume(action)).await?;
        }
        Ok(())
    }

    /// Waits until the services that are asked for are there; all if none are.
    pub async fn wait_ready(&self, asked: &BTreeSet<String>) -> Result<(), Fault> {
        let mut works = Vec::new();
        for name in self.desired.services.keys().filter(|name| asked.is_empty() || asked.contains(*name)) {
            works.push(self.await_ready(name).boxed());
        }
        all(works).await
    }

    async fn remove(&self, action: &Action) -> Result<(), Fault> {
        self.told.around(action, gone(self.docker(), self.permit, action, false)).await
    }

    /// Each service once those before it are done. After a failure nothing new is begun, and what is under way is
    /// brought to its end.
    async fn services(&self) -> Result<(), Fault> {
        let mut actions: BTreeMap<&str, Vec<&Action>> = BTreeMap::new();
        for action in self.plan.on(Kind::Container).filter(|action| action.verb != Verb::Remove) {
            actions.entry(action.service.as_deref().unwrap_or_default()).or_default().push(action);
        }
        let waits = self.desired.waits();
        let mut left: BTreeMap<&str, BTreeSet<&str>> = waits.clone();
        let mut running = FuturesUnordered::new();
        let mut failed: Option<Fault> = None;
        loop {
            let is_free = |before: &BTreeSet<&str>| before.is_empty();
            let free: Vec<&str> = left.iter().filter(|(_, before)| is_free(before)).map(|(name, _)| *name).collect();
            let room = STACK_SERVICES_AT_ONCE.saturating_sub(running.len());
            for name in free.into_iter().take(if failed.is_some() { 0 } else { room }) {
                left.remove(name);
                let actions = actions.remove(name).unwrap_or_default();
                running.push(async move { (name, self.service(name, &actions).await) }.boxed());
            }
            let Some((name, outcome)) = running.next().await else { break };
            match outcome {
                Ok(()) => left.values_mut().for_each(|before| {
                    before.remove(name);
                }),
                // The first failure is the one that others may follow from.
                Err(fault) => failed = failed.or(Some(fault)),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn service(&self, name: &str, actions: &[&Action]) -> Result<(), Fault> {
        let Some(service) = self.desired.services.get(name).filter(|_| !actions.is_empty()) else { return Ok(()) };
        for (other, need) in &service.needs {
            self.await_need(name, other, need).await?;
        }
        let mut works = Vec::new();
        for action in actions {
            works.push(self.told.around(action, self.container(service, action)).boxed());
        }
        all(works).await.map_err(|fault| within(name, fault))
    }

    fn docker(&self) -> &Docker {
        &self.stacks.docker
    }

    async fn start(&self, name: &str) -> Result<(), Fault> {
        self.docker().start(self.permit, name, ChangeOptions::default()).await?;
        Ok(())
    }

    async fn restart(&self, name: &str) -> Result<(), Fault> {
        self.docker().restart(self.permit, name, StopOptions::default()).await?;
        Ok(())
    }
}

/// Carries out a plan that takes a stack away: containers in the rounds of the plan.
pub(super) async fn down(
    stacks: &Stacks,
    permit: &DockerPermit,
    plan: &Plan,
    volumes: bool,
    told: Told<'_>,
) -> Result<(), Fault> {
    let mut containers = plan.on(Kind::Container);
    for round in &plan.rounds {
        let mut works = Vec::new();
        for action in containers.by_ref().take(*round) {
            works.push(told.around(action, gone(&stacks.docker, permit, action, volumes)).boxed());
        }
        all(works).await?;
    }
    for action in plan.on(Kind::Network) {
        told.around(action, surroundings::remove_network(&stacks.docker, permit, &action.name)).await?;
    }
    for action in plan.on(Kind::Volume) {
        told.around(action, surroundings::remove_volume(&stacks.docker, permit, &action.name)).await?;
    }
    Ok(())
}

/// Stops a container within its own grace, and removes it. One that has gone meanwhile is what was wanted.
async fn gone(docker: &Docker, permit: &DockerPermit, action: &Action, volumes: bool) -> Result<(), Fault> {
    let id = action.id.as_deref().unwrap_or(&action.name);
    let stopped = docker.stop(permit, id, StopOptions::default()).await.map(|_| ());
    let removed = match stopped {
        Ok(()) => {
            let options = RemoveOptions { force: true, volumes, dry_run: false };
            docker.remove(permit, id, options).await.map(|_| ())
        }
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.code() == "docker.not_found" => Ok(()),
        other => Ok(other?),
    }
}

/// All of them, a few at once; the first failure is told when all have ended.
async fn all(works: Vec<BoxFuture<'_, Result<(), Fault>>>) -> Result<(), Fault> {
    let mut outcomes = futures_util::stream::iter(works).buffer_unordered(STACK_SERVICES_AT_ONCE);
    let mut failed = None;
    while let Some(outcome) = outcomes.next().await {
        if let Err(fault) = outcome {
            failed = failed.or(Some(fault));
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Says of a fault which service it is about, and what helps.
pub(super) fn within(service: &str, fault: Fault) -> Fault {
    let port = ["port is already allocated", "address already in use"].iter().any(|said| fault.message.contains(said));
    let mut told = Fault { message: format!("the service {service:?}: {}", fault.message), ..fault };
    if port && told.hint.is_none() {
        told = told.hint("another container or program has that port: stop it, or publish another one");
    }
    told
}
