//! The door to stacks: load, look, plan, carry out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::apply::{self, Apply, Told};
use super::compose::{self, Loaded};
use super::desired::Desired;
use super::disk::Disk;
use super::observe;
use super::plan::{self, Observed, Plan};
use super::source::{Orchestrator, Source, Sources};
use super::swarm::{Asked, Way};
use crate::base::limits::{STACK_DOWN_TIMEOUT_DEFAULT, STACK_TIMEOUT_MAX, STACK_UP_TIMEOUT_DEFAULT};
use crate::base::quantity::show_duration;
use crate::base::{Clock, Fault, suggest};
use crate::primitives::docker::Docker;
use crate::primitives::option::{Span, Texts};
use crate::primitives::permit::StackPermit;

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Stacks {
    pub(super) docker: Docker,
    pub(super) clock: Clock,
    shared: Arc<Shared>,
}

struct Shared {
    sources: Sources,
    /// Stacks that are being changed.
    busy: Mutex<BTreeSet<String>>,
}

/// Which services, and how far to go.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpOptions {
    /// Only these and those that they wait for.
    pub services: Texts,
    /// Makes every container anew.
    pub force: bool,
    pub remove_orphans: bool,
    /// Waits until every service runs, and is healthy where it says how that is seen.
    pub wait: bool,
    /// Default: 10 min.
    pub timeout: Option<Span>,
    pub dry_run: bool,
}

#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DownOptions {
    /// Removes its volumes too.
    pub volumes: bool,
    pub remove_orphans: bool,
    /// Default: 5 min.
    pub timeout: Option<Span>,
    pub dry_run: bool,
}

/// What was done, or with `dry_run` what would be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    pub project: String,
    pub changed: bool,
    pub dry_run: bool,
    pub actions: Vec<plan::Action>,
    pub warnings: Vec<String>,
}

/// A stack that may be changed as long as this is held.
pub(super) struct Hold {
    shared: Arc<Shared>,
    name: String,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

impl fmt::Debug for Stacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stacks").field("sources", &self.shared.sources.keys()).finish_non_exhaustive()
    }
}

impl Stacks {
    pub fn new(sources: Sources, docker: Docker, clock: Clock) -> Self {
        Self { docker, clock, shared: Arc::new(Shared { sources, busy: Mutex::default() }) }
    }

    /// The stacks of the configuration.
    pub fn sources(&self) -> &BTreeMap<String, Source> {
        &self.shared.sources
    }

    /// One of them.
    pub fn source(&self, name: &str) -> Result<&Source, Fault> {
        self.shared.sources.get(name).ok_or_else(|| {
            let near = suggest::did_you_mean(name, self.shared.sources.keys().map(String::as_str));
            let message = format!("the configuration has no stack {name:?}{near}");
            Fault::new("stack.unknown", message).hint("add it under stacks, with the folder of its Compose file")
        })
    }

    /// Reads a stack's files.
    pub async fn load(&self, name: &str) -> Result<Loaded, Fault> {
        let source = self.source(name)?.clone();
        let options = compose::Options {
            folder: source.folder.to_string_lossy().into_owned(),
            files: source.files,
            name: Some(name.to_owned()),
            profiles: source.profiles,
            env_files: source.env_files,
            environment: source.environment,
            home: None,
        };
        let work = move || compose::load(&Disk, &options);
        let loaded = tokio::task::spawn_blocking(work).await;
        let stopped = |_| Fault::new("stack.stopped", "reading the stack was given up").retryable();
        loaded.map_err(stopped)?.map_err(Fault::from)
    }

    pub(super) async fn desired(&self, name: &str) -> Result<Desired, Fault> {
        let loaded = self.load(name).await?;
        let mut desired = Desired::of(&loaded.project, &loaded.files)?;
        desired.warnings.splice(0..0, loaded.warnings.iter().map(ToString::to_string));
        Ok(desired)
    }

    /// What `up` would do.
    pub async fn plan(&self, permit: &StackPermit, options: &UpOptions) -> Result<Plan, Fault> {
        if let Some(way) = self.swarm(permit)? {
            return Box::pin(way.plan(options)).await;
        }
        let desired = self.desired(permit.name()).await?;
        let observed = self.observe(permit, &desired).await?;
        Ok(plan::plan(&desired, &observed, &planned(&desired, options)?))
    }

    /// Brings a stack to what its files say. Dropped, it stops where it is; the next call goes on from there.
    pub async fn up(&self, permit: &StackPermit, options: &UpOptions, told: Told<'_>) -> Result<Outcome, Fault> {
        if let Some(way) = self.swarm(permit)? {
            return Box::pin(way.up(options, told)).await;
        }
        if options.dry_run {
            return Ok(Outcome::of(self.plan(permit, options).await?, true));
        }
        let name = permit.name();
        let limit = limit(options.timeout, STACK_UP_TIMEOUT_DEFAULT)?;
        let _hold = self.hold(name)?;
        let desired = self.desired(name).await?;
        let asked = planned(&desired, options)?;
        let work = async {
            let first = plan::plan(&desired, &self.observe(permit, &desired).await?, &asked);
            let mut actions = Box::pin(self.fetch(permit, &desired, &first, told)).await?;
            // A pull may have brought another image: what is to be made anew shows only now.
            let observed = self.observe(permit, &desired).await?;
            let mut plan = plan::plan(&desired, &observed, &asked);
            plan.actions.retain(|action| action.kind != plan::Kind::Image);
            let docker = permit.docker();
            let apply =
                Apply { stacks: self, permit: docker, desired: &desired, observed: &observed, plan: &plan, told };
            Box::pin(apply.up()).await?;
            if options.wait {
                apply.wait_ready(&asked.services).await?;
            }
            actions.append(&mut plan.actions);
            plan.actions = actions;
            Ok(Outcome::of(plan, false))
        };
        // The futures of a whole stack are too large for a thread's stack.
        self.within(name, limit, Box::pin(work)).await
    }

