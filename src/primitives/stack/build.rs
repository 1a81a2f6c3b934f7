//! Images of a stack: fetched, or built with the engine's own builder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;

use super::apply::{Stage, Told, within};
use super::compose::model::Build;
use super::desired::{Desired, Service};
use super::plan::{Action, Kind, Plan, Verb};
use super::service::Stacks;
use crate::base::Fault;
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::docker::{BuildContext, BuildOptions, BuildStep, Folder, PullOptions, PullPolicy, PullProgress};
use crate::primitives::fs::{self, Files};
use crate::primitives::permit::{self, StackPermit};

/// The name of the one root that a build reads.
const ROOT: &str = "context";

impl Stacks {
    /// Does what a plan says of images, one after the other, and gives what was done.
    pub(super) async fn fetch(
        &self,
        permit: &StackPermit,
        desired: &Desired,
        plan: &Plan,
        told: Told<'_>,
    ) -> Result<Vec<Action>, Fault> {
        let mut done = Vec::new();
        for action in plan.on(Kind::Image) {
            let service = action.service.as_deref().and_then(|name| desired.services.get(name));
            let Some(service) = service else { continue };
            told.around(action, async {
                match action.verb {
                    Verb::Build => Box::pin(self.build_image(permit, service, told)).await.map(|_| ()),
                    _ => Box::pin(self.pull_image(permit, service, PullPolicy::Always, told)).await.map(|_| ()),
                }
            })
            .await
            .map_err(|fault| within(&service.name, fault))?;
            done.push(action.clone());
        }
        Ok(done)
    }

    /// Whether another image is there now than before.
    pub(super) async fn pull_image(
        &self,
        permit: &StackPermit,
        service: &Service,
        policy: PullPolicy,
        told: Told<'_>,
    ) -> Result<bool, Fault> {
        let platform = Some(service.platform.clone()).filter(|platform| !platform.is_empty());
        let options = PullOptions { policy: Some(policy), platform, ..PullOptions::default() };
        let what = format!("pull image {}", service.image);
        let mut last = String::new();
        let progress = |step: PullProgress| {
            if step.layer.is_none() && step.status != last {
                told.tell(Stage::Waiting, what.clone(), Some(step.status.clone()));
                last = step.status;
            }
        };
        let pulled = Box::pin(self.docker.pull(permit.docker(), &service.image, options, progress)).await?;
        Ok(pulled.changed)
    }

    /// Builds the image of a service, and gives its id.
    pub(super) async fn build_image(
        &self,
        permit: &StackPermit,
        service: &Service,
        told: Told<'_>,
    ) -> Result<Option<String>, Fault> {
        let Some(build) = &service.build else {
            let message = format!("the service {:?} has no build", service.name);
            return Err(Fault::new("stack.no_build", message).hint("give it build, or pull its image"));
        };
        for key in unheeded(build) {
            told.tell(
                Stage::Waiting,
                format!("build image {}", service.image),
                Some(format!("nothing acts on build.{key}")),
            );
        }
        let context = context(&service.name, build)?;
        let options = options(service, build)?;
        let what = format!("build image {}", service.image);
        let progress = |step: BuildStep| told.tell(Stage::Waiting, what.clone(), Some(step.line));
        Ok(Box::pin(self.docker.build(permit.docker(), context, options, progress)).await?.id)
    }
}

/// The folder of a build, and what it has besides.
fn context(service: &str, build: &Build) -> Result<BuildContext, Fault> {
    let unsupported = |what: &str| super::desired::unsupported(service, what);
    if !build.context.starts_with('/') {
        return Err(unsupported(&format!("to be built from {:?}, which is no folder here", build.context)));
    }
    let files =
        Files::new(fs::Options { roots: BTreeMap::from([(ROOT.to_owned(), Path::new(&build.context).into())]) })
            .map_err(Fault::from)?;
    // The folder is the one that the operator's files name; whoever may build the stack may read it for that.
    let grants = Grants { fs: BTreeMap::from([(ROOT.to_owned(), Access::Read)]), ..Grants::default() };
    let permit = permit::fs(&grants, ROOT, Access::Read)?;
    let path = format!("{ROOT}:.").parse().map_err(Fault::from)?;
    let mut given = BTreeMap::new();
    if !build.dockerfile_inline.is_empty() {
        given.insert("Dockerfile".to_owned(), build.dockerfile_inline.clone().into_bytes());
    }
    Ok(BuildContext { files: given, folder: Some(Folder { files, permit, path }) })
}

fn options(service: &Service, build: &Build) -> Result<BuildOptions, Fault> {
    let text = |text: &str| if text.is_empty() { serde_json::Value::Null } else { json!(text) };
    // Relative to the context, as the builder wants it.
    let dockerfile = build.dockerfile.strip_prefix(&format!("{}/", build.context)).unwrap_or(&build.dockerfile);
    if dockerfile.starts_with('/') || dockerfile.starts_with("..") {
        let what = format!("a Dockerfile outside its context, {dockerfile:?}");
        return Err(super::desired::unsupported(&service.name, &what));
    }
    let args: BTreeMap<_, _> = build.args.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))).collect();
    let tags: BTreeSet<&String> = std::iter::once(&service.image).chain(&build.tags).collect();
    let options = json!({
        "tag": tags,
        "dockerfile": text(if build.dockerfile_inline.is_empty() { dockerfile } else { "" }),
        "args": args,
        "target": text(&build.target),
        "labels": build.labels,
        "network": text(&build.network),
        "platform": text(&service.platform),
        "no_cache": build.no_cache,
        "pull": build.pull,
    });
    serde_json::from_value(options).map_err(|problem| Fault::new("stack.unsupported", problem.to_string()))
}

/// Keys of a build that the engine's own builder does not know.
fn unheeded(build: &Build) -> Vec<&'static str> {
    let table = [
        ("additional_contexts", !build.additional_contexts.is_empty()),
        ("cache_from", !build.cache_from.is_empty()),
        ("cache_to", !build.cache_to.is_empty()),
        ("entitlements", !build.entitlements.is_empty()),
        ("extra_hosts", !build.extra_hosts.0.is_empty()),
        ("platforms", !build.platforms.is_empty()),
        ("privileged", build.privileged),
        ("secrets", !build.secrets.is_empty()),
        ("shm_size", build.shm_size != 0),
        ("ssh", !build.ssh.is_empty()),
        ("ulimits", !build.ulimits.is_empty()),
    ];
    table.into_iter().filter_map(|(key, is_said)| is_said.then_some(key)).collect()
}
