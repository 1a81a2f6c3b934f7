//! What a rollout needs of a stack besides bringing it up: how each service may be replaced, what surrounds the
//! containers, and one container at a time. Which of them serves, and when, is for the caller to say.

mod kept;
mod standing;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub(super) use kept::is_kept;
pub use standing::{PublishedTo, Standing};

use super::apply::{Apply, Told};
use super::desired::{Desired, Service};
use super::plan::{self, Action, Kind, Observed, Plan, Verb};
use super::service::{Outcome, Stacks, UpOptions, known_service, limit, planned};
use super::swarm::Asked;
use crate::base::limits::STACK_UP_TIMEOUT_DEFAULT;
use crate::base::{Fault, RunId};
use crate::primitives::option::{Pairs, Span, Texts};
use crate::primitives::permit::StackPermit;

/// How far to go before containers are touched.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrepareOptions {
    /// Only these and those that they wait for.
    pub services: Texts,
    /// Asks for newer images too, and builds anew what is built here.
    pub refresh: bool,
    /// Services whose images are neither fetched nor built, whatever the files say.
    pub keep_images: Texts,
    /// Default: 10 min.
    pub timeout: Option<Span>,
    pub dry_run: bool,
}

/// Which container of a service, and what it has besides what the files say.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MakeOptions {
    /// Which of the service's containers. Default: the first.
    pub number: Option<u32>,
    /// Default: the one that the files give it.
    pub name: Option<String>,
    /// An image on the host in place of the one of the files.
    pub image: Option<String>,
    pub labels: Pairs,
    /// The id of the container whose place it is to take: volumes without a name go on with it.
    pub replaces: Option<String>,
    pub dry_run: bool,
}

/// A container that was made and does not run yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    pub name: String,
    pub service: String,
    pub number: u32,
    /// None on a dry run.
    pub id: Option<String>,
    pub image_id: Option<String>,
}

/// The concurrency key of the runs that deploy a stack.
pub fn rollout_key(stack: &str) -> String {
    format!("deploy/{stack}")
}

/// A stack that a run deploys is changed by nobody else.
pub fn is_rolled_out(stack: &str, run: RunId) -> Fault {
    let hint = format!("follow it with `aegis logs {run} -f`, or end it with `aegis cancel {run}`");
    Fault::new("stack.busy", format!("the stack {stack:?} is being deployed by the run {run}"))
        .hint(hint)
        .details(json!({ "run": run.to_string() }))
        .retryable()
}

impl Stacks {
    /// The services in the order in which they start, and how each may be replaced.
    pub async fn services(&self, permit: &StackPermit) -> Result<Vec<Standing>, Fault> {
        self.of_containers(permit, Asked::Rollout)?;
        let desired = self.desired(permit.name()).await?;
        let observed = self.observe(permit, &desired).await?;
        Ok(standing::of(&desired, &observed))
    }

    /// Fetches and builds images that are missing, and makes networks and volumes. Containers stay as they are.
    pub async fn prepare(
        &self,
        permit: &StackPermit,
        options: &PrepareOptions,
        told: Told<'_>,
    ) -> Result<Outcome, Fault> {
        self.of_containers(permit, Asked::Rollout)?;
        let limit = limit(options.timeout, STACK_UP_TIMEOUT_DEFAULT)?;
        let _hold = self.hold(permit.name())?;
        let desired = self.desired(permit.name()).await?;
        let up = UpOptions { services: options.services.clone(), ..UpOptions::default() };
        let asked = planned(&desired, &up)?;
        let observed = self.observe(permit, &desired).await?;
        let mut plan = plan::plan(&desired, &observed, &asked);
        plan.actions.retain(|action| action.kind != Kind::Container);
        if options.refresh {
            refresh(&desired, &options.services, &mut plan);
        }
        keep_images(&desired, &options.keep_images, &mut plan)?;
        unchanged_networks(&plan)?;
        let apply =
            Apply { stacks: self, permit: permit.docker(), desired: &desired, observed: &observed, plan: &plan, told };
        apply.nothing_missing()?;
        if options.dry_run {
            return Ok(Outcome::of(plan, true));
        }
        let work = async {
            Box::pin(self.fetch(permit, &desired, &plan, told)).await?;
            apply.surroundings().await
        };
        self.within(permit.name(), limit, Box::pin(work)).await?;
        Ok(Outcome::of(plan, false))
    }

