//! What must hold of a finished stack: everything that is named exists, and nothing contradicts itself.

use super::model::{Project, Service};
use super::node::Node;
use super::path::Path;
use super::problem::{Kind, Problem};
use crate::base::suggest::did_you_mean;

/// Makes problems with the place of the key that they are about.
struct Checker<'a> {
    project: &'a Project,
    root: &'a Node,
    service: &'a str,
}

/// Holds the stack to the rules; `root` is the document that it was read from.
pub(super) fn check(project: &Project, root: &Node) -> Result<(), Problem> {
    for (name, service) in &project.services {
        let checker = Checker { project, root, service: name };
        checker.image(service)?;
        checker.networks(service)?;
        checker.dependencies(service)?;
        checker.mounts(service)?;
        checker.resources(service)?;
        checker.the_rest(service)?;
    }
    for (name, secret) in &project.secrets {
        if !secret.external && secret.file.is_empty() && secret.environment.is_empty() {
            let keys = ["secrets", name.as_str()];
            let at = root.nearest(&keys).named_at();
            let message = "the secret has neither file nor environment";
            let problem = Problem::new(Kind::Shape, at, &Path::ROOT, message, "add one of the two");
            return Err(Problem { key: keys.join("."), ..problem });
        }
    }
    no_cycle(project, root)
}

impl Checker<'_> {
    fn problem(&self, kind: Kind, keys: &[&str], message: String, remedy: &str) -> Problem {
        let mut path = vec!["services", self.service];
        path.extend(keys);
        let key = path.join(".");
        Problem { key, ..Problem::new(kind, self.root.nearest(&path).named_at(), &Path::ROOT, message, remedy) }
    }

    fn image(&self, service: &Service) -> Result<(), Problem> {
        let Some(build) = &service.build else {
            return if service.image.is_empty() {
                let message = "the service has neither an image nor a build".to_owned();
                Err(self.problem(Kind::Shape, &[], message, "add image or build"))
            } else {
                Ok(())
            };
        };
        if !build.dockerfile.is_empty() && !build.dockerfile_inline.is_empty() {
            let message = "dockerfile and dockerfile_inline exclude each other".to_owned();
            return Err(self.problem(Kind::Conflict, &["build"], message, "remove one of the two"));
        }
        for (context, from) in &build.additional_contexts {
            let Some(name) = from.strip_prefix("service:") else { continue };
            if self.project.services.get(name).is_none_or(|other| other.build.is_none()) {
                let message = format!("the service {name} is not there or is not built");
                let keys = ["build", "additional_contexts", context];
                return Err(self.problem(Kind::Undefined, &keys, message, "name a service with a build"));
            }
        }
        let platform = &service.platform;
        if !platform.is_empty() && !build.platforms.is_empty() && !build.platforms.contains(platform) {
            let message = format!("build.platforms does not have the service's own platform {platform}");
            return Err(self.problem(Kind::Conflict, &["build", "platforms"], message, "add it there"));
        }
        Ok(())
    }

    fn networks(&self, service: &Service) -> Result<(), Problem> {
        if !service.network_mode.is_empty() && !service.networks.is_empty() {
            let message = "network_mode and networks exclude each other".to_owned();
            return Err(self.problem(Kind::Conflict, &["network_mode"], message, "remove one of the two"));
        }
        for name in service.networks.keys() {
            let known = &self.project.networks;
            self.declared("network", known.contains_key(name), name, known.keys(), &["networks", name])?;
        }
        if let Some(name) = service.network_mode.strip_prefix("service:") {
            let known = &self.project.services;
            self.declared("service", known.contains_key(name), name, known.keys(), &["network_mode"])?;
        }
        Ok(())
    }

    fn declared<'b>(
        &self,
        what: &str,
        is_there: bool,
        name: &str,
        known: impl Iterator<Item = &'b String>,
        keys: &[&str],
    ) -> Result<(), Problem> {
        if is_there {
            return Ok(());
        }
        let near = did_you_mean(name, known.map(String::as_str));
        let message = format!("the {what} {name:?} is declared nowhere{near}");
        let remedy = format!("declare it under {what}s, or correct the name");
        Err(self.problem(Kind::Undefined, keys, message, &remedy))
    }

    fn dependencies(&self, service: &Service) -> Result<(), Problem> {
        for (name, dependency) in &service.depends_on {
            if self.project.services.contains_key(name) {
                continue;
            }
            let is_disabled = self.project.disabled_services.get(name);
            match is_disabled {
                Some(_) if !dependency.required => {}
                Some(disabled) => {
                    let profiles = disabled.profiles.join(", ");
                    let message = format!("the service {name:?} is left out, because none of its profiles is chosen");
                    let remedy = format!("choose one of the profiles {profiles}, or write required: false");
                    return Err(self.problem(Kind::Undefined, &["depends_on", name], message, &remedy));
                }
                None => self.declared("service", false, name, self.project.services.keys(), &["depends_on", name])?,
            }
        }
        Ok(())
    }

    fn mounts(&self, service: &Service) -> Result<(), Problem> {
        let project = self.project;
        for (index, mount) in service.volumes.iter().enumerate() {
            let index = index.to_string();
            let is_fine = mount.kind != "volume" || mount.source.is_empty();
            let is_there = is_fine || project.volumes.contains_key(&mount.source);
            self.declared("volume", is_there, &mount.source, project.volumes.keys(), &["volumes", &index])?;
        }
        for (index, config) in service.configs.iter().enumerate() {
            let is_there = project.configs.contains_key(&config.source);
            let index = index.to_string();
            self.declared("config", is_there, &config.source, project.configs.keys(), &["configs", &index])?;
        }
        let of_build = service.build.iter().flat_map(|build| &build.secrets).map(|secret| (secret, true));
        for (secret, is_build) in service.secrets.iter().map(|secret| (secret, false)).chain(of_build) {
            let is_there = project.secrets.contains_key(&secret.source);
            let keys: &[&str] = if is_build { &["build", "secrets"] } else { &["secrets"] };
            self.declared("secret", is_there, &secret.source, project.secrets.keys(), keys)?;
        }
        Ok(())
    }

    fn resources(&self, service: &Service) -> Result<(), Problem> {
        let Some(deploy) = &service.deploy else { return Ok(()) };
        let differ = |key: &str, other: &str| {
            let message = format!("{key} and deploy.{other} say different things");
            self.problem(Kind::Conflict, &[key], message, "remove one of the two")
        };
        if let (Some(scale), Some(replicas)) = (service.scale, deploy.replicas)
            && scale != replicas
        {
            return Err(differ("scale", "replicas"));
        }
        if let Some(limits) = &deploy.resources.limits {
            if service.cpus.0 != 0.0 && service.cpus != limits.cpus {
                return Err(differ("cpus", "resources.limits.cpus"));
            }
            if service.mem_limit != 0 && service.mem_limit != limits.memory {
                return Err(differ("mem_limit", "resources.limits.memory"));
            }
            if service.pids_limit != 0 && service.pids_limit != limits.pids {
                return Err(differ("pids_limit", "resources.limits.pids"));
            }
        }
        if let Some(reservations) = &deploy.resources.reservations
            && service.mem_reservation != 0
            && service.mem_reservation != reservations.memory
        {
            return Err(differ("mem_reservation", "resources.reservations.memory"));
        }
        Ok(())
    }

    fn the_rest(&self, service: &Service) -> Result<(), Problem> {
        if let Some(first) = service.healthcheck.as_ref().and_then(|check| check.test.first())
            && !["CMD", "CMD-SHELL", "NONE"].contains(&first.as_str())
        {
            let message = format!("the test begins with {first:?}");
            let remedy = "begin the list with CMD, CMD-SHELL or NONE, or write the test as one string";
            return Err(self.problem(Kind::Value, &["healthcheck", "test"], message, remedy));
        }
        let replicas = service.deploy.as_ref().and_then(|deploy| deploy.replicas);
        if service.scale.or(replicas).unwrap_or(1) > 1 && !service.container_name.is_empty() {
            let message = "several containers cannot have the one container_name".to_owned();
            return Err(self.problem(Kind::Conflict, &["container_name"], message, "remove it"));
        }
        let watches = service.develop.iter().flat_map(|develop| &develop.watch);
        for (index, watch) in watches.enumerate() {
            if watch.target.is_empty() && !["rebuild", "restart"].contains(&watch.action.as_str()) {
                let message = format!("the action {} needs a target", watch.action);
                let index = index.to_string();
                return Err(self.problem(Kind::Shape, &["develop", "watch", &index], message, "add target"));
            }
        }
        Ok(())
    }
}

