//! What is done with a stack of a swarm. Each of these is asked of [`Stacks`], which knows who runs a stack.

use std::collections::{BTreeMap, BTreeSet};

use super::apply::Apply;
use super::desired::Desired;
use super::members::{self, Member};
use super::observe;
use super::plan::{self, Observed};
use super::refused::Asked;
use crate::base::Fault;
use crate::base::clock::later;
use crate::base::limits::{
    STACK_DOWN_TIMEOUT_DEFAULT, STACK_LOG_LINES_MAX, STACK_LOOK_EVERY, STACK_UP_TIMEOUT_DEFAULT,
};
use crate::primitives::docker::{Docker, Swarm, SwarmService, SwarmTask};
use crate::primitives::option::Texts;
use crate::primitives::permit::{DockerPermit, StackPermit};
use crate::primitives::stack::actions::{Line, LogOptions, RestartOptions};
use crate::primitives::stack::apply::{Stage, Told};
use crate::primitives::stack::plan::{Kind, Options, Plan, Verb};
use crate::primitives::stack::service::{DownOptions, Outcome, Stacks, UpOptions, known, limit};

/// The way to a stack of a swarm.
pub(in crate::primitives::stack) struct Way<'a> {
    pub stacks: &'a Stacks,
    pub permit: &'a StackPermit,
}

impl<'a> Way<'a> {
    pub async fn plan(&self, options: &UpOptions) -> Result<Plan, Fault> {
        self.manager().await?;
        let desired = self.desired().await?;
        let asked = asked(&desired, options)?;
        Ok(plan::plan(&desired, &self.observe().await?, &asked))
    }

    pub async fn up(&self, options: &UpOptions, told: Told<'_>) -> Result<Outcome, Fault> {
        if options.dry_run {
            return Ok(Outcome::of(self.plan(options).await?, true));
        }
        let limit = limit(options.timeout, STACK_UP_TIMEOUT_DEFAULT)?;
        let _hold = self.stacks.hold(self.name())?;
        let apply = self.apply(limit, told);
        let work = async {
            self.manager().await?;
            let desired = self.desired().await?;
            let asked = asked(&desired, options)?;
            let observed = self.observe().await?;
            let plan = plan::plan(&desired, &observed, &asked);
            let before = apply.tasks(&observed.services.values().cloned().collect::<Vec<_>>()).await?;
            let before: BTreeSet<String> = before.into_iter().map(|task| task.id).collect();
            apply.up(&desired, &observed, &plan).await?;
            let changed = plan.on(Kind::Service).filter(|action| action.verb != Verb::Remove);
            let mut watched: BTreeSet<String> = changed.map(|action| action.name.clone()).collect();
            if options.wait {
                let wanted = plan::wanted(&desired, &asked.services);
                let services = wanted.into_iter().filter_map(|key| desired.services.get(key));
                watched.extend(services.map(|service| service.name.clone()));
            }
            apply.settle(&watched, &before).await?;
            for kind in [Kind::Network, Kind::Secret, Kind::Config] {
                apply.remove(&plan, kind).await?;
            }
            Ok(Outcome::of(plan, false))
        };
        self.stacks.within(self.name(), limit, Box::pin(work)).await
    }

    /// Everything that bears the stack's label: its files need not be there any more.
    pub async fn down(&self, options: &DownOptions, told: Told<'_>) -> Result<Outcome, Fault> {
        let limit = limit(options.timeout, STACK_DOWN_TIMEOUT_DEFAULT)?;
        let _hold = self.stacks.hold(self.name())?;
        let apply = self.apply(limit, told);
        let work = async {
            let swarm = self.manager().await?;
            let observed = self.observe().await?;
            let mut plan = plan::down(self.name(), &observed, options.volumes);
            if options.volumes && swarm.nodes > 1 {
                plan.warnings.push("volumes on other nodes stay: remove them there".to_owned());
            }
            if !options.dry_run {
                let services: Vec<SwarmService> = observed.services.values().cloned().collect();
                apply.remove(&plan, Kind::Service).await?;
                apply.gone(&services).await?;
                for kind in [Kind::Secret, Kind::Config, Kind::Network, Kind::Volume] {
                    apply.remove(&plan, kind).await?;
                }
            }
            Ok(Outcome::of(plan, options.dry_run))
        };
        self.stacks.within(self.name(), limit, Box::pin(work)).await
    }

    /// Its tasks: the last one of each place.
    pub async fn ps(&self) -> Result<Vec<Member>, Fault> {
        self.manager().await?;
        let services = self.docker().swarm_services(self.permit.docker(), self.name()).await?;
        let tasks = self.docker().swarm_tasks(self.permit.docker(), self.name(), &services).await?;
        let nodes = self.docker().swarm_nodes(self.permit.docker()).await?;
        let keys = services.iter().map(|one| (one.id.clone(), self.key(&one.name).to_owned())).collect();
        Ok(members::of(&tasks, &keys, &nodes, self.stacks.clock.now()))
    }

    /// What its tasks printed, on whichever nodes, those of before among them.
    pub async fn logs(&self, options: &LogOptions) -> Result<Vec<Line>, Fault> {
        self.manager().await?;
        let services = self.chosen(&options.services).await?;
        let tasks = self.docker().swarm_tasks(self.permit.docker(), self.name(), &services).await?;
        let names: BTreeMap<String, String> = tasks.iter().map(|task| (task.id.clone(), task.container())).collect();
        let mut lines = Vec::new();
        for service in &services {
            let since = options.since.as_deref();
            let printed = self.docker().service_logs(self.permit.docker(), service, options.tail, since).await?;
            lines.extend(printed.into_iter().map(|line| Line {
                container: names.get(&line.task_id).unwrap_or(&service.name).clone(),
                service: self.key(&service.name).to_owned(),
                at: line.record.at,
                stream: line.record.stream,
                text: line.record.text,
            }));
        }
        lines.sort_by_key(|line| line.at);
        let too_many = lines.len().saturating_sub(STACK_LOG_LINES_MAX);
        lines.drain(..too_many);
        Ok(lines)
    }

