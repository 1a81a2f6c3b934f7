//! Taking a stack away. Everything is known by labels: its files need not be there any more.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Container, Kind, Label, Observed, Plan, Reason, Verb};

/// How far to go.
#[derive(Debug, Clone, Default)]
pub struct DownOptions {
    /// Removes its volumes too, those without a name among them.
    pub volumes: bool,
    /// Removes containers of services that `services` does not have.
    pub remove_orphans: bool,
    /// The services of the files; if they are not known, every container of the stack belongs to it.
    pub services: Option<BTreeSet<String>>,
}

/// What takes a stack away: those that others depend on go last.
pub fn down(project: &str, observed: &Observed, options: &DownOptions) -> Plan {
    let mut plan = Plan::of(project);
    let is_known = |one: &Container| options.services.as_ref().is_none_or(|known| known.contains(&one.service));
    let (going, staying): (Vec<&Container>, Vec<&Container>) =
        observed.containers.iter().partition(|one| options.remove_orphans || is_known(one));
    let ordered = ordered(&going);
    plan.rounds = ordered.chunk_by(|(depth, _), (next, _)| depth == next).map(<[_]>::len).collect();
    for (_, found) in ordered {
        plan.add(Action::container(Verb::Remove, found, Reason::Down));
    }
    for orphan in staying {
        plan.warnings.push(format!(
            "the container {} belongs to the service {}, which the files do not have: remove_orphans removes it",
            orphan.name, orphan.service
        ));
    }
    let is_own = |labels: &BTreeMap<String, String>| Label::Project.of(labels) == Some(project);
    for (name, _) in observed.networks.iter().filter(|(_, found)| is_own(&found.labels)) {
        plan.add(Action::surrounding(Kind::Network, Verb::Remove, name, Reason::Down));
    }
    for (name, _) in observed.volumes.iter().filter(|(_, found)| options.volumes && is_own(&found.labels)) {
        plan.add(Action::surrounding(Kind::Volume, Verb::Remove, name, Reason::Down));
    }
    plan
}

/// By how many come behind each, the fewest first. A circle, which labels of strangers may have, ends nowhere.
fn ordered<'a>(containers: &[&'a Container]) -> Vec<(usize, &'a Container)> {
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in containers {
        let text = Label::DependsOn.of(&one.labels).unwrap_or_default();
        let names = text.split(',').filter_map(|entry| entry.split(':').next()).filter(|name| !name.is_empty());
        needs.entry(&one.service).or_default().extend(names);
    }
    let mut depths: BTreeMap<&str, usize> = needs.keys().map(|name| (*name, 0)).collect();
    // Each round settles one more level; more levels than services there cannot be.
    for _ in 0..needs.len() {
        for (service, before) in &needs {
            let below = depths.get(service).copied().unwrap_or_default() + 1;
            for name in before {
                if let Some(depth) = depths.get_mut(name)
                    && *depth < below
                    && below <= needs.len()
                {
                    *depth = below;
                }
            }
        }
    }
    let mut found: Vec<(usize, &Container)> =
        containers.iter().map(|one| (depths.get(one.service.as_str()).copied().unwrap_or_default(), *one)).collect();
    found.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one.name.cmp(&other.name)));
    found
}
