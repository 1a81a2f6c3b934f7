//! What must be done so that the engine has what a stack is to have. Pure: the same input gives the same plan.

mod action;
mod down;
mod observed;
mod reason;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use action::{Action, Kind, Plan, Verb};
pub use down::{DownOptions, down};
pub use observed::{Container, Inherited, Observed, Surrounding};
pub use reason::Reason;

use super::desired::{Condition, Desired, Label, Service, changed_parts};

/// How far a plan goes.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only these services and those that they wait for; all if there are none.
    pub services: BTreeSet<String>,
    /// Makes every container anew.
    pub force: bool,
    /// Removes containers of services that the files do not have.
    pub remove_orphans: bool,
}

/// What takes the engine from `observed` to `desired`.
pub fn plan(desired: &Desired, observed: &Observed, options: &Options) -> Plan {
    let wanted = wanted(desired, &options.services);
    let mut planning =
        Planning { desired, observed, options, plan: Plan::of(&desired.project), remade: BTreeSet::new() };
    planning.plan.warnings = desired.warnings.clone();
    planning.images(&wanted);
    planning.orphans();
    let new_networks = planning.networks(&wanted);
    planning.volumes(&wanted);
    for name in &wanted {
        if let Some(service) = desired.services.get(*name) {
            planning.service(service, &new_networks);
        }
    }
    planning.plan
}

/// The services that are asked for with all that they wait for, in their order.
fn wanted<'a>(desired: &'a Desired, asked: &BTreeSet<String>) -> Vec<&'a str> {
    let waits = desired.waits();
    // There is an order: no `Desired` is made without one.
    let order = super::order::of(&waits).unwrap_or_default();
    if asked.is_empty() {
        return order;
    }
    let mut kept: BTreeSet<&str> = BTreeSet::new();
    for name in order.iter().rev() {
        if asked.contains(*name) || kept.iter().any(|other| waits.get(other).is_some_and(|of| of.contains(name))) {
            kept.insert(name);
        }
    }
    order.into_iter().filter(|name| kept.contains(name)).collect()
}

struct Planning<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    options: &'a Options,
    plan: Plan,
    /// Services of which a container is made anew.
    remade: BTreeSet<&'a str>,
}

impl<'a> Planning<'a> {
    fn images(&mut self, wanted: &[&str]) {
        let mut seen = BTreeSet::new();
        for name in wanted {
            let Some(service) = self.desired.services.get(*name).filter(|service| service.replicas > 0) else {
                continue;
            };
            let is_there = self.observed.images.contains_key(&service.image);
            let verb = if service.build.is_some() { Verb::Build } else { Verb::Pull };
            let reason = match service.pull_policy.as_str() {
                "always" if service.build.is_none() => Reason::Policy("always"),
                "build" if service.build.is_some() => Reason::Policy("build"),
                _ if is_there => continue,
                _ => Reason::Missing,
            };
            if seen.insert(service.image.as_str()) {
                self.plan.add(Action::image(verb, &service.image, name, reason));
            }
        }
    }

    fn orphans(&mut self) {
        let known = |name: &str| self.desired.services.contains_key(name) || self.desired.disabled.contains(name);
        let orphans: Vec<&Container> = self.observed.containers.iter().filter(|one| !known(&one.service)).collect();
        for orphan in orphans {
            if self.options.remove_orphans {
                self.plan.add(Action::container(Verb::Remove, orphan, Reason::Orphan));
            } else {
                self.plan.warnings.push(format!(
                    "the container {} belongs to the service {}, which the files do not have: remove_orphans removes it",
                    orphan.name, orphan.service
                ));
            }
        }
    }

    /// Gives the names of those that are made anew.
    fn networks(&mut self, wanted: &[&str]) -> BTreeSet<String> {
        let used: BTreeSet<&String> =
            wanted.iter().filter_map(|name| self.desired.services.get(*name)).flat_map(|of| &of.networks).collect();
        let mut remade = BTreeSet::new();
        for (name, network) in self.desired.networks.iter().filter(|(name, _)| used.contains(name)) {
            let found = self.observed.networks.get(name);
            if network.external {
                if found.is_none() {
                    self.plan.missing.push(format!("the network {name:?}, which is external"));
                }
                continue;
            }
            match found {
                None => self.plan.add(Action::surrounding(Kind::Network, Verb::Create, name, Reason::Missing)),
                Some(found) if found.differs(&network.hash) => {
                    remade.insert(name.clone());
                    self.plan.add(Action::surrounding(Kind::Network, Verb::Recreate, name, Reason::Settings));
                }
                Some(found) => self.belongs(Kind::Network, name, found),
            }
        }
        remade
    }

