//! `include`: other projects as parts of this one, with folders and variables of their own.

use super::dotenv;
use super::files::Entry;
use super::files_path::{join, parent};
use super::interpolate::Environment;
use super::load::{Scope, Stage, load_model};
use super::node::{Map, Node, Value};
use super::path::Path;
use super::problem::{Kind, Place, Problem};
use super::session::Session;
use crate::base::limits::COMPOSE_INCLUDE_DEPTH_MAX;

/// One entry of `include`.
struct Inclusion {
    at: Place,
    files: Vec<String>,
    folder: String,
    environment: Environment,
}

/// Brings what `root` includes into it.
pub(super) fn apply_include(root: &mut Node, scope: &Scope<'_>, session: &mut Session<'_>) -> Result<(), Problem> {
    let Some(include) = root.as_map_mut().and_then(|map| map.remove("include")) else { return Ok(()) };
    let path = Path::ROOT.key("include");
    let Value::List(list) = &include.value else {
        return if include.is_null() { Ok(()) } else { Err(include.mismatch(&path, "a list of files")) };
    };
    for (index, entry) in list.iter().enumerate() {
        let path = path.item(index);
        let inclusion = read_entry(entry, &path, scope, session)?;
        if scope.included.len() >= COMPOSE_INCLUDE_DEPTH_MAX {
            let message = format!("inclusions lie deeper than {COMPOSE_INCLUDE_DEPTH_MAX} levels");
            return Err(entry.problem(Kind::TooLarge, &path, message, "include fewer files from each other"));
        }
        let inner = Scope {
            folder: &inclusion.folder,
            environment: &inclusion.environment,
            included: scope.included,
            stage: Stage::Included,
        };
        let files: Vec<(String, Place)> =
            inclusion.files.iter().map(|file| (file.clone(), inclusion.at.clone())).collect();
        let imported = load_model(&files, &inner, session)?;
        import(imported, root)?;
    }
    Ok(())
}

fn read_entry(
    entry: &Node,
    path: &Path<'_>,
    scope: &Scope<'_>,
    session: &mut Session<'_>,
) -> Result<Inclusion, Problem> {
    let named = match &entry.value {
        Value::Text(file) => vec![file.clone()],
        Value::Map(map) => texts(map.get("path"), &path.key("path"))?,
        _ => return Err(entry.mismatch(path, "a path or a mapping")),
    };
    let Some(first) = named.first() else { return Err(entry.mismatch(path, "a path")) };
    if is_remote(first) {
        let message = format!("{first} lies elsewhere, and only files of this host are loaded");
        return Err(entry.problem(Kind::Unsupported, path, message, "bring it here and include the copy"));
    }
    let files: Vec<String> = named.iter().map(|file| join(scope.folder, file)).collect();
    for file in &files {
        if session.files.entry(file).is_none() {
            let message = format!("{file} cannot be read: there is no such file");
            return Err(entry.problem(Kind::Unreadable, path, message, "create it, or correct the path"));
        }
    }
    if let Some(cycle) = files.first().filter(|file| scope.included.contains(*file)) {
        let message = format!("{} -> {cycle}: the file includes itself", scope.included.join(" -> "));
        return Err(entry.problem(Kind::Cycle, path, message, "remove one of the inclusions"));
    }
    let folder = match entry.get("project_directory").and_then(Node::as_text).filter(|text| !text.is_empty()) {
        Some(folder) => join(scope.folder, folder),
        None => files.first().map(|file| parent(file).to_owned()).unwrap_or_default(),
    };
    let environment = variables(entry, &folder, path, scope, session)?;
    Ok(Inclusion { at: entry.at.clone(), files, folder, environment })
}

/// The variables of an inclusion: ours, and those of its own files which we do not have.
fn variables(
    entry: &Node,
    folder: &str,
    path: &Path<'_>,
    scope: &Scope<'_>,
    session: &mut Session<'_>,
) -> Result<Environment, Problem> {
    let mut files: Vec<String> = texts(entry.get("env_file"), &path.key("env_file"))?;
    for file in &mut files {
        *file = join(scope.folder, file);
    }
    if files.is_empty() {
        let default = join(folder, ".env");
        files.extend((session.files.entry(&default) == Some(Entry::File)).then_some(default));
    }
    let found = read_variables(&files, scope.environment, &entry.at, path, session)?;
    let mut environment = scope.environment.clone();
    for (name, value) in found {
        environment.entry(name).or_insert(value);
    }
    Ok(environment)
}

/// The variables of environment files: later files win, and `outer` wins where a value uses a variable.
pub(super) fn read_variables(
    files: &[String],
    outer: &Environment,
    asked_at: &Place,
    path: &Path<'_>,
    session: &mut Session<'_>,
) -> Result<Environment, Problem> {
    let mut found = Environment::new();
    for file in files {
        let text = session.read(file, asked_at, path)?;
        let lookup = |name: &str| outer.get(name).or_else(|| found.get(name)).cloned();
        let more = dotenv::parse(file, &text, &lookup)?;
        found.extend(more);
    }
    Ok(found)
}

fn texts(node: Option<&Node>, path: &Path<'_>) -> Result<Vec<String>, Problem> {
    match node.map(|node| (node, &node.value)) {
        None | Some((_, Value::Null)) => Ok(Vec::new()),
        Some((_, Value::Text(text))) => Ok(vec![text.clone()]),
        Some((_, Value::List(list))) => list
            .iter()
            .enumerate()
            .map(|(index, item)| {
                item.as_text().map(str::to_owned).ok_or_else(|| item.mismatch(&path.item(index), "a path"))
            })
            .collect(),
        Some((node, _)) => Err(node.mismatch(path, "a path or a list of paths")),
    }
}

fn is_remote(file: &str) -> bool {
    ["oci://", "https://", "http://", "git://", "ssh://", "git@", "github.com/"]
        .iter()
        .any(|prefix| file.starts_with(prefix))
}

fn import(mut imported: Node, root: &mut Node) -> Result<(), Problem> {
    let Some(top) = imported.as_map_mut() else { return Ok(()) };
    for section in ["services", "volumes", "networks", "secrets", "configs"] {
        let Some(Node { value: Value::Map(from), at, key_at }) = top.remove(section) else { continue };
        let Some(target) = root.as_map_mut() else { continue };
        let into =
            target.entry(section.to_owned()).or_insert_with(|| Node { value: Value::Map(Map::new()), at, key_at });
        if into.is_null() {
            into.value = Value::Map(Map::new());
        }
        let path = Path::ROOT.key(section);
        let into = match &mut into.value {
            Value::Map(map) => map,
            _ => return Err(into.mismatch(&path, "a mapping")),
        };
        for (name, node) in from {
            match into.get(&name) {
                Some(own) if *own == node => {}
                Some(own) => {
                    let message = format!("{name} is declared here and in what is included, at {}", node.named_at());
                    let remedy = "rename one of the two, or remove one";
                    return Err(Problem::new(Kind::Conflict, own.named_at(), &path.key(&name), message, remedy));
                }
                None => {
                    into.insert(name, node);
                }
            }
        }
    }
    Ok(())
}
