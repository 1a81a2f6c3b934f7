//! What takes a swarm to what a stack's files say. Pure: the same input gives the same plan.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::desired::{Desired, Network, Object, PREDEFINED, Service};
use crate::primitives::docker::{ObjectKind, SwarmObject, SwarmService};
use crate::primitives::stack::desired::{Label, changed_parts};
use crate::primitives::stack::plan::{Action, Kind, Options, Plan, Reason, Verb};

/// What the swarm has.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Of all stacks, by name: a stack may use another's.
    pub networks: BTreeMap<String, SeenNetwork>,
    pub objects: BTreeMap<(ObjectKind, String), SwarmObject>,
    /// Of the stack, by name.
    pub services: BTreeMap<String, SwarmService>,
    /// Of the stack, on this engine.
    pub volumes: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
pub struct SeenNetwork {
    pub id: String,
    /// The swarm's, not the one engine's.
    pub is_swarm: bool,
    pub labels: BTreeMap<String, String>,
}

pub fn plan(desired: &Desired, observed: &Observed, options: &Options) -> Plan {
    let mut plan = Plan::of(&desired.project);
    plan.warnings.clone_from(&desired.warnings);
    let wanted = wanted(desired, &options.services);
    let services: Vec<(&String, &Service)> =
        desired.services.iter().filter(|(key, _)| wanted.contains(key.as_str())).collect();
    let mut planning = Planning { desired, observed, options, plan };
    for (name, network) in &desired.networks {
        if services.iter().any(|(_, service)| service.uses_network(name)) {
            planning.network(name, network);
        }
    }
    for ((kind, name), object) in &desired.objects {
        if services.iter().any(|(_, service)| uses(&service.spec).contains(&(kind_of(*kind), name.clone()))) {
            planning.object(*kind, name, object);
        }
    }
    planning.orphans();
    for (key, service) in services {
        planning.service(key, service);
    }
    planning.unused();
    planning.plan
}

/// What takes a stack away, with all that bears its label.
pub fn down(project: &str, observed: &Observed, volumes: bool) -> Plan {
    let mut plan = Plan::of(project);
    for (name, found) in &observed.services {
        plan.add(of_service(Verb::Remove, name, found, None, Reason::Down));
    }
    for ((kind, name), _) in observed.objects.iter().filter(|(_, of)| is_own(project, &of.labels)) {
        plan.add(Action::surrounding(kind_of(*kind), Verb::Remove, name, Reason::Down));
    }
    for (name, _) in observed.networks.iter().filter(|(_, of)| is_own(project, &of.labels)) {
        plan.add(Action::surrounding(Kind::Network, Verb::Remove, name, Reason::Down));
    }
    for name in observed.volumes.iter().filter(|_| volumes) {
        plan.add(Action::surrounding(Kind::Volume, Verb::Remove, name, Reason::Down));
    }
    plan
}

/// The services that are asked for with all that they depend on.
pub(super) fn wanted<'a>(desired: &'a Desired, asked: &'a BTreeSet<String>) -> BTreeSet<&'a str> {
    if asked.is_empty() {
        return desired.services.keys().map(String::as_str).collect();
    }
    let mut found: BTreeSet<&str> = BTreeSet::new();
    let mut next: Vec<&str> = asked.iter().map(String::as_str).collect();
    while let Some(key) = next.pop() {
        if found.insert(key) {
            let needs = desired.services.get(key).into_iter().flat_map(|service| &service.needs);
            next.extend(needs.map(String::as_str));
        }
    }
    found
}

struct Planning<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    options: &'a Options,
    plan: Plan,
}