    /// Makes one container of a service as the files say, and does not start it.
    pub async fn make(
        &self,
        permit: &StackPermit,
        service: &str,
        options: &MakeOptions,
        told: Told<'_>,
    ) -> Result<Made, Fault> {
        self.of_containers(permit, Asked::Rollout)?;
        let _hold = self.hold(permit.name())?;
        let desired = self.desired(permit.name()).await?;
        known_service(&desired, service)?;
        let mut observed = self.observe(permit, &desired).await?;
        let mut wanted = desired.services.get(service).cloned().unwrap_or_default();
        if let Some(image) = &options.image {
            let id = self.docker.image_id(permit.docker(), image).await?.ok_or_else(|| no_image(service, image))?;
            wanted.image.clone_from(image);
            wanted.options.insert("image".to_owned(), json!(image));
            observed.images.insert(image.clone(), id);
        }
        label(&mut wanted, options)?;
        let number = options.number.unwrap_or(1);
        let own_name = wanted.container(&desired.project, number);
        let name = options.name.clone().unwrap_or_else(|| own_name.clone());
        let old = options.replaces.as_deref().map(|id| replaced(&observed, service, id)).transpose()?;
        let image_id = observed.images.get(&wanted.image).cloned();
        let made =
            |id| Made { name: name.clone(), service: service.to_owned(), number, id, image_id: image_id.clone() };
        if options.dry_run {
            return Ok(made(None));
        }
        let plan = Plan::of(&desired.project);
        let apply =
            Apply { stacks: self, permit: permit.docker(), desired: &desired, observed: &observed, plan: &plan, told };
        let action = Action::creation(service, &own_name, number);
        let id = Box::pin(apply.create(&wanted, &action, &name, old)).await?;
        Ok(made(id))
    }
}

/// Asks for the images of all services, whether they are there or not.
fn refresh(desired: &Desired, services: &Texts, plan: &mut Plan) {
    let is_asked =
        |service: &&Service| service.replicas > 0 && (services.0.is_empty() || services.0.contains(&service.name));
    for service in desired.services.values().filter(is_asked) {
        let is_planned = plan.on(Kind::Image).any(|action| action.name == service.image);
        let verb = if service.build.is_some() { Verb::Build } else { Verb::Pull };
        if !is_planned && service.pull_policy != "never" {
            plan.add(Action::image(verb, &service.image, &service.name, plan::Reason::Forced));
        }
    }
}

/// What the names of these services' images stand for stays, for whoever else uses them too.
fn keep_images(desired: &Desired, services: &Texts, plan: &mut Plan) -> Result<(), Fault> {
    let mut kept = BTreeSet::new();
    for name in &services.0 {
        known_service(desired, name)?;
        kept.extend(desired.services.get(name).map(|service| service.image.as_str()));
    }
    plan.actions.retain(|action| action.kind != Kind::Image || !kept.contains(action.name.as_str()));
    Ok(())
}

/// A network cannot be made anew around containers that go on running.
fn unchanged_networks(plan: &Plan) -> Result<(), Fault> {
    match plan.on(Kind::Network).find(|action| action.verb == Verb::Recreate) {
        None => Ok(()),
        Some(action) => {
            let message = format!("the network {} has other settings now, and containers are on it", action.name);
            let hint = "bring the stack up with `aegis stack up`, which takes its containers off the network first";
            Err(Fault::new("stack.network_changed", message).hint(hint))
        }
    }
}

fn no_image(service: &str, image: &str) -> Fault {
    Fault::new("stack.no_image", format!("the service {service:?} cannot be made of {image:?}: it is not on the host"))
        .hint("fetch it with aegis.docker.pull, or take another one")
}

fn label(service: &mut Service, options: &MakeOptions) -> Result<(), Fault> {
    let labels = service.options.entry("labels").or_insert_with(|| Value::Object(Map::new()));
    let Some(labels) = labels.as_object_mut() else { return Ok(()) };
    for (key, value) in &options.labels.0 {
        if labels.contains_key(key) {
            let message = format!("the service {:?} has the label {key:?} already", service.name);
            return Err(Fault::new("stack.invalid", message).hint("give the container another label"));
        }
        labels.insert(key.clone(), json!(value));
    }
    Ok(())
}

fn replaced<'a>(observed: &'a Observed, service: &str, id: &str) -> Result<&'a plan::Container, Fault> {
    observed.containers.iter().find(|one| one.id == id && one.service == service).ok_or_else(|| {
        let message = format!("the service {service:?} has no container {id:?} whose place could be taken");
        Fault::new("stack.missing", message).hint("look with `aegis stack ps`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::stack::desired::tests::desired;

    #[test]
    fn images_that_are_kept_are_neither_fetched_nor_built_for_whoever_has_them() {
        let files = "services: { web: { image: w, pull_policy: always }, api: { image: w }, db: { image: d } }";
        let desired = desired(files);
        let asked = planned(&desired, &UpOptions::default()).expect("it can be planned");
        let mut plan = plan::plan(&desired, &Observed::default(), &asked);
        let images = |plan: &Plan| plan.on(Kind::Image).map(|action| action.name.clone()).collect::<BTreeSet<_>>();
        assert_eq!(images(&plan), BTreeSet::from(["d".to_owned(), "w".to_owned()]));
        keep_images(&desired, &Texts(vec!["api".to_owned()]), &mut plan).expect("there is such a service");
        assert_eq!(images(&plan), BTreeSet::from(["d".to_owned()]));
        let unknown = keep_images(&desired, &Texts(vec!["nonesuch".to_owned()]), &mut plan);
        assert!(unknown.expect_err("there is none").to_string().contains("nonesuch"));
    }
}
