//! Carries a plan out: networks, secrets and configs, then services; watches the services until they are as asked, and
//! takes away what none of them uses any more.
//!
//! Nothing runs on when the call is dropped but what the swarm does by itself. The next plan sees what was done.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::desired::{Desired, Service};
use super::plan::Observed;
use super::settle::{Look, Seen, Standing, steady_for};
use crate::base::clock::since;
use crate::base::limits::{STACK_LOOK_EVERY, SWARM_UPDATE_TRIES_MAX};
use crate::base::{Fault, Timestamp};
use crate::primitives::docker::{ChangeOptions, DockerError, ObjectKind, RemoveVolumeOptions, SwarmService, SwarmTask};
use crate::primitives::permit::DockerPermit;
use crate::primitives::stack::apply::{Stage, Told};
use crate::primitives::stack::plan::{Action, Kind, Plan, Reason, Verb};
use crate::primitives::stack::service::Stacks;

/// One plan under way.
pub(super) struct Apply<'a> {
    pub stacks: &'a Stacks,
    pub permit: &'a DockerPermit,
    pub project: &'a str,
    pub told: Told<'a>,
    /// When it has taken too long.
    pub until: Timestamp,
}

/// What is watched, and since when it is as it is to be.
#[derive(Default)]
struct Watched {
    seen: Seen,
    steady: Option<Timestamp>,
    said: String,
}

