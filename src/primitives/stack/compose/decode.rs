//! A finished document as a typed stack.

use super::environment::CONTENT;
use super::model::{Hidden, Project};
use super::node::{Map, Node};
use super::path::Path;
use super::problem::{Kind, Problem};

/// Reads the stack out of `root`. A value that does not fit is told with its place.
pub(super) fn decode(root: &mut Node) -> Result<Project, Problem> {
    let contents = take_contents(root);
    drop_nulls(root);
    let read: Result<Project, _> = serde_path_to_error::deserialize(root.to_json());
    let mut project = read.map_err(|problem| {
        let keys: Vec<String> = problem.path().iter().map(ToString::to_string).collect();
        let keys: Vec<&str> = keys.iter().map(|key| key.trim_start_matches('[').trim_end_matches(']')).collect();
        let node = root.nearest(&keys);
        let path = problem.path().to_string();
        let message = problem.inner().to_string();
        let at = Problem::new(Kind::Value, &node.at, &Path::ROOT, message, "correct the value");
        Problem { key: path, ..at }
    })?;
    for (name, content) in contents {
        if let Some(secret) = project.secrets.get_mut(&name) {
            secret.from_environment = Some(Hidden(content));
        }
    }
    Ok(project)
}

/// What secrets take from the environment does not go through the document.
fn take_contents(root: &mut Node) -> Vec<(String, String)> {
    let secrets = root.as_map_mut().and_then(|map| map.get_mut("secrets")).and_then(Node::as_map_mut);
    let mut contents = Vec::new();
    for (name, secret) in secrets.into_iter().flatten() {
        let content = secret.as_map_mut().and_then(|map| map.remove(CONTENT));
        contents.extend(content.and_then(|node| node.shown()).map(|text| (name.clone(), text)));
    }
    contents
}

/// A key without a value is as if it were not there, but where names are the user's own.
fn drop_nulls(root: &mut Node) {
    let drop = |map: &mut Map| map.retain(|_, node| !node.is_null());
    let Some(top) = root.as_map_mut() else { return };
    drop(top);
    for section in top.values_mut().filter_map(Node::as_map_mut) {
        for entry in section.values_mut().filter_map(Node::as_map_mut) {
            drop(entry);
        }
    }
}
