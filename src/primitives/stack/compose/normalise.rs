//! What Compose adds to a finished document: networks, names, implied dependencies, values of variables.

use super::files_path::clean;
use super::interpolate::Environment;
use super::node::{Map, Node, Value};

/// Completes the document of the project `name`.
pub(super) fn normalise(root: &mut Node, name: &str, environment: &Environment) {
    let at = root.at.clone();
    let Some(top) = root.as_map_mut() else { return };
    let mut uses_default = false;
    if let Some(services) = top.get_mut("services").and_then(Node::as_map_mut) {
        for service in services.values_mut() {
            uses_default |= attach(service);
            of_service(service, environment);
        }
    }
    if uses_default {
        let networks = top.entry("networks".to_owned()).or_insert_with(|| Node::map(Map::new(), &at));
        if let Some(map) = networks.as_map_mut() {
            map.entry("default".to_owned()).or_insert_with(|| Node::new(Value::Null, &at));
        }
    }
    for section in ["networks", "volumes", "configs", "secrets"] {
        let Some(section) = top.get_mut(section).and_then(Node::as_map_mut) else { continue };
        for (key, resource) in section.iter_mut() {
            name_resource(resource, key, name);
        }
    }
}

/// A service without networks and without a mode is on the default one. Says whether it is there.
fn attach(service: &mut Node) -> bool {
    let at = service.at.clone();
    let Some(map) = service.as_map_mut() else { return false };
    if map.contains_key("network_mode") {
        return false;
    }
    let networks = map.entry("networks".to_owned()).or_insert_with(|| Node::map(Map::new(), &at));
    let Some(networks) = networks.as_map_mut() else { return false };
    if networks.is_empty() {
        networks.insert("default".to_owned(), Node::new(Value::Null, &at));
    }
    networks.contains_key("default")
}

fn of_service(service: &mut Node, environment: &Environment) {
    let at = service.at.clone();
    let Some(map) = service.as_map_mut() else { return };
    if let Some(policy) = map.get_mut("pull_policy")
        && policy.as_text() == Some("if_not_present")
    {
        policy.value = Value::Text("missing".to_owned());
    }
    if let Some(build) = map.get_mut("build") {
        complete_build(build, environment);
    }
    if let Some(variables) = map.get_mut("environment") {
        take_values(variables, environment, true);
    }
    for volume in map.get_mut("volumes").and_then(Node::as_list_mut).into_iter().flatten() {
        if let Some(Value::Text(target)) =
            volume.as_map_mut().and_then(|map| map.get_mut("target")).map(|n| &mut n.value)
        {
            *target = clean(target);
        }
    }
    let implied = implied_dependencies(map);
    if !implied.is_empty() {
        let depends_on = map.entry("depends_on".to_owned()).or_insert_with(|| Node::map(Map::new(), &at));
        for (name, restart, at) in implied {
            let condition = Value::Text("service_started".to_owned());
            let entries =
                [("condition", condition), ("restart", Value::Bool(restart)), ("required", Value::Bool(true))];
            if let Some(map) = depends_on.as_map_mut() {
                map.entry(name).or_insert_with(|| Node::map_of(entries, &at));
            }
        }
    }
    let is_empty = map.get("depends_on").and_then(Node::as_map).is_some_and(Map::is_empty);
    if is_empty {
        map.remove("depends_on");
    }
}

fn complete_build(build: &mut Node, environment: &Environment) {
    let at = build.at.clone();
    let Some(map) = build.as_map_mut() else { return };
    let is_set = |map: &Map, key: &str| map.get(key).is_some_and(|node| !node.is_null());
    if !is_set(map, "context") {
        map.insert("context".to_owned(), Node::text(".", &at));
    }
    if !is_set(map, "dockerfile") && !is_set(map, "dockerfile_inline") {
        map.insert("dockerfile".to_owned(), Node::text("Dockerfile", &at));
    }
    if let Some(arguments) = map.get_mut("args") {
        take_values(arguments, environment, false);
    }
}

/// Names without a value get it from the environment; without one there, they stay or go.
fn take_values(node: &mut Node, environment: &Environment, keep_unset: bool) {
    match &mut node.value {
        Value::Map(map) => {
            for (name, value) in map.iter_mut().filter(|(_, value)| value.is_null()) {
                if let Some(found) = environment.get(name) {
                    value.value = Value::Text(found.clone());
                }
            }
            map.retain(|_, value| keep_unset || !value.is_null());
        }
        Value::List(list) => {
            for item in list.iter_mut() {
                if let Value::Text(text) = &mut item.value
                    && let Some(found) = environment.get(text)
                {
                    *text = format!("{text}={found}");
                }
            }
            list.retain(|item| keep_unset || item.as_text().is_none_or(|text| text.contains('=')));
        }
        _ => {}
    }
}

/// Services that others are linked to, share a namespace with, or take volumes from, with whether they restart too.
fn implied_dependencies(service: &Map) -> Vec<(String, bool, super::problem::Place)> {
    let texts = |key: &str| service.get(key).and_then(Node::as_list).unwrap_or_default().iter();
    let mut implied = Vec::new();
    for (node, link) in texts("links").filter_map(|node| node.as_text().map(|text| (node, text))) {
        let name = link.split_once(':').filter(|(_, alias)| !alias.contains(':')).map_or(link, |(name, _)| name);
        implied.push((name.to_owned(), true, node.at.clone()));
    }
    for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        let Some(node) = service.get(key) else { continue };
        if let Some(name) = node.as_text().and_then(|text| text.strip_prefix("service:")) {
            implied.push((name.to_owned(), true, node.at.clone()));
        }
    }
    for (node, from) in texts("volumes_from").filter_map(|node| node.as_text().map(|text| (node, text))) {
        if !from.starts_with("container:") {
            let name = from.split(':').next().unwrap_or_default();
            implied.push((name.to_owned(), false, node.at.clone()));
        }
    }
    implied
}

fn name_resource(resource: &mut Node, key: &str, project: &str) {
    let at = resource.at.clone();
    if resource.is_null() {
        resource.value = Value::Map(Map::new());
    }
    let Some(map) = resource.as_map_mut() else { return };
    if map.get("name").is_none_or(Node::is_null) {
        let is_external = map.get("external").and_then(Node::shown).is_some_and(|text| is_true(&text));
        let name = if is_external { key.to_owned() } else { format!("{project}_{key}") };
        map.insert("name".to_owned(), Node::text(name, &at));
    }
}

fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}