impl Apply<'_> {
    pub async fn up(&self, desired: &Desired, observed: &Observed, plan: &Plan) -> Result<(), Fault> {
        if !plan.missing.is_empty() {
            let message = format!("{} needs {}", plan.project, plan.missing.join(" and "));
            return Err(Fault::new("stack.missing", message).hint("make it first, or take external out"));
        }
        let is_new = |action: &&Action| action.verb == Verb::Create;
        for action in plan.on(Kind::Network).filter(is_new) {
            self.told.around(action, self.create_network(desired, action)).await?;
        }
        let mut ids: BTreeMap<(ObjectKind, String), String> =
            observed.objects.iter().map(|(key, one)| (key.clone(), one.id.clone())).collect();
        for (kind, key) in [(ObjectKind::Secret, Kind::Secret), (ObjectKind::Config, Kind::Config)] {
            for action in plan.on(key).filter(is_new) {
                let Some(new) = desired.objects.get(&(kind, action.name.clone())).and_then(|one| one.0.as_ref()) else {
                    continue;
                };
                let mut id = String::new();
                let work = async {
                    id = self.stacks.docker.create_object(self.permit, kind, new).await?;
                    Ok(())
                };
                self.told.around(action, work).await?;
                ids.insert((kind, action.name.clone()), id);
            }
        }
        for action in plan.on(Kind::Service) {
            self.told.around(action, self.service(desired, action, &ids)).await?;
        }
        Ok(())
    }

    /// Removes what a plan says of one kind of object.
    pub async fn remove(&self, plan: &Plan, kind: Kind) -> Result<(), Fault> {
        for action in plan.on(kind).filter(|action| action.verb == Verb::Remove) {
            self.told.around(action, self.remove_one(action)).await?;
        }
        Ok(())
    }

    async fn create_network(&self, desired: &Desired, action: &Action) -> Result<(), Fault> {
        let Some(network) = desired.networks.get(&action.name) else { return Ok(()) };
        let options = serde_json::from_value(Value::Object(network.options.clone()))
            .map_err(|problem| Fault::new("stack.unsupported", problem.to_string()))?;
        self.stacks.docker.create_network(self.permit, &action.name, options).await?;
        Ok(())
    }

    async fn service(
        &self,
        desired: &Desired,
        action: &Action,
        ids: &BTreeMap<(ObjectKind, String), String>,
    ) -> Result<(), Fault> {
        if action.verb == Verb::Remove {
            return self.remove_one(action).await;
        }
        let Some(service) = desired.of_name(&action.name) else { return Ok(()) };
        let mut spec = with_ids(service, ids);
        if is_new_image(action) {
            self.pin(&service.name, &mut spec).await;
        }
        let warnings = match action.verb {
            Verb::Update => {
                let is_forced = action.reasons.contains(&Reason::Forced);
                let make = |seen: &SwarmService| changed(seen, spec.clone(), is_forced, !is_new_image(action));
                self.change(&service.name, Some(&make)).await?
            }
            Verb::Recreate => {
                self.stacks.docker.check_service(self.permit, &spec)?;
                self.remove_one(action).await?;
                self.stacks.docker.create_service(self.permit, &spec).await?
            }
            _ => self.stacks.docker.create_service(self.permit, &spec).await?,
        };
        for warning in warnings {
            self.told.tell(Stage::Waiting, format!("service {}", service.name), Some(warning));
        }
        Ok(())
    }

    /// Begins all tasks of a service anew.
    pub async fn restart(&self, name: &str) -> Result<(), Fault> {
        self.change(name, None).await.map(|_| ())
    }

    /// Puts the digest behind the name of the image, so that each node runs the same one. Without its registry the name
    /// must do.
    async fn pin(&self, service: &str, spec: &mut Value) {
        let image = spec["TaskTemplate"]["ContainerSpec"]["Image"].as_str().unwrap_or_default().to_owned();
        match self.stacks.docker.pinned_image(self.permit, &image).await {
            Ok(pinned) => spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!(pinned),
            Err(error) => {
                let detail = format!("each node fetches {image} for itself, for its digest is not known: {error}");
                self.told.tell(Stage::Waiting, format!("service {service}"), Some(detail));
            }
        }
    }

    /// Changes a service from what it is now, and anew when somebody else was faster. Without a spec its tasks begin anew.
    async fn change(
        &self,
        name: &str,
        spec: Option<&(dyn Fn(&SwarmService) -> Value + Sync)>,
    ) -> Result<Vec<String>, Fault> {
        let docker = &self.stacks.docker;
        for _ in 0..SWARM_UPDATE_TRIES_MAX {
            let seen = docker.swarm_service(self.permit, name).await?;
            let outcome = match spec {
                Some(spec) => docker.update_service(self.permit, &seen, &spec(&seen)).await,
                None => docker.restart_service(self.permit, &seen).await,
            };
            match outcome {
                Err(DockerError::Conflict { .. }) => {
                    let detail = "somebody else changed it meanwhile; it is read again".to_owned();
                    self.told.tell(Stage::Waiting, format!("service {name}"), Some(detail));
                }
                outcome => return Ok(outcome?),
            }
        }
        let message =
            format!("the service {name:?} was changed by somebody else {SWARM_UPDATE_TRIES_MAX} times in a row");
        Err(Fault::new("swarm.out_of_sequence", message)
            .hint("find out who else changes it, and try again")
            .retryable())
    }

    /// Removes one object. What hangs on to it for a moment is waited for.
    async fn remove_one(&self, action: &Action) -> Result<(), Fault> {
        let (docker, name) = (&self.stacks.docker, action.name.as_str());
        loop {
            let removed = match action.kind {
                Kind::Service => docker.remove_service(self.permit, name).await,
                Kind::Secret => docker.remove_object(self.permit, ObjectKind::Secret, name).await,
                Kind::Config => docker.remove_object(self.permit, ObjectKind::Config, name).await,
                Kind::Network => docker.remove_network(self.permit, name, ChangeOptions::default()).await.map(|_| ()),
                Kind::Volume => {
                    docker.remove_volume(self.permit, name, RemoveVolumeOptions::default()).await.map(|_| ())
                }
                Kind::Image | Kind::Container => Ok(()),
            };
            match removed {
                // A network of the swarm goes a while after it was told to.
                Ok(()) if action.kind == Kind::Network => {}
                Ok(()) => return Ok(()),
                Err(DockerError::NotFound { .. }) => return Ok(()),
                Err(error) if is_in_use(action.kind, &error) && !self.is_late() => {}
                Err(error) => return Err(error.into()),
            }
            if self.is_late() {
                let message = format!("the {} {name:?} does not go", action.kind.as_str());
                return Err(Fault::new("stack.timeout", message).hint("look who uses it, and try again").retryable());
            }
            self.stacks.clock.sleep(STACK_LOOK_EVERY).await;
        }
    }

    /// The ids of the tasks of the stack.
    pub async fn tasks(&self, services: &[SwarmService]) -> Result<Vec<SwarmTask>, Fault> {
        Ok(self.stacks.docker.swarm_tasks(self.permit, self.project, services).await?)
    }

    /// Waits until the services are as they are to be. The first failure is told when all have come to an end.
    pub async fn settle(&self, names: &BTreeSet<String>, before: &BTreeSet<String>) -> Result<(), Fault> {
        let watched = |name: &String| (name.clone(), Watched { seen: Seen::since(before), ..Watched::default() });
        let mut left: BTreeMap<String, Watched> = names.iter().map(watched).collect();
        let mut failed: Option<Fault> = None;
        loop {
            let services = self.stacks.docker.swarm_services(self.permit, self.project).await?;
            let tasks = self.tasks(&services).await?;
            let nodes = self.stacks.docker.swarm_nodes(self.permit).await?;
            left.retain(|name, watched| {
                // One that somebody removed meanwhile is waited for no more.
                let Some(service) = services.iter().find(|one| one.name == *name) else { return false };
                let own: Vec<&SwarmTask> = tasks.iter().filter(|task| task.service_id == service.id).collect();
                let outcome = self.judge(watched, Look { service, tasks: &own, nodes: &nodes });
                let is_left = outcome.is_none();
                failed = failed.take().or(outcome.and_then(Result::err));
                is_left
            });
            if left.is_empty() {
                return failed.map_or(Ok(()), Err);
            }
            if self.is_late() {
                return Err(failed.unwrap_or_else(|| late(self.project, &left)));
            }
            self.stacks.clock.sleep(STACK_LOOK_EVERY).await;
        }
    }

    /// How it ended for a service, if it has.
    fn judge(&self, watched: &mut Watched, look: Look<'_>) -> Option<Result<(), Fault>> {
        let (what, now) = (format!("service {}", look.service.name), self.stacks.clock.now());
        match look.judge(&mut watched.seen) {
            Standing::Done => {}
            Standing::Steady => {
                let begun = *watched.steady.get_or_insert(now);
                if since(now, begun) < steady_for(look.service) {
                    return None;
                }
            }
            Standing::Underway(text) => {
                watched.steady = None;
                if watched.said != text {
                    self.told.tell(Stage::Waiting, what, Some(text.clone()));
                    watched.said = text;
                }
                return None;
            }
            Standing::Failed(fault) => {
                self.told.tell(Stage::Failed, what, Some(fault.message.clone()));
                return Some(Err(fault));
            }
        }
        self.told.tell(Stage::Done, what, None);
        Some(Ok(()))
    }

    /// Waits until none of these services has a task any more.
    pub async fn gone(&self, services: &[SwarmService]) -> Result<(), Fault> {
        loop {
            let left = self.tasks(services).await?;
            let Some(task) = left.first() else { return Ok(()) };
            if self.is_late() {
                let message = format!("{} tasks of {} do not end, {} among them", left.len(), self.project, task.name);
                let hint = "are their nodes there? look with `docker node ls`, and take the stack down again";
                return Err(Fault::new("stack.timeout", message).hint(hint).retryable());
            }
            self.stacks.clock.sleep(STACK_LOOK_EVERY).await;
        }
    }

    fn is_late(&self) -> bool {
        self.stacks.clock.now() >= self.until
    }
}

