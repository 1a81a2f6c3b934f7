//! Short syntaxes become long ones.

use super::interpolate::truth;
use super::merge::dependency;
use super::node::{Map, Node, Value};
use super::path::{ITEM, Path};
use super::problem::{Kind, Problem, Warnings};
use super::short;

/// Brings a whole document into long form.
pub(super) fn canonical(node: &mut Node, path: &Path<'_>, warnings: &mut Warnings) -> Result<(), Problem> {
    match path.parts().as_slice() {
        ["services", _, rest @ ..] if of_service(node, rest, path)? => return Ok(()),
        ["volumes" | "networks" | "secrets" | "configs", _] => external(node, path, warnings)?,
        _ => {}
    }
    match &mut node.value {
        Value::Map(map) => map.iter_mut().try_for_each(|(key, entry)| canonical(entry, &path.key(key), warnings)),
        Value::List(list) => {
            list.iter_mut().enumerate().try_for_each(|(index, item)| canonical(item, &path.item(index), warnings))
        }
        _ => Ok(()),
    }
}

/// True when nothing below the key is left to do.
fn of_service(node: &mut Node, key: &[&str], path: &Path<'_>) -> Result<bool, Problem> {
    match key {
        ["build"] => wrap(node, "context"),
        ["extends"] => wrap(node, "service"),
        ["build", "secrets", ITEM] | ["secrets" | "configs", ITEM] => {
            wrap(node, "source");
            return Ok(true);
        }
        ["build", "additional_contexts"] => pairs(node, path)?,
        ["build", "ssh"] => ssh(node, path)?,
        ["depends_on"] => depends_on(node, path)?,
        ["env_file"] => env_file(node),
        ["label_file" | "dns"] => into_list(node),
        ["gpus"] => gpus(node),
        ["networks"] => return networks(node, path).map(|()| true),
        ["volumes", ITEM] => return mount(node, path).map(|()| true),
        ["devices", ITEM] => return device(node, path).map(|()| true),
        ["ports"] => return ports(node, path).map(|()| true),
        _ => return Ok(false),
    }
    Ok(matches!(key, ["depends_on" | "env_file" | "label_file"] | ["build", "additional_contexts" | "ssh"]))
}

/// `text` becomes `{key: text}`.
fn wrap(node: &mut Node, key: &str) {
    if let Value::Text(text) = &node.value {
        let map = Node::map_of([(key, Value::Text(text.clone()))], &node.at);
        node.value = map.value;
    }
}

fn into_list(node: &mut Node) {
    if let Value::Text(text) = &node.value {
        node.value = Value::List(vec![Node::text(text.clone(), &node.at)]);
    }
}

fn gpus(node: &mut Node) {
    if let Value::Text(_) = &node.value {
        let all = Node::map_of([("count", Value::Text("all".to_owned()))], &node.at);
        node.value = Value::List(vec![all]);
    }
}

fn pairs(node: &mut Node, path: &Path<'_>) -> Result<(), Problem> {
    let Value::List(list) = &node.value else { return Ok(()) };
    let mut map = Map::new();
    for (index, item) in list.iter().enumerate() {
        let (name, value) = item
            .as_text()
            .and_then(|text| text.split_once('='))
            .ok_or_else(|| item.mismatch(&path.item(index), "name=value"))?;
        map.insert(name.to_owned(), Node::text(value, &item.at));
    }
    node.value = Value::Map(map);
    Ok(())
}

fn ssh(node: &mut Node, path: &Path<'_>) -> Result<(), Problem> {
    let Value::List(list) = &node.value else { return Ok(()) };
    let mut map = Map::new();
    for (index, item) in list.iter().enumerate() {
        let text = item.as_text().unwrap_or_default();
        let (name, value) = match text.split_once('=') {
            Some((name, file)) => (name, Value::Text(file.to_owned())),
            None if text == "default" => (text, Value::Null),
            None => return Err(item.mismatch(&path.item(index), "default, or id=path")),
        };
        map.insert(name.to_owned(), Node::new(value, &item.at));
    }
    node.value = Value::Map(map);
    Ok(())
}

