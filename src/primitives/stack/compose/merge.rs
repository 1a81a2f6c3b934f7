//! Several files as one: mappings merge, lists append, some keys have rules of their own.

use super::node::{Map, Node, Value};
use super::path::Path;
use super::problem::{Kind, Problem};

/// `over` laid over `base`.
pub(super) fn merge(base: Node, over: Node, path: &Path<'_>) -> Result<Node, Problem> {
    match path.parts().as_slice() {
        ["services", _, rest @ ..] => of_service(base, over, rest, path),
        ["networks", _, "ipam", "config"] => pools(base, over, path),
        ["networks" | "volumes", _, "labels"] => sequences(base, over, path),
        _ => generic(base, over, path),
    }
}

fn of_service(base: Node, over: Node, key: &[&str], path: &Path<'_>) -> Result<Node, Problem> {
    match key {
        ["command" | "entrypoint"] | ["healthcheck", "test"] | ["ulimits", _] => Ok(over),
        [
            "annotations" | "dns" | "dns_opt" | "dns_search" | "env_file" | "label_file" | "environment" | "labels"
            | "sysctls" | "tmpfs",
        ]
        | ["build", "args" | "additional_contexts" | "labels"]
        | ["deploy", "labels"] => sequences(base, over, path),
        ["extra_hosts"] | ["build", "extra_hosts"] => hosts(base, over, path),
        ["build"] => maps(build(base, path)?, build(over, path)?, path),
        ["depends_on"] => maps(by_name(base, path, dependency)?, by_name(over, path, dependency)?, path),
        ["networks"] => {
            let null = |node: &Node| Node::new(Value::Null, &node.at);
            maps(by_name(base, path, null)?, by_name(over, path, null)?, path)
        }
        ["logging"] => logging(base, over, path),
        _ => generic(base, over, path),
    }
}

fn generic(mut base: Node, over: Node, path: &Path<'_>) -> Result<Node, Problem> {
    if over.is_null() {
        return Ok(base);
    }
    match (&mut base.value, over.value) {
        (Value::Map(_), Value::Map(map)) => maps(base, Node { value: Value::Map(map), ..over }, path),
        (Value::List(list), Value::List(more)) => {
            list.extend(more);
            Ok(base)
        }
        (Value::Map(_) | Value::List(_), value) => {
            let over = Node { value, ..over };
            let message = format!("{} cannot replace {}", over.kind(), base.kind());
            let remedy = format!("write {} as in {}, or tag it !override", base.kind(), base.at);
            Err(over.problem(Kind::Conflict, path, message, remedy))
        }
        (_, value) => Ok(Node { value, ..over }),
    }
}

/// Merges two mappings; for extensions the later one wins as a whole.
fn maps(mut base: Node, over: Node, path: &Path<'_>) -> Result<Node, Problem> {
    let over_at = over.at.clone();
    let filled = |value| if matches!(value, Value::Null) { Value::Map(Map::new()) } else { value };
    let (Value::Map(mut into), Value::Map(from)) = (filled(base.value), filled(over.value)) else {
        let remedy = "write a mapping in both files";
        return Err(Problem::new(Kind::Conflict, &over_at, path, "only mappings can be merged here", remedy));
    };
    for (key, node) in from {
        match into.remove(&key) {
            Some(earlier) if !key.starts_with("x-") => {
                let key_at = node.key_at.clone();
                let mut merged = merge(earlier, node, &path.key(&key))?;
                merged.key_at = merged.key_at.or(key_at);
                into.insert(key, merged);
            }
            _ => {
                into.insert(key, node);
            }
        }
    }
    base.value = Value::Map(into);
    Ok(base)
}

/// Both as lists of `key=value`, one after the other; later ones win when duplicates are taken out.
fn sequences(base: Node, over: Node, path: &Path<'_>) -> Result<Node, Problem> {
    let (at, key_at) = (over.at.clone(), over.key_at.clone().or(base.key_at.clone()));
    let mut list = as_list(base, path)?;
    list.extend(as_list(over, path)?);
    Ok(Node { value: Value::List(list), at, key_at })
}

