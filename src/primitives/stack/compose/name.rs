//! What a stack is called.

use std::sync::Arc;

use super::files_path::name as last_part;
use super::interpolate::{Environment, interpolate};
use super::node::{Node, Value};
use super::options::{Found, Options};
use super::path::Path;
use super::problem::{Kind, Place, Problem};
use super::session::Session;
use super::yaml;
use crate::base::limits::COMPOSE_VALUES_MAX;

/// The name: what the caller says, the environment, the files, the folder, whichever comes first.
pub(super) fn project_name(options: &Options, found: &Found, session: &mut Session<'_>) -> Result<String, Problem> {
    let from_environment = || found.environment.get("COMPOSE_PROJECT_NAME").filter(|name| !name.is_empty()).cloned();
    let start = found.files.first().map_or_else(|| Place::start(&found.folder), |(_, at)| at.clone());
    if let Some(name) = options.name.clone().filter(|name| !name.is_empty()).or_else(from_environment) {
        if normalised(&name) == name {
            return Ok(name);
        }
        let message = format!("{name:?} cannot be a stack's name");
        let remedy = format!("write {:?}: small letters, digits, dashes and underscores", normalised(&name));
        return Err(Problem::new(Kind::Value, &start, &Path::ROOT.key("name"), message, remedy));
    }
    let written = in_files(found, session)?;
    let name = match &written {
        Some(node) => normalised(node.as_text().unwrap_or_default()),
        None => normalised(last_part(&found.folder)),
    };
    if name.is_empty() {
        let at = written.map_or(start, |node| node.at);
        let remedy = "write name at the top of the file";
        return Err(Problem::new(Kind::Value, &at, &Path::ROOT.key("name"), "the stack has no name", remedy));
    }
    Ok(name)
}

/// The last `name` of the files, filled in. Files that are no YAML are told later, when they are loaded.
fn in_files(found: &Found, session: &mut Session<'_>) -> Result<Option<Node>, Problem> {
    let mut named = None;
    for (file, at) in &found.files {
        let text = session.read(file, at, &Path::ROOT)?;
        let mut values_left = COMPOSE_VALUES_MAX;
        let Ok(documents) = yaml::parse(&Arc::from(file.as_str()), &text, &mut values_left) else { continue };
        for document in documents {
            let name = document.root.get("name").and_then(|node| node.shown().map(|text| (node, text)));
            named = name.filter(|(_, text)| !text.is_empty()).map(|(node, text)| Node::text(text, &node.at)).or(named);
        }
    }
    let Some(mut node) = named else { return Ok(None) };
    let environment: &Environment = &found.environment;
    interpolate(&mut node, environment, &Path::ROOT.key("name"), session)?;
    Ok(matches!(node.value, Value::Text(_)).then_some(node))
}

/// Small letters, digits, dashes and underscores, beginning with a letter or a digit.
fn normalised(name: &str) -> String {
    let kept: String = name
        .to_lowercase()
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
        .collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}