fn late(project: &str, left: &BTreeMap<String, Watched>) -> Fault {
    let one = |(name, watched): (&String, &Watched)| match watched.said.as_str() {
        "" => name.clone(),
        said => format!("{name} ({said})"),
    };
    let left: Vec<String> = left.iter().map(one).collect();
    let message = format!("the stack {project:?} is not up in time: {}", left.join(", "));
    let hint = "the swarm goes on: look with `aegis stack ps`, or wait with a longer `timeout`";
    Fault::new("stack.timeout", message).hint(hint).retryable()
}

/// Whether it is held by what is about to go: a task's network, a container's volume.
fn is_in_use(kind: Kind, error: &DockerError) -> bool {
    let text = error.to_string();
    matches!(kind, Kind::Network | Kind::Volume)
        && ["in use", "active endpoints"].iter().any(|said| text.contains(said))
}

/// A service's spec with the ids that the swarm knows its secrets and configs by.
fn with_ids(service: &Service, ids: &BTreeMap<(ObjectKind, String), String>) -> Value {
    let mut spec = service.spec.clone();
    for (kind, list, id, name) in [
        (ObjectKind::Secret, "Secrets", "SecretID", "SecretName"),
        (ObjectKind::Config, "Configs", "ConfigID", "ConfigName"),
    ] {
        let place = format!("/TaskTemplate/ContainerSpec/{list}");
        for one in spec.pointer_mut(&place).and_then(Value::as_array_mut).into_iter().flatten() {
            let key = (kind, one[name].as_str().unwrap_or_default().to_owned());
            one[id] = json!(ids.get(&key));
        }
    }
    spec
}

