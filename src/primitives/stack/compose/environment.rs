//! Variables that a file names without a value take it from the project's environment.

use super::interpolate::Environment;
use super::node::{Node, Value};

/// Where a secret's content is kept that came from a variable. It is never shown.
pub(super) const CONTENT: &str = "x-#value";

/// Fills in what lists of variables, secrets and configs take from the environment of their file.
pub(super) fn resolve_environment(root: &mut Node, environment: &Environment) {
    for service in entries(root, "services") {
        let list = service.as_map_mut().and_then(|map| map.get_mut("environment")).and_then(Node::as_list_mut);
        for item in list.into_iter().flatten() {
            if let Value::Text(name) = &mut item.value
                && let Some(value) = environment.get(name)
            {
                *name = format!("{name}={value}");
            }
        }
    }
    for (section, key) in [("secrets", CONTENT), ("configs", "content")] {
        for object in entries(root, section) {
            let found = object.get("environment").and_then(Node::as_text).and_then(|name| environment.get(name));
            if let Some(value) = found {
                let node = Node::text(value.clone(), &object.at);
                if let Some(map) = object.as_map_mut() {
                    map.insert(key.to_owned(), node);
                }
            }
        }
    }
}

fn entries<'a>(root: &'a mut Node, section: &str) -> impl Iterator<Item = &'a mut Node> {
    let section = root.as_map_mut().and_then(|map| map.get_mut(section)).and_then(Node::as_map_mut);
    section.into_iter().flat_map(|map| map.values_mut())
}
