//! What Compose fills in once all files are merged, and what must hold then.

use super::node::{Node, Value};
use super::path::{ITEM, Path};
use super::problem::{Kind, Problem};

/// Fills defaults in, and holds resources to the rules that need the whole document.
pub(super) fn complete(node: &mut Node, path: &Path<'_>) -> Result<(), Problem> {
    let parts = path.parts();
    match parts.as_slice() {
        ["services", _, "build"] => default(node, "context", || Value::Text(".".to_owned())),
        ["services", _, "secrets", ITEM] => {
            let source = node.get("source").and_then(Node::shown).unwrap_or_default();
            default(node, "target", || Value::Text(format!("/run/secrets/{source}")));
        }
        ["services", _, "ports", ITEM] => {
            default(node, "protocol", || Value::Text("tcp".to_owned()));
            default(node, "mode", || Value::Text("ingress".to_owned()));
        }
        ["services", _, "deploy", "resources", "reservations", "devices", ITEM] | ["services", _, "gpus", ITEM] => {
            devices(node, path)?;
        }
        ["services", _, "develop", "watch", ITEM, "path"] if node.as_text() == Some("") => {
            return Err(node.problem(Kind::Value, path, "the path is empty", "name a folder or a file"));
        }
        ["volumes", _] => external(node, path)?,
        ["configs", _] => one_source(node, path, &["file", "environment", "content"])?,
        ["secrets", _] => one_source(node, path, &["file", "environment"])?,
        _ => {}
    }
    match &mut node.value {
        Value::Map(map) => map.iter_mut().try_for_each(|(key, entry)| complete(entry, &path.key(key))),
        Value::List(list) => {
            list.iter_mut().enumerate().try_for_each(|(index, item)| complete(item, &path.item(index)))
        }
        _ => Ok(()),
    }
}

/// Removes empty entries of `dns`, which Compose leaves out of long form.
pub(super) fn omit_empty(root: &mut Node) {
    let Some(services) = root.as_map_mut().and_then(|map| map.get_mut("services")) else { return };
    for service in services.as_map_mut().into_iter().flat_map(|map| map.values_mut()) {
        let dns = service.as_map_mut().and_then(|map| map.get_mut("dns")).and_then(Node::as_list_mut);
        if let Some(list) = dns {
            list.retain(|item| !item.is_null() && item.as_text() != Some(""));
        }
    }
}

fn default(node: &mut Node, key: &str, value: impl FnOnce() -> Value) {
    let at = node.at.clone();
    if let Some(map) = node.as_map_mut() {
        map.entry(key.to_owned()).or_insert_with(|| Node::new(value(), &at));
    }
}

fn devices(node: &mut Node, path: &Path<'_>) -> Result<(), Problem> {
    match (node.get("count").is_some(), node.get("device_ids").is_some()) {
        (true, true) => {
            let message = "count and device_ids exclude each other";
            Err(node.problem(Kind::Conflict, path, message, "remove one of the two"))
        }
        (false, false) => {
            default(node, "count", || Value::Text("all".to_owned()));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn external(node: &Node, path: &Path<'_>) -> Result<(), Problem> {
    let Some(map) = node.as_map() else { return Ok(()) };
    if map.get("external").and_then(Node::as_bool) != Some(true) {
        return Ok(());
    }
    let other = map.iter().find(|(key, _)| !matches!(key.as_str(), "name" | "external") && !key.starts_with("x-"));
    match other {
        Some((key, entry)) => {
            let message = format!("an external volume is made elsewhere and cannot have {key}");
            Err(Problem::new(Kind::Conflict, entry.named_at(), &path.key(key), message, "remove it, or external: true"))
        }
        None => Ok(()),
    }
}

fn one_source(node: &Node, path: &Path<'_>, keys: &[&str]) -> Result<(), Problem> {
    let Some(map) = node.as_map() else { return Err(node.mismatch(path, "a mapping")) };
    let found = keys.iter().filter(|key| map.contains_key(**key)).count();
    let all = keys.join(", ");
    if found > 1 {
        let message = format!("only one of {all} can be set");
        return Err(Problem::new(Kind::Conflict, node.named_at(), path, message, "remove the others"));
    }
    if found == 0 && !map.contains_key("driver") && !map.contains_key("external") {
        let message = format!("one of {all} must be set");
        return Err(Problem::new(Kind::Shape, node.named_at(), path, message, format!("add {all} or external: true")));
    }
    Ok(())
}