    /// Takes a stack away: its containers and networks, and with `volumes` its volumes.
    pub async fn down(&self, permit: &StackPermit, options: &DownOptions, told: Told<'_>) -> Result<Outcome, Fault> {
        let name = permit.name();
        if let Some(way) = self.swarm(permit)? {
            return Box::pin(way.down(options, told)).await;
        }
        let limit = limit(options.timeout, STACK_DOWN_TIMEOUT_DEFAULT)?;
        let _hold = self.hold(name)?;
        // Files that do not load any more must not keep a stack up.
        let loaded = self.load(name).await.ok();
        let services = loaded.map(|loaded| {
            let project = loaded.project;
            project.services.into_keys().chain(project.disabled_services.into_keys()).collect()
        });
        let work = async {
            let observed = observe::of_project(&self.docker, permit.docker(), name).await?;
            let far = plan::DownOptions { volumes: options.volumes, remove_orphans: options.remove_orphans, services };
            let plan = plan::down(name, &observed, &far);
            if !options.dry_run {
                apply::down(self, permit.docker(), &plan, options.volumes, told).await?;
            }
            Ok(Outcome::of(plan, options.dry_run))
        };
        self.within(name, limit, Box::pin(work)).await
    }

    /// How many services the files have and what of them has no effect; fails when they cannot be used, or when whoever
    /// is to run them is not there.
    pub async fn check(&self, permit: &StackPermit) -> Result<(usize, Vec<String>), Fault> {
        if let Some(way) = self.swarm(permit)? {
            return Box::pin(way.check()).await;
        }
        let desired = self.desired(permit.name()).await?;
        Ok((desired.services.len(), desired.warnings))
    }

    /// The way to a stack that a swarm runs; None to one of containers.
    pub(super) fn swarm<'a>(&'a self, permit: &'a StackPermit) -> Result<Option<Way<'a>>, Fault> {
        let is_swarm = self.source(permit.name())?.orchestrator == Orchestrator::Swarm;
        Ok(is_swarm.then_some(Way { stacks: self, permit }))
    }

    /// Refuses what only a stack of containers can be asked for.
    pub(super) fn of_containers(&self, permit: &StackPermit, asked: Asked) -> Result<(), Fault> {
        self.swarm(permit)?.map_or(Ok(()), |_| Err(asked.refused(permit.name())))
    }

    /// One change of a stack at a time.
    pub(super) fn hold(&self, name: &str) -> Result<Hold, Fault> {
        let is_free = self.shared.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        if !is_free {
            let message = format!("the stack {name:?} is being changed by somebody else");
            return Err(Fault::new("stack.busy", message).hint("try again when that has ended").retryable());
        }
        Ok(Hold { shared: self.shared.clone(), name: name.to_owned() })
    }

    pub(super) async fn within<T>(
        &self,
        name: &str,
        limit: Duration,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        tokio::select! {
            outcome = work => outcome,
            () = self.clock.sleep(limit) => {
                let message = format!("the stack {name:?} was not done within {}", show_duration(limit));
                let hint = "what was done stays: look with `aegis stack ps`, and go on with a longer `timeout`";
                Err(Fault::new("stack.timeout", message).hint(hint).retryable())
            }
        }
    }

    pub(super) async fn observe(&self, permit: &StackPermit, desired: &Desired) -> Result<Observed, Fault> {
        Box::pin(observe::observe(&self.docker, permit.docker(), desired)).await
    }
}

impl Outcome {
    pub(super) fn of(plan: Plan, dry_run: bool) -> Self {
        Self {
            changed: !plan.is_empty(),
            project: plan.project,
            dry_run,
            actions: plan.actions,
            warnings: plan.warnings,
        }
    }
}

/// Options of a plan. A service that is not there is an error.
pub(super) fn planned(desired: &Desired, options: &UpOptions) -> Result<plan::Options, Fault> {
    for name in &options.services.0 {
        known_service(desired, name)?;
    }
    let services = options.services.0.iter().cloned().collect();
    Ok(plan::Options { services, force: options.force, remove_orphans: options.remove_orphans })
}

pub(super) fn known_service(desired: &Desired, name: &str) -> Result<(), Fault> {
    known(&desired.project, desired.services.keys(), &desired.disabled, name)
}

/// Whether a stack has a service of that name.
pub(super) fn known<'a>(
    project: &str,
    mut services: impl Iterator<Item = &'a String> + Clone,
    disabled: &BTreeSet<String>,
    name: &str,
) -> Result<(), Fault> {
    let near = suggest::did_you_mean(name, services.clone().map(String::as_str));
    if services.any(|service| service == name) {
        return Ok(());
    }
    let (message, hint) = match disabled.contains(name) {
        true => (format!("the service {name:?} is left out by its profiles"), "add a profile of it to the stack"),
        false => (format!("the stack {project:?} has no service {name:?}{near}"), "look with `aegis stack config`"),
    };
    Err(Fault::new("stack.no_service", message).hint(hint))
}

pub(super) fn limit(asked: Option<Span>, usual: Duration) -> Result<Duration, Fault> {
    let limit = asked.map_or(usual, |span| span.0);
    if limit.is_zero() || limit > STACK_TIMEOUT_MAX {
        let message = format!("timeout: {} is not possible", show_duration(limit));
        let most = format!("write more than 0 and at most {}", show_duration(STACK_TIMEOUT_MAX));
        return Err(Fault::new("stack.invalid", message).hint(most));
    }
    Ok(limit)
}
