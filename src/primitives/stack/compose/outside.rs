//! Variables and labels that services take from files of their own.

use std::collections::BTreeMap;

use super::dotenv;
use super::files::Entry;
use super::interpolate::Environment;
use super::model::{Project, Service};
use super::node::Node;
use super::path::Path;
use super::problem::{Kind, Problem};
use super::session::Session;

/// Reads `env_file` and `label_file` of every service. What a service says itself wins.
pub(super) fn read_outside(
    project: &mut Project,
    root: &Node,
    environment: &Environment,
    session: &mut Session<'_>,
) -> Result<(), Problem> {
    for (name, service) in &mut project.services {
        variables(name, service, root, environment, session)?;
        labels(name, service, root, session)?;
    }
    Ok(())
}

fn variables(
    name: &str,
    service: &mut Service,
    root: &Node,
    environment: &Environment,
    session: &mut Session<'_>,
) -> Result<(), Problem> {
    for (variable, value) in service.environment.iter_mut().filter(|(_, value)| value.is_none()) {
        *value = environment.get(variable).cloned();
    }
    let mut found = Environment::new();
    for (index, file) in std::mem::take(&mut service.env_file).into_iter().enumerate() {
        let place = root.nearest(&["services", name, "env_file", &index.to_string(), "path"]).at.clone();
        let services = Path::ROOT.key("services");
        let path = services.key(name);
        let path = path.key("env_file");
        let path = path.item(index);
        if session.files.entry(&file.path) != Some(Entry::File) && !file.required {
            continue;
        }
        if !file.format.is_empty() && file.format != "raw" {
            let message = format!("the format {:?} is not known", file.format);
            return Err(Problem::new(Kind::Unsupported, &place, &path, message, "leave format out, or write raw"));
        }
        let text = session.read(&file.path, &place, &path)?;
        if file.format == "raw" {
            found.extend(raw(&text));
            continue;
        }
        let lookup = |name: &str| found.get(name).or_else(|| environment.get(name)).cloned();
        let more = dotenv::parse(&file.path, &text, &lookup)?;
        found.extend(more);
    }
    let mut all: BTreeMap<String, Option<String>> =
        found.into_iter().map(|(name, value)| (name, Some(value))).collect();
    all.append(&mut service.environment);
    service.environment = all;
    Ok(())
}

/// Lines of `NAME=value` in which nothing has a meaning: no quotes, no variables, no comments at the end.
fn raw(text: &str) -> Environment {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn labels(name: &str, service: &mut Service, root: &Node, session: &mut Session<'_>) -> Result<(), Problem> {
    let mut found = Environment::new();
    for (index, file) in std::mem::take(&mut service.label_file).into_iter().enumerate() {
        let place = root.nearest(&["services", name, "label_file", &index.to_string()]).at.clone();
        let services = Path::ROOT.key("services");
        let path = services.key(name);
        let text = session.read(&file, &place, &path.key("label_file"))?;
        let lookup = |name: &str| found.get(name).cloned();
        let more = dotenv::parse(&file, &text, &lookup)?;
        found.extend(more);
    }
    found.append(&mut service.labels);
    service.labels = found;
    Ok(())
}