    fn volumes(&mut self, wanted: &[&str]) {
        for (name, volume) in &self.desired.volumes {
            let is_used = |service: &Service| service.uses_volume(name);
            if !wanted.iter().filter_map(|of| self.desired.services.get(*of)).any(is_used) {
                continue;
            }
            match self.observed.volumes.get(name) {
                None if volume.external => self.plan.missing.push(format!("the volume {name:?}, which is external")),
                Some(_) if volume.external => {}
                None => self.plan.add(Action::surrounding(Kind::Volume, Verb::Create, name, Reason::Missing)),
                Some(found) if found.differs(&volume.hash) => self.plan.warnings.push(format!(
                    "the volume {name} has other settings than the files say; it is kept, for it may hold data: \
                     remove it by hand if it may be lost"
                )),
                Some(found) => self.belongs(Kind::Volume, name, found),
            }
        }
    }

    fn belongs(&mut self, kind: Kind, name: &str, found: &Surrounding) {
        if Label::Project.of(&found.labels) != Some(self.desired.project.as_str()) {
            let what = format!("the {} {name} was not made for this stack", kind.as_str());
            self.plan.warnings.push(format!("{what}: it is used as it is; say external: true if that is meant"));
        }
    }

    fn service(&mut self, service: &'a Service, new_networks: &BTreeSet<String>) {
        let mut numbered: BTreeMap<u32, Vec<&Container>> = BTreeMap::new();
        for found in self.observed.containers.iter().filter(|one| one.service == service.name) {
            numbered.entry(found.number).or_default().push(found);
        }
        let surplus = surplus(&numbered, service.replicas);
        let mut kept = 0;
        for (number, mut found) in numbered.clone() {
            // One that is to take another's place comes last.
            found.sort_by_key(|one| (one.replaces.is_some(), one.created_at));
            let (first, doubles) = (found[0], &found[1..]);
            for double in doubles {
                self.plan.add(Action::container(Verb::Remove, double, Reason::Interrupted));
            }
            if surplus.contains(&number) {
                self.plan.add(Action::container(Verb::Remove, first, Reason::Surplus(service.replicas)));
                continue;
            }
            kept += 1;
            self.container(service, first, new_networks);
        }
        let free = (1..).filter(|number| !numbered.contains_key(number));
        for number in free.take((service.replicas as usize).saturating_sub(kept)) {
            let name = service.container(&self.desired.project, number);
            self.plan.add(Action::creation(&service.name, &name, number));
        }
    }

    fn container(&mut self, service: &'a Service, found: &Container, new_networks: &BTreeSet<String>) {
        let reasons = self.reasons(service, found, new_networks);
        if !reasons.is_empty() {
            self.remade.insert(service.name.as_str());
            let mut action = Action::container(Verb::Recreate, found, Reason::Forced);
            action.reasons = reasons;
            action.name = service.container(&self.desired.project, found.number);
            self.plan.add(action);
            return;
        }
        let name = service.container(&self.desired.project, found.number);
        if found.name != name {
            let mut action = Action::container(Verb::Rename, found, Reason::Interrupted);
            action.name = name;
            self.plan.add(action);
        }
        if !found.is_running() && !self.is_done(service, found) {
            self.plan.add(Action::container(Verb::Start, found, Reason::Stopped(found.state.clone())));
            return;
        }
        let anew = service.needs.iter().find(|(name, need)| need.restart && self.remade.contains(name.as_str()));
        if let Some((name, _)) = anew {
            self.plan.add(Action::container(Verb::Restart, found, Reason::Dependency(name.clone())));
        }
    }

    /// Why a container must be made anew; nothing if it need not be.
    fn reasons(&self, service: &Service, found: &Container, new_networks: &BTreeSet<String>) -> Vec<Reason> {
        let mut reasons = Vec::new();
        match Label::OwnHash.of(&found.labels) {
            None => reasons.push(Reason::Foreign),
            Some(hash) if hash != service.hash => {
                let parts = Label::OwnParts.of(&found.labels).unwrap_or_default();
                reasons.push(Reason::Changed(changed_parts(parts, &service.parts)));
            }
            Some(_) => {}
        }
        if self.observed.images.get(&service.image).is_some_and(|id| *id != found.image_id) {
            reasons.push(Reason::Image(service.image.clone()));
        }
        for network in &service.networks {
            if new_networks.contains(network) {
                reasons.push(Reason::Network(network.clone()));
            } else if found.is_running() && !found.networks.contains(network) {
                reasons.push(Reason::Detached(network.clone()));
            }
        }
        let remade = service.shares.iter().filter(|name| self.remade.contains(name.as_str()));
        reasons.extend(remade.map(|name| Reason::Shares(name.clone())));
        if self.options.force {
            reasons.push(Reason::Forced);
        }
        reasons
    }

    /// Whether it has done what it is there for: others wait for its end, and it ended well.
    fn is_done(&self, service: &Service, found: &Container) -> bool {
        let is_awaited =
            |other: &Service| other.needs.get(&service.name).is_some_and(|need| need.condition == Condition::Completed);
        found.state == "exited" && found.exit_code == Some(0) && self.desired.services.values().any(is_awaited)
    }
}

/// The numbers that are too many: the highest.
fn surplus(numbered: &BTreeMap<u32, Vec<&Container>>, replicas: u32) -> BTreeSet<u32> {
    let too_many = numbered.len().saturating_sub(replicas as usize);
    numbered.keys().rev().take(too_many).copied().collect()
}