fn hosts(base: Node, over: Node, path: &Path<'_>) -> Result<Node, Problem> {
    let (at, key_at) = (over.at.clone(), over.key_at.clone().or(base.key_at.clone()));
    let mut list = as_list(base, path)?;
    let more: Vec<Node> = as_list(over, path)?.into_iter().filter(|node| !list.contains(node)).collect();
    list.extend(more);
    Ok(Node { value: Value::List(list), at, key_at })
}

fn as_list(node: Node, path: &Path<'_>) -> Result<Vec<Node>, Problem> {
    match node.value {
        Value::Map(map) => Ok(pairs(map)),
        Value::List(list) => Ok(list),
        Value::Text(_) => Ok(vec![node]),
        Value::Null => Ok(Vec::new()),
        _ => Err(node.mismatch(path, "a mapping or a list")),
    }
}

/// A mapping as sorted `key=value`; a value that is a list makes one of each.
fn pairs(map: Map) -> Vec<Node> {
    let mut list = Vec::with_capacity(map.len());
    for (key, node) in map {
        match &node.value {
            Value::Null => list.push(Node::text(key, &node.at)),
            Value::List(values) => {
                let shown = values.iter().map(|value| value.shown().unwrap_or_default());
                list.extend(shown.map(|value| Node::text(format!("{key}={value}"), &node.at)));
            }
            _ => list.push(Node::text(format!("{key}={}", node.shown().unwrap_or_default()), &node.at)),
        }
    }
    list.sort_by(|a, b| a.as_text().cmp(&b.as_text()));
    list
}

/// A list of names as a mapping.
fn by_name(mut node: Node, path: &Path<'_>, entry: impl Fn(&Node) -> Node) -> Result<Node, Problem> {
    let Value::List(list) = node.value else { return Ok(node) };
    let mut map = Map::new();
    for (index, item) in list.iter().enumerate() {
        let name = item.as_text().ok_or_else(|| item.mismatch(&path.item(index), "a name"))?;
        map.insert(name.to_owned(), entry(item));
    }
    node.value = Value::Map(map);
    Ok(node)
}

/// The long form of a dependency that is only named.
pub(super) fn dependency(name: &Node) -> Node {
    let condition = Value::Text("service_started".to_owned());
    Node::map_of([("condition", condition), ("required", Value::Bool(true))], &name.at)
}

fn build(node: Node, path: &Path<'_>) -> Result<Node, Problem> {
    match node.value {
        Value::Map(_) => Ok(node),
        Value::Text(context) => {
            let map = Node::map_of([("context", Value::Text(context))], &node.at);
            Ok(Node { key_at: node.key_at, ..map })
        }
        Value::Null => Ok(Node { value: Value::Map(Map::new()), ..node }),
        _ => Err(node.mismatch(path, "a folder or a mapping")),
    }
}

/// Options are merged as long as the driver is the same.
fn logging(base: Node, over: Node, path: &Path<'_>) -> Result<Node, Problem> {
    match (base.get("driver"), over.get("driver")) {
        (Some(before), Some(after)) if before != after => Ok(over),
        _ => maps(base, over, path),
    }
}

/// Address pools are the same when their subnets are.
fn pools(base: Node, over: Node, path: &Path<'_>) -> Result<Node, Problem> {
    let at = over.at.clone();
    let key_at = over.key_at.clone();
    let (Some(before), Some(after)) = (base.as_list(), over.as_list()) else {
        return Err(over.mismatch(path, "a list of address pools"));
    };
    let mut pools: Vec<Node> = Vec::new();
    for original in before {
        for change in after {
            let subnet = change.get("subnet");
            if subnet != original.get("subnet") && !pools.iter().any(|pool| pool.get("subnet") == subnet) {
                pools.push(change.clone());
                continue;
            }
            let merged = maps(original.clone(), change.clone(), path)?;
            match pools.iter_mut().find(|pool| pool.get("subnet") == merged.get("subnet")) {
                Some(pool) => *pool = merged,
                None => pools.push(merged),
            }
        }
    }
    Ok(Node { value: Value::List(pools), at, key_at })
}
