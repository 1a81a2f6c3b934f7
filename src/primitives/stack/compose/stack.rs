//! The door of the loader.

use super::consistency;
use super::decode::decode;
use super::files::Files;
use super::load::{Scope, Stage, load_model};
use super::model::{Project, Service};
use super::name::project_name;
use super::node::Map;
use super::normalise::normalise;
use super::options::{Found, Options, find};
use super::outside::read_outside;
use super::path::Path;
use super::problem::{Kind, Place, Problem, Warning};
use super::session::Session;

/// A stack and what its reader should know about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub project: Project,
    /// Ordered by place.
    pub warnings: Vec<Warning>,
    /// The files that were named or found, in the order in which they are laid over each other.
    pub files: Vec<String>,
}

/// Loads a stack.
///
/// # Errors
/// The first problem, with its place, its key and its remedy.
pub fn load(files: &dyn Files, options: &Options) -> Result<Loaded, Problem> {
    let mut session = Session::new(files, options.home.as_deref());
    let mut found = find(options, &mut session)?;
    let name = project_name(options, &found, &mut session)?;
    found.environment.insert("COMPOSE_PROJECT_NAME".to_owned(), name.clone());
    let project = project(&name, &found, &mut session)?;
    let files = found.files.into_iter().map(|(file, _)| file).collect();
    Ok(Loaded { project, warnings: session.warnings.into_list(), files })
}

fn project(name: &str, found: &Found, session: &mut Session<'_>) -> Result<Project, Problem> {
    let scope = Scope { folder: &found.folder, environment: &found.environment, included: &[], stage: Stage::Project };
    let mut root = load_model(&found.files, &scope, session)?;
    if root.as_map().is_none_or(Map::is_empty) {
        let start = found.files.first().map_or_else(|| Place::start(&found.folder), |(_, at)| at.clone());
        return Err(Problem::new(Kind::Shape, &start, &Path::ROOT, "the file is empty", "describe services in it"));
    }
    normalise(&mut root, name, &found.environment);
    let mut project = decode(&mut root)?;
    name.clone_into(&mut project.name);
    found.folder.clone_into(&mut project.folder);
    choose(&mut project, &found.profiles);
    consistency::check(&project, &root)?;
    for service in project.services.values_mut() {
        settle_scale(service);
    }
    read_outside(&mut project, &root, &found.environment, session)?;
    project.drop_unused();
    Ok(project)
}

/// Leaves out services whose profiles are not chosen.
fn choose(project: &mut Project, profiles: &[String]) {
    let is_chosen = |service: &Service| {
        service.profiles.is_empty() || profiles.iter().any(|chosen| chosen == "*" || service.profiles.contains(chosen))
    };
    let (enabled, disabled) =
        std::mem::take(&mut project.services).into_iter().partition(|(_, service)| is_chosen(service));
    project.services = enabled;
    project.disabled_services = disabled;
}

/// `scale` is said in both places.
fn settle_scale(service: &mut Service) {
    if let (Some(scale), Some(deploy)) = (service.scale, &mut service.deploy) {
        deploy.replicas = Some(scale);
    }
}
