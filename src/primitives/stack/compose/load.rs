//! The order of things: read, fill in, extend, include, merge, check, complete.

use std::sync::Arc;

use super::canonical::canonical;
use super::defaults::{complete, omit_empty};
use super::environment::resolve_environment;
use super::extends::apply_extends;
use super::include::apply_include;
use super::interpolate::{Environment, interpolate};
use super::merge::merge;
use super::node::{Map, Node, Value};
use super::path::Path;
use super::problem::{Kind, Place, Problem};
use super::resolve_paths::{Base, resolve_paths};
use super::session::Session;
use super::shape;
use super::unique::unique;
use super::yaml::{self, Resets};
use crate::base::limits::COMPOSE_SERVICES_MAX;

/// For whom a file is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The project itself.
    Project,
    /// A project within it.
    Included,
    /// A service of another file extends one of this one: nothing is checked before they are merged.
    Extended,
}

/// What surrounds the files of a project or of an inclusion.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The project's folder.
    pub folder: &'a str,
    pub environment: &'a Environment,
    /// The files that are being included, outermost first.
    pub included: &'a [String],
    pub stage: Stage,
}

/// Several files as one document, complete and with absolute paths.
pub(super) fn load_model(
    files: &[(String, Place)],
    scope: &Scope<'_>,
    session: &mut Session<'_>,
) -> Result<Node, Problem> {
    let mut model = None;
    for (file, asked_at) in files {
        model = load_file(file, asked_at, model, scope, session)?.0;
    }
    let start = files.first().map_or_else(|| Place::start(""), |(file, _)| Place::start(file));
    let mut model = model.unwrap_or_else(|| Node::map(Map::new(), &start));
    complete(&mut model, &Path::ROOT)?;
    resolve_paths(&mut model, Base { folder: scope.folder, home: session.home }, &Path::ROOT)?;
    resolve_environment(&mut model, scope.environment);
    Ok(model)
}

/// Lays the documents of one file over `model`. Also says what the last of them takes back.
pub(super) fn load_file(
    file: &str,
    asked_at: &Place,
    mut model: Option<Node>,
    scope: &Scope<'_>,
    session: &mut Session<'_>,
) -> Result<(Option<Node>, Resets), Problem> {
    let text = session.read(file, asked_at, &Path::ROOT)?;
    let mut resets = Resets::default();
    let mut included = scope.included.to_vec();
    included.push(file.to_owned());
    let scope = Scope { included: &included, ..*scope };
    for document in yaml::parse(&Arc::from(file), &text, &mut session.values_left)? {
        resets = document.resets;
        model = Some(lay_over(model, document.root, file, &resets, &scope, session)?);
    }
    Ok((model, resets))
}

fn lay_over(
    model: Option<Node>,
    mut document: Node,
    file: &str,
    resets: &Resets,
    scope: &Scope<'_>,
    session: &mut Session<'_>,
) -> Result<Node, Problem> {
    if document.as_map().is_none() {
        return Err(document.mismatch(&Path::ROOT, "a mapping with services in it"));
    }
    interpolate(&mut document, scope.environment, &Path::ROOT, session)?;
    if scope.stage != Stage::Extended {
        apply_extends(&mut document, file, resets, scope, session)?;
    }
    let mut model = model;
    if let Some(model) = &mut model {
        resets.apply(model);
    }
    if scope.stage != Stage::Extended {
        apply_include(&mut document, scope, session)?;
    }
    let mut merged = match model {
        None => merge(Node::map(Map::new(), &document.at), document, &Path::ROOT)?,
        Some(model) => merge(model, document, &Path::ROOT)?,
    };
    unique(&mut merged, &Path::ROOT)?;
    if scope.stage != Stage::Extended {
        bound_services(&merged)?;
        shape::check(&mut merged, &mut session.warnings)?;
        drop_version(&mut merged, session);
    }
    canonical(&mut merged, &Path::ROOT, &mut session.warnings)?;
    omit_empty(&mut merged);
    // Ranges of ports are unfolded only now, and may have ports of other entries in them.
    unique(&mut merged, &Path::ROOT)?;
    Ok(merged)
}

fn bound_services(model: &Node) -> Result<(), Problem> {
    let Some(services) = model.get("services") else { return Ok(()) };
    let count = services.as_map().map_or(0, Map::len);
    if count <= COMPOSE_SERVICES_MAX {
        return Ok(());
    }
    let message = format!("the stack has {count} services, more than {COMPOSE_SERVICES_MAX}");
    Err(services.problem(Kind::TooLarge, &Path::ROOT.key("services"), message, "split it into several stacks"))
}

fn drop_version(model: &mut Node, session: &mut Session<'_>) {
    if let Some(version) = model.as_map_mut().and_then(|map| map.remove("version"))
        && !matches!(version.value, Value::Null)
    {
        let path = Path::ROOT.key("version");
        session.warnings.add(version.named_at(), &path, "version means nothing any more: remove it");
    }
}