    /// Has the swarm begin all tasks of its services anew, as their update policies say. Gives the services' names.
    pub async fn restart(&self, options: &RestartOptions, told: Told<'_>) -> Result<Vec<String>, Fault> {
        if options.timeout.is_some() {
            return Err(Asked::RestartTimeout.refused(self.name()));
        }
        let _hold = self.stacks.hold(self.name())?;
        let limit = STACK_UP_TIMEOUT_DEFAULT;
        let apply = self.apply(limit, told);
        let work = async {
            self.manager().await?;
            let services = self.chosen(&options.services).await?;
            let names: BTreeSet<String> = services.iter().map(|one| one.name.clone()).collect();
            if !options.dry_run {
                let before = apply.tasks(&services).await?.into_iter().map(|task| task.id).collect();
                for name in &names {
                    let what = format!("restart service {name}");
                    told.tell(Stage::Begun, what.clone(), None);
                    apply.restart(name).await?;
                    told.tell(Stage::Done, what, None);
                }
                apply.settle(&names, &before).await?;
            }
            Ok(names.into_iter().collect())
        };
        self.stacks.within(self.name(), limit, Box::pin(work)).await
    }

    /// The container of a service's task, which must be on this engine: no other one can be asked.
    pub async fn container(&self, key: &str, number: u32) -> Result<String, Fault> {
        let swarm = self.manager().await?;
        let services = self.chosen(&Texts(vec![key.to_owned()])).await?;
        let tasks = self.docker().swarm_tasks(self.permit.docker(), self.name(), &services).await?;
        // Where each node has one, the one of this node is meant.
        let is_asked = |task: &&SwarmTask| {
            task.state == "running" && task.slot.map_or(task.node_id == swarm.node_id, |slot| slot == u64::from(number))
        };
        let Some(task) = tasks.iter().rev().find(is_asked) else {
            let message = format!("the service {key:?} has no task number {number} that runs");
            return Err(Fault::new("stack.missing", message).hint("look with `aegis stack ps`"));
        };
        if task.node_id != swarm.node_id {
            let nodes = self.docker().swarm_nodes(self.permit.docker()).await?;
            let node = nodes.get(&task.node_id).unwrap_or(&task.node_id);
            let message = format!("the task {} runs on the node {node}, and a command only here", task.name);
            return Err(super::desired::unsupported(message).hint("run it with the Aegis or the docker of that node"));
        }
        Ok(task.container_id.clone())
    }

    /// How many services the files have and what of them a swarm does not do; fails where there is no swarm.
    pub async fn check(&self) -> Result<(usize, Vec<String>), Fault> {
        let desired = self.desired().await?;
        self.manager().await?;
        Ok((desired.services.len(), desired.warnings))
    }

    fn name(&self) -> &'a str {
        self.permit.name()
    }

    fn docker(&self) -> &'a Docker {
        &self.stacks.docker
    }

    /// The name of a service in the files.
    fn key<'n>(&self, name: &'n str) -> &'n str {
        name.strip_prefix(self.name()).and_then(|rest| rest.strip_prefix('_')).unwrap_or(name)
    }

    fn apply<'t>(&self, limit: std::time::Duration, told: Told<'t>) -> Apply<'t>
    where
        'a: 't,
    {
        // Whoever waits for tasks tells better than the bound around everything what was waited for.
        let patience = limit.saturating_sub(STACK_LOOK_EVERY * 2);
        let until = later(self.stacks.clock.now(), patience);
        Apply { stacks: self.stacks, permit: self.permit.docker(), project: self.name(), told, until }
    }

    async fn manager(&self) -> Result<Swarm, Fault> {
        let swarm = self.docker().swarm(self.permit.docker()).await?;
        swarm.check()?;
        Ok(swarm)
    }

    async fn desired(&self) -> Result<Desired, Fault> {
        let loaded = self.stacks.load(self.name()).await?;
        let contents = observe::contents(&loaded.project).await?;
        let mut desired = Desired::of(&loaded.project, &contents)?;
        desired.warnings.splice(0..0, loaded.warnings.iter().map(ToString::to_string));
        Ok(desired)
    }

    async fn observe(&self) -> Result<Observed, Fault> {
        let permit: &DockerPermit = self.permit.docker();
        Box::pin(observe::observe(self.docker(), permit, self.name())).await
    }

    /// These services, or all; one that neither the swarm nor the files have is an error.
    async fn chosen(&self, asked: &Texts) -> Result<Vec<SwarmService>, Fault> {
        let mut found = self.docker().swarm_services(self.permit.docker(), self.name()).await?;
        for key in &asked.0 {
            if !found.iter().any(|one| self.key(&one.name) == key) {
                let desired = self.desired().await?;
                known(&desired.project, desired.services.keys(), &desired.disabled, key)?;
            }
        }
        found.retain(|one| asked.0.is_empty() || asked.0.iter().any(|key| self.key(&one.name) == key));
        Ok(found)
    }
}

/// Options of a plan. A service that is not there is an error.
fn asked(desired: &Desired, options: &UpOptions) -> Result<Options, Fault> {
    for key in &options.services.0 {
        known(&desired.project, desired.services.keys(), &desired.disabled, key)?;
    }
    let services = options.services.0.iter().cloned().collect();
    Ok(Options { services, force: options.force, remove_orphans: options.remove_orphans })
}
