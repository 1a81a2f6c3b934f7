//! From a bundle to a checked job.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bundling::{self, Bundling};
use super::declare::{declare, warnings};
use super::registry::{Diagnostic, Job, Severity};
use super::site::Site;
use crate::base::{Fault, Timestamp};
use crate::lua::{Bundle, Engine, Inspected};
use crate::model::JobSpec;

/// A version of a job that may go live.
#[derive(Debug, Clone)]
pub struct Version {
    pub spec: Arc<JobSpec>,
    pub bundle: Arc<Bundle>,
}

/// Learns what a file says of its job. The runtime does; tests stand in for it.
pub trait Inspect: Debug + Send + Sync {
    fn inspect(&self, bundle: &Bundle) -> Result<Inspected, Fault>;
}

impl Inspect for Engine {
    fn inspect(&self, bundle: &Bundle) -> Result<Inspected, Fault> {
        Self::inspect(self, bundle)
    }
}

/// Runs the file's body and checks the table it gives. Blocking, bounded by the runtime's limits for loading.
pub fn inspect(engine: &dyn Inspect, bundle: Bundle, site: &Site) -> Result<Version, Vec<Fault>> {
    let inspected = engine.inspect(&bundle).map_err(|fault| vec![fault])?;
    let (file, source) = bundle.files.first().map_or(("", ""), |(file, source)| (file.as_str(), source.as_str()));
    let spec = declare(&inspected, file, source, site)?;
    Ok(Version { spec: Arc::new(spec), bundle: Arc::new(bundle) })
}

/// Loads one job file without a registry: for checking it and for running it on its own. Blocking.
///
/// `root` is the scripts folder. Without one, or for a file outside it, it is the nearest folder above the file whose
/// `lib` has scripts, or else the file's own.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_file(
    (engine, site): (&Engine, &Site),
    root: Option<&Path>,
    path: &Path,
    now: Timestamp,
) -> Result<(Job, Vec<Diagnostic>), Vec<Diagnostic>> {
    let shown = path.display().to_string();
    let diagnostic =
        |severity, fault| Diagnostic { file: shown.clone(), severity, fault, since: now, last_good_kept: false };
    let errors =
        |faults: Vec<Fault>| faults.into_iter().map(|fault| diagnostic(Severity::Error, fault)).collect::<Vec<_>>();
    let (root, file) = place(root, path).map_err(|fault| errors(vec![fault]))?;
    let Bundling { result, .. } = bundling::bundle(&root, &file);
    let version =
        result.map_err(|fault| vec![fault]).and_then(|bundle| inspect(engine, bundle, site)).map_err(errors)?;
    let noted = warnings(&version.spec).into_iter().map(|fault| diagnostic(Severity::Warning, fault)).collect();
    let job =
        Job { spec: version.spec, bundle: version.bundle, file, loaded_at: now, enabled_override: None, held: false };
    Ok((job, noted))
}

/// The scripts folder of a file, and the file's path in it.
fn place(root: Option<&Path>, path: &Path) -> Result<(PathBuf, String), Fault> {
    let absolute = |path: &Path| {
        let message = |error| format!("cannot find {}: {error}", path.display());
        std::path::absolute(path).map_err(|error| Fault::new("scripts.unreadable", message(error)))
    };
    let file = absolute(path)?;
    let given = root.map(absolute).transpose()?.filter(|root| file.starts_with(root));
    let nearest = || file.ancestors().skip(1).find(|folder| has_shared_scripts(folder)).map(Path::to_owned);
    let own = || file.parent().unwrap_or(Path::new("/")).to_owned();
    let root = given.or_else(nearest).unwrap_or_else(own);
    let relative = file.strip_prefix(&root).ok().and_then(Path::to_str);
    let relative = relative.ok_or_else(|| Fault::new("scripts.name", "the path is not UTF-8").hint("rename it"))?;
    Ok((root.clone(), relative.to_owned()))
}

fn has_shared_scripts(folder: &Path) -> bool {
    let is_script = |path: &Path| path.extension().is_some_and(|ending| ending == "lua" || ending == "luau");
    let entries = std::fs::read_dir(folder.join("lib")).into_iter().flatten();
    entries.flatten().any(|entry| is_script(&entry.path()))
}