/// Whether the name of the image is to be looked up anew, rather than stay what it stood for.
fn is_new_image(action: &Action) -> bool {
    action.reasons.iter().any(|reason| match reason {
        Reason::Changed(parts) => parts.is_empty() || parts.iter().any(|part| part == "image"),
        Reason::Drifted(_) | Reason::Stuck(_) => false,
        _ => true,
    })
}

/// A spec for a service that is there. The count of its beginnings only grows, or its tasks would begin anew; and the
/// digest behind the name of its image stays where `keeps_digest` says so.
fn changed(seen: &SwarmService, mut spec: Value, is_forced: bool, keeps_digest: bool) -> Value {
    spec["TaskTemplate"]["ForceUpdate"] = json!(seen.beginnings() + u64::from(is_forced));
    let had = seen.spec.pointer("/TaskTemplate/ContainerSpec/Image").and_then(Value::as_str).unwrap_or_default();
    let is_same = had.split_once('@').is_some_and(|(name, _)| spec["TaskTemplate"]["ContainerSpec"]["Image"] == name);
    if keeps_digest && is_same {
        spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!(had);
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_sent_with_the_ids_of_what_it_is_given() {
        let spec = json!({ "TaskTemplate": { "ContainerSpec": {
            "Secrets": [{ "SecretName": "token" }], "Configs": [{ "ConfigName": "site" }] } } });
        let ids = BTreeMap::from([
            ((ObjectKind::Secret, "token".to_owned()), "s1".to_owned()),
            ((ObjectKind::Config, "site".to_owned()), "c1".to_owned()),
        ]);
        let filled = with_ids(&Service { spec, ..Service::default() }, &ids);
        let at = |place: &str| filled.pointer(place).and_then(Value::as_str);
        assert_eq!(at("/TaskTemplate/ContainerSpec/Secrets/0/SecretID"), Some("s1"));
        assert_eq!(at("/TaskTemplate/ContainerSpec/Configs/0/ConfigID"), Some("c1"));
    }

    fn seen(image: &str) -> SwarmService {
        let spec = json!({ "TaskTemplate": { "ForceUpdate": 3, "ContainerSpec": { "Image": image } } });
        SwarmService { spec, ..SwarmService::default() }
    }

    #[test]
    fn tasks_begin_anew_when_that_is_asked_and_only_then() {
        let count = |is_forced| changed(&seen("w"), json!({}), is_forced, true)["TaskTemplate"]["ForceUpdate"].as_u64();
        assert_eq!((count(false), count(true)), (Some(3), Some(4)));
    }

    #[test]
    fn a_digest_stays_until_the_image_is_looked_up_anew() {
        let wanted = |image: &str| json!({ "TaskTemplate": { "ContainerSpec": { "Image": image } } });
        let image = |had: &str, wants: &str, keeps| {
            let spec = changed(&seen(had), wanted(wants), false, keeps);
            spec.pointer("/TaskTemplate/ContainerSpec/Image").and_then(Value::as_str).map(str::to_owned)
        };
        assert_eq!(image("w:1@sha256:a", "w:1", true).as_deref(), Some("w:1@sha256:a"));
        assert_eq!(image("w:1@sha256:a", "w:1@sha256:b", false).as_deref(), Some("w:1@sha256:b"));
        assert_eq!(image("w:1@sha256:a", "w:2", true).as_deref(), Some("w:2"));
        let action = |reasons: &[Reason]| {
            let mut action = Action::surrounding(Kind::Service, Verb::Update, "shop_web", Reason::Missing);
            action.reasons = reasons.to_vec();
            is_new_image(&action)
        };
        assert!(action(&[Reason::Forced]) && action(&[Reason::Foreign]) && action(&[Reason::Missing]));
        assert!(action(&[Reason::Changed(vec!["image".into()])]) && action(&[Reason::Changed(vec![])]));
        assert!(!action(&[Reason::Changed(vec!["environment".into()])]));
        assert!(!action(&[Reason::Drifted(vec!["image".into()])]));
    }
}