impl Planning<'_> {
    fn network(&mut self, name: &str, network: &Network) {
        let found = self.observed.networks.get(name);
        let is_there = found.is_some_and(|found| found.is_swarm);
        if network.external {
            if !is_there && !PREDEFINED.contains(&name) {
                self.plan.missing.push(format!("the network {name:?} of the swarm, which is external"));
            }
            return;
        }
        match found {
            Some(found) if !found.is_swarm => self.plan.missing.push(format!(
                "the name {name:?} for a network of the swarm: this engine has one of its own that is called so"
            )),
            Some(found) if !is_own(&self.desired.project, &found.labels) => self.plan.warnings.push(format!(
                "the network {name} was not made for this stack: it is used as it is; say external: true if that is meant"
            )),
            // One that `docker stack deploy` made bears no hash.
            Some(found) if Label::OwnHash.of(&found.labels).is_some_and(|hash| hash != network.hash) => {
                self.plan.warnings.push(format!(
                    "the network {name} has other settings than the files say; it is kept, for services are on it: \
                     take the stack down and bring it up for the new ones"
                ));
            }
            Some(_) => {}
            None => self.plan.add(Action::surrounding(Kind::Network, Verb::Create, name, Reason::Missing)),
        }
    }

    fn object(&mut self, kind: ObjectKind, name: &str, object: &Object) {
        if self.observed.objects.contains_key(&(kind, name.to_owned())) {
            return;
        }
        match object.0 {
            None => self.plan.missing.push(format!("the {} {name:?}, which is external", kind.as_str())),
            Some(_) => self.plan.add(Action::surrounding(kind_of(kind), Verb::Create, name, Reason::Missing)),
        }
    }

    fn orphans(&mut self) {
        let project = &self.desired.project;
        let disabled: BTreeSet<String> = self.desired.disabled.iter().map(|key| format!("{project}_{key}")).collect();
        for (name, found) in &self.observed.services {
            if self.desired.of_name(name).is_some() || disabled.contains(name) {
                continue;
            }
            if self.options.remove_orphans {
                self.plan.add(of_service(Verb::Remove, name, found, None, Reason::Orphan));
            } else {
                self.plan.warnings.push(format!(
                    "the service {name} is none of those that the files have: remove_orphans removes it"
                ));
            }
        }
    }

    fn service(&mut self, key: &str, service: &Service) {
        let Some(found) = self.observed.services.get(&service.name) else {
            let mut action = Action::surrounding(Kind::Service, Verb::Create, &service.name, Reason::Missing);
            action.service = Some(key.to_owned());
            self.plan.add(action);
            return;
        };
        let (is, wanted) = (mode(&found.spec), mode(&service.spec));
        if is != wanted {
            let reason = Reason::Mode(wanted);
            self.plan.add(of_service(Verb::Recreate, &service.name, found, Some(key), reason));
            return;
        }
        let reasons = self.reasons(service, found);
        if let Some(first) = reasons.first().cloned() {
            let mut action = of_service(Verb::Update, &service.name, found, Some(key), first);
            action.reasons = reasons;
            self.plan.add(action);
        }
    }

    fn reasons(&self, service: &Service, found: &SwarmService) -> Vec<Reason> {
        let mut reasons = Vec::new();
        match Label::OwnHash.of(&found.labels) {
            None => reasons.push(Reason::Foreign),
            Some(hash) if hash != service.hash => {
                let parts = Label::OwnParts.of(&found.labels).unwrap_or_default();
                reasons.push(Reason::Changed(changed_parts(parts, &service.parts)));
            }
            Some(_) => {
                let drifted = drifted(&service.spec, &found.spec);
                reasons.extend(Some(Reason::Drifted(drifted)).filter(|of| *of != Reason::Drifted(Vec::new())));
            }
        }
        if matches!(found.update_state.as_str(), "paused" | "rollback_paused") {
            reasons.push(Reason::Stuck(found.update_state.replace('_', " ")));
        }
        if self.options.force {
            reasons.push(Reason::Forced);
        }
        reasons
    }

    /// What the stack made and no service is given any more, once the plan is carried out.
    fn unused(&mut self) {
        let mut used: BTreeSet<(Kind, String)> = BTreeSet::new();
        for service in self.desired.services.values() {
            used.extend(uses(&service.spec));
        }
        let is_changed = |name: &String| self.plan.on(Kind::Service).any(|action| action.name == *name);
        for (_, found) in self.observed.services.iter().filter(|(name, _)| !is_changed(name)) {
            used.extend(uses(&found.spec));
        }
        let is_used = |kind: Kind, name: &str| used.contains(&(kind, name.to_owned()));
        let project = &self.desired.project;
        let mut unused = Vec::new();
        for (name, found) in self.observed.networks.iter().filter(|(_, of)| is_own(project, &of.labels)) {
            // The engine names networks of a service by their ids.
            if found.is_swarm && !is_used(Kind::Network, name) && !is_used(Kind::Network, &found.id) {
                unused.push((Kind::Network, name));
            }
        }
        for ((kind, name), _) in self.observed.objects.iter().filter(|(_, of)| is_own(project, &of.labels)) {
            if !is_used(kind_of(*kind), name) {
                unused.push((kind_of(*kind), name));
            }
        }
        for (kind, name) in unused {
            self.plan.add(Action::surrounding(kind, Verb::Remove, name, Reason::Unused));
        }
    }
}

