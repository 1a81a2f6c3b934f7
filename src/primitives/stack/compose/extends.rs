//! `extends`: a service that starts from another one, in the same file or in another.

use super::files::Entry;
use super::files_path::{join, parent};
use super::interpolate::Environment;
use super::load::{Scope, Stage, load_file};
use super::merge::merge;
use super::node::{Map, Node};
use super::path::Path;
use super::problem::{Kind, Problem};
use super::resolve_paths::{Base, resolve_paths};
use super::session::Session;
use super::yaml::Resets;
use crate::base::limits::COMPOSE_EXTENDS_DEPTH_MAX;

/// Where a chain of extensions is.
struct Chain<'a> {
    environment: &'a Environment,
    /// File and service of each link so far.
    links: Vec<(String, String)>,
    resets: Vec<Resets>,
}

/// Services by name, and the file and folder that they were read from.
struct Origin {
    services: Map,
    file: String,
    folder: String,
}

/// Puts into every service of `root` what it extends.
pub(super) fn apply_extends(
    root: &mut Node,
    file: &str,
    resets: &Resets,
    scope: &Scope<'_>,
    session: &mut Session<'_>,
) -> Result<(), Problem> {
    let Some(services) = root.as_map_mut().and_then(|map| map.get_mut("services")) else { return Ok(()) };
    let path = Path::ROOT.key("services");
    let Some(map) = services.as_map_mut() else { return Err(services.mismatch(&path, "a mapping of services")) };
    let origin = Origin { services: std::mem::take(map), file: file.to_owned(), folder: scope.folder.to_owned() };
    let mut done = Vec::new();
    for (name, _) in origin.services.iter().filter(|(_, service)| service.get("extends").is_some()) {
        let mut chain = Chain { environment: scope.environment, links: Vec::new(), resets: vec![resets.clone()] };
        done.extend(extended(name, &origin, &mut chain, session)?.map(|merged| (name.clone(), merged)));
    }
    *map = origin.services;
    map.extend(done);
    Ok(())
}

/// The service `name` with what it extends beneath it.
fn extended(
    name: &str,
    origin: &Origin,
    chain: &mut Chain<'_>,
    session: &mut Session<'_>,
) -> Result<Option<Node>, Problem> {
    let services = Path::ROOT.key("services");
    let path = services.key(name);
    let Some(service) = origin.services.get(name).filter(|service| !service.is_null()) else { return Ok(None) };
    let Some(fields) = service.as_map() else { return Err(service.mismatch(&path, "a mapping")) };
    let Some(extends) = fields.get("extends") else { return Ok(Some(service.clone())) };
    let path = path.key("extends");
    let reference = extends.as_text().or_else(|| extends.get("service").and_then(Node::as_text));
    let reference = reference.ok_or_else(|| extends.mismatch(&path, "a service's name, or service and file"))?;
    let other = match extends.get("file") {
        None => None,
        Some(node) => {
            let file = node.as_text().ok_or_else(|| node.mismatch(&path.key("file"), "a path"))?;
            Some(other_file(file, node, &path, origin, chain, session)?)
        }
    };
    let link = (origin.file.clone(), name.to_owned());
    let origin = other.as_ref().unwrap_or(origin);
    if !origin.services.contains_key(reference) {
        let names = origin.services.keys().map(String::as_str);
        let near = crate::base::suggest::did_you_mean(reference, names);
        let message = format!("{} has no service {reference:?}{near}", origin.file);
        return Err(extends.problem(Kind::Undefined, &path, message, "correct the name, or add the service"));
    }
    if chain.links.contains(&link) {
        let names: Vec<&str> = chain.links.iter().map(|(_, name)| name.as_str()).collect();
        let message = format!("the service extends itself: {} -> {name}", names.join(" -> "));
        return Err(extends.problem(Kind::Cycle, &path, message, "let one of them stand alone"));
    }
    if chain.links.len() >= COMPOSE_EXTENDS_DEPTH_MAX {
        let message = format!("more than {COMPOSE_EXTENDS_DEPTH_MAX} services extend each other");
        return Err(extends.problem(Kind::TooLarge, &path, message, "extend fewer"));
    }
    chain.links.push(link);
    let base = extended(reference, origin, chain, session)?;
    let Some(mut base) = base else { return Ok(Some(service.clone())) };
    for resets in &chain.resets {
        resets.apply_to_service(name, &mut base);
    }
    let mut merged = merge(base, service.clone(), &services.key(name))?;
    merged.at = service.at.clone();
    merged.key_at.clone_from(&service.key_at);
    if let Some(map) = merged.as_map_mut() {
        map.remove("extends");
    }
    Ok(Some(merged))
}

/// The services of another file, in long form and with absolute paths.
fn other_file(
    file: &str,
    node: &Node,
    path: &Path<'_>,
    origin: &Origin,
    chain: &mut Chain<'_>,
    session: &mut Session<'_>,
) -> Result<Origin, Problem> {
    let full = Base { folder: &origin.folder, home: session.home }.absolute(file);
    if session.files.entry(&full) != Some(Entry::File) {
        let message = format!("{full} cannot be read: there is no such file");
        return Err(node.problem(Kind::Unreadable, &path.key("file"), message, "create it, or correct the path"));
    }
    let folder = parent(&full).to_owned();
    let scope = Scope { folder: &folder, environment: chain.environment, included: &[], stage: Stage::Extended };
    let (root, resets) = load_file(&full, &node.at, None, &scope, session)?;
    chain.resets.push(resets);
    let mut root = root.unwrap_or_else(|| Node::map(Map::new(), &node.at));
    resolve_paths(&mut root, Base { folder: &folder, home: session.home }, &Path::ROOT)?;
    let services = root.as_map_mut().and_then(|map| map.remove("services"));
    let services = services.and_then(|mut node| node.as_map_mut().map(std::mem::take));
    let services = services.ok_or_else(|| {
        let message = format!("{full} has no services");
        node.problem(Kind::Undefined, path, message, "name a file that has them")
    })?;
    Ok(Origin { services, folder: join(&folder, "."), file: full })
}
