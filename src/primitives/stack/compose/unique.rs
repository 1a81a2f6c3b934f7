//! Lists in which a later entry replaces an earlier one for the same thing: a port, a mount, a variable.

use std::collections::BTreeMap;

use super::node::{Node, Value};
use super::path::Path;
use super::problem::Problem;
use super::short;

/// Takes duplicates out of every list that knows them.
pub(super) fn unique(node: &mut Node, path: &Path<'_>) -> Result<(), Problem> {
    match &mut node.value {
        Value::Map(map) => map.iter_mut().try_for_each(|(key, entry)| unique(entry, &path.key(key))),
        Value::List(list) => {
            if let Some(index) = index_of(&path.parts()) {
                let found = std::mem::take(list);
                *list = keep_last(found, index, path)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

type Index = fn(&Node, &Path<'_>) -> Result<String, Problem>;

fn index_of(path: &[&str]) -> Option<Index> {
    match path {
        ["networks", _, "labels"] => Some(pair),
        ["services", _, rest @ ..] => match rest {
            [
                "annotations" | "cap_add" | "cap_drop" | "dns" | "dns_opt" | "dns_search" | "environment" | "labels"
                | "links" | "profiles" | "sysctls" | "tmpfs",
            ]
            | ["build", "args" | "additional_contexts" | "platform" | "tags" | "labels"]
            | ["deploy", "labels"]
            | ["networks", _, "aliases" | "link_local_ips"] => Some(pair),
            ["configs"] => Some(|node, path| file_mount(node, path, "")),
            ["secrets"] => Some(|node, path| file_mount(node, path, "/run/secrets")),
            ["env_file"] => Some(env_file),
            ["expose"] => Some(expose),
            ["ports"] => Some(port),
            ["volumes"] => Some(mount),
            ["devices"] => Some(device),
            _ => None,
        },
        _ => None,
    }
}

/// An entry stays where its key was seen first, and has the value that was seen last.
fn keep_last(list: Vec<Node>, index: Index, path: &Path<'_>) -> Result<Vec<Node>, Problem> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept: Vec<Node> = Vec::with_capacity(list.len());
    for (at, node) in list.into_iter().enumerate() {
        let key = index(&node, &path.item(at))?;
        match places.get(&key).and_then(|place| kept.get_mut(*place)) {
            Some(earlier) => *earlier = node,
            None => {
                places.insert(key, kept.len());
                kept.push(node);
            }
        }
    }
    Ok(kept)
}

fn pair(node: &Node, path: &Path<'_>) -> Result<String, Problem> {
    let text = node.as_text().ok_or_else(|| node.mismatch(path, "a string"))?;
    Ok(text.split_once('=').map_or(text, |(key, _)| key).to_owned())
}

fn expose(node: &Node, path: &Path<'_>) -> Result<String, Problem> {
    match &node.value {
        Value::Text(text) => Ok(text.clone()),
        Value::Int(number) => Ok(number.to_string()),
        _ => Err(node.mismatch(path, "a port")),
    }
}

fn file_mount(node: &Node, path: &Path<'_>, folder: &str) -> Result<String, Problem> {
    let shown = |key: &str| node.get(key).and_then(Node::shown);
    match &node.value {
        Value::Text(text) => Ok(format!("{folder}/{text}")),
        Value::Map(_) => {
            let target = shown("target");
            Ok(target.unwrap_or_else(|| format!("{folder}/{}", shown("source").unwrap_or_default())))
        }
        _ => Err(node.mismatch(path, "a name or a mapping")),
    }
}

fn env_file(node: &Node, path: &Path<'_>) -> Result<String, Problem> {
    match &node.value {
        Value::Text(text) => Ok(text.clone()),
        Value::Map(map) => {
            let file = map.get("path").and_then(Node::as_text);
            file.map(str::to_owned).ok_or_else(|| node.mismatch(path, "a path"))
        }
        _ => Ok(String::new()),
    }
}

fn port(node: &Node, path: &Path<'_>) -> Result<String, Problem> {
    let shown = |key: &str, default: &str| node.get(key).and_then(Node::shown).unwrap_or_else(|| default.to_owned());
    match &node.value {
        Value::Map(map) => {
            let target = map.get("target").ok_or_else(|| node.mismatch(path, "a port with its target"))?;
            // A number and a string are different here, as they are to Compose.
            let published = map.get("published").map_or_else(String::new, |node| node.to_json().to_string());
            let target = target.shown().unwrap_or_default();
            Ok(format!("{}:{published}:{target}/{}", shown("host_ip", "0.0.0.0"), shown("protocol", "tcp")))
        }
        Value::Text(text) => Ok(text.clone()),
        Value::Int(number) => Ok(number.to_string()),
        _ => Ok(String::new()),
    }
}

fn mount(node: &Node, path: &Path<'_>) -> Result<String, Problem> {
    match &node.value {
        Value::Map(map) => {
            let target = map.get("target").and_then(Node::as_text);
            target.map(str::to_owned).ok_or_else(|| node.mismatch(path, "a mount with its target"))
        }
        Value::Text(text) => Ok(short::mount(text).map_err(|flaw| flaw.at(node, path))?.target),
        _ => Ok(String::new()),
    }
}

fn device(node: &Node, path: &Path<'_>) -> Result<String, Problem> {
    match &node.value {
        Value::Map(map) => {
            let target = map.get("target").and_then(Node::as_text);
            target.map(str::to_owned).ok_or_else(|| node.mismatch(path, "a device with its target"))
        }
        Value::Text(text) => {
            let mut parts = text.split(':');
            let source = parts.next().unwrap_or_default();
            Ok(parts.next().unwrap_or(source).to_owned())
        }
        _ => Ok(String::new()),
    }
}