fn of_service(verb: Verb, name: &str, found: &SwarmService, key: Option<&str>, reason: Reason) -> Action {
    let mut action = Action::surrounding(Kind::Service, verb, name, reason);
    action.id = Some(found.id.clone());
    action.service = key.map(str::to_owned);
    action
}

fn is_own(project: &str, labels: &BTreeMap<String, String>) -> bool {
    Label::Namespace.of(labels) == Some(project)
}

pub(super) fn kind_of(kind: ObjectKind) -> Kind {
    match kind {
        ObjectKind::Secret => Kind::Secret,
        ObjectKind::Config => Kind::Config,
    }
}

/// Networks, secrets and configs of a service, as it names them.
fn uses(spec: &Value) -> BTreeSet<(Kind, String)> {
    let table = [
        (Kind::Network, "/TaskTemplate/Networks", "Target"),
        (Kind::Network, "/Networks", "Target"),
        (Kind::Secret, "/TaskTemplate/ContainerSpec/Secrets", "SecretName"),
        (Kind::Config, "/TaskTemplate/ContainerSpec/Configs", "ConfigName"),
    ];
    let named = table.into_iter().flat_map(|(kind, place, key)| {
        let list = spec.pointer(place).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(move |one| Some((kind, one.get(key)?.as_str()?.to_owned())))
    });
    named.collect()
}

/// `replicated`, `global`, `replicated job` or `global job`.
fn mode(spec: &Value) -> String {
    let modes = [
        ("Replicated", "replicated"),
        ("Global", "global"),
        ("ReplicatedJob", "a replicated job"),
        ("GlobalJob", "a global job"),
    ];
    let has = |key: &str| spec.pointer("/Mode").is_some_and(|mode| mode.get(key).is_some_and(|of| !of.is_null()));
    modes.into_iter().find(|(key, _)| has(key)).map_or("replicated", |(_, name)| name).to_owned()
}

/// What people change by hand when they look after a service: how many, which image, what runs.
fn drifted(wanted: &Value, found: &Value) -> Vec<String> {
    const LOOKED_AT: [(&str, &str); 5] = [
        ("/TaskTemplate/ContainerSpec/Args", "command"),
        ("/TaskTemplate/ContainerSpec/Command", "entrypoint"),
        ("/TaskTemplate/ContainerSpec/Env", "environment"),
        ("/TaskTemplate/ContainerSpec/Image", "image"),
        ("/Mode/Replicated/Replicas", "replicas"),
    ];
    let is_other = |place: &str| match (wanted.pointer(place), found.pointer(place)) {
        // The engine leaves out what is empty.
        (Some(Value::Array(list)), None) => !list.is_empty(),
        // A digest that a client has put behind the name is the same image.
        (Some(Value::String(ours)), Some(Value::String(theirs))) => {
            ours != theirs && theirs.split_once('@').is_none_or(|(name, _)| name != ours)
        }
        (ours, theirs) => ours != theirs,
    };
    LOOKED_AT.into_iter().filter(|(place, _)| is_other(place)).map(|(_, name)| name.to_owned()).collect()
}