/// Dependencies lead nowhere back.
fn no_cycle(project: &Project, root: &Node) -> Result<(), Problem> {
    let mut done = std::collections::BTreeSet::new();
    for start in project.services.keys() {
        // Each frame is a service and those of its dependencies that are still to be looked at.
        let mut trail: Vec<(&str, Vec<&str>)> = vec![(start, dependencies(project, start))];
        while let Some((name, rest)) = trail.last_mut() {
            let name = *name;
            let Some(next) = rest.pop() else {
                done.insert(name);
                trail.pop();
                continue;
            };
            if let Some(from) = trail.iter().position(|(on_trail, _)| *on_trail == next) {
                let names: Vec<&str> = trail[from..].iter().map(|(name, _)| *name).chain([next]).collect();
                let keys = ["services", name, "depends_on", next];
                let message = format!("dependencies lead back: {}", names.join(" -> "));
                let at = root.nearest(&keys).named_at();
                let problem = Problem::new(Kind::Cycle, at, &Path::ROOT, message, "let one of them start alone");
                return Err(Problem { key: keys.join("."), ..problem });
            }
            if !done.contains(next) {
                trail.push((next, dependencies(project, next)));
            }
        }
    }
    Ok(())
}

fn dependencies<'a>(project: &'a Project, name: &str) -> Vec<&'a str> {
    let service = project.services.get(name);
    let names = service.into_iter().flat_map(|service| service.depends_on.keys());
    names.filter(|name| project.services.contains_key(*name)).map(String::as_str).collect()
}