fn depends_on(node: &mut Node, path: &Path<'_>) -> Result<(), Problem> {
    match &mut node.value {
        Value::List(list) => {
            let mut map = Map::new();
            for (index, item) in list.iter().enumerate() {
                let name = item.as_text().ok_or_else(|| item.mismatch(&path.item(index), "a service's name"))?;
                let mut entry = dependency(item);
                entry.key_at = Some(item.at.clone());
                map.insert(name.to_owned(), entry);
            }
            node.value = Value::Map(map);
        }
        Value::Map(map) => {
            for entry in map.values_mut() {
                let defaults = dependency(entry);
                let (Value::Map(fields), Value::Map(defaults)) = (&mut entry.value, defaults.value) else { continue };
                for (key, value) in defaults {
                    fields.entry(key).or_insert(value);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn env_file(node: &mut Node) {
    into_list(node);
    for item in node.as_list_mut().into_iter().flatten() {
        wrap(item, "path");
        let at = item.at.clone();
        if let Value::Map(map) = &mut item.value {
            let required = map.entry("required".to_owned()).or_insert_with(|| Node::new(Value::Bool(true), &at));
            if let Some(flag) = required.as_text().and_then(truth) {
                required.value = Value::Bool(flag);
            }
        }
    }
}

fn networks(node: &mut Node, path: &Path<'_>) -> Result<(), Problem> {
    let Value::List(list) = &node.value else { return Ok(()) };
    let mut map = Map::new();
    for (index, item) in list.iter().enumerate() {
        let name = item.as_text().ok_or_else(|| item.mismatch(&path.item(index), "a network's name"))?;
        let entry = Node { value: Value::Null, at: item.at.clone(), key_at: Some(item.at.clone()) };
        map.insert(name.to_owned(), entry);
    }
    node.value = Value::Map(map);
    Ok(())
}

fn mount(node: &mut Node, path: &Path<'_>) -> Result<(), Problem> {
    let Value::Text(text) = &node.value else { return Ok(()) };
    let short = short::mount(text).map_err(|flaw| flaw.at(node, path))?;
    let at = node.at.clone();
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), Node::new(value, &at));
    let text = |text: &str| Value::Text(text.to_owned());
    if short.is_bind() {
        let mut bind = Map::from([("create_host_path".to_owned(), Node::new(Value::Bool(true), &at))]);
        for (key, value) in [("propagation", &short.propagation), ("selinux", &short.selinux)] {
            bind.extend(value.as_ref().map(|value| (key.to_owned(), Node::text(value.clone(), &at))));
        }
        put("type", text("bind"));
        put("bind", Value::Map(bind));
    } else {
        let nocopy = short.is_nocopy.then(|| ("nocopy".to_owned(), Node::new(Value::Bool(true), &at)));
        put("type", text("volume"));
        if text_is_long(&node.value) {
            put("volume", Value::Map(nocopy.into_iter().collect()));
        }
        let options = [("propagation", &short.propagation), ("selinux", &short.selinux)];
        let bind: Map = options
            .into_iter()
            .filter_map(|(key, value)| value.as_ref().map(|value| (key.to_owned(), Node::text(value.clone(), &at))))
            .collect();
        if !bind.is_empty() {
            put("bind", Value::Map(bind));
        }
    }
    if !short.source.is_empty() {
        put("source", text(&short.source));
    }
    put("target", text(&super::files_path::clean(&short.target)));
    if short.is_read_only {
        put("read_only", Value::Bool(true));
    }
    node.value = Value::Map(map);
    Ok(())
}

/// Compose leaves the section out for targets of one and two letters.
fn text_is_long(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.len() > 2)
}

fn device(node: &mut Node, path: &Path<'_>) -> Result<(), Problem> {
    let Value::Text(text) = &node.value else { return Ok(()) };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, target] => (*source, *target, "rwm"),
        [source, target, permissions] => (*source, *target, *permissions),
        _ => {
            let message = format!("{text:?} has too many colons");
            return Err(node.problem(Kind::Value, path, message, "use the long syntax: source, target, permissions"));
        }
    };
    let target = if target.is_empty() { source } else { target };
    let entries = [("source", source), ("target", target), ("permissions", permissions)];
    node.value = Node::map_of(entries.map(|(key, text)| (key, Value::Text(text.to_owned()))), &node.at).value;
    Ok(())
}

fn ports(node: &mut Node, path: &Path<'_>) -> Result<(), Problem> {
    let Value::List(list) = &mut node.value else { return Ok(()) };
    let mut long = Vec::with_capacity(list.len());
    for (index, item) in std::mem::take(list).into_iter().enumerate() {
        let text = match &item.value {
            Value::Int(number) => number.to_string(),
            Value::Text(text) => text.clone(),
            Value::Map(_) => {
                long.push(item);
                continue;
            }
            _ => return Err(item.mismatch(&path.item(index), "a port")),
        };
        for port in short::ports(&text).map_err(|flaw| flaw.at(&item, &path.item(index)))? {
            long.push(long_port(port, &item));
        }
    }
    *list = long;
    Ok(())
}

fn long_port(port: short::Port, item: &Node) -> Node {
    let text = |text: &str| Value::Text(text.to_owned());
    let target = Value::Int(port.target.into());
    let mut node =
        Node::map_of([("mode", text("ingress")), ("target", target), ("protocol", text(&port.protocol))], &item.at);
    if let Value::Map(map) = &mut node.value {
        for (key, value) in [("host_ip", port.host_ip), ("published", port.published)] {
            if !value.is_empty() {
                map.insert(key.to_owned(), Node::text(value, &item.at));
            }
        }
    }
    node
}

/// The old `external: {name: …}` becomes `external: true` and `name`.
fn external(node: &mut Node, path: &Path<'_>, warnings: &mut Warnings) -> Result<(), Problem> {
    let Value::Map(map) = &mut node.value else { return Ok(()) };
    let Some(external) = map.get_mut("external") else { return Ok(()) };
    let Value::Map(old) = &external.value else { return Ok(()) };
    let name = old.get("name").cloned();
    let at = external.at.clone();
    external.value = Value::Bool(true);
    let Some(name) = name else { return Ok(()) };
    warnings.add(&at, path, "external.name is the old form: write name beside external: true");
    match map.get("name") {
        Some(own) if *own != name => {
            let message = "name and external.name differ";
            Err(Problem::new(Kind::Conflict, &at, path, message, "remove external.name"))
        }
        Some(_) => Ok(()),
        None => {
            map.insert("name".to_owned(), name);
            Ok(())
        }
    }
}
